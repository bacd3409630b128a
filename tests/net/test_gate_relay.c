/*
 * What a gate passes on and what it keeps: half-closes, last words, and receivers that do not read.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate_world.h"

static const struct world_wish no_wish = {0};

/* ---- ends ---- */

/* The client sends all it wants at once, and finishes: it gets all its answers. */
static void test_half_close_behind_pipelined_commands(void **state)
{
    static const char commands[] = "b SELECT INBOX\r\nc FETCH 1 BODY[]\r\nd LOGOUT\r\n";
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_greeted(world);
    client_say(client, "a LOGIN alice secret\r\n");
    client_say(client, commands);
    world_turn(world);
    assert_int_equal(shutdown(client->descriptor, SHUT_WR), 0);
    struct upstream *upstream = wait_for_upstream(world, 0);
    wait_for_text(world, client, "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
    wait_for_text(world, &upstream->far, commands);
    wait_for_end(world, &upstream->far);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    far_send(&upstream->far, SLICE_LITERAL("b OK\r\nc OK\r\n"));
    wait_for_text(world, client, "b OK\r\nc OK\r\n");
    far_send(&upstream->far, SLICE_LITERAL("d OK\r\n"));
    server_end(upstream->far.tls, &upstream->far.to_send);
    wait_for_text(world, client, "d OK\r\n");
    wait_for_end(world, client);
    assert_true(client->is_ended && !client->is_reset);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    assert_int_equal(seen_of(world, 1)->client_bytes, strlen(commands));
    far_close(&upstream->far);
    world_close(world);
}

/* ---- what is kept ---- */

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

#define RELAYED_SIZE (64u * 1024 * 1024)
/* One read of the relay, and what OpenSSL holds. */
#define KEPT_MAX (1024u * 1024)

static uint8_t pattern(size_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

/* Moves octets from one end to the other for `turns` turns, or until all have come; each end does
 * what its flags say. */
struct flow {
    struct far *from, *to;
    size_t sent, got;
    size_t heap_before, heap_most;
};

static void flow_turn(struct world *world, struct flow *flow)
{
    static uint8_t bytes[64 * 1024];
    if (buf_size(&flow->from->to_send) == 0 && flow->sent < RELAYED_SIZE) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = pattern(flow->sent + i);
        far_send(flow->from, slice_of(bytes, sizeof(bytes)));
        flow->sent += sizeof(bytes);
    }
    world_turn(world);
    struct buf *got = flow->to->tls != NULL ? &flow->to->tls->plain : &flow->to->got;
    struct slice arrived = buf_bytes(got);
    for (size_t i = 0; i < arrived.size; i++)
        assert_int_equal(arrived.data[i], pattern(flow->got + i));
    flow->got += arrived.size;
    buf_clear(got);
    size_t heap = heap_in_use();
    if (heap > flow->heap_most)
        flow->heap_most = heap;
}

/* The kernel's own choice may be more than is sent. */
static void set_room(int descriptor, int size)
{
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

static void check_flow(struct world *world, struct far *from, struct far *to)
{
    struct flow flow = {.from = from, .to = to, .heap_before = heap_in_use()};
    set_room(to->descriptor, 512 * 1024);
    to->is_stalled = true;
    /* Until the kernel's buffers are full: a hundred turns in which nothing was taken. */
    size_t last = 0, idle = 0;
    while (idle < 100) {
        flow_turn(world, &flow);
        idle = flow.sent == last ? idle + 1 : 0;
        last = flow.sent;
    }
    assert_true(flow.sent < RELAYED_SIZE / 4);
    assert_int_equal(flow.got, 0);
    to->is_stalled = false;
    for (int64_t start = clock_steady_milliseconds(); flow.got < RELAYED_SIZE;) {
        flow_turn(world, &flow);
        if (clock_steady_milliseconds() - start > A_LONG_TIME)
            fail_msg("waited in vain for %u octets", RELAYED_SIZE);
    }
    assert_int_equal(flow.got, flow.sent);
    assert_in_range(flow.heap_most - flow.heap_before, 0, KEPT_MAX);
}

static void test_stalled_receiver_costs_no_memory(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    check_flow(world, &upstream->far, client);
    size_t command = begin_append(world, client, upstream, RELAYED_SIZE);
    check_flow(world, client, &upstream->far);
    far_close(client);
    wait_for_end(world, &upstream->far);
    far_close(&upstream->far);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    assert_int_equal(seen_of(world, 1)->client_bytes, command + RELAYED_SIZE);
    assert_int_equal(seen_of(world, 1)->server_bytes, RELAYED_SIZE);
    world_close(world);
}

/* What the server said last reaches a client that is slow to read it. */
static void test_last_words_of_the_server_arrive(void **state)
{
    struct world *world = world_ready(&no_wish);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    static uint8_t bytes[512 * 1024];
    client->is_stalled = true;
    size_t sent = 0, got = 0;
    for (size_t idle = 0; idle < 100; idle++) {
        if (buf_size(&upstream->far.to_send) == 0) {
            far_send(&upstream->far, slice_of(bytes, sizeof(bytes)));
            sent += sizeof(bytes);
            idle = 0;
        }
        world_turn(world);
    }
    server_end(upstream->far.tls, &upstream->far.to_send);
    world_settle(world);
    assert_int_equal(seen_of(world, 1)->closes, 0);
    client->is_stalled = false;
    for (int64_t start = clock_steady_milliseconds(); !client->is_ended && !client->is_reset;) {
        world_wait(world, start, "the end of the answer");
        got += buf_size(&client->got);
        buf_clear(&client->got);
    }
    assert_false(client->is_reset);
    assert_int_equal(got, sent);
    wait_for_close(world, 1, WHY_SERVER_GONE);
    far_close(&upstream->far);
    world_close(world);
}

/* Before the login too: who does not read answers gives no more commands. */
static void test_flood_of_commands_costs_no_memory(void **state)
{
    static const char command[] = "a CAPABILITY\r\n", answer[] = "a OK CAPABILITY completed\r\n";
    enum { COMMANDS = 200 * 1000 };
    struct world *world = world_ready(&no_wish);
    (void)state;
    /* The sockets that it accepts have the same: much to read at once, little room for answers. */
    make_small(world->client_listener);
    set_room(world->client_listener, 512 * 1024);
    struct far *client = client_greeted(world);
    make_small(client->descriptor);
    struct buf flood;
    buf_init(&flood, COMMANDS * sizeof(command));
    for (int i = 0; i < COMMANDS; i++)
        assert_int_equal(buf_append_string(&flood, command), 0);
    far_send(client, buf_bytes(&flood));
    buf_fini(&flood);
    client->is_stalled = true;
    for (int i = 0; i < 100; i++) /* so that the gate's first read is a long one */
        far_turn(client);
    size_t heap = heap_in_use(), most = 0, last = 0;
    for (size_t idle = 0; idle < 100; idle++) {
        world_turn(world);
        idle = buf_size(&client->to_send) == last ? idle : 0;
        last = buf_size(&client->to_send);
        most = heap_in_use() > most ? heap_in_use() : most;
    }
    assert_true(last > 0); /* the gate has stopped reading */
    assert_true(most < heap + KEPT_MAX);
    client->is_stalled = false;
    size_t completed = 0;
    for (int64_t start = clock_steady_milliseconds(); completed < COMMANDS;) {
        world_wait(world, start, "all answers");
        struct slice got = buf_bytes(&client->got);
        const uint8_t *found;
        while (got.size > 0 &&
               (found = memmem(got.data, got.size, answer, strlen(answer))) != NULL) {
            got = slice_skip(got, (size_t)(found - got.data) + strlen(answer));
            completed++;
        }
        buf_consume(&client->got, buf_size(&client->got) - got.size);
    }
    far_close(client);
    wait_for_close(world, 1, WHY_CLIENT_GONE);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_close_behind_pipelined_commands),
        cmocka_unit_test(test_stalled_receiver_costs_no_memory),
        cmocka_unit_test(test_last_words_of_the_server_arrive),
        cmocka_unit_test(test_flood_of_commands_costs_no_memory),
    };
    return cmocka_run_group_tests_name("gate relay", tests, NULL, NULL);
}
