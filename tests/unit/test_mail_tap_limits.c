/*
 * What the tap keeps at the most, how long a command took, and what comes of more than that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/tap_internal.h"

struct world {
    struct tap *tap;
    uint64_t steady;
    unsigned records, answered, awaited;
    size_t text; /* octets of the last arguments */
    uint64_t duration;
};

static void take_record(void *owner, const struct record *record, bool is_awaited)
{
    struct world *world = owner;
    const struct record_value *text = record_find(record, FIELD_ARGUMENTS);
    const struct record_value *duration = record_find(record, FIELD_DURATION);
    world->records++;
    world->answered += record_find(record, FIELD_STATUS) != NULL;
    world->awaited += is_awaited;
    world->text = text == NULL ? 0 : text->text.size;
    world->duration = duration == NULL ? 0 : duration->number;
}

static struct world open_world(enum protocol protocol)
{
    return (struct world){
        .tap = tap_open(&(struct tap_settings){.protocol = protocol, .wants_arguments = true})};
}

static void say(struct world *world, enum side side, const char *text)
{
    const struct tap_sink sink = {.record = take_record, .owner = world};
    struct slice bytes = slice_of_string(text);
    while (bytes.size > 0) {
        size_t size = tap_feed(world->tap, side, bytes,
                               (struct tap_time){.wall = 5, .steady = world->steady}, &sink);
        assert_in_range(size, 1, bytes.size);
        bytes = slice_skip(bytes, size);
    }
    assert_in_range(world->tap->command_count, 0, TAP_COMMANDS_MAX);
    assert_in_range(world->tap->text_size, 0, TAP_TEXT_MAX);
}

static void finish(struct world *world)
{
    const struct tap_sink sink = {.record = take_record, .owner = world};
    tap_finish(world->tap, WHY_CLIENT_GONE, (struct tap_time){.steady = world->steady}, &sink);
    assert_int_equal(world->tap->command_count, 0);
    assert_int_equal(world->tap->text_size, 0);
    tap_close(world->tap);
}

static void test_latency(void **state)
{
    struct world world = open_world(PROTOCOL_IMAP);
    (void)state;
    world.steady = 1000;
    say(&world, SIDE_CLIENT, "a NOOP\r\n");
    world.steady = 5000000;
    say(&world, SIDE_UPSTREAM, "a OK\r\n");
    assert_int_equal(world.duration, 5000000 - 1000);
    /* A clock that stands still, or goes back, makes no latency. */
    say(&world, SIDE_CLIENT, "b NOOP\r\n");
    world.steady = 1;
    say(&world, SIDE_UPSTREAM, "b OK\r\n");
    assert_int_equal(world.duration, 0);
    finish(&world);
}

static void test_more_commands_than_are_followed(void **state)
{
    struct world world = open_world(PROTOCOL_IMAP);
    char line[64];
    (void)state;
    for (unsigned i = 0; i < TAP_COMMANDS_MAX + 10; i++) {
        snprintf(line, sizeof(line), "t%u NOOP\r\n", i);
        say(&world, SIDE_CLIENT, line);
    }
    assert_int_equal(world.records, 10);
    assert_int_equal(world.answered, 0);
    for (unsigned i = 0; i < TAP_COMMANDS_MAX + 10; i++) {
        snprintf(line, sizeof(line), "t%u OK\r\n", i);
        say(&world, SIDE_UPSTREAM, line);
    }
    assert_int_equal(world.records, TAP_COMMANDS_MAX + 10);
    assert_int_equal(world.answered, TAP_COMMANDS_MAX);
    assert_false(tap_is_off(world.tap));
    assert_int_equal(tap_count(world.tap), TAP_COMMANDS_MAX + 10);
    finish(&world);
}

/* Where answers have no tags nobody could tell any more which is to what. */
static void test_more_commands_without_tags(void **state)
{
    (void)state;
    for (int protocol = PROTOCOL_POP3; protocol <= PROTOCOL_SMTP; protocol++) {
        struct world world = open_world((enum protocol)protocol);
        for (unsigned i = 0; i < TAP_COMMANDS_MAX; i++)
            say(&world, SIDE_CLIENT, "NOOP\r\n");
        assert_int_equal(world.records, 0);
        say(&world, SIDE_CLIENT, "NOOP\r\n");
        assert_true(tap_is_off(world.tap));
        assert_int_equal(world.records, TAP_COMMANDS_MAX + 1); /* and that it is off */
        say(&world, SIDE_UPSTREAM, "+OK\r\n250 ok\r\n");
        assert_int_equal(world.records, TAP_COMMANDS_MAX + 1);
        finish(&world);
    }
}

static void test_more_text_than_is_kept(void **state)
{
    struct world world = open_world(PROTOCOL_IMAP);
    static char line[1200];
    (void)state;
    unsigned count = TAP_TEXT_MAX / RECORD_TEXT_MAX + 5;
    for (unsigned i = 0; i < count; i++) {
        memset(line, 'x', sizeof(line) - 3);
        snprintf(line, sizeof(line), "t%03u SEARCH", i);
        line[strlen(line)] = ' ';
        memcpy(line + sizeof(line) - 3, "\r\n", 3);
        say(&world, SIDE_CLIENT, line);
    }
    for (unsigned i = 0; i < count; i++) {
        snprintf(line, sizeof(line), "t%03u OK\r\n", i);
        say(&world, SIDE_UPSTREAM, line);
        assert_int_equal(world.text, i < TAP_TEXT_MAX / RECORD_TEXT_MAX ? RECORD_TEXT_MAX : 0);
    }
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_more_commands_than_are_followed),
        cmocka_unit_test(test_more_commands_without_tags),
        cmocka_unit_test(test_more_text_than_is_kept),
    };
    return cmocka_run_group_tests_name("tap limits", tests, NULL, NULL);
}
