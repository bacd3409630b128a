#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

static void test_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_equal, is_equal_ignoring_case;
    } rows[] = {
        {"", "", true, true},           {"a", "", false, false},        {"a", "a", true, true},
        {"a", "A", false, true},        {"a", "b", false, false},       {"ab", "a", false, false},
        {"@[`{", "`{@[", false, false}, /* what differs by 0x20 only, but is no letter */
        {"aZ9-", "Az9-", false, true},  {"\xc4", "\xe4", false, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct slice a = slice_of_string(rows[i].a), b = slice_of_string(rows[i].b);
        assert_int_equal(slice_equal(a, b), rows[i].is_equal);
        assert_int_equal(slice_is(a, rows[i].b), rows[i].is_equal);
        assert_int_equal(slice_equal_ignoring_case(a, b), rows[i].is_equal_ignoring_case);
        assert_int_equal(slice_is_ignoring_case(b, rows[i].a), rows[i].is_equal_ignoring_case);
    }
    assert_false(slice_equal(SLICE_LITERAL("a\0b"), SLICE_LITERAL("a\0c")));
    assert_true(slice_equal(SLICE_NONE, slice_of("x", 0)));
}

static void test_starts_with(void **state)
{
    static const struct {
        const char *text, *prefix;
        bool starts, starts_ignoring_case;
    } rows[] = {
        {"", "", true, true},       {"abc", "", true, true},     {"abc", "ab", true, true},
        {"abc", "AB", false, true}, {"ab", "abc", false, false}, {"abc", "b", false, false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct slice text = slice_of_string(rows[i].text);
        assert_int_equal(slice_starts_with(text, rows[i].prefix), rows[i].starts);
        assert_int_equal(slice_starts_with_ignoring_case(text, rows[i].prefix),
                         rows[i].starts_ignoring_case);
    }
}

static void test_skip_and_take(void **state)
{
    struct slice text = SLICE_LITERAL("abcd");
    (void)state;
    assert_true(slice_is(slice_skip(text, 0), "abcd"));
    assert_true(slice_is(slice_skip(text, 3), "d"));
    assert_int_equal(slice_skip(text, 4).size, 0);
    assert_int_equal(slice_skip(text, SIZE_MAX).size, 0);
    assert_int_equal(slice_take(text, 0).size, 0);
    assert_true(slice_is(slice_take(text, 3), "abc"));
    assert_true(slice_is(slice_take(text, SIZE_MAX), "abcd"));
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(slice_find(SLICE_LITERAL("abcb"), 'b'), 1);
    assert_int_equal(slice_find(SLICE_LITERAL("abc"), 'x'), 3);
    assert_int_equal(slice_find(SLICE_LITERAL("a\0c"), '\0'), 1);
    assert_int_equal(slice_find(SLICE_NONE, 'a'), 0);
}

static void test_next_word(void **state)
{
    static const char *const words[] = {"a", "", "bc", ""};
    struct slice rest = SLICE_LITERAL("a  bc  "), word;
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(words); i++) {
        assert_true(slice_next_word(&rest, ' ', &word));
        assert_true(slice_is(word, words[i]));
    }
    assert_false(slice_next_word(&rest, ' ', &word));
    assert_int_equal(rest.size, 0);

    rest = SLICE_LITERAL("whole");
    assert_true(slice_next_word(&rest, ',', &word));
    assert_true(slice_is(word, "whole"));
    assert_false(slice_next_word(&rest, ',', &word));
}

static void test_has_control(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t text[3] = {'a', (uint8_t)byte, 'z'};
        assert_int_equal(slice_has_control(slice_of(text, 3)), byte < 0x20 || byte == 0x7f);
    }
    assert_false(slice_has_control(SLICE_NONE));
}

static void test_escape(void **state)
{
    static const struct {
        struct slice bytes;
        size_t capacity;
        const char *text;
    } rows[] = {
        {{(const uint8_t *)"plain ~", 7}, 64, "plain ~"},
        {{(const uint8_t *)"\r\n\x1b[0m\x7f\\\xff\0", 10},
         64,
         "\\x0d\\x0a\\x1b[0m\\x7f\\x5c\\xff\\x00"},
        {{(const uint8_t *)"abc", 3}, 4, "abc"},
        {{(const uint8_t *)"abc", 3}, 3, "ab"},
        {{(const uint8_t *)"abc", 3}, 1, ""},
        {{(const uint8_t *)"a\n", 2}, 6, "a\\x0a"},
        {{(const uint8_t *)"a\n", 2}, 5, "a"}, /* an escape is never cut */
        {{NULL, 0}, 1, ""},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        memset(text, '#', sizeof(text));
        slice_escape(rows[i].bytes, text, rows[i].capacity);
        assert_string_equal(text, rows[i].text);
        for (size_t j = rows[i].capacity; j < sizeof(text); j++)
            assert_int_equal(text[j], '#');
    }
}

static void test_has_word(void **state)
{
    static const struct {
        const char *list, *word;
        bool has;
    } rows[] = {
        {"", "a", false},   {"", "", false},      {"a", "a", true},
        {"a b", "b", true}, {"ab b", "a", false}, {"a b", "B", false},
        {"a", "", false},   {"a  b", "", true},   {"PLAIN", "PLAI", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        assert_int_equal(
            slice_has_word(slice_of_string(rows[i].list), ' ', slice_of_string(rows[i].word)),
            rows[i].has);
}

static void test_read_number(void **state)
{
    static const struct {
        const char *digits;
        uint64_t maximum;
        bool is_number;
        uint64_t number;
    } rows[] = {
        {"0", 0, true, 0},
        {"1", 0, false, 0},
        {"7", 7, true, 7},
        {"8", 7, false, 0},
        {"65535", 65535, true, 65535},
        {"65536", 65535, false, 0},
        {"000065535", 65535, true, 65535},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999", UINT64_MAX, false, 0},
        {"", UINT64_MAX, false, 0},
        {"-1", UINT64_MAX, false, 0},
        {"+1", UINT64_MAX, false, 0},
        {" 1", UINT64_MAX, false, 0},
        {"1a", UINT64_MAX, false, 0},
        {"1:", UINT64_MAX, false, 0},
        {"1/", UINT64_MAX, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        uint64_t number = 0;
        bool is_number =
            slice_read_number(slice_of_string(rows[i].digits), rows[i].maximum, &number);
        assert_int_equal(is_number, rows[i].is_number);
        if (is_number)
            assert_int_equal(number, rows[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),         cmocka_unit_test(test_starts_with),
        cmocka_unit_test(test_skip_and_take), cmocka_unit_test(test_find),
        cmocka_unit_test(test_next_word),     cmocka_unit_test(test_has_control),
        cmocka_unit_test(test_escape),        cmocka_unit_test(test_read_number),
        cmocka_unit_test(test_has_word),
    };
    return cmocka_run_group_tests_name("base/slice", tests, NULL, NULL);
}
