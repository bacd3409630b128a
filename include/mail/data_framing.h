/*
 * The content of a message behind DATA (RFC 5321 section 4.5.2), on its way from a client that may
 * be careless to a server that may be credulous. It ends at CRLF "." CRLF and at nothing else, and
 * what comes out holds that sequence at its end alone, and no CR or LF that is not part of a CRLF:
 * both sides agree on where the message ends.
 *
 * A bare CR or LF becomes CRLF. A dot that comes to stand at the start of a line by that, or that
 * would be alone on its line, gets another one before it, as every line that starts with one has.
 * All other octets come out as they went in.
 */
#ifndef ECLUSE_MAIL_DATA_FRAMING_H
#define ECLUSE_MAIL_DATA_FRAMING_H

#include "base/slice.h"

enum data_place {
    DATA_LINE_START, /* behind CRLF, or at the very start */
    DATA_DOT,        /* a dot there, which is held back */
    DATA_DOT_CR,     /* and a CR behind it, likewise */
    DATA_WITHIN_LINE,
    DATA_CR,           /* a CR in a line, held back */
    DATA_MENDED_START, /* behind a CRLF that was a bare CR or LF: a dot here is none of SMTP's */
    DATA_OVER
};

/* Embedded; all zero at the start. */
struct data_framing {
    enum data_place place;
    bool has_bare_newline; /* one was met; what came before it was passed */
};

/* Returns how much was consumed: all, or as far as the end; the place is then DATA_OVER. Calls
 * `pass` any number of times from within, with what is to be sent on. */
MUST_CHECK size_t data_framing_feed(struct data_framing *framing, struct slice bytes,
                                    void (*pass)(void *owner, struct slice bytes), void *owner);

#endif
