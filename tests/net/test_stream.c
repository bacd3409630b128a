/* A stream without TLS on a real socket, the other end of which is driven by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream_fixture.h"

/* -- without TLS -- */

static void check_both_ways(enum kind kind)
{
    struct fixture f;
    open_plain(&f, kind);
    far_send(&f.far, SLICE_LITERAL("hello"));
    settle(&f);
    assert_int_equal(f.side.told[TOLD_READ], 0); /* not asked to read yet */
    side_call(&f.side, stream_read_start);
    wait_for_side(&f, 5);
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("hello"));
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("good ")), 0);
    assert_int_equal(side_write(&f.side, SLICE_NONE), 0);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("day")), 0);
    assert_false(stream_is_congested(f.side.stream));
    assert_int_equal(stream_kept(f.side.stream), 0);
    wait_for_far(&f, 8);
    assert_slice(far_got(&f.far), SLICE_LITERAL("good day"));
    assert_null(stream_tls(f.side.stream));
    assert_int_equal(f.side.told[TOLD_DRAINED], 0);
    finish(&f);
}

static void test_both_ways(void **state)
{
    (void)state;
    check_both_ways(KIND_TCP);
    check_both_ways(KIND_UNIX);
}

static void stop_reading(struct side *side, enum told told)
{
    if (told == TOLD_READ)
        side_call(side, stream_read_stop);
}

static void test_stop_within_read(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    size_t size = 3 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    far_send(&f.far, slice_of(bytes, size));
    f.side.react = stop_reading;
    side_call(&f.side, stream_read_start);
    wait_until(&f, &f.side.told[TOLD_READ], 1);
    settle(&f);
    assert_int_equal(f.side.told[TOLD_READ], 1);
    assert_true(buf_size(&f.side.got) <= LOOP_SCRATCH_SIZE);
    f.side.react = NULL;
    side_call(&f.side, stream_read_start);
    side_call(&f.side, stream_read_start);
    wait_for_side(&f, size);
    assert_slice(buf_bytes(&f.side.got), slice_of(bytes, size));
    mem_free(bytes);
    finish(&f);
}

static void check_half_close(enum kind kind)
{
    struct fixture f;
    open_plain(&f, kind);
    far_send(&f.far, SLICE_LITERAL("last words"));
    side_call(&f.side, stream_read_start);
    wait_for_side(&f, 10);
    shutdown(f.far.descriptor, SHUT_WR);
    wait_until(&f, &f.side.told[TOLD_END], 1);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("the answer")), 0);
    wait_for_far(&f, 10);
    assert_false(f.far.is_ended);
    side_call(&f.side, stream_end);
    side_call(&f.side, stream_end);
    wait_for_far_end(&f);
    assert_true(f.far.is_ended);
    side_call(&f.side, stream_read_start);
    settle(&f);
    assert_int_equal(f.side.told[TOLD_END], 1);
    assert_int_equal(f.side.told[TOLD_FAILED], 0);
    finish(&f);
}

static void test_half_close(void **state)
{
    (void)state;
    check_half_close(KIND_TCP);
    check_half_close(KIND_UNIX);
}

static void test_end_waits_for_what_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    assert_true(stream_is_congested(f.side.stream));
    side_call(&f.side, stream_end);
    settle(&f);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_slice(far_got(&f.far), slice_of(bytes, size));
    assert_int_equal(f.side.told[TOLD_DRAINED], 1);
    mem_free(bytes);
    finish(&f);
}

static void test_reset(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    side_call(&f.side, stream_read_start);
    settle(&f);
    far_reset(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UNREACHABLE);
    assert_string_equal(f.side.text, "read: connection reset by peer");
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("x")), ERR_CLOSED);
    side_call(&f.side, stream_end);
    side_call(&f.side, stream_read_start);
    side_call(&f.side, stream_read_stop);
    settle(&f);
    finish(&f);
}

