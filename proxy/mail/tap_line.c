/*
 * Happy path: the whole line lies in the bytes, and is lent from there.
 *
 *   a line in pieces       gathered, its head and its tail
 *   a line without end     costs no more than the head
 */
#include "mail/tap_line.h"

#include <string.h>

#include "mail/wire.h"

void tap_line_init(struct tap_line *line)
{
    *line = (struct tap_line){0};
    buf_init(&line->head, TAP_LINE_HEAD_MAX + 2);
}

void tap_line_fini(struct tap_line *line)
{
    buf_fini(&line->head);
}

static struct slice last_of(struct slice bytes, size_t count)
{
    return slice_skip(bytes, bytes.size > count ? bytes.size - count : 0);
}

static void gather(struct tap_line *line, struct slice piece)
{
    uint8_t joint[2 * TAP_LINE_TAIL_MAX];
    struct slice end = last_of(piece, TAP_LINE_TAIL_MAX);
    ENSURE(buf_append(&line->head, slice_take(piece, buf_room(&line->head))) == 0);
    memcpy(joint, line->tail, line->tail_size);
    memcpy(joint + line->tail_size, end.data, end.size);
    struct slice tail = last_of(slice_of(joint, line->tail_size + end.size), TAP_LINE_TAIL_MAX);
    memcpy(line->tail, tail.data, tail.size);
    line->tail_size = (uint8_t)tail.size;
}

bool tap_line_feed(struct tap_line *line, struct slice *rest, struct tap_line_view *view_out)
{
    if (line->is_given) {
        buf_clear(&line->head);
        line->tail_size = 0;
        line->is_given = false;
    }
    if (rest->size == 0)
        return false;
    size_t end = slice_find(*rest, '\n');
    bool is_whole = end < rest->size;
    struct slice piece = slice_take(*rest, is_whole ? end + 1 : end);
    *rest = slice_skip(*rest, piece.size);
    if (is_whole && line->tail_size == 0) {
        view_out->head = slice_take(wire_trim_line_end(piece), TAP_LINE_HEAD_MAX);
        view_out->tail = last_of(piece, TAP_LINE_TAIL_MAX);
        return true;
    }
    gather(line, piece);
    line->is_given = is_whole;
    view_out->head = slice_take(wire_trim_line_end(buf_bytes(&line->head)), TAP_LINE_HEAD_MAX);
    view_out->tail = slice_of(line->tail, line->tail_size);
    return is_whole;
}
