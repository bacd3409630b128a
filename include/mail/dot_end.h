/*
 * Where text ends that is sent line by line up to a dot alone (RFC 1939 section 3, RFC 5321 section
 * 4.1.1.4): found without looking at more than the beginnings of lines.
 */
#ifndef ECLUSE_MAIL_DOT_END_H
#define ECLUSE_MAIL_DOT_END_H

#include "base/slice.h"

/* The dot and its line end. */
#define DOT_END_SIZE 3u

struct dot_end {
    uint8_t matched; /* octets of CR LF "." CR LF that stand at the end so far */
};

/* The text begins here. */
void dot_end_start(struct dot_end *end);
/* How many octets of `bytes` belong to the text, its end included. */
MUST_CHECK size_t dot_end_find(struct dot_end *end, struct slice bytes);
bool dot_end_is_there(const struct dot_end *end);

#endif