/* Both in one turn: no end may be seen in it. */
static void test_reset_behind_bytes(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    side_call(&f.side, stream_read_start);
    settle(&f);
    assert_int_equal(send(f.far.descriptor, "half a message", 14, 0), 14);
    far_reset(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.told[TOLD_END], 0);
    assert_string_equal(f.side.text, "read: connection reset by peer");
    assert_slice(buf_bytes(&f.side.got), SLICE_LITERAL("half a message"));
    finish(&f);
}

static void check_write_to_the_gone(enum kind kind)
{
    struct fixture f;
    open_plain(&f, kind);
    far_close(&f.far);
    int status = 0;
    for (size_t i = 0; i < 1000 && status == 0; i++) {
        status = side_write(&f.side, SLICE_LITERAL("anybody there?"));
        uv_run(&f.loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(status, ERR_CLOSED);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.why, WHY_UNREACHABLE);
    assert_string_equal(f.side.text, "write: broken pipe");
    finish(&f);
}

static void test_write_to_the_gone(void **state)
{
    (void)state;
    check_write_to_the_gone(KIND_TCP);
    check_write_to_the_gone(KIND_UNIX);
}

static void test_reset_while_something_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    size_t size = 1024 * 1024;
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    far_reset(&f.far);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_int_equal(f.side.told[TOLD_DRAINED], 0);
    mem_free(bytes);
    finish(&f);
}

static void test_limit_of_what_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    size_t size = 256 * 1024;
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    int status = 0;
    size_t count = 0;
    while (status == 0 && count < 1000) {
        status = side_write(&f.side, slice_of(bytes, size));
        assert_true(stream_kept(f.side.stream) <= 5u * 1024 * 1024);
        count++;
    }
    assert_int_equal(status, ERR_CLOSED);
    assert_true(count > 16);
    wait_until(&f, &f.side.told[TOLD_FAILED], 1);
    assert_string_equal(f.side.text, "the peer does not read what it is sent");
    mem_free(bytes);
    finish(&f);
}

/* -- opening -- */

static void test_what_is_no_socket(void **state)
{
    (void)state;
    struct loop loop;
    struct err err = {0};
    struct stream *stream;
    int pair[2];
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(stream_open(&loop, -1, &side_ops, NULL, &stream, &err), ERR_SYSTEM);
    assert_string_equal(err.text, "socket: Bad file descriptor");
    assert_null(stream);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(stream_open(&loop, pair[0], &side_ops, NULL, &stream, &err), ERR_SYSTEM);
    assert_int_equal(fcntl(pair[0], F_GETFD), -1); /* closed */
    close(pair[1]);
    loop_run(&loop);
    loop_fini(&loop);
}

static void test_new_owner(void **state)
{
    (void)state;
    struct fixture f;
    struct side heir;
    open_plain(&f, KIND_TCP);
    side_init(&heir);
    heir.stream = f.side.stream;
    stream_set_owner(f.side.stream, &side_ops, &heir);
    far_send(&f.far, SLICE_LITERAL("for the heir"));
    side_call(&heir, stream_read_start);
    wait_until(&f, &heir.told[TOLD_READ], 1);
    assert_slice(buf_bytes(&heir.got), SLICE_LITERAL("for the heir"));
    assert_int_equal(f.side.told[TOLD_READ], 0);
    stream_set_owner(f.side.stream, &side_ops, &f.side);
    side_fini(&heir);
    finish(&f);
}

/* -- closing -- */

static void close_at_once(struct side *side, enum told told)
{
    if (told == *(enum told *)side->data) {
        side_call(side, stream_close);
        side_call(side, stream_close);
        assert_int_equal(side_write(side, SLICE_LITERAL("too late")), ERR_CLOSED);
    }
}

static void check_close_within(enum told when)
{
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    f.side.data = &when;
    f.side.react = close_at_once;
    side_call(&f.side, stream_read_start);
    size_t size = 1024 * 1024;
    uint8_t *bytes = pattern(size);
    switch (when) {
    case TOLD_READ:
        far_send(&f.far, SLICE_LITERAL("x"));
        break;
    case TOLD_END:
        shutdown(f.far.descriptor, SHUT_WR);
        break;
    case TOLD_FAILED:
        far_reset(&f.far);
        break;
    default:
        assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    }
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[when], 1);
    mem_free(bytes);
    finish(&f);
}

