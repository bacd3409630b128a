/*
 * Tokens that were made by the Python package "cryptography": they open, and nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/fernet.h"
#include "base/err.h"

#define PASSWORD "pa\\ss"
#define SALT     "AAECAwQFBgcICQoLDA0ODw=="
#define NEW_TOKEN                                                                                  \
    "gAAAAABlU_EAEBESExQVFhcYGRobHB0eH2vXDBFxIWo9agam62U59SjrC616LQTpbSf7oYM5plc5f38fzWpD2fN7TI3"  \
    "Gv1L0uYvn2drWS77SQf0YjHQAQmI="
#define OLD_TOKEN                                                                                  \
    "gAAAAABlU_EAEBESExQVFhcYGRobHB0eHzejVXNlNsJ7Viow07Mk6G-IsJwIyrCscypGViaCT4QzVpeXX1NjrJw_fH0_" \
    "jSOF-w=="

static void make_key(unsigned iterations, const char *expected, struct secret *key_out)
{
    uint8_t salt[16];
    char text[2 * FERNET_KEY_SIZE + 1];

    for (uint8_t i = 0; i < sizeof(salt); i++)
        salt[i] = i;
    assert_int_equal(
        fernet_key(SLICE_LITERAL(PASSWORD), slice_of(salt, sizeof(salt)), iterations, key_out), 0);
    for (size_t i = 0; i < FERNET_KEY_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", secret_bytes(key_out).data[i]);
    assert_string_equal(text, expected);
}

static void expect_content(const struct secret *content, const char *expected)
{
    assert_true(slice_is(secret_bytes(content), expected));
}

static void test_vectors(void **state)
{
    struct secret key = {0}, content = {0};

    (void)state;
    make_key(1200000, "7aee38a72e4067d7c8933f8db1c47c40e89d3a8b3d98ea8c57f7686155ad4fef", &key);
    assert_int_equal(fernet_open(&key, SLICE_LITERAL(NEW_TOKEN), &content), 0);
    expect_content(&content, "ya29.TEST-ACCESS-TOKEN");
    assert_int_equal(fernet_open(&key, SLICE_LITERAL(OLD_TOKEN), &content), ERR_DENIED);
    make_key(100000, "1e6e51b57a044d85caa0df71a5ae5f0ef89e01ec3b16f58bb17230ffac4c45c0", &key);
    assert_int_equal(fernet_open(&key, SLICE_LITERAL(OLD_TOKEN), &content), 0);
    expect_content(&content, "legacy-refresh");
    secret_wipe(&content);
    secret_wipe(&key);
}

/* Any letter of the token: it is denied or no token, and nothing comes out. The last one is left
 * out, which has bits that stand for nothing. */
static void test_changed_tokens(void **state)
{
    struct secret key = {0}, content = {0};
    char token[] = OLD_TOKEN;

    (void)state;
    make_key(100000, "1e6e51b57a044d85caa0df71a5ae5f0ef89e01ec3b16f58bb17230ffac4c45c0", &key);
    for (size_t i = 0; token[i + 1] != '='; i++) {
        char letter = token[i];
        for (const char *other = "Bz8-_!"; *other != '\0'; other++) {
            if (*other == letter)
                continue;
            token[i] = *other;
            int status = fernet_open(&key, slice_of_string(token), &content);
            assert_true(status == ERR_DENIED || status == ERR_SYNTAX);
            assert_false(secret_is_set(&content));
        }
        token[i] = letter;
    }
    assert_int_equal(fernet_open(&key, slice_of_string(token), &content), 0);
    secret_wipe(&content);
    secret_wipe(&key);
}

static void test_no_tokens(void **state)
{
    struct secret key = {0}, content = {0};
    struct slice token = SLICE_LITERAL(OLD_TOKEN);

    (void)state;
    make_key(100000, "1e6e51b57a044d85caa0df71a5ae5f0ef89e01ec3b16f58bb17230ffac4c45c0", &key);
    for (size_t size = 0; size < token.size - 2; size++)
        assert_int_not_equal(fernet_open(&key, slice_take(token, size), &content), 0);
    assert_int_equal(fernet_open(&key, SLICE_LITERAL("===="), &content), ERR_SYNTAX);
    assert_int_equal(fernet_open(&key, SLICE_LITERAL("plain text"), &content), ERR_SYNTAX);
    assert_false(secret_is_set(&content));
    secret_wipe(&key);
}

static int by_password(const char *password, unsigned iterations, const char *token,
                       struct secret *content_out)
{
    return fernet_open_by_password(slice_of_string(password), SLICE_LITERAL(SALT), iterations,
                                   slice_of_string(token), content_out);
}

/* Whatever count stands in the file: it is renewed later than the values are. */
static void test_by_password(void **state)
{
    static const unsigned counts[] = {0, 100000, 1200000, 3};
    struct secret content = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(counts); i++) {
        assert_int_equal(by_password(PASSWORD, counts[i], OLD_TOKEN, &content), 0);
        expect_content(&content, "legacy-refresh");
    }
    assert_int_equal(by_password(PASSWORD, 3, NEW_TOKEN, &content), 0);
    expect_content(&content, "ya29.TEST-ACCESS-TOKEN");
    secret_wipe(&content);
    assert_int_equal(by_password("pa/ss", 0, OLD_TOKEN, &content), ERR_DENIED);
    assert_int_equal(by_password(PASSWORD, 4000000000u, OLD_TOKEN, &content), ERR_SYNTAX);
    assert_false(secret_is_set(&content));
}

/* A token that was made at a LOGIN of IMAP with "pa\\ss" in quotes: the password was taken as it
 * stood there. */
static void test_password_that_was_not_unescaped(void **state)
{
    static const char token[] =
        "gAAAAABlU_EAEBESExQVFhcYGRobHB0eH4m18fgSi61pH2iLdRPzG3tXJn78eMN25o9qs3nAeI-_lMeW_"
        "n7YFxE8YDGc0EK1dg==";
    struct secret content = {0};

    (void)state;
    assert_int_equal(by_password(PASSWORD, 0, token, &content), 0);
    expect_content(&content, "escaped");
    secret_wipe(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_changed_tokens),
        cmocka_unit_test(test_no_tokens),
        cmocka_unit_test(test_by_password),
        cmocka_unit_test(test_password_that_was_not_unescaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
