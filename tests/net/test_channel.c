/*
 * The channel against a raw socket that a test reads and writes itself. Socket buffers of the test
 * side are in the kernel, so a loop turn is all that a byte needs to arrive: no waiting by time.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/channel.h"

#define FRAME_MAX_SIZE (1024ul * 1024)
#define QUEUE_MAX_SIZE (2ul * 1024 * 1024)
#define FRAMES_MAX     64

struct fixture {
    struct loop loop;
    int peer;
    struct channel *channel;
    struct buf frames[FRAMES_MAX];
    size_t frame_count;
    int failures, failure, closings, drains;
    bool in_send;             /* no up-call may come while this is set */
    size_t close_after;       /* close within on_frame when that many have come */
    size_t pause_every;       /* pause within on_frame after so many; 0: never */
    bool close_within_failed; /* close within on_failed */
};

static void on_frame(void *owner, struct slice frame)
{
    struct fixture *fixture = owner;
    assert_false(fixture->in_send);
    assert_int_equal(fixture->failures, 0);
    assert_int_equal(fixture->closings, 0);
    assert_true(fixture->frame_count < FRAMES_MAX);
    struct buf *kept = &fixture->frames[fixture->frame_count++];
    buf_init(kept, FRAME_MAX_SIZE);
    assert_int_equal(buf_append(kept, frame), 0);
    if (fixture->pause_every > 0 && fixture->frame_count % fixture->pause_every == 0)
        channel_pause(fixture->channel);
    if (fixture->frame_count == fixture->close_after) {
        channel_close(fixture->channel);
        assert_int_equal(channel_send(fixture->channel, SLICE_LITERAL("late")), ERR_CLOSED);
    }
}

static void on_failed(void *owner, int code)
{
    struct fixture *fixture = owner;
    assert_false(fixture->in_send);
    assert_int_equal(fixture->closings, 0);
    fixture->failures++;
    fixture->failure = code;
    if (fixture->close_within_failed)
        channel_close(fixture->channel);
}

static void on_closed(void *owner)
{
    struct fixture *fixture = owner;
    assert_false(fixture->in_send);
    fixture->closings++;
}

static void on_drained(void *owner)
{
    struct fixture *fixture = owner;
    assert_false(fixture->in_send);
    fixture->drains++;
}

static const struct channel_ops ops = {
    .on_frame = on_frame, .on_failed = on_failed, .on_closed = on_closed, .on_drained = on_drained};

static struct fixture *fixture_new_with(int type, size_t frame_max, size_t queue_max)
{
    struct fixture *fixture = mem_new(sizeof(*fixture));
    assert_int_equal(loop_init(&fixture->loop, NULL), 0);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    fixture->peer = pair[1];
    struct err err;
    assert_int_equal(channel_open(&fixture->loop, pair[0], frame_max, queue_max, &ops, fixture,
                                  &fixture->channel, &err),
                     0);
    return fixture;
}

static struct fixture *fixture_new_sized(size_t frame_max, size_t queue_max)
{
    return fixture_new_with(SOCK_STREAM, frame_max, queue_max);
}

static struct fixture *fixture_new_of(int type)
{
    return fixture_new_with(type, FRAME_MAX_SIZE, QUEUE_MAX_SIZE);
}

static struct fixture *fixture_new(void)
{
    return fixture_new_of(SOCK_STREAM);
}

static void turn(struct fixture *fixture)
{
    uv_run(&fixture->loop.uv, UV_RUN_NOWAIT);
}

static void fixture_free(struct fixture *fixture)
{
    channel_close(fixture->channel);
    channel_close(fixture->channel);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->closings, 1);
    if (fixture->peer >= 0)
        close(fixture->peer);
    for (size_t i = 0; i < fixture->frame_count; i++)
        buf_fini(&fixture->frames[i]);
    loop_fini(&fixture->loop);
    mem_free(fixture);
}

static void assert_frame(const struct fixture *fixture, size_t index, struct slice expected)
{
    assert_true(index < fixture->frame_count);
    assert_true(slice_equal(buf_bytes(&fixture->frames[index]), expected));
}

