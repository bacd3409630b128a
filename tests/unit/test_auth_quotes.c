/*
 * Secrets in what a server says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "auth/quotes.h"

#define TOKEN "ya29.A0ARrdaM-canary_4711~x/y+z"

static bool quotes(const char *text, const char *secret)
{
    return quotes_secret(slice_of_string(text), slice_of_string(secret));
}

static void as_it_is(void **state)
{
    (void)state;
    assert_true(quotes("invalid token " TOKEN, TOKEN));
    assert_true(quotes("ya29.A0ARrdaM-ca...", TOKEN));
    assert_false(quotes("ya29.A0ARrdaM-c...", TOKEN));
    assert_false(quotes("invalid token", TOKEN));
    assert_false(quotes("", TOKEN));
    assert_false(quotes("anything", ""));
    assert_true(quotes("wrong password: tiger", "tiger"));
}

/* Wherever in the message it stands. */
static void in_base64(void **state)
{
    (void)state;
    for (int before = 0; before < 7; before++) {
        char message[200], text[400];
        int size = snprintf(message, sizeof(message), "%.*sauth=Bearer " TOKEN "\x01\x01", before,
                            "user=alice");
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)message, size);
        assert_true(quotes(text, TOKEN));
        assert_false(quotes(text, "another-token-altogether"));
        size = snprintf(message, sizeof(message), "%.*shunter2xy", before, "0123456");
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)message, size);
        assert_true(quotes(text, "hunter2xy"));
    }
}

static void short_secrets(void **state)
{
    (void)state;
    for (size_t size = 0; size < 20; size++)
        assert_int_equal(quotes_secret(SLICE_LITERAL("x"), slice_take(SLICE_LITERAL(TOKEN), size)),
                         false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_it_is),
        cmocka_unit_test(in_base64),
        cmocka_unit_test(short_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
