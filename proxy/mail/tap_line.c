/*
 * Happy path: the whole line lies in the bytes, and is lent from there.
 *
 *   a line in pieces       gathered, its head and its tail
 *   a line without end     costs no more than the head
 */
#include "mail/tap_line.h"

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

static void gather(struct tap_line *line, struct slice piece)
{
    ENSURE(buf_append(&line->head, slice_take(piece, buf_room(&line->head))) == 0);
    line_tail_add(&line->tail, piece);
}

bool tap_line_feed(struct tap_line *line, struct slice *rest, struct tap_line_view *view_out)
{
    if (line->is_given) {
        buf_clear(&line->head);
        line->tail.size = 0;
        line->is_given = false;
    }
    if (rest->size == 0)
        return false;
    size_t end = slice_find(*rest, '\n');
    bool is_whole = end < rest->size;
    struct slice piece = slice_take(*rest, is_whole ? end + 1 : end);
    *rest = slice_skip(*rest, piece.size);
    if (is_whole && line->tail.size == 0) {
        view_out->head = slice_take(wire_trim_line_end(piece), TAP_LINE_HEAD_MAX);
        view_out->tail = line_tail_of(piece);
        return true;
    }
    gather(line, piece);
    line->is_given = is_whole;
    view_out->head = slice_take(wire_trim_line_end(buf_bytes(&line->head)), TAP_LINE_HEAD_MAX);
    view_out->tail = line_tail_bytes(&line->tail);
    return is_whole;
}