static int send_frame(struct fixture *fixture, struct slice frame)
{
    fixture->in_send = true;
    int status = channel_send(fixture->channel, frame);
    fixture->in_send = false;
    return status;
}

static void peer_write(struct fixture *fixture, struct slice bytes)
{
    assert_int_equal(write(fixture->peer, bytes.data, bytes.size), (ssize_t)bytes.size);
}

/* Writes all of it however little the socket takes at once. */
static void peer_write_long(struct fixture *fixture, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t count = write(fixture->peer, bytes.data, bytes.size);
        if (count > 0)
            bytes = slice_skip(bytes, (size_t)count);
        else
            assert_int_equal(errno, EAGAIN);
        turn(fixture);
    }
}

/* Reads what there is, turning the loop, until it has `size` octets. */
static void peer_read(struct fixture *fixture, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t count = read(fixture->peer, bytes + used, size - used);
        if (count < 0)
            assert_int_equal(errno, EAGAIN);
        else
            used += (size_t)count;
        turn(fixture);
    }
}

static const char three_frames[] = "\0\0\0\5hello\0\0\0\1x\0\0\0\6a\0b\0c\n";
#define THREE_FRAMES (slice_of(three_frames, sizeof(three_frames) - 1))

static void assert_three_frames(const struct fixture *fixture)
{
    assert_int_equal(fixture->frame_count, 3);
    assert_frame(fixture, 0, SLICE_LITERAL("hello"));
    assert_frame(fixture, 1, SLICE_LITERAL("x"));
    assert_frame(fixture, 2, SLICE_LITERAL("a\0b\0c\n"));
    assert_int_equal(fixture->failures, 0);
}

static void every_split_gives_the_same_frames(void **state)
{
    (void)state;
    for (size_t split = 0; split <= THREE_FRAMES.size; split++) {
        struct fixture *fixture = fixture_new();
        peer_write(fixture, slice_take(THREE_FRAMES, split));
        turn(fixture);
        peer_write(fixture, slice_skip(THREE_FRAMES, split));
        turn(fixture);
        assert_three_frames(fixture);
        fixture_free(fixture);
    }
}

static void byte_by_byte_gives_the_same_frames(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    for (size_t i = 0; i < THREE_FRAMES.size; i++) {
        peer_write(fixture, slice_take(slice_skip(THREE_FRAMES, i), 1));
        turn(fixture);
    }
    assert_three_frames(fixture);
    fixture_free(fixture);
}

static void frames_larger_than_any_buffer_arrive_whole(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    uint8_t *bytes = mem_new(FRAME_HEADER_SIZE + FRAME_MAX_SIZE);
    frame_write_header(FRAME_MAX_SIZE, bytes);
    for (size_t i = 0; i < FRAME_MAX_SIZE; i++)
        bytes[FRAME_HEADER_SIZE + i] = (uint8_t)(i * 31 >> 3);
    peer_write_long(fixture, slice_of(bytes, FRAME_HEADER_SIZE + FRAME_MAX_SIZE));
    peer_write_long(fixture, THREE_FRAMES);
    assert_int_equal(fixture->frame_count, 4);
    assert_frame(fixture, 0, slice_of(bytes + FRAME_HEADER_SIZE, FRAME_MAX_SIZE));
    assert_frame(fixture, 3, SLICE_LITERAL("a\0b\0c\n"));
    mem_free(bytes);
    fixture_free(fixture);
}

static void assert_bad_length(struct slice bytes)
{
    struct fixture *fixture = fixture_new();
    peer_write(fixture, SLICE_LITERAL("\0\0\0\1a"));
    peer_write(fixture, bytes);
    turn(fixture);
    peer_write(fixture, THREE_FRAMES);
    turn(fixture);
    assert_int_equal(fixture->frame_count, 1);
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->failure, ERR_SYNTAX);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("x")), ERR_CLOSED);
    fixture_free(fixture);
}

