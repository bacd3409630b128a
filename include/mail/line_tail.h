/*
 * The last octets of a line of IMAP that comes in pieces: enough of them to read an announcement of
 * a literal, "{18446744073709551615+}\r\n".
 */
#ifndef ECLUSE_MAIL_LINE_TAIL_H
#define ECLUSE_MAIL_LINE_TAIL_H

#include "base/slice.h"

#define LINE_TAIL_MAX 24u

/* Embedded; all zero at the start of a line. */
struct line_tail {
    uint8_t octets[LINE_TAIL_MAX];
    uint8_t size;
};

/* Of a line, or a piece of one, that is there. */
struct slice line_tail_of(struct slice line);

void line_tail_add(struct line_tail *tail, struct slice piece);
struct slice line_tail_bytes(const struct line_tail *tail);

#endif
