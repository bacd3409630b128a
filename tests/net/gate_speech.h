/*
 * What the clients and the servers around a gate say in each protocol, up to the login.
 */
#ifndef ECLUSE_TESTS_GATE_SPEECH_H
#define ECLUSE_TESTS_GATE_SPEECH_H

#include "base/terms.h"

/* An answer has `untagged` before and, where the protocol has tags, the command's tag. */
struct line_and_answer {
    const char *line, *untagged, *answer;
};

struct speech {
    bool has_tags;

    /* the server */
    const char *alpn, *hello;
    struct line_and_answer before_login[3];
    const char *starttls; /* one of these: behind its answer comes TLS */
    const char *token;    /* how the line that has the token begins */
    const char *accepted, *refused;

    /* the client, which is alice and whose password is secret */
    const char *greeting; /* the end of it */
    const char *login, *logged_in, *failed;
    const char *alive, *alive_answer; /* something harmless, behind the login */
};

static const struct speech speeches[PROTOCOL_COUNT] = {
    [PROTOCOL_IMAP] = {.has_tags = true,
                       .alpn = "imap",
                       .hello = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hello\r\n",
                       .before_login = {{"STARTTLS", "", "OK go"},
                                        {"CAPABILITY",
                                         "* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2\r\n",
                                         "OK done"}},
                       .starttls = "STARTTLS",
                       .token = "AUTHENTICATE ",
                       .accepted = "OK [CAPABILITY IMAP4rev1 IDLE] in",
                       .refused = "NO expired",
                       .greeting = "] ecluse ready\r\n",
                       .login = "in LOGIN alice secret\r\n",
                       .logged_in = "in OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n",
                       .failed = "in NO [",
                       .alive = "x NOOP\r\n",
                       .alive_answer = "x OK fine\r\n"},
    [PROTOCOL_POP3] = {.alpn = "pop3",
                       .hello = "+OK hello\r\n",
                       .before_login = {{"STLS", "", "+OK go"},
                                        {"CAPA", "+OK\r\nSASL XOAUTH2\r\n", "."},
                                        {"AUTH XOAUTH2", "", "+ "}},
                       .starttls = "STLS",
                       .token = "dXNlcj",
                       .accepted = "+OK in",
                       .refused = "-ERR [AUTH] expired",
                       .greeting = "+OK ecluse ready\r\n",
                       .login = "USER alice\r\nPASS secret\r\n",
                       .logged_in = "+OK\r\n+OK Logged in\r\n",
                       .failed = "+OK\r\n-ERR [",
                       .alive = "NOOP\r\n",
                       .alive_answer = "+OK fine\r\n"},
    [PROTOCOL_SMTP] = {.alpn = "smtp",
                       .hello = "220 hello\r\n",
                       .before_login = {{"EHLO ", "250-there\r\n250-PIPELINING\r\n",
                                         "250 AUTH XOAUTH2"},
                                        {"STARTTLS", "", "220 go"},
                                        {"AUTH XOAUTH2", "", "334 "}},
                       .starttls = "STARTTLS",
                       .token = "dXNlcj",
                       .accepted = "235 in",
                       .refused = "535 expired",
                       .greeting = "220 localhost ESMTP ecluse\r\n",
                       .login = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
                       .logged_in = "235 2.7.0 Logged in\r\n",
                       .failed = "4",
                       .alive = "NOOP\r\n",
                       .alive_answer = "250 fine\r\n"},
};

#endif