static void test_close_within_each_callback(void **state)
{
    (void)state;
    check_close_within(TOLD_READ);
    check_close_within(TOLD_END);
    check_close_within(TOLD_DRAINED);
    check_close_within(TOLD_FAILED);
}

static void test_close_drops_what_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    size_t size = 1024 * 1024;
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    side_call(&f.side, stream_close);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_DRAINED], 0);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_true(far_got(&f.far).size < size);
    mem_free(bytes);
    finish(&f);
}

static void test_close_with_news_due(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_UNIX);
    far_close(&f.far);
    assert_int_equal(side_write(&f.side, SLICE_LITERAL("x")), ERR_CLOSED);
    side_call(&f.side, stream_close);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_FAILED], 0);
    finish(&f);
}

static void write_and_close(struct side *side, enum told told)
{
    if (told == TOLD_READ) {
        assert_int_equal(side_write(side, SLICE_LITERAL("x")), ERR_CLOSED);
        side_call(side, stream_close);
    }
}

static void test_close_with_news_due_in_the_same_turn(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_UNIX);
    far_send(&f.far, SLICE_LITERAL("x"));
    far_turn(&f.far);
    far_close(&f.far);
    f.side.react = write_and_close;
    side_call(&f.side, stream_read_start);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_FAILED], 0);
    finish(&f);
}

static void check_flush(enum kind kind, size_t size)
{
    struct fixture f;
    open_with(&f, kind, NULL, true);
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    side_call(&f.side, stream_read_start);
    far_send(&f.far, slice_of(bytes, slice_take(slice_of(bytes, size), 15000).size));
    far_turn(&f.far); /* it is not read any more */
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    close_after_flush(&f, NEVER);
    settle(&f);
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_true(f.far.is_ended); /* and not reset, although it had sent something */
    assert_slice(far_got(&f.far), slice_of(bytes, size));
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_DRAINED], 0);
    assert_int_equal(f.side.told[TOLD_READ], 0);
    mem_free(bytes);
    finish(&f);
}

static void test_close_after_flush(void **state)
{
    (void)state;
    check_flush(KIND_TCP, 5);
    check_flush(KIND_UNIX, 5);
    check_flush(KIND_TCP, 2 * 1024 * 1024);
    check_flush(KIND_UNIX, 2 * 1024 * 1024);
}

static void test_flush_gives_up(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, KIND_TCP, NULL, true);
    size_t size = 2 * 1024 * 1024;
    uint8_t *bytes = pattern(size);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
    close_after_flush(&f, 1);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    mem_free(bytes);
    finish(&f);
}

static void test_flush_is_cut_short(void **state)
{
    (void)state;
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        struct fixture f;
        open_with(&f, KIND_TCP, NULL, true);
        size_t size = 2 * 1024 * 1024;
        uint8_t *bytes = pattern(size);
        f.far.is_stalled = true;
        assert_int_equal(side_write(&f.side, slice_of(bytes, size)), 0);
        close_after_flush(&f, NEVER);
        if (by_reset)
            far_reset(&f.far);
        else
            side_call(&f.side, stream_close);
        wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
        assert_int_equal(f.side.told[TOLD_FAILED], 0);
        mem_free(bytes);
        finish(&f);
    }
}

/* -- lingering -- */

#define LAST_WORDS SLICE_LITERAL("goodbye\r\n")

/* The far end is amidst sending: what it said is not read, and our last words are there. */
static void open_lingering(struct fixture *f, enum kind kind, int64_t deadline)
{
    static const uint8_t bytes[256 * 1024];
    open_with(f, kind, NULL, true);
    far_send(&f->far, slice_of(bytes, sizeof(bytes)));
    settle(f);
    assert_true(buf_size(&f->far.to_send) > 0);
    f->far.is_stalled = true;
    assert_int_equal(side_write(&f->side, LAST_WORDS), 0);
    f->side.is_in_call = true;
    stream_close_lingering(f->side.stream, deadline);
    stream_close_after_flush(f->side.stream, deadline);
    f->side.is_in_call = false;
}

