#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "auth/credential.h"
#include "auth/wiping_memory.h"

static void users(void **state)
{
    (void)state;
    static const struct slice good[] = {
        SLICE_LITERAL("a"),
        SLICE_LITERAL("alice@example.com"),
        SLICE_LITERAL(" a b "),
        SLICE_LITERAL("=,\\\"%s"),
        SLICE_LITERAL("\xc2\x80"),
        SLICE_LITERAL("\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
        SLICE_LITERAL("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
    };
    static const struct slice bad[] = {
        SLICE_LITERAL(""),
        SLICE_LITERAL("a\0"),
        SLICE_LITERAL("a\x1f"),
        SLICE_LITERAL("\x7f"),
        SLICE_LITERAL("\x80"),
        SLICE_LITERAL("\xbf"),
        SLICE_LITERAL("\xc1\xbf"),
        SLICE_LITERAL("\xc3"),
        SLICE_LITERAL("\xc3("),
        SLICE_LITERAL("\xe0\x9f\xbf"),
        SLICE_LITERAL("\xe2\x82"),
        SLICE_LITERAL("\xe2\x82("),
        SLICE_LITERAL("\xed\xa0\x80"),
        SLICE_LITERAL("\xf0\x8f\xbf\xbf"),
        SLICE_LITERAL("\xf4\x90\x80\x80"),
        SLICE_LITERAL("\xf5\x80\x80\x80"),
        SLICE_LITERAL("\xf0\x90\x80"),
        SLICE_LITERAL("\xff"),
    };
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        assert_true(credential_user_is_valid(good[i]));
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_false(credential_user_is_valid(bad[i]));
    char name[CREDENTIAL_USER_MAX + 1];
    memset(name, 'n', sizeof(name));
    assert_true(credential_user_is_valid(slice_of(name, CREDENTIAL_USER_MAX)));
    assert_false(credential_user_is_valid(slice_of(name, CREDENTIAL_USER_MAX + 1)));
}

/* Every octet, alone and at the end, against the grammar of RFC 6750 section 2.1. */
static void passwords(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        const uint8_t octets[] = {'a', (uint8_t)i, 'b'};
        bool is_allowed = i != 0 && i != '\r' && i != '\n';
        assert_int_equal(credential_password_is_valid(slice_of(octets, sizeof(octets))),
                         is_allowed);
    }
    assert_false(credential_password_is_valid(SLICE_NONE));
    assert_true(credential_password_is_valid(SLICE_LITERAL(" ")));
    static char password[CREDENTIAL_PASSWORD_MAX + 1];
    memset(password, 'p', sizeof(password));
    assert_true(credential_password_is_valid(slice_of(password, CREDENTIAL_PASSWORD_MAX)));
    assert_false(credential_password_is_valid(slice_of(password, CREDENTIAL_PASSWORD_MAX + 1)));
}

static void tokens(void **state)
{
    (void)state;
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~+/";
    for (int i = 0; i < 256; i++) {
        uint8_t pair[] = {'t', (uint8_t)i};
        bool is_character = i != 0 && strchr(characters, i) != NULL;
        assert_int_equal(credential_token_is_valid(slice_of(pair + 1, 1)), is_character);
        assert_int_equal(credential_token_is_valid(slice_of(pair, 2)), is_character || i == '=');
    }
    assert_true(credential_token_is_valid(SLICE_LITERAL("t====")));
    assert_false(credential_token_is_valid(SLICE_LITERAL("t=t")));
    assert_false(credential_token_is_valid(SLICE_NONE));
    static char token[CREDENTIAL_TOKEN_MAX + 1];
    memset(token, 't', sizeof(token));
    assert_true(credential_token_is_valid(slice_of(token, CREDENTIAL_TOKEN_MAX)));
    assert_false(credential_token_is_valid(slice_of(token, CREDENTIAL_TOKEN_MAX + 1)));
}

static void printable(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(credential_is_printable(slice_of(&byte, 1)), i >= 0x20 && i <= 0x7e);
    }
    assert_true(credential_is_printable(SLICE_NONE));
}

static void memory_moves_with_what_it_holds(void **state)
{
    (void)state;
    char *text = wiping_malloc(8);
    memcpy(text, "1234567", 8);
    char *longer = wiping_realloc(text, 4096);
    assert_string_equal(longer, "1234567");
    memset(longer, 'x', 4096);
    char *shorter = wiping_realloc(longer, 3);
    assert_memory_equal(shorter, "xxx", 3);
    wiping_free(shorter);
    wiping_free(NULL);
    char *fresh = wiping_realloc(NULL, 5);
    memcpy(fresh, "1234", 5);
    wiping_free(fresh);
    char *zeros = wiping_calloc(4, 4);
    for (int i = 0; i < 16; i++)
        assert_int_equal(zeros[i], 0);
    wiping_free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users),
        cmocka_unit_test(tokens),
        cmocka_unit_test(passwords),
        cmocka_unit_test(printable),
        cmocka_unit_test(memory_moves_with_what_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
