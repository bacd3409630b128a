/*
 * Happy path: a read's bytes are looked through line by line and passed on as one slice, since
 * nothing in them is a capability reply.
 *
 *   a capability reply          passed without the hidden words; what came before it goes first
 *   one without end             passed as it is
 *   cut anywhere                the same output (the state is all in the struct)
 */
#include "mail/capability_filter.h"

#include <string.h>

#include "mail/wire.h"

void capability_filter_init(struct capability_filter *filter, const struct capability_rule *rule)
{
    *filter = (struct capability_filter){.rule = rule};
    buf_init(&filter->held, CAPABILITY_LINE_MAX);
}

void capability_filter_fini(struct capability_filter *filter)
{
    buf_fini(&filter->held);
}

bool capability_filter_is_between_lines(const struct capability_filter *filter)
{
    return !filter->is_within_line && filter->literal_left == 0 && buf_size(&filter->held) == 0;
}

struct slice capability_filter_rest(const struct capability_filter *filter)
{
    return buf_bytes(&filter->held);
}

/* True while `line` may still become, or is, a capability reply. */
static bool begins_reply(const struct capability_filter *filter, struct slice line)
{
    struct slice prefix = slice_of_string(filter->rule->prefix);
    size_t size = line.size < prefix.size ? line.size : prefix.size;
    return slice_equal_ignoring_case(slice_take(line, size), slice_take(prefix, size));
}

static void end_line(struct capability_filter *filter)
{
    struct wire_literal literal;
    bool announces_literal =
        wire_imap_literal(line_tail_bytes(&filter->tail), &literal) == WIRE_DONE;
    filter->literal_left = announces_literal ? literal.size : 0;
    /* Behind a literal, an empty one too, the line goes on. */
    filter->is_within_line = announces_literal;
    filter->tail.size = 0;
}

/* Passes the held line without its hidden words. */
static void pass_reply(struct capability_filter *filter,
                       void (*pass)(void *owner, struct slice bytes), void *owner)
{
    struct slice line = buf_bytes(&filter->held);
    size_t prefix = strlen(filter->rule->prefix);
    struct slice content = wire_trim_line_end(line), rest = slice_skip(content, prefix), word;
    struct buf out;
    bool is_first = true;
    buf_init(&out, CAPABILITY_LINE_MAX);
    int status = buf_append(&out, slice_take(line, prefix));
    while (status == 0 && slice_next_word(&rest, ' ', &word)) {
        if (filter->rule->is_hidden(word))
            continue;
        if (!is_first)
            status = buf_append(&out, SLICE_LITERAL(" "));
        if (status == 0)
            status = buf_append(&out, word);
        is_first = false;
    }
    if (status == 0)
        status = buf_append(&out, slice_skip(line, content.size));
    ENSURE(status == 0);
    pass(owner, buf_bytes(&out));
    buf_fini(&out);
    buf_clear(&filter->held);
    filter->is_within_line = false;
}

static void pass_held(struct capability_filter *filter,
                      void (*pass)(void *owner, struct slice bytes), void *owner)
{
    if (buf_size(&filter->held) > 0)
        pass(owner, buf_bytes(&filter->held));
    buf_clear(&filter->held);
}

/* Goes on with a held line; returns how many octets were taken into it. */
static size_t feed_held(struct capability_filter *filter, struct slice bytes,
                        void (*pass)(void *owner, struct slice bytes), void *owner)
{
    size_t end = slice_find(bytes, '\n');
    size_t size = end < bytes.size ? end + 1 : end;
    size_t prefix = strlen(filter->rule->prefix);
    size_t held = buf_size(&filter->held);
    /* Octet by octet only as long as it is not certain what the line is. */
    if (held < prefix && size > prefix - held)
        size = prefix - held;
    if (buf_append(&filter->held, slice_take(bytes, size)) != 0 ||
        !begins_reply(filter, buf_bytes(&filter->held))) {
        struct slice line = buf_bytes(&filter->held);
        bool is_appended = line.size > held;
        filter->is_within_line = true;
        line_tail_add(&filter->tail, line);
        bool is_whole = line.size > 0 && line.data[line.size - 1] == '\n';
        pass_held(filter, pass, owner);
        if (is_whole)
            end_line(filter);
        return is_appended ? size : 0;
    }
    struct slice line = buf_bytes(&filter->held);
    ENSURE(line.data != NULL && line.size > 0);
    if (line.data[line.size - 1] == '\n')
        pass_reply(filter, pass, owner);
    return size;
}

/* Octets of `bytes` that pass as they are: up to where a capability reply may begin. */
static size_t skip_ordinary(struct capability_filter *filter, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        struct slice rest = slice_skip(bytes, at);
        if (filter->literal_left > 0) {
            size_t size = rest.size < filter->literal_left ? rest.size : filter->literal_left;
            filter->literal_left -= size;
            at += size;
            continue;
        }
        if (!filter->is_within_line && begins_reply(filter, rest))
            return at;
        size_t end = slice_find(rest, '\n');
        size_t size = end < rest.size ? end + 1 : end;
        filter->is_within_line = true;
        line_tail_add(&filter->tail, slice_take(rest, size));
        if (end < rest.size)
            end_line(filter);
        at += size;
    }
    return at;
}

void capability_filter_feed(struct capability_filter *filter, struct slice bytes,
                            void (*pass)(void *owner, struct slice bytes), void *owner)
{
    while (bytes.size > 0) {
        if (buf_size(&filter->held) == 0) {
            size_t size = skip_ordinary(filter, bytes);
            if (size > 0)
                pass(owner, slice_take(bytes, size));
            bytes = slice_skip(bytes, size);
        }
        if (bytes.size > 0)
            bytes = slice_skip(bytes, feed_held(filter, bytes, pass, owner));
    }
}
