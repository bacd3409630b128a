/*
 * A loop with one stream on it and the far end of its socket, for the tests of streams.
 */
#ifndef ECLUSE_TESTS_STREAM_FIXTURE_H
#define ECLUSE_TESTS_STREAM_FIXTURE_H

#include "ends.h"
#include "tls_fixture.h"

enum kind { KIND_TCP, KIND_UNIX };

struct fixture {
    struct loop loop;
    struct side side;
    struct far far;
    int descriptor; /* the stream's */
};

static inline void open_with(struct fixture *f, enum kind kind, SSL_CTX *server, bool is_small)
{
    int pair[2];
    assert_int_equal(loop_init(&f->loop, NULL), 0);
    if (kind == KIND_TCP)
        tcp_pair(pair);
    else
        unix_pair(pair);
    if (is_small) {
        make_small(pair[0]);
        make_small(pair[1]);
    }
    f->descriptor = pair[0];
    side_init(&f->side);
    far_init(&f->far, pair[1], server);
    struct err err;
    assert_int_equal(stream_open(&f->loop, pair[0], &side_ops, &f->side, &f->side.stream, &err), 0);
}

static inline void open_plain(struct fixture *f, enum kind kind)
{
    open_with(f, kind, NULL, false);
}

/* Everybody gets a turn; nothing waits. */
static inline void turn(struct fixture *f)
{
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    far_turn(&f->far);
}

/* Enough for what is on its way over loopback to arrive. */
static inline void settle(struct fixture *f)
{
    for (size_t i = 0; i < 50; i++)
        turn(f);
}

static inline void wait_until(struct fixture *f, const unsigned *count, unsigned expected)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (*count < expected) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
    assert_int_equal(*count, expected);
}

static inline void wait_for_side(struct fixture *f, size_t size)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (buf_size(&f->side.got) < size) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
}

static inline void wait_for_far(struct fixture *f, size_t size)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (far_got(&f->far).size < size) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
}

static inline void wait_for_far_end(struct fixture *f)
{
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (!f->far.is_ended && !f->far.is_reset) {
        turn(f);
        assert_true(clock_steady_milliseconds() < end);
    }
}

/* loop_fini ENSUREs that uv_loop_close gives 0. */
static inline void finish(struct fixture *f)
{
    if (f->side.told[TOLD_CLOSED] == 0) {
        side_call(&f->side, stream_close);
        side_call(&f->side, stream_close);
        assert_int_equal(f->side.told[TOLD_CLOSED], 0);
    }
    loop_run(&f->loop);
    assert_int_equal(f->side.told[TOLD_CLOSED], 1);
    loop_fini(&f->loop);
    side_fini(&f->side);
    far_fini(&f->far);
}

static inline void close_after_flush(struct fixture *f, int64_t deadline)
{
    f->side.is_in_call = true;
    stream_close_after_flush(f->side.stream, deadline);
    stream_close_after_flush(f->side.stream, deadline);
    f->side.is_in_call = false;
    assert_int_equal(side_write(&f->side, SLICE_LITERAL("too late")), ERR_CLOSED);
}

#endif
