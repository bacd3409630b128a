"""The three protocols side by side: who speaks them, and what a mail client is told in each."""

from typing import NamedTuple

from imap_support import RawImap
from pop3_support import RawPop3
from smtp_support import RawSmtp


class Protocol(NamedTuple):
    client: type
    greeting: bytes
    logged_in: str
    auth: str  # a wrong password, a refused token, a sign-in that is needed
    unreachable: str
    not_allowed: str
    bad: str  # a cancelled exchange, bad base64
    too_many: bytes
    stopping: bytes
    withdrawn: bytes  # the grant, under a session


PROTOCOLS = {
    "imap": Protocol(RawImap, b"* OK ", "OK ", "NO [AUTHENTICATIONFAILED] ", "NO [UNAVAILABLE] ",
                     "NO [NOPERM] ", "BAD ", b"* BYE [LIMIT] ", b"* BYE ", b"* BYE "),
    "pop3": Protocol(RawPop3, b"+OK ", "+OK ", "-ERR [AUTH] ", "-ERR [SYS/TEMP] ",
                     "-ERR [SYS/PERM] ", "-ERR ", b"-ERR [IN-USE] ", b"-ERR [SYS/TEMP] ",
                     b"-ERR [SYS/PERM] "),
    "smtp": Protocol(RawSmtp, b"220 ", "235 ", "535 5.7.8 ", "454 4.7.0 ", "550 5.7.1 ",
                     "501 5.5.2 ", b"421 4.7.0 ", b"421 4.3.2 ", b"421 4.7.0 "),
}