static void a_length_out_of_range_fails_once(void **state)
{
    (void)state;
    assert_bad_length(SLICE_LITERAL("\0\0\0\0"));
    assert_bad_length(SLICE_LITERAL("\0\x10\0\1"));
    assert_bad_length(SLICE_LITERAL("\xff\xff\xff\xff"));
    assert_bad_length(SLICE_LITERAL("\0\0\0\0\0\0\0\1x"));
}

static void an_end_at_any_octet_is_closed(void **state)
{
    (void)state;
    for (size_t size = 0; size <= THREE_FRAMES.size; size++) {
        struct fixture *fixture = fixture_new();
        peer_write(fixture, slice_take(THREE_FRAMES, size));
        close(fixture->peer);
        fixture->peer = -1;
        turn(fixture);
        turn(fixture);
        assert_int_equal(fixture->frame_count, size < 9 ? 0 : size < 14 ? 1 : size < 24 ? 2 : 3);
        assert_int_equal(fixture->failures, 1);
        assert_int_equal(fixture->failure, ERR_CLOSED);
        fixture_free(fixture);
    }
}

static void what_is_sent_is_framed(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("hello")), 0);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("x")), 0);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("a\0b\0c\n")), 0);
    uint8_t bytes[sizeof(three_frames) - 1];
    peer_read(fixture, bytes, sizeof(bytes));
    assert_memory_equal(bytes, three_frames, sizeof(bytes));
    fixture_free(fixture);
}

/* Nothing before the loop waits, and then all of it at once, as a peer sees that gets whole writes.
 */
static void what_a_turn_says_goes_out_together(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new_of(SOCK_SEQPACKET);
    uint8_t bytes[2 * sizeof(three_frames)];
    assert_int_equal(channel_put(fixture->channel, SLICE_LITERAL("hello")), 0);
    assert_int_equal(channel_put(fixture->channel, SLICE_LITERAL("x")), 0);
    assert_int_equal(channel_put(fixture->channel, SLICE_LITERAL("a\0b\0c\n")), 0);
    fixture->in_send = true;
    channel_flush(fixture->channel);
    fixture->in_send = false;
    assert_int_equal(read(fixture->peer, bytes, sizeof(bytes)), -1);
    assert_int_equal(channel_queued(fixture->channel), sizeof(three_frames) - 1);
    turn(fixture);
    assert_int_equal(read(fixture->peer, bytes, sizeof(bytes)), sizeof(three_frames) - 1);
    assert_memory_equal(bytes, three_frames, sizeof(three_frames) - 1);
    assert_int_equal(channel_queued(fixture->channel), 0);
    assert_int_equal(fixture->drains, 1);
    fixture_free(fixture);
}

static void what_is_put_waits_for_what_is_sent(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    uint8_t bytes[sizeof(three_frames)];
    assert_int_equal(channel_put(fixture->channel, SLICE_LITERAL("hello")), 0);
    assert_int_equal(channel_put(fixture->channel, SLICE_LITERAL("x")), 0);
    turn(fixture);
    turn(fixture);
    assert_int_equal(read(fixture->peer, bytes, sizeof(bytes)), -1);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("a\0b\0c\n")), 0);
    assert_int_equal(read(fixture->peer, bytes, sizeof(bytes)), sizeof(three_frames) - 1);
    assert_memory_equal(bytes, three_frames, sizeof(three_frames) - 1);
    channel_flush(fixture->channel); /* of nothing */
    turn(fixture);
    assert_int_equal(fixture->drains, 0);
    fixture_free(fixture);
}

static void frame_of_number(uint8_t *frame, size_t size, size_t number)
{
    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(number * 7 + i);
}

