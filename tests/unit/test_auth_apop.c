/*
 * APOP, against the example of RFC 1939 and against openssl's word for others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/counted_compare.h"
#include "auth/apop.h"

#define TIMESTAMP "<1896.697170952@dbc.mtview.ca.us>"
#define DIGEST    "c4c9334bac560ecc979e58001b3e22fb"

static bool matches(struct slice bytes, const char *password)
{
    struct apop apop;
    struct secret secret = {0};
    assert_int_equal(apop_read(bytes, &apop), 0);
    secret_set(&secret, slice_of_string(password));
    bool is_right = apop_matches(&apop, &secret);
    secret_wipe(&secret);
    return is_right;
}

/* RFC 1939 section 7. */
static void the_example_of_the_rfc(void **state)
{
    (void)state;
    struct slice bytes = SLICE_LITERAL(TIMESTAMP "\0mrose\0" DIGEST);
    struct apop apop;
    assert_int_equal(apop_read(bytes, &apop), 0);
    assert_true(slice_is(apop.timestamp, TIMESTAMP));
    assert_true(slice_is(apop.user, "mrose"));
    assert_true(matches(bytes, "tanstaaf"));
    assert_false(matches(bytes, "tanstaa"));
    /* in constant time */
    assert_int_equal(compared.calls, 2);
    assert_int_equal(compared.octets, 2 * APOP_DIGEST_SIZE);
    assert_false(matches(bytes, "Tanstaaf"));
    assert_false(matches(bytes, ""));
}

static void every_flipped_bit_of_the_digest_matters(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < strlen(DIGEST); i++)
        for (const char *digit = digits; *digit != '\0'; digit++) {
            char text[] = TIMESTAMP "\0mrose\0" DIGEST;
            char *place = &text[sizeof(text) - sizeof(DIGEST) + i];
            bool is_same = *place == *digit;
            *place = *digit;
            assert_int_equal(matches(slice_of(text, sizeof(text) - 1), "tanstaaf"), is_same);
        }
}

static void what_is_not_of_the_form_is_refused(void **state)
{
    (void)state;
    static const struct slice cases[] = {
        SLICE_LITERAL(""),
        SLICE_LITERAL("\0"),
        SLICE_LITERAL("\0\0"),
        SLICE_LITERAL(TIMESTAMP),
        SLICE_LITERAL(TIMESTAMP "\0mrose"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0"),
        SLICE_LITERAL(TIMESTAMP "\0\0" DIGEST),
        SLICE_LITERAL("\0mrose\0" DIGEST),
        SLICE_LITERAL("<>\0mrose\0" DIGEST),
        SLICE_LITERAL("1896@x\0mrose\0" DIGEST),
        SLICE_LITERAL("<1896@x\0mrose\0" DIGEST),
        SLICE_LITERAL("<18\00196@x>\0mrose\0" DIGEST),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0" DIGEST "0"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0" DIGEST "\0"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0c4c9334bac560ecc979e58001b3e22f"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0C4C9334BAC560ECC979E58001B3E22FB"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0g4c9334bac560ecc979e58001b3e22fb"),
        SLICE_LITERAL(TIMESTAMP "\0mrose\0 4c9334bac560ecc979e58001b3e22fb"),
        SLICE_LITERAL(TIMESTAMP "\0mro\0se\0" DIGEST),
    };
    struct apop apop;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_int_equal(apop_read(cases[i], &apop), ERR_SYNTAX);
}

static void a_timestamp_has_a_limit(void **state)
{
    (void)state;
    char text[APOP_TIMESTAMP_MAX + 64];
    for (size_t size = APOP_TIMESTAMP_MAX; size <= APOP_TIMESTAMP_MAX + 1; size++) {
        struct apop apop;
        memset(text, 'a', size);
        text[0] = '<';
        text[size - 1] = '>';
        memcpy(text + size, "\0u\0" DIGEST, sizeof("\0u\0" DIGEST) - 1);
        struct slice bytes = slice_of(text, size + sizeof("\0u\0" DIGEST) - 1);
        assert_int_equal(apop_read(bytes, &apop), size <= APOP_TIMESTAMP_MAX ? 0 : ERR_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(every_flipped_bit_of_the_digest_matters),
        cmocka_unit_test(what_is_not_of_the_form_is_refused),
        cmocka_unit_test(a_timestamp_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
