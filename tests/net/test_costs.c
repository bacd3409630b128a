/*
 * What an operation costs, in system calls and allocations of the gate: ceilings that nobody passes
 * without noticing. They are what was counted when they were written and a little more; whoever
 * needs more raises them and says why, whoever needs less lowers them.
 *
 * Not counted: waiting for events, which depends on who is faster.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cost_counter.h"
#include "gate_world.h"

/* With the journal, as ecluse is by default. */
static const struct world_wish watched = {.audit = {.is_on = true}};

#define MESSAGE_SIZE (64u * 1024 * 1024)
#define PIECE_SIZE   (256u * 1024)
#define COMMANDS     1000u

/* Per operation, in hundredths. */
struct ceiling {
    size_t reads, writes, other_calls, allocations;
};

static void check(const char *what, struct costs before, size_t operations,
                  const struct ceiling *ceiling)
{
    struct costs now = costs_now();
    struct ceiling each = {.reads = (now.reads - before.reads) * 100 / operations,
                           .writes = (now.writes - before.writes) * 100 / operations,
                           .other_calls = (now.other_calls - before.other_calls) * 100 / operations,
                           .allocations =
                               (now.allocations - before.allocations) * 100 / operations};
    print_message("%s: %zu.%02zu reads, %zu.%02zu writes, %zu.%02zu other calls, %zu.%02zu "
                  "allocations\n",
                  what, each.reads / 100, each.reads % 100, each.writes / 100, each.writes % 100,
                  each.other_calls / 100, each.other_calls % 100, each.allocations / 100,
                  each.allocations % 100);
    assert_in_range(each.reads, 0, ceiling->reads);
    assert_in_range(each.writes, 0, ceiling->writes);
    assert_in_range(each.other_calls, 0, ceiling->other_calls);
    assert_in_range(each.allocations, 0, ceiling->allocations);
    if (costs_are_counted())
        assert_true(now.reads > before.reads && now.writes > before.writes);
}

static void close_all(struct world *world, struct far *client, struct upstream *upstream,
                      uint64_t number)
{
    far_close(client);
    wait_for_end(world, &upstream->far);
    far_close(&upstream->far);
    wait_for_close(world, number, WHY_CLIENT_GONE);
}

/* ---- a login ---- */

#define LOGINS 4u

/* From the connection to the end of the session; TLS is resumed from the second on. */
static void test_login(void **state)
{
    static const struct ceiling ceiling = {
        .reads = 1100, .writes = 1150, .other_calls = 2200, .allocations = 80500};
    struct world *world = world_ready(&watched);
    (void)state;
    struct costs before = costs_now();
    for (unsigned i = 0; i <= LOGINS; i++) {
        if (i == 1)
            before = costs_now();
        struct far *client = client_relayed(world);
        close_all(world, client, newest_upstream(world), i + 1);
    }
    check("login", before, LOGINS, &ceiling);
    world_close(world);
}

/* ---- a command ---- */

/* One record in, one out, and what the journal is told of it: one write for all commands of a turn,
 * and here there is one in each. */
static void test_command(void **state)
{
    static const struct ceiling ceiling = {
        .reads = 200, .writes = 300, .other_calls = 0, .allocations = 1000};
    struct world *world = world_ready(&watched);
    (void)state;
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    check_relay(world, client, upstream);
    struct costs before = costs_now();
    for (unsigned i = 0; i < COMMANDS; i++)
        check_relay(world, client, upstream);
    check("NOOP", before, COMMANDS, &ceiling);
    close_all(world, client, upstream, 1);
    world_close(world);
}

/* ---- a message ---- */

/* Everything that has come, so that nothing has to be kept for it. */
static size_t take_all(struct far *to)
{
    size_t total = 0, size;
    do {
        far_read(to);
        size = far_got(to).size;
        total += size;
        buf_clear(to->tls != NULL ? &to->tls->plain : &to->got);
    } while (size > 0);
    return total;
}

static void flow(struct world *world, struct far *from, struct far *to, size_t size)
{
    static uint8_t piece[PIECE_SIZE];
    size_t got = 0;
    for (size_t sent = 0; sent < size; sent += sizeof(piece)) {
        far_send(from, slice_of(piece, sizeof(piece)));
        for (int64_t start = clock_steady_milliseconds(); got < sent + sizeof(piece);) {
            world_wait(world, start, "a message");
            got += take_all(to);
        }
    }
    assert_int_equal(got, size);
}

/* Per MiB: four reads and four writes if nothing were cut. */
static void check_message(const char *what, bool is_download, const struct ceiling *ceiling)
{
    struct world *world = world_ready(&watched);
    struct far *client = client_relayed(world);
    struct upstream *upstream = newest_upstream(world);
    struct far *from = is_download ? &upstream->far : client;
    struct far *to = is_download ? client : &upstream->far;
    if (!is_download)
        (void)begin_append(world, client, upstream, 8 * PIECE_SIZE + MESSAGE_SIZE);
    flow(world, from, to, 8 * PIECE_SIZE); /* until the kernel has found its sizes */
    struct costs before = costs_now();
    flow(world, from, to, MESSAGE_SIZE);
    check(what, before, MESSAGE_SIZE / (1024 * 1024), ceiling);
    close_all(world, client, upstream, 1);
    world_close(world);
}

static void test_download(void **state)
{
    static const struct ceiling ceiling = {
        .reads = 1600, .writes = 1600, .other_calls = 100, .allocations = 9000};
    (void)state;
    check_message("MiB down", true, &ceiling);
}

static void test_upload(void **state)
{
    static const struct ceiling ceiling = {
        .reads = 1600, .writes = 1600, .other_calls = 100, .allocations = 22000};
    (void)state;
    check_message("MiB up", false, &ceiling);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_download),
        cmocka_unit_test(test_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
