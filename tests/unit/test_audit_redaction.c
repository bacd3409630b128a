#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/redaction.h"
#include "audit_world.h"

/* Of all lines here. */
static struct line_form form;

static bool holds(const struct line *line, const char *text)
{
    return memmem(line->text, line->size, text, strlen(text)) != NULL;
}

static void write_at(enum audit_level level, const struct secret *key, const struct record *record,
                     struct line *line)
{
    struct line_place place = world_place();
    place.level = level;
    place.pseudonym_key = key;
    assert_int_equal(line_write(&form, &place, 1, 0, record, line), 0);
}

static bool may_show(enum record_kind kind, enum audit_level level, bool logs_in)
{
    if (kind == RECORD_ARGUMENTS)
        return level == AUDIT_FULL && !logs_in;
    return level >= AUDIT_STANDARD || kind == RECORD_TEXT;
}

/* A canary through one field; the case of a canary may not hide it. */
static void check_field(enum record_action action, enum record_field field, enum audit_level level,
                        const struct secret *key, const char *verb)
{
    enum record_kind kind = record_field_kind(field);
    struct record record;
    struct line line;
    if (kind == RECORD_NUMBER || kind == RECORD_FLAG || field == FIELD_VERB)
        return;
    record_init(&record, action, WHY_NONE, WORLD_TIME);
    record_add_string(&record, FIELD_VERB, verb);
    record_add_string(&record, field, "CANARY-1");
    record_add_string(&record, field, "canary-2@example.org");
    record_add_string(&record, field, "a\xff\"canary-3");
    write_at(level, key, &record, &line);
    bool is_shown = may_show(kind, level, strcasecmp(verb, "NOOP") != 0);
    for (const char *const *canary =
             (const char *const[]){"CANARY-1", "canary-2", "canary-3", NULL};
         *canary != NULL; canary++)
        if (holds(&line, *canary) != is_shown)
            fail_msg("%s at %s behind %s: %.*s", record_field_path(field), audit_level_name(level),
                     verb, (int)line.size, line.text);
    assert_false(holds(&line, "canary-1"));
    if (kind == RECORD_ADDRESS)
        assert_true(holds(&line, "example.org\"") || key == NULL);
}

static void test_canaries_through_every_field_at_every_level(void **state)
{
    static const char *const verbs[] = {"NOOP", "LOGIN", "login", "Authenticate",
                                        "AUTH", "PASS",  "apop",  "USER"};
    struct secret key = world_secret(0);
    (void)state;
    for (size_t verb = 0; verb < LENGTH_OF(verbs); verb++)
        for (int level = AUDIT_MINIMAL; level <= AUDIT_FULL; level++)
            for (size_t action = 0; action < RECORD_ACTION_COUNT; action++)
                for (size_t field = 0; field < RECORD_FIELD_COUNT; field++) {
                    check_field((enum record_action)action, (enum record_field)field,
                                (enum audit_level)level, verb % 2 == 0 ? &key : NULL, verbs[verb]);
                }
    secret_wipe(&key);
}

static const char *pseudonym(const struct secret *key, enum record_field field, const char *text,
                             char out[REDACTION_TEXT_MAX + 1])
{
    char memory[REDACTION_TEXT_MAX];
    struct slice shown;
    struct record_value value = {.field = field, .text = slice_of_string(text)};
    assert_int_equal(redaction_apply(AUDIT_MINIMAL, key, SLICE_NONE, &value, memory, &shown), 0);
    memcpy(out, shown.data, shown.size);
    out[shown.size] = '\0';
    return out;
}

/* The same address is the same pseudonym within an account, whatever its case, and no other's. */
static void test_pseudonyms(void **state)
{
    struct secret key = world_secret(0), other = world_secret(8), none = {0};
    char one[REDACTION_TEXT_MAX + 1], two[REDACTION_TEXT_MAX + 1];
    (void)state;
    pseudonym(&key, FIELD_RECIPIENT, "alice@example.org", one);
    assert_int_equal(strspn(one + 2, "0123456789abcdef"), 24);
    assert_string_equal(one + 26, "@example.org");
    assert_string_equal(pseudonym(&key, FIELD_MAIL_FROM, "Alice@Example.ORG", two), one);
    assert_string_not_equal(pseudonym(&key, FIELD_RECIPIENT, "bob@example.org", two), one);
    assert_string_not_equal(pseudonym(&other, FIELD_RECIPIENT, "alice@example.org", two), one);
    pseudonym(&key, FIELD_MAILBOX, "INBOX", one);
    assert_int_equal(strlen(one), 26);
    assert_string_not_equal(pseudonym(&key, FIELD_MAILBOX, "inbox", two), one);
    assert_string_not_equal(pseudonym(&key, FIELD_LOGIN, "INBOX", two), one);
    assert_string_equal(pseudonym(&none, FIELD_MAILBOX, "INBOX", one), "<redacted 5 octets>");
    assert_string_equal(pseudonym(NULL, FIELD_LOGIN, "a@b", one), "<redacted 3 octets>");
    secret_wipe(&key);
    secret_wipe(&other);
}

/* What is too long to be a domain is none, and a long address fits. */
static void test_long_addresses(void **state)
{
    struct secret key = world_secret(0);
    char address[RECORD_TEXT_MAX + 100], one[REDACTION_TEXT_MAX + 1];
    (void)state;
    memset(address, 'a', sizeof(address) - 1);
    address[sizeof(address) - 1] = '\0';
    assert_int_equal(strlen(pseudonym(&key, FIELD_LOGIN, address, one)), 26);
    address[10] = '@';
    assert_int_equal(strlen(pseudonym(&key, FIELD_LOGIN, address, one)), 26);
    address[RECORD_TEXT_MAX - 256] = '@';
    assert_int_equal(strlen(pseudonym(&key, FIELD_LOGIN, address, one)), 27 + 255);
    address[RECORD_TEXT_MAX - 1] = '@';
    assert_int_equal(strlen(pseudonym(&key, FIELD_LOGIN, address, one)), 26);
    secret_wipe(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canaries_through_every_field_at_every_level),
        cmocka_unit_test(test_pseudonyms),
        cmocka_unit_test(test_long_addresses),
    };
    return cmocka_run_group_tests_name("audit/redaction", tests, NULL, NULL);
}