/* It looks for an answer when it has said all, as clients do that wait for one thing at a time. */
static void check_last_words(enum kind kind)
{
    struct fixture f;
    static const uint8_t more[4 * 1024 * 1024];
    open_lingering(&f, kind, NEVER);
    far_send(&f.far, slice_of(more, sizeof(more)));
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    while (buf_size(&f.far.to_send) > 0) {
        turn(&f);
        assert_false(f.far.is_reset);
        assert_true(clock_steady_milliseconds() < end);
    }
    f.far.is_stalled = false;
    wait_for_far_end(&f);
    assert_true(f.far.is_ended);
    assert_slice(far_got(&f.far), LAST_WORDS);
    assert_int_equal(f.side.told[TOLD_CLOSED], 0);
    far_close(&f.far);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    assert_int_equal(f.side.told[TOLD_READ] + f.side.told[TOLD_END] + f.side.told[TOLD_FAILED], 0);
    finish(&f);
}

static void test_last_words_to_one_that_sends(void **state)
{
    (void)state;
    check_last_words(KIND_TCP);
    check_last_words(KIND_UNIX);
}

/* Nobody is waited for who says nothing. */
static void test_lingering_for_nobody(void **state)
{
    (void)state;
    struct fixture f;
    open_plain(&f, KIND_TCP);
    f.far.is_stalled = true;
    assert_int_equal(side_write(&f.side, LAST_WORDS), 0);
    f.side.is_in_call = true;
    stream_close_lingering(f.side.stream, NEVER);
    f.side.is_in_call = false;
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    finish(&f);
}

static void test_lingering_has_a_deadline(void **state)
{
    (void)state;
    struct fixture f;
    open_lingering(&f, KIND_TCP, 1);
    wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
    finish(&f);
}

static void test_lingering_takes_no_more_than_so_much(void **state)
{
    (void)state;
    struct fixture f;
    static const uint8_t piece[64 * 1024];
    open_lingering(&f, KIND_TCP, NEVER);
    int64_t end = clock_steady_milliseconds() + PATIENCE_SECONDS * 1000;
    size_t sent = 0;
    while (f.side.told[TOLD_CLOSED] == 0) {
        for (; buf_size(&f.far.to_send) < sizeof(piece); sent += sizeof(piece))
            far_send(&f.far, slice_of(piece, sizeof(piece)));
        turn(&f);
        assert_true(clock_steady_milliseconds() < end);
    }
    assert_in_range(sent, 39u * 1024 * 1024, 48u * 1024 * 1024);
    finish(&f);
}

static void test_lingering_is_cut_short(void **state)
{
    (void)state;
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        struct fixture f;
        open_lingering(&f, KIND_TCP, NEVER);
        settle(&f);
        assert_int_equal(f.side.told[TOLD_CLOSED], 0);
        if (by_reset)
            far_reset(&f.far);
        else
            side_call(&f.side, stream_close);
        wait_until(&f, &f.side.told[TOLD_CLOSED], 1);
        finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_stop_within_read),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_end_waits_for_what_is_kept),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_reset_behind_bytes),
        cmocka_unit_test(test_write_to_the_gone),
        cmocka_unit_test(test_reset_while_something_is_kept),
        cmocka_unit_test(test_limit_of_what_is_kept),
        cmocka_unit_test(test_what_is_no_socket),
        cmocka_unit_test(test_new_owner),
        cmocka_unit_test(test_close_within_each_callback),
        cmocka_unit_test(test_close_drops_what_is_kept),
        cmocka_unit_test(test_close_with_news_due),
        cmocka_unit_test(test_close_with_news_due_in_the_same_turn),
        cmocka_unit_test(test_close_after_flush),
        cmocka_unit_test(test_flush_gives_up),
        cmocka_unit_test(test_flush_is_cut_short),
        cmocka_unit_test(test_last_words_to_one_that_sends),
        cmocka_unit_test(test_lingering_for_nobody),
        cmocka_unit_test(test_lingering_has_a_deadline),
        cmocka_unit_test(test_lingering_takes_no_more_than_so_much),
        cmocka_unit_test(test_lingering_is_cut_short),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
