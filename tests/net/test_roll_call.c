/*
 * Roll calls before gates that are played by the test: what is sent to them is kept, and what they
 * say is written here. The clock stands still until it is moved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keeper/roll_call.h"

#define GATES_MAX 8

static int64_t now_milliseconds;

int64_t clock_steady_milliseconds(void)
{
    return now_milliseconds;
}

static struct world {
    struct loop loop;
    struct roll_calls *calls;
    unsigned asked[GATES_MAX]; /* in order */
    size_t asked_count;
    uint64_t question; /* the last one that was asked */
    unsigned absent;   /* a gate that cannot be reached */

    unsigned overs;
    size_t rows, dropped, silent;
    struct roll_row first, last;
} world;

static int send_to(void *owner, unsigned gate, struct slice bytes)
{
    struct message message;
    assert_ptr_equal(owner, &world);
    if (gate == world.absent)
        return ERR_CLOSED;
    assert_int_equal(message_read(bytes, &message), 0);
    assert_int_equal(message.kind, MESSAGE_LIST_SESSIONS);
    world.asked[world.asked_count++] = gate;
    world.question = message.session;
    return 0;
}

static void on_over(void *owner, const struct roll *roll)
{
    assert_ptr_equal(owner, &world);
    world.overs++;
    world.rows = roll->count;
    world.dropped = roll->dropped;
    world.silent = roll->silent;
    if (roll->count > 0) {
        world.first = roll->rows[0];
        world.last = roll->rows[roll->count - 1];
    }
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    now_milliseconds = 1000;
    world = (struct world){0};
    assert_int_equal(loop_init(&world.loop, &err), 0);
    world.calls = roll_calls_open(
        &(struct roll_calls_parts){.loop = &world.loop, .send = send_to, .owner = &world});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    roll_calls_close(world.calls);
    loop_run(&world.loop);
    loop_fini(&world.loop);
    return 0;
}

static void turn(void)
{
    uv_run(&world.loop.uv, UV_RUN_NOWAIT);
}

static struct roll_call *call(size_t count)
{
    static const unsigned gates[GATES_MAX] = {11, 12, 13, 14, 15, 16, 17, 18};
    return roll_call_start(world.calls, gates, count, on_over, &world);
}

/* What the gate says: sessions `first`, `first` + 1, … */
static int say(unsigned gate, uint64_t question, uint64_t first, size_t count, bool is_last)
{
    struct message_session items[MESSAGE_SESSIONS_MAX];
    struct message_sessions part = {.is_last = is_last, .items = items, .count = count};
    struct message message;
    struct buf bytes;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct message_session){.number = first + i, .client_bytes = 5};
    buf_init(&bytes, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_sessions(&bytes, question, &part), 0);
    assert_int_equal(message_read(buf_bytes(&bytes), &message), 0);
    int status = roll_calls_take(world.calls, gate, &message);
    buf_fini(&bytes);
    return status;
}

static void every_gate_answers(void **state)
{
    (void)state;
    (void)call(2);
    assert_int_equal(world.asked_count, 2);
    assert_int_equal(say(11, world.question, 1, MESSAGE_SESSIONS_MAX, false), 0);
    assert_int_equal(say(12, world.question, 7, 1, true), 0);
    turn();
    assert_int_equal(world.overs, 0);
    assert_int_equal(say(11, world.question, 1000, 3, true), 0);
    assert_int_equal(world.overs, 0);
    turn();
    assert_int_equal(world.overs, 1);
    assert_int_equal(world.rows, MESSAGE_SESSIONS_MAX + 4);
    assert_int_equal(world.silent, 0);
    assert_int_equal(world.first.gate, 11);
    assert_int_equal(world.last.session.number, 1002);
}

static void no_gate_at_all(void **state)
{
    (void)state;
    (void)call(0);
    assert_int_equal(world.overs, 0);
    turn();
    assert_int_equal(world.overs, 1);
    assert_int_equal(world.rows, 0);
}

static void a_gate_that_is_not_there_and_one_that_dies(void **state)
{
    (void)state;
    world.absent = 12;
    (void)call(3);
    assert_int_equal(world.asked_count, 2);
    assert_int_equal(say(11, world.question, 1, 1, true), 0);
    roll_calls_forget_gate(world.calls, 99);
    turn();
    assert_int_equal(world.overs, 0);
    roll_calls_forget_gate(world.calls, 13);
    turn();
    assert_int_equal(world.overs, 1);
    assert_int_equal(world.rows, 1);
    assert_int_equal(world.silent, 2);
}

static void a_gate_that_says_nothing_is_not_waited_for(void **state)
{
    (void)state;
    (void)call(2);
    assert_int_equal(say(11, world.question, 1, 2, true), 0);
    assert_int_equal(say(12, world.question, 1, 1, false), 0);
    now_milliseconds += ROLL_CALL_MILLISECONDS + 1;
    while (world.overs == 0)
        uv_run(&world.loop.uv, UV_RUN_ONCE);
    assert_int_equal(world.rows, 3);
    assert_int_equal(world.silent, 1);
    /* Too late: nobody asks any more. */
    assert_int_equal(say(12, world.question, 2, 1, true), 0);
    turn();
    assert_int_equal(world.overs, 1);
}

static void answers_to_nothing(void **state)
{
    (void)state;
    assert_int_equal(say(11, 1, 1, 1, true), ERR_SYNTAX);
    struct roll_call *one = call(1);
    assert_int_equal(say(11, world.question + 1, 1, 1, true), ERR_SYNTAX);
    assert_int_equal(say(11, 0, 1, 1, true), ERR_SYNTAX);
    assert_int_equal(say(11, world.question, 1, 0, false), ERR_SYNTAX);
    assert_int_equal(say(12, world.question, 1, 1, true), 0); /* was not asked: dropped */
    assert_int_equal(say(11, world.question, 1, 1, true), 0);
    assert_int_equal(say(11, world.question, 1, 1, true), 0); /* twice: dropped */
    roll_call_cancel(one);
    turn();
    assert_int_equal(world.overs, 0);
}

static void very_many_sessions_are_counted(void **state)
{
    (void)state;
    (void)call(1);
    size_t parts = ROLL_SESSIONS_PER_GATE_MAX / MESSAGE_SESSIONS_MAX + 1;
    for (size_t i = 0; i < parts; i++)
        assert_int_equal(say(11, world.question, 1, MESSAGE_SESSIONS_MAX, i + 1 == parts), 0);
    turn();
    assert_int_equal(world.rows, ROLL_SESSIONS_PER_GATE_MAX);
    assert_int_equal(world.dropped, parts * MESSAGE_SESSIONS_MAX - ROLL_SESSIONS_PER_GATE_MAX);
}

static void two_calls_at_once(void **state)
{
    (void)state;
    (void)call(1);
    uint64_t first = world.question;
    (void)call(1);
    assert_int_equal(say(11, world.question, 1, 2, true), 0);
    turn();
    assert_int_equal(world.overs, 1);
    assert_int_equal(world.rows, 2);
    assert_int_equal(say(11, first, 1, 1, true), 0);
    turn();
    assert_int_equal(world.overs, 2);
    assert_int_equal(world.rows, 1);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(every_gate_answers),
        IN_WORLD(no_gate_at_all),
        IN_WORLD(a_gate_that_is_not_there_and_one_that_dies),
        IN_WORLD(a_gate_that_says_nothing_is_not_waited_for),
        IN_WORLD(answers_to_nothing),
        IN_WORLD(very_many_sessions_are_counted),
        IN_WORLD(two_calls_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
