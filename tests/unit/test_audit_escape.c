#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "audit/escape.h"
#include "base/err.h"

static void check(const char *text, size_t size, const char *expected)
{
    char out[256];
    size_t written = escape_write(slice_of(text, size), out);
    assert_true(written <= size * ESCAPE_GROWTH);
    out[written] = '\0';
    assert_string_equal(out, expected);
}

static void test_what_is_kept_and_what_is_not(void **state)
{
    (void)state;
    check("", 0, "");
    check("a b~", 4, "a b~");
    check("a\"b\\", 4, "a\\\"b\\\\");
    check("\0\t\r\n\x1b\x7f", 6, "\\u0000\\u0009\\u000d\\u000a\\u001b\\u007f");
    check("gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x93\xac", 14,
          "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x93\xac");
    /* C1 controls, a mark of writing direction, no-break space of no width, a tag. */
    check("\xc2\x9b", 2, "\\u009b");
    check("\xe2\x80\xae", 3, "\\u202e");
    check("\xef\xbb\xbf", 3, "\\ufeff");
    check("\xf3\xa0\x81\x81", 4, "\\udb40\\udc41");
    check("\xef\xbf\xbf", 3, "\\uffff");
}

static void test_octets_that_are_no_utf8(void **state)
{
    (void)state;
    check("\xff", 1, "\\\\xff");
    check("\xc3", 1, "\\\\xc3");
    check("\xc3(", 2, "\\\\xc3(");
    /* Longer than need be, a surrogate, beyond the last code point. */
    check("\xc0\xaf", 2, "\\\\xc0\\\\xaf");
    check("\xe0\x80\xaf", 3, "\\\\xe0\\\\x80\\\\xaf");
    check("\xed\xa0\x80", 3, "\\\\xed\\\\xa0\\\\x80");
    check("\xf4\x90\x80\x80", 4, "\\\\xf4\\\\x90\\\\x80\\\\x80");
}

/* Whatever goes in: a JSON parser takes it, it shows no control, and comes back as what it shows.
 */
static void test_every_pair_of_octets(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t text[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        char out[2 + 2 * ESCAPE_GROWTH], back[64], again[2 * 64];
        size_t back_size;
        size_t size = escape_write(slice_of(text, sizeof(text)), out + 1);
        out[0] = out[size + 1] = '"';
        json_t *json = json_loadb(out, size + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_int_equal(escape_read(slice_of(out + 1, size), back, &back_size), 0);
        assert_int_equal(back_size, json_string_length(json));
        assert_memory_equal(back, json_string_value(json), back_size);
        json_decref(json);
        assert_int_equal(escape_write(slice_of(back, back_size), again), size);
        assert_memory_equal(again, out + 1, size);
        for (size_t i = 0; i < size; i++)
            assert_true((uint8_t)out[i + 1] >= 0x20 && out[i + 1] != 0x7f);
    }
}

static void test_what_no_string_holds(void **state)
{
    static const char *const bad[] = {"\"",      "\\",     "\\x41",          "\\u12",
                                      "\\ud800", "\n",     "\\ud800\\u0041", "\\udc00",
                                      "a\xff",   "\\u00g0"};
    char out[32];
    size_t size;
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_int_equal(escape_read(slice_of_string(bad[i]), out, &size), ERR_SYNTAX);
    assert_int_equal(escape_read(SLICE_LITERAL("\\u00E9\\n\\/"), out, &size), 0);
    assert_true(slice_equal(slice_of(out, size), SLICE_LITERAL("\xc3\xa9\n/")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept_and_what_is_not),
        cmocka_unit_test(test_octets_that_are_no_utf8),
        cmocka_unit_test(test_every_pair_of_octets),
        cmocka_unit_test(test_what_no_string_holds),
    };
    return cmocka_run_group_tests_name("audit/escape", tests, NULL, NULL);
}
