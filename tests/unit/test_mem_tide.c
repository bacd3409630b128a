/*
 * Memory of what comes and goes in numbers: when it is told of, when it is to be settled, and that
 * nothing is left of the bookkeeping (the leak sanitizer looks).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

#define MANY  2000u
#define PARTS 40u

static void *parts[MANY][PARTS];

static void come(struct mem_tide *tide, size_t number)
{
    for (size_t i = 0; i < PARTS; i++)
        parts[number][i] = mem_new(24 + (number + i) * 16 % 1024);
    assert_false(mem_tide_note(tide, number + 1));
}

static bool go(struct mem_tide *tide, size_t number)
{
    for (size_t i = 0; i < PARTS; i++)
        mem_free(parts[number][i]);
    return mem_tide_note(tide, number);
}

static void test_few_are_not_worth_it(void **state)
{
    struct mem_tide tide = {0};
    (void)state;
    for (size_t i = 0; i < 15; i++)
        come(&tide, i);
    for (size_t i = 15; i > 0; i--)
        assert_false(go(&tide, i - 1));
    mem_tide_fini(&tide);
}

static void test_half_of_them_are_gone(void **state)
{
    struct mem_tide tide = {0};
    (void)state;
    for (size_t i = 0; i < 100; i++)
        come(&tide, i);
    for (size_t i = 100; i > 0; i--) {
        size_t left = i - 1;
        /* The peak is 12 then, which is few. */
        bool is_due = left == 50 || left == 25 || left == 12;
        if (go(&tide, left) != is_due)
            fail_msg("%zu left: due or not", left);
    }
    mem_tide_settle(&tide);
    mem_tide_fini(&tide);
}

/* From many on the last of them are due, too. */
static void test_settles_when_all_are_gone(void **state)
{
    struct mem_tide tide = {0};
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++)
            come(&tide, i);
        assert_non_null(tide.fillers);
        for (size_t i = MANY; i > 0; i--) {
            bool is_due = go(&tide, i - 1);
            assert_true(is_due || i - 1 >= 16);
            if (i - 1 == MANY / 2)
                mem_tide_settle(&tide);
        }
        assert_non_null(tide.fillers);
        mem_tide_settle(&tide);
        assert_null(tide.fillers);
        mem_tide_settle(&tide);
    }
    mem_tide_fini(&tide);
}

static void test_ends_at_any_time(void **state)
{
    struct mem_tide tide = {0};
    (void)state;
    mem_tide_fini(&tide);
    for (size_t i = 0; i < MANY; i++)
        come(&tide, i);
    mem_tide_fini(&tide);
    mem_tide_fini(&tide);
    for (size_t i = MANY; i > 0; i--)
        (void)!go(&tide, i - 1);
    assert_non_null(tide.fillers);
    mem_tide_fini(&tide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_not_worth_it),
        cmocka_unit_test(test_half_of_them_are_gone),
        cmocka_unit_test(test_settles_when_all_are_gone),
        cmocka_unit_test(test_ends_at_any_time),
    };
    return cmocka_run_group_tests_name("base/mem, the tide", tests, NULL, NULL);
}