static void a_peer_that_does_not_read_fills_the_queue_and_loses_nothing(void **state)
{
    (void)state;
    enum { SIZE = 50000 };
    struct fixture *fixture = fixture_new();
    uint8_t *frame = mem_new(SIZE), *got = mem_new(FRAME_HEADER_SIZE + SIZE);
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(SIZE, header);
    size_t accepted = 0;
    int status;
    for (;;) {
        frame_of_number(frame, SIZE, accepted);
        status = send_frame(fixture, slice_of(frame, SIZE));
        if (status != 0)
            break;
        accepted++;
        turn(fixture);
    }
    assert_int_equal(status, ERR_FULL);
    assert_true(accepted * (FRAME_HEADER_SIZE + SIZE) >= QUEUE_MAX_SIZE - SIZE);
    assert_int_equal(fixture->failures, 0);
    for (size_t i = 0; i < accepted; i++) {
        peer_read(fixture, got, FRAME_HEADER_SIZE + SIZE);
        frame_of_number(frame, SIZE, i);
        assert_memory_equal(got, header, FRAME_HEADER_SIZE);
        assert_memory_equal(got + FRAME_HEADER_SIZE, frame, SIZE);
    }
    assert_int_equal(read(fixture->peer, got, 1), -1);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("again")), 0);
    peer_read(fixture, got, FRAME_HEADER_SIZE + 5);
    assert_memory_equal(got, "\0\0\0\5again", FRAME_HEADER_SIZE + 5);
    mem_free(frame);
    mem_free(got);
    fixture_free(fixture);
}

static void a_frame_above_the_maximum_is_not_sent(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new_sized(8, 12);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("123456789")), ERR_FULL);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("12345678")), 0);
    uint8_t bytes[12];
    peer_read(fixture, bytes, sizeof(bytes));
    assert_memory_equal(bytes,
                        "\0\0\0\x08"
                        "12345678",
                        sizeof(bytes));
    fixture_free(fixture);
}

static void sending_to_a_dead_peer_fails_later_and_once(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    close(fixture->peer);
    fixture->peer = -1;
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("x")), 0);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("y")), 0);
    assert_int_equal(fixture->failures, 0);
    for (int i = 0; i < 4; i++)
        turn(fixture);
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->failure, ERR_CLOSED);
    assert_int_equal(send_frame(fixture, SLICE_LITERAL("z")), ERR_CLOSED);
    fixture_free(fixture);
}

static void closing_at_once_calls_nothing_but_closed(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    peer_write(fixture, THREE_FRAMES);
    fixture->in_send = true;
    channel_close(fixture->channel);
    fixture->in_send = false;
    assert_int_equal(fixture->closings, 0);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->frame_count, 0);
    assert_int_equal(fixture->failures, 0);
    assert_int_equal(fixture->closings, 1);
    close(fixture->peer);
    loop_fini(&fixture->loop);
    mem_free(fixture);
}

/* The fixture's channel is gone already: only the rest is put away. */
static void finish_closed(struct fixture *fixture)
{
    loop_run(&fixture->loop);
    assert_int_equal(fixture->closings, 1);
    if (fixture->peer >= 0)
        close(fixture->peer);
    for (size_t i = 0; i < fixture->frame_count; i++)
        buf_fini(&fixture->frames[i]);
    loop_fini(&fixture->loop);
    mem_free(fixture);
}

static void closing_within_a_frame_drops_those_behind_it(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 2; count++) {
        for (size_t split = 0; split < THREE_FRAMES.size; split++) {
            struct fixture *fixture = fixture_new();
            fixture->close_after = count;
            peer_write(fixture, slice_take(THREE_FRAMES, split));
            turn(fixture);
            if (fixture->closings == 0)
                peer_write(fixture, slice_skip(THREE_FRAMES, split));
            turn(fixture);
            assert_int_equal(fixture->frame_count, count);
            assert_int_equal(fixture->failures, 0);
            finish_closed(fixture);
        }
    }
}

static void closing_within_failed_is_fine(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    fixture->close_within_failed = true;
    peer_write(fixture, SLICE_LITERAL("\0\0\0\0"));
    turn(fixture);
    assert_int_equal(fixture->failures, 1);
    finish_closed(fixture);
}

static void closing_with_a_full_queue_is_fine(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    uint8_t *frame = mem_new(FRAME_MAX_SIZE);
    assert_int_equal(send_frame(fixture, slice_of(frame, FRAME_MAX_SIZE)), 0);
    assert_int_equal(send_frame(fixture, slice_of(frame, FRAME_MAX_SIZE)), 0);
    assert_int_equal(send_frame(fixture, slice_of(frame, FRAME_MAX_SIZE)), ERR_FULL);
    mem_free(frame);
    peer_write(fixture, SLICE_LITERAL("\0\0\0\5hel"));
    turn(fixture);
    assert_int_equal(fixture->failures, 0);
    fixture_free(fixture);
}

