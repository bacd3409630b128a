#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "base/secret.h"

#define HEAP_SIZE 65536u

static void assert_holds(const struct secret *secret, const char *text)
{
    assert_true(secret_is_set(secret));
    assert_true(slice_is(secret_bytes(secret), text));
    assert_int_equal(secret->bytes[secret->size], 0);
}

static void test_zero_is_none(void **state)
{
    struct secret secret = {0};
    (void)state;
    assert_false(secret_is_set(&secret));
    assert_int_equal(secret_bytes(&secret).size, 0);
    secret_wipe(&secret);
    assert_false(secret_is_set(&secret));
}

static void test_set_replaces(void **state)
{
    struct secret secret = {0};
    (void)state;
    secret_set(&secret, SLICE_LITERAL("one"));
    assert_holds(&secret, "one");
    secret_set(&secret, SLICE_LITERAL("another"));
    assert_holds(&secret, "another");
    secret_set(&secret, SLICE_NONE); /* empty is not none */
    assert_holds(&secret, "");
    secret_wipe(&secret);
    assert_false(secret_is_set(&secret));
}

static void test_set_from_itself(void **state)
{
    struct secret secret = {0};
    (void)state;
    secret_set(&secret, SLICE_LITERAL("prefix-rest"));
    secret_set(&secret, slice_skip(secret_bytes(&secret), 7));
    assert_holds(&secret, "rest");
    secret_wipe(&secret);
}

static void test_move(void **state)
{
    struct secret from = {0}, to = {0};
    (void)state;
    secret_set(&from, SLICE_LITERAL("token"));
    secret_set(&to, SLICE_LITERAL("old"));
    const uint8_t *memory = from.bytes;
    secret_move(&to, &from);
    assert_holds(&to, "token");
    assert_ptr_equal(to.bytes, memory);
    assert_false(secret_is_set(&from));
    secret_move(&to, &to);
    assert_holds(&to, "token");
    secret_move(&to, &from); /* nothing is moved too */
    assert_false(secret_is_set(&to));
}

static void test_copy(void **state)
{
    struct secret from = {0}, to = {0};
    (void)state;
    secret_set(&from, SLICE_LITERAL("token"));
    secret_copy(&to, &from);
    assert_holds(&to, "token");
    assert_ptr_not_equal(to.bytes, from.bytes);
    secret_wipe(&from);
    assert_holds(&to, "token");
    secret_copy(&to, &from);
    assert_false(secret_is_set(&to));
}

static void test_equal(void **state)
{
    struct secret secret = {0};
    (void)state;
    assert_false(secret_equal(&secret, SLICE_NONE));
    secret_set(&secret, SLICE_LITERAL("a\0b"));
    assert_true(secret_equal(&secret, SLICE_LITERAL("a\0b")));
    assert_false(secret_equal(&secret, SLICE_LITERAL("a\0c")));
    assert_false(secret_equal(&secret, SLICE_LITERAL("a\0")));
    assert_false(secret_equal(&secret, SLICE_LITERAL("a\0b\0")));
    secret_set(&secret, SLICE_NONE);
    assert_true(secret_equal(&secret, SLICE_NONE));
    secret_wipe(&secret);
}

/* After this one the process has a secure heap. */
static void test_lives_in_the_secure_heap(void **state)
{
    struct secret before = {0}, small = {0}, large = {0};
    static uint8_t bytes[HEAP_SIZE * 2];
    (void)state;
    secret_set(&before, SLICE_LITERAL("from plain memory"));
    if (!secret_heap_open(HEAP_SIZE))
        skip();
    size_t used = CRYPTO_secure_used();
    secret_set(&small, SLICE_LITERAL("small"));
    assert_int_equal(CRYPTO_secure_allocated(small.bytes), 1);
    assert_true(CRYPTO_secure_used() > used);
    /* What does not fit lives in plain memory and works just the same. */
    memset(bytes, 'x', sizeof(bytes));
    secret_set(&large, slice_of(bytes, sizeof(bytes)));
    assert_int_equal(CRYPTO_secure_allocated(large.bytes), 0);
    assert_true(secret_equal(&large, slice_of(bytes, sizeof(bytes))));
    assert_holds(&before, "from plain memory");
    secret_wipe(&before);
    secret_wipe(&small);
    secret_wipe(&large);
    assert_int_equal(CRYPTO_secure_used(), used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_is_none),
        cmocka_unit_test(test_set_replaces),
        cmocka_unit_test(test_set_from_itself),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_lives_in_the_secure_heap),
    };
    return cmocka_run_group_tests_name("base/secret", tests, NULL, NULL);
}
