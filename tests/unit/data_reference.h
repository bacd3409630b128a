/*
 * What mail/data_framing.h makes of a message, worked out the slow and obvious way: find the end,
 * take the content apart into lines, mend each, put them together again.
 */
#ifndef ECLUSE_TESTS_DATA_REFERENCE_H
#define ECLUSE_TESTS_DATA_REFERENCE_H

#include <string.h>

#include "base/buf.h"

#define DATA_REFERENCE_MAX (1024u * 1024)

/* A line of content. It is true when a CRLF (or nothing) stands before it: only there SMTP's dots
 * are stuffed. */
struct data_line {
    struct slice text;
    bool begins_true, ends_true;
};

static bool data_stands_at(struct slice bytes, size_t at, const char *text)
{
    return slice_starts_with(slice_skip(bytes, at), text);
}

/* The size of the content: CRLF "." CRLF ends it, of which the first CRLF belongs to it; the very
 * start counts as behind a CRLF. False: it has no end. */
static bool data_find_end(struct slice bytes, size_t *content_size_out)
{
    for (size_t at = 0; at < bytes.size; at++)
        if (data_stands_at(bytes, at, ".\r\n") &&
            (at == 0 || (at >= 2 && data_stands_at(bytes, at - 2, "\r\n")))) {
            *content_size_out = at;
            return true;
        }
    return false;
}

/* Takes the first line off the start of *content, which ends in CRLF or is empty. */
static bool data_next_line(struct slice *content, bool *is_true, struct data_line *line_out)
{
    size_t size = 0;
    if (content->size == 0)
        return false;
    while (content->data[size] != '\r' && content->data[size] != '\n')
        size++;
    bool ends_true = data_stands_at(*content, size, "\r\n");
    *line_out = (struct data_line){slice_take(*content, size), *is_true, ends_true};
    *content = slice_skip(*content, size + (ends_true ? 2 : 1));
    *is_true = ends_true;
    return true;
}

/* A dot alone on a line that a bare newline ends is no stuffing: it is what it looks like. */
static bool data_is_lone_dot(const struct data_line *line)
{
    return line->begins_true && !line->ends_true && slice_is(line->text, ".");
}

/* On the wire: lines that did not come stuffed get a dot where they need one. */
static void data_reference_wire(struct slice content, struct buf *out)
{
    struct data_line line;
    bool is_true = true;
    while (data_next_line(&content, &is_true, &line)) {
        bool is_unstuffed = !line.begins_true || data_is_lone_dot(&line);
        if (is_unstuffed && slice_starts_with(line.text, "."))
            ENSURE(buf_append_string(out, ".") == 0);
        ENSURE(buf_append(out, line.text) == 0);
        ENSURE(buf_append_string(out, "\r\n") == 0);
    }
    ENSURE(buf_append_string(out, ".\r\n") == 0);
}

/* What the sender means: unstuffed, each newline a LF. */
static void data_reference_text(struct slice content, struct buf *out)
{
    struct data_line line;
    bool is_true = true;
    while (data_next_line(&content, &is_true, &line)) {
        bool is_stuffed = line.begins_true && !data_is_lone_dot(&line);
        if (is_stuffed && slice_starts_with(line.text, "."))
            line.text = slice_skip(line.text, 1);
        ENSURE(buf_append(out, line.text) == 0);
        ENSURE(buf_append_string(out, "\n") == 0);
    }
}

/* What a server that is strict (RFC 5321 section 4.5.2) takes from the wire. */
static void data_reference_receive(struct slice wire, struct buf *out)
{
    while (wire.size > 0) {
        size_t size = 0;
        while (!data_stands_at(wire, size, "\r\n")) {
            ENSURE(size < wire.size && wire.data[size] != '\r' && wire.data[size] != '\n');
            size++;
        }
        struct slice line = slice_take(wire, size);
        wire = slice_skip(wire, size + 2);
        if (slice_is(line, ".")) {
            ENSURE(wire.size == 0);
            return;
        }
        ENSURE(buf_append(out, slice_skip(line, slice_starts_with(line, ".") ? 1 : 0)) == 0);
        ENSURE(buf_append_string(out, "\n") == 0);
    }
    UNREACHABLE("the message has an end");
}

#endif