static void resume(struct fixture *fixture)
{
    fixture->in_send = true;
    channel_resume(fixture->channel);
    channel_resume(fixture->channel);
    fixture->in_send = false;
    turn(fixture);
    turn(fixture);
}

static void a_pause_holds_frames_back_and_loses_none(void **state)
{
    (void)state;
    for (size_t every = 1; every <= 3; every++) {
        for (size_t split = 0; split <= THREE_FRAMES.size; split++) {
            struct fixture *fixture = fixture_new();
            fixture->pause_every = every;
            peer_write(fixture, slice_take(THREE_FRAMES, split));
            turn(fixture);
            peer_write(fixture, slice_skip(THREE_FRAMES, split));
            turn(fixture);
            assert_int_equal(fixture->frame_count, every);
            for (size_t i = every; i < 3; i += every)
                resume(fixture);
            assert_three_frames(fixture);
            fixture_free(fixture);
        }
    }
}

/* What it says ends in its own socket, and no octet of it in our memory. */
static void a_peer_of_a_paused_channel_is_held_up(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    channel_pause(fixture->channel);
    size_t written = 0;
    while (write(fixture->peer, THREE_FRAMES.data, THREE_FRAMES.size) ==
           (ssize_t)THREE_FRAMES.size) {
        written++;
        turn(fixture);
        assert_true(written < 100000);
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fixture->frame_count, 0);
    fixture->close_after = 2;
    resume(fixture);
    assert_int_equal(fixture->frame_count, 2);
    finish_closed(fixture);
}

static void what_is_said_behind_a_pause_can_be_wrong(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_new();
    fixture->pause_every = 1;
    peer_write(fixture, SLICE_LITERAL("\0\0\0\1x\0\0\0\0"));
    turn(fixture);
    assert_int_equal(fixture->failures, 0);
    resume(fixture);
    assert_int_equal(fixture->failures, 1);
    assert_int_equal(fixture->failure, ERR_SYNTAX);
    fixture_free(fixture);
}

static void what_is_no_descriptor_is_refused(void **state)
{
    (void)state;
    struct loop loop;
    struct err err = {0};
    struct channel *channel;
    assert_int_equal(loop_init(&loop, NULL), 0);
    assert_int_equal(channel_open(&loop, -1, 8, 12, &ops, NULL, &channel, &err), ERR_SYSTEM);
    assert_null(channel);
    assert_true(strlen(err.text) > 0);
    loop_run(&loop);
    loop_fini(&loop);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same_frames),
        cmocka_unit_test(byte_by_byte_gives_the_same_frames),
        cmocka_unit_test(frames_larger_than_any_buffer_arrive_whole),
        cmocka_unit_test(a_length_out_of_range_fails_once),
        cmocka_unit_test(an_end_at_any_octet_is_closed),
        cmocka_unit_test(what_is_sent_is_framed),
        cmocka_unit_test(what_a_turn_says_goes_out_together),
        cmocka_unit_test(what_is_put_waits_for_what_is_sent),
        cmocka_unit_test(a_peer_that_does_not_read_fills_the_queue_and_loses_nothing),
        cmocka_unit_test(a_frame_above_the_maximum_is_not_sent),
        cmocka_unit_test(sending_to_a_dead_peer_fails_later_and_once),
        cmocka_unit_test(closing_at_once_calls_nothing_but_closed),
        cmocka_unit_test(closing_within_a_frame_drops_those_behind_it),
        cmocka_unit_test(closing_within_failed_is_fine),
        cmocka_unit_test(closing_with_a_full_queue_is_fine),
        cmocka_unit_test(a_pause_holds_frames_back_and_loses_none),
        cmocka_unit_test(a_peer_of_a_paused_channel_is_held_up),
        cmocka_unit_test(what_is_said_behind_a_pause_can_be_wrong),
        cmocka_unit_test(what_is_no_descriptor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
