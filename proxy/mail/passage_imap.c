/*
 * Happy path: what comes is passed on as one slice.
 *
 *   a stream that cannot be followed   passes as it is: see mail/capability_filter.h
 *   another login, a narrow grant      see mail/commands_imap.h
 *   the end                            what was held back of a line goes first
 */
#include "mail/passage_imap.h"

#include <stdio.h>

#include "mail/commands_imap.h"

struct imap_passage {
    struct passage passage;
    struct capability_filter filter;
    struct imap_commands commands;
};

const struct capability_rule passage_imap_capabilities = {.prefix = "* CAPABILITY ",
                                                          .is_hidden = imap_hides_capability};

static struct imap_passage *self_of(struct passage *passage)
{
    return CONTAINER_OF(passage, struct imap_passage, passage);
}

static struct passage *open_passage(const struct passage_settings *settings)
{
    struct imap_passage *self = mem_new(sizeof(*self));
    self->passage.kind = &passage_imap;
    imap_commands_init(&self->commands, settings->is_read_only, settings->capabilities);
    capability_filter_init(&self->filter, &passage_imap_capabilities);
    return &self->passage;
}

static void close_passage(struct passage *passage)
{
    struct imap_passage *self = self_of(passage);
    capability_filter_fini(&self->filter);
    imap_commands_fini(&self->commands);
    mem_free(self);
}

static void pass_to_client(void *owner, struct slice bytes)
{
    const struct passage_sink *sink = owner;
    sink->pass(sink->owner, SIDE_CLIENT, bytes);
}

static bool has_answers(const struct imap_passage *self)
{
    return buf_size(&self->commands.answers) > 0;
}

/* Answers of ours, where a response may begin. */
static void say_answers(struct imap_passage *self, const struct passage_sink *sink)
{
    if (!has_answers(self) || !capability_filter_is_between_lines(&self->filter))
        return;
    sink->pass(sink->owner, SIDE_CLIENT, buf_bytes(&self->commands.answers));
    buf_clear(&self->commands.answers);
}

static size_t feed_client(struct imap_passage *self, struct slice bytes,
                          const struct passage_sink *sink)
{
    size_t consumed = 0, more;
    do {
        more =
            imap_commands_feed(&self->commands, &self->passage, slice_skip(bytes, consumed), sink);
        consumed += more;
        say_answers(self, sink);
    } while (more > 0 && consumed < bytes.size);
    return consumed;
}

static void feed_server(struct imap_passage *self, struct slice bytes,
                        const struct passage_sink *sink)
{
    struct passage_sink to = *sink;
    if (self->commands.waits_for_go_ahead)
        imap_commands_see(&self->commands, bytes,
                          capability_filter_is_between_lines(&self->filter));
    capability_filter_feed(&self->filter, bytes, pass_to_client, &to);
    say_answers(self, sink);
}

static size_t feed(struct passage *passage, enum side from, struct slice bytes,
                   const struct passage_sink *sink)
{
    struct imap_passage *self = self_of(passage);
    struct slice rest = bytes;
    if (from == SIDE_CLIENT)
        return feed_client(self, bytes, sink);
    /* An answer goes behind the response that it waits for, and not behind all that came with it.
     */
    while (rest.size > 0) {
        bool is_by_line = has_answers(self) || self->commands.waits_for_go_ahead;
        struct slice part = is_by_line ? slice_take(rest, slice_find(rest, '\n') + 1) : rest;
        feed_server(self, part, sink);
        rest = slice_skip(rest, part.size);
    }
    return bytes.size;
}

static void release(struct passage *passage, const struct passage_sink *sink)
{
    struct imap_passage *self = self_of(passage);
    imap_commands_release(&self->commands, passage);
    say_answers(self, sink);
}

static uint64_t due(struct passage *passage)
{
    return self_of(passage)->filter.literal_left;
}

static void finish(struct passage *passage, const struct passage_sink *sink)
{
    struct slice rest = capability_filter_rest(&self_of(passage)->filter);
    if (rest.size > 0)
        sink->pass(sink->owner, SIDE_CLIENT, rest);
}

/* RFC 3501 section 7.1.5: at any time, between two responses. */
static void say_bye(struct passage *passage, enum why why, const char *text,
                    const struct passage_sink *sink)
{
    char line[400];
    (void)why;
    if (!capability_filter_is_between_lines(&self_of(passage)->filter))
        return;
    int size = snprintf(line, sizeof(line), "* BYE %.300s\r\n", text);
    sink->pass(sink->owner, SIDE_CLIENT, slice_of(line, (size_t)size));
}

const struct passage_kind passage_imap = {
    .open = open_passage,
    .close = close_passage,
    .feed = feed,
    .finish = finish,
    .say_bye = say_bye,
    .release = release,
    .due = due,
};
