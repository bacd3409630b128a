/*
 * Both ends of a connection for the tests: a `side` owns a stream and writes down what it is told;
 * the `far` end is in far.h.
 */
#ifndef ECLUSE_TESTS_ENDS_H
#define ECLUSE_TESTS_ENDS_H

#include "far.h"
#include "net/stream.h"

/* -- the side that owns the stream -- */

enum told { TOLD_READ, TOLD_END, TOLD_DRAINED, TOLD_SECURED, TOLD_FAILED, TOLD_CLOSED, TOLD_COUNT };

struct side {
    struct stream *stream;
    struct buf got;
    unsigned told[TOLD_COUNT];
    enum why why;
    char text[256];
    bool is_in_call; /* of one of the stream's functions: it must not call back */
    void (*react)(struct side *side, enum told told);
    void *data;
};

static inline void side_told(struct side *side, enum told told)
{
    assert_false(side->is_in_call);
    assert_int_equal(side->told[TOLD_CLOSED], 0);
    assert_true(side->told[TOLD_FAILED] == 0 || told == TOLD_CLOSED);
    side->told[told]++;
    if (side->react != NULL)
        side->react(side, told);
}

static inline void side_on_read(void *owner, struct slice bytes)
{
    struct side *side = owner;
    assert_true(bytes.size > 0);
    assert_int_equal(side->told[TOLD_END], 0);
    assert_int_equal(buf_append(&side->got, bytes), 0);
    side_told(side, TOLD_READ);
}

static inline void side_on_end(void *owner)
{
    side_told(owner, TOLD_END);
}

static inline void side_on_drained(void *owner)
{
    side_told(owner, TOLD_DRAINED);
}

static inline void side_on_secured(void *owner)
{
    side_told(owner, TOLD_SECURED);
}

static inline void side_on_failed(void *owner, enum why why, const char *text)
{
    struct side *side = owner;
    side->why = why;
    snprintf(side->text, sizeof(side->text), "%s", text);
    side_told(side, TOLD_FAILED);
}

static inline void side_on_closed(void *owner)
{
    side_told(owner, TOLD_CLOSED);
}

static const struct stream_ops side_ops = {
    .on_read = side_on_read,
    .on_end = side_on_end,
    .on_drained = side_on_drained,
    .on_secured = side_on_secured,
    .on_failed = side_on_failed,
    .on_closed = side_on_closed,
};

static inline void side_init(struct side *side)
{
    *side = (struct side){0};
    buf_init(&side->got, ENDS_MAX);
}

static inline void side_fini(struct side *side)
{
    buf_fini(&side->got);
}

static inline int side_write(struct side *side, struct slice bytes)
{
    bool was_in_call = side->is_in_call;
    side->is_in_call = true;
    int status = stream_write(side->stream, bytes);
    side->is_in_call = was_in_call;
    return status;
}

static inline void side_call(struct side *side, void (*function)(struct stream *))
{
    bool was_in_call = side->is_in_call;
    side->is_in_call = true;
    function(side->stream);
    side->is_in_call = was_in_call;
}

#endif
