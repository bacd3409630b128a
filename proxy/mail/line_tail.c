/*
 * Happy path: the piece is longer than the tail, and its last octets are it. There is nothing to
 * fail.
 */
#include "mail/line_tail.h"

#include <string.h>

struct slice line_tail_of(struct slice line)
{
    return slice_skip(line, line.size > LINE_TAIL_MAX ? line.size - LINE_TAIL_MAX : 0);
}

void line_tail_add(struct line_tail *tail, struct slice piece)
{
    piece = line_tail_of(piece);
    size_t kept = tail->size < LINE_TAIL_MAX - piece.size ? tail->size : LINE_TAIL_MAX - piece.size;
    memmove(tail->octets, tail->octets + tail->size - kept, kept);
    if (piece.size > 0)
        memcpy(tail->octets + kept, piece.data, piece.size);
    tail->size = (uint8_t)(kept + piece.size);
}

struct slice line_tail_bytes(const struct line_tail *tail)
{
    return slice_of(tail->octets, tail->size);
}
