#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

static void test_every_octet(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t octet = (uint8_t)i, back = (uint8_t)~octet;
        char digits[3] = "??";
        hex_write(slice_of(&octet, 1), digits);
        assert_int_equal(strspn(digits, "0123456789abcdef"), 2);
        assert_true(hex_read(slice_of(digits, 2), &back));
        assert_int_equal(back, octet);
    }
}

static void test_what_is_no_hexadecimal(void **state)
{
    static const char *const bad[] = {"0", "abc", "0g", "g0", "A0", "0F", " 0", "0:", "/0", "0`"};
    uint8_t octets[4];
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_false(hex_read(slice_of_string(bad[i]), octets));
    assert_true(hex_read(SLICE_NONE, octets));
    assert_true(hex_read(SLICE_LITERAL("00ff1a"), octets));
    assert_memory_equal(octets, "\x00\xff\x1a", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_octet),
        cmocka_unit_test(test_what_is_no_hexadecimal),
    };
    return cmocka_run_group_tests_name("base/hex", tests, NULL, NULL);
}
