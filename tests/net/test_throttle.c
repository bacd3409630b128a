/*
 * The table of failures by name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "keeper/throttle.h"

/* More names, each shut, than the table has places. */
#define MANY 3000

static int set_up(void **state)
{
    *state = throttle_new();
    return 0;
}

static int tear_down(void **state)
{
    throttle_free(*state);
    return 0;
}

static uint64_t key_of(struct throttle *throttle, unsigned number)
{
    char name[32];
    int size = snprintf(name, sizeof(name), "name-%u", number);
    return throttle_key(throttle, slice_of(name, (size_t)size));
}

static void shut(struct throttle *throttle, uint64_t key, int64_t now)
{
    for (unsigned i = 0; i < THROTTLE_FAILURES; i++)
        throttle_count_failure(throttle, key, now);
}

static void test_the_minute_begins_with_the_first_failure(void **state)
{
    struct throttle *throttle = *state;
    uint64_t key = key_of(throttle, 0);
    throttle_count_failure(throttle, key, 1000);
    for (unsigned i = 1; i < THROTTLE_FAILURES; i++) {
        assert_false(throttle_is_shut(throttle, key, 1000 + THROTTLE_MILLISECONDS - 1));
        throttle_count_failure(throttle, key, 1000 + THROTTLE_MILLISECONDS - 1);
    }
    assert_true(throttle_is_shut(throttle, key, 1000 + THROTTLE_MILLISECONDS - 1));
    assert_false(throttle_is_shut(throttle, key, 1000 + THROTTLE_MILLISECONDS));
}

static void test_names_count_apart(void **state)
{
    struct throttle *throttle = *state;
    shut(throttle, key_of(throttle, 0), 1000);
    assert_true(throttle_is_shut(throttle, key_of(throttle, 0), 1000));
    assert_false(throttle_is_shut(throttle, key_of(throttle, 1), 1000));
}

static void test_a_shut_name_stays_shut_however_many_come(void **state)
{
    struct throttle *throttle = *state;
    shut(throttle, key_of(throttle, 0), 1000);
    for (unsigned i = 1; i < MANY; i++)
        shut(throttle, key_of(throttle, i), 1000);
    for (unsigned i = MANY; i < 2 * MANY; i++)
        throttle_count_failure(throttle, key_of(throttle, i), 1000);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(throttle_is_shut(throttle, key_of(throttle, i), 1000));
    assert_true(throttle_is_shut(throttle, key_of(throttle, MANY), 1000));
    for (unsigned i = 0; i <= MANY; i++)
        assert_false(throttle_is_shut(throttle, key_of(throttle, i), 1000 + THROTTLE_MILLISECONDS));
}

static void test_room_comes_back(void **state)
{
    struct throttle *throttle = *state;
    int64_t later = 1000 + THROTTLE_MILLISECONDS;
    for (unsigned i = 0; i < MANY; i++)
        shut(throttle, key_of(throttle, i), 1000);
    shut(throttle, key_of(throttle, MANY), later);
    assert_true(throttle_is_shut(throttle, key_of(throttle, MANY), later));
    assert_false(throttle_is_shut(throttle, key_of(throttle, 0), later));
}

static void test_keys_are_of_one_throttle(void **state)
{
    struct throttle *other = throttle_new();
    assert_true(key_of(*state, 0) == key_of(*state, 0));
    assert_true(key_of(*state, 0) != key_of(other, 0));
    throttle_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_minute_begins_with_the_first_failure),
        TEST(test_names_count_apart),
        TEST(test_a_shut_name_stays_shut_however_many_come),
        TEST(test_room_comes_back),
        TEST(test_keys_are_of_one_throttle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
