/*
 * Lines of a stream, for the tap: each is given when its end has come, as much of its beginning as
 * a command or an answer is read by, and its last octets, which may announce a literal. A line that
 * came in one piece is not copied.
 */
#ifndef ECLUSE_MAIL_TAP_LINE_H
#define ECLUSE_MAIL_TAP_LINE_H

#include "base/buf.h"
#include "mail/line_tail.h"

#define TAP_LINE_HEAD_MAX 1024u

struct tap_line {
    struct buf head; /* and a line end */
    struct line_tail tail;
    bool is_given; /* the head is of a line that has ended */
};

struct tap_line_view {
    struct slice head; /* without the line end */
    struct slice tail; /* with it */
};

void tap_line_init(struct tap_line *line);
void tap_line_fini(struct tap_line *line);

/* Takes octets off *rest, to the end of the line if it is there: then true, and the view is valid
 * until the next call, or as long as the bytes. */
bool tap_line_feed(struct tap_line *line, struct slice *rest, struct tap_line_view *view_out);

#endif
