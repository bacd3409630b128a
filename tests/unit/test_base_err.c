#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_set_and_wrap(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(err_set(&err, ERR_DENIED, "%s is not ours", "vault.db"), ERR_DENIED);
    assert_int_equal(err.code, ERR_DENIED);
    assert_string_equal(err.text, "vault.db is not ours");
    assert_int_equal(err_wrap(&err, "state folder %s", "/x"), ERR_DENIED);
    assert_string_equal(err.text, "state folder /x: vault.db is not ours");
    assert_int_equal(err_set(&err, ERR_FULL, "anew"), ERR_FULL);
    assert_string_equal(err.text, "anew");
}

static void test_set_errno(void **state)
{
    struct err err;
    (void)state;
    errno = ENOENT;
    assert_int_equal(err_set_errno(&err, "open %s", "x"), ERR_SYSTEM);
    assert_int_equal(err.code, ERR_SYSTEM);
    assert_string_equal(err.text, "open x: No such file or directory");
}

static void test_null_gives_the_code(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_CRYPTO, "x"), ERR_CRYPTO);
    assert_int_equal(err_set_errno(NULL, "x"), ERR_SYSTEM);
}

static void test_long_texts_are_cut(void **state)
{
    struct err err;
    char text[2000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, ERR_SYNTAX, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    err_wrap(&err, "head");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "head: xxx", 9);
    err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    errno = EIO;
    err_set_errno(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_code_texts(void **state)
{
    static const int codes[] = {
#define X(name, value, text) name,
        ERR_CODES(X)
#undef X
    };
    (void)state;
    assert_string_equal(err_code_text(0), "ok");
    assert_string_equal(err_code_text(ERR_TIMEOUT), "timed out");
    assert_string_equal(err_code_text(1), "unknown error");
    assert_string_equal(err_code_text(-9999), "unknown error");
    for (size_t i = 0; i < LENGTH_OF(codes); i++) {
        assert_true(codes[i] < 0);
        assert_string_not_equal(err_code_text(codes[i]), "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(err_code_text(codes[i]), err_code_text(codes[j]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wrap),        cmocka_unit_test(test_set_errno),
        cmocka_unit_test(test_null_gives_the_code), cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_code_texts),
    };
    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
