/*
 * Happy path: what comes is passed on as one slice.
 *
 *   a stream that cannot be followed   passes as it is: see mail/capability_filter.h
 *   the end                            what was held back of a line goes first
 */
#include "mail/passage_imap.h"

#include <stdio.h>

struct imap_passage {
    struct passage passage;
    struct capability_filter filter;
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
    (void)settings;
    self->passage.kind = &passage_imap;
    capability_filter_init(&self->filter, &passage_imap_capabilities);
    return &self->passage;
}

static void close_passage(struct passage *passage)
{
    struct imap_passage *self = self_of(passage);
    capability_filter_fini(&self->filter);
    mem_free(self);
}

static void pass_to_client(void *owner, struct slice bytes)
{
    const struct passage_sink *sink = owner;
    sink->pass(sink->owner, SIDE_CLIENT, bytes);
}

static size_t feed(struct passage *passage, enum side from, struct slice bytes,
                   const struct passage_sink *sink)
{
    struct passage_sink to = *sink;
    if (from == SIDE_CLIENT)
        sink->pass(sink->owner, SIDE_UPSTREAM, bytes);
    else
        capability_filter_feed(&self_of(passage)->filter, bytes, pass_to_client, &to);
    return bytes.size;
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
};
