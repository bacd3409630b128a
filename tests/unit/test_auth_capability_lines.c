#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/capability_lines.h"
#include "auth/message.h"

static void lines_are_printable_and_end(void **state)
{
    (void)state;
    static const struct {
        struct slice lines;
        bool is_valid;
    } cases[] = {
        {SLICE_LITERAL(""), true},
        {SLICE_LITERAL("TOP\n"), true},
        {SLICE_LITERAL("SIZE 1000\n8BITMIME\n"), true},
        {SLICE_LITERAL("TOP"), false},
        {SLICE_LITERAL("\n"), false},
        {SLICE_LITERAL("TOP\n\nUIDL\n"), false},
        {SLICE_LITERAL("TOP\r\n"), false},
        {SLICE_LITERAL("T\0P\n"), false},
        {SLICE_LITERAL("T\xc3\xb6P\n"), false},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_int_equal(capability_lines_are_valid(cases[i].lines), cases[i].is_valid);
}

static void lines_have_a_limit(void **state)
{
    (void)state;
    char lines[MESSAGE_LINES_MAX + 1];
    memset(lines, 'x', sizeof(lines));
    lines[MESSAGE_LINES_MAX - 1] = '\n';
    assert_true(capability_lines_are_valid(slice_of(lines, MESSAGE_LINES_MAX)));
    lines[MESSAGE_LINES_MAX - 1] = 'x';
    lines[MESSAGE_LINES_MAX] = '\n';
    assert_false(capability_lines_are_valid(slice_of(lines, MESSAGE_LINES_MAX + 1)));
}

static void assert_common(const char *lines, const char *others, const char *expected)
{
    char *common = capability_lines_common(lines, others);
    assert_string_equal(common, expected);
    mem_free(common);
}

static void what_both_have_stays(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *others, *common;
    } cases[] = {
        {"", "", ""},
        {"TOP\n", "", ""},
        {"", "TOP\n", ""},
        {"TOP\nUIDL\nUSER\n", "UIDL\nTOP\n", "TOP\nUIDL\n"},
        {"top\n", "TOP\n", "top\n"},
        {"EXPIRE NEVER\nTOP\n", "EXPIRE NEVER\nTOP\n", "EXPIRE NEVER\nTOP\n"},
        {"EXPIRE NEVER\nTOP\n", "EXPIRE 60\nTOP\n", "TOP\n"},
        {"DELIVERBY 5\n", "DELIVERBY\n", ""},
        {"TOPS\n", "TOP\n", ""},
        /* sizes */
        {"SIZE 1000\n", "SIZE 1000\n", "SIZE 1000\n"},
        {"SIZE 1000\n", "SIZE 999\n", "SIZE 999\n"},
        {"SIZE 999\n", "size 1000\n", "SIZE 999\n"},
        {"SIZE\n", "SIZE 1000\n", "SIZE 1000\n"},
        {"SIZE 1000\n", "SIZE 0\n", "SIZE 1000\n"},
        {"SIZE\n", "SIZE 0\n", "SIZE\n"},
        {"SIZE 10000000000\n", "SIZE 9999999999\n", "SIZE 9999999999\n"},
        {"SIZE 1000\n", "8BITMIME\n", ""},
        {"SIZE many\n", "SIZE 1000\n", ""},
        {"SIZE -1\n", "SIZE 1000\n", ""},
        {"SIZE 1000 2\n", "SIZE 1000\n", ""},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_common(cases[i].lines, cases[i].others, cases[i].common);
}

/* A size that becomes longer must not make it more than a message takes. */
static void what_is_common_has_the_same_limit(void **state)
{
    (void)state;
    char *lines = mem_new(MESSAGE_LINES_MAX + 1), *others = mem_new(2 * MESSAGE_LINES_MAX);
    memcpy(lines, "SIZE\n", 5);
    memset(lines + 5, 'x', MESSAGE_LINES_MAX - 6);
    lines[MESSAGE_LINES_MAX - 1] = '\n';
    memcpy(others, "SIZE 12345\n", 11);
    memcpy(others + 11, lines + 5, MESSAGE_LINES_MAX - 5);
    char *common = capability_lines_common(lines, others);
    size_t size = strlen(common);
    assert_true(size <= MESSAGE_LINES_MAX);
    assert_true(capability_lines_are_valid(slice_of(common, size)));
    assert_string_equal(common, "SIZE 12345\n");
    mem_free(common);
    mem_free(lines);
    mem_free(others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_printable_and_end),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(what_both_have_stays),
        cmocka_unit_test(what_is_common_has_the_same_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
