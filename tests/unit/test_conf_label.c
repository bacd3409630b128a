/*
 * Labels of sections: which can be written, and which are made of addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/label.h"

static bool is_taken(const void *owner, const char *label)
{
    for (const char *const *taken = owner; *taken != NULL; taken++)
        if (strcmp(*taken, label) == 0)
            return true;
    return false;
}

static void made_of_addresses(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const some[] = {"alice", "alice-2", "account", NULL};
    static const struct {
        const char *text;
        const char *const *taken;
        const char *label;
    } cases[] = {
        {"alice@mail.test", nothing, "alice"},
        {"Alice.B+x@mail.test", nothing, "alice.b-x"},
        {"mail.test", nothing, "mail.test"},
        {"\xc3\xa4@mail.test", nothing, "--"},
        {"", nothing, "account"},
        {"@", some, "account-2"},
        {"ALICE@mail.test", some, "alice-3"},
        {"an-address-that-is-longer-than-a-label@mail.test", nothing, "an-address-that-is-longer-"},
    };
    char label[SECTION_LABEL_MAXIMUM + 1];
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        label_make(cases[i].text, is_taken, cases[i].taken, label);
        assert_string_equal(label, cases[i].label);
        assert_true(label_is_valid(label));
    }
}

static void what_a_label_is(void **state)
{
    (void)state;
    assert_true(label_is_valid("a"));
    assert_true(label_is_valid("abcdefghijklmnopqrstuvwxyz01.-_9"));
    assert_false(label_is_valid("abcdefghijklmnopqrstuvwxyz01.-_9x"));
    assert_false(label_is_valid(""));
    assert_false(label_is_valid("A"));
    assert_false(label_is_valid("a b"));
    assert_false(label_is_valid("a]"));
    assert_false(label_is_valid("\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_of_addresses),
        cmocka_unit_test(what_a_label_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
