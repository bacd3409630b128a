#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/terms.h"

static void test_protocols(void **state)
{
    static const char *const names[] = {
        [PROTOCOL_IMAP] = "imap", [PROTOCOL_POP3] = "pop3", [PROTOCOL_SMTP] = "smtp"};
    enum protocol found;
    (void)state;
    assert_int_equal(LENGTH_OF(names), PROTOCOL_COUNT);
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        assert_string_equal(protocol_name((enum protocol)i), names[i]);
        assert_int_equal(protocol_find(names[i], &found), 0);
        assert_int_equal(found, i);
    }
    assert_int_equal(protocol_find("IMAP", &found), ERR_NOT_FOUND);
    assert_int_equal(protocol_find("", &found), ERR_NOT_FOUND);
    assert_int_equal(protocol_find("imaps", &found), ERR_NOT_FOUND);
}

static void test_tls_modes(void **state)
{
    static const char *const names[] = {
        [TLS_MODE_OFF] = "off", [TLS_MODE_ON] = "on", [TLS_MODE_STARTTLS] = "starttls"};
    enum tls_mode found;
    (void)state;
    assert_int_equal(LENGTH_OF(names), TLS_MODE_COUNT);
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        assert_string_equal(tls_mode_name((enum tls_mode)i), names[i]);
        assert_int_equal(tls_mode_find(names[i], &found), 0);
        assert_int_equal(found, i);
    }
    assert_int_equal(tls_mode_find("On", &found), ERR_NOT_FOUND);
    assert_int_equal(tls_mode_find("o", &found), ERR_NOT_FOUND);
}

static void test_audit_levels(void **state)
{
    static const char *const names[] = {[AUDIT_OFF] = "off",
                                        [AUDIT_MINIMAL] = "minimal",
                                        [AUDIT_STANDARD] = "standard",
                                        [AUDIT_FULL] = "full"};
    enum audit_level found;
    (void)state;
    assert_int_equal(LENGTH_OF(names), AUDIT_LEVEL_COUNT);
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        assert_string_equal(audit_level_name((enum audit_level)i), names[i]);
        assert_int_equal(audit_level_find(names[i], &found), 0);
        assert_int_equal(found, i);
    }
    assert_int_equal(audit_level_find("Full", &found), ERR_NOT_FOUND);
}

/* The names are what scripts read: each is one, and a word. */
static void test_reasons(void **state)
{
    (void)state;
    enum why none;
    assert_int_equal(why_find("nobody", &none), ERR_NOT_FOUND);
    assert_string_equal(why_name(WHY_NONE), "none");
    assert_string_equal(why_name(WHY_CLIENT_GONE), "client-gone");
    assert_string_equal(why_name(WHY_TOKEN_NEEDS_USER), "token-needs-user");
    assert_string_equal(why_name(WHY_INTERNAL), "internal");
    for (int i = 0; i < WHY_COUNT; i++) {
        const char *name = why_name((enum why)i);
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        enum why found;
        assert_int_equal(why_find(name, &found), 0);
        assert_int_equal(found, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_tls_modes),
        cmocka_unit_test(test_audit_levels),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests_name("base/terms", tests, NULL, NULL);
}
