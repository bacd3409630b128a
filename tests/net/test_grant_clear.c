/*
 * Grants whose password is kept itself: in the vault, and in the check.
 */
#include <stdio.h>

#include "grant_world.h"

#define PASSWORD "canary-clear-password"

static int64_t add_clear(struct place *place, bool challenge, bool apop)
{
    struct secret secret = {0};
    int64_t number;
    const struct vault_grant grant = {.account = (char[]){"work"},
                                      .name = (char[]){"old"},
                                      .protocols = (char[]){"imap,pop3"},
                                      .from = (char[]){""},
                                      .kind = VAULT_GRANT_CLEAR,
                                      .classes = {challenge, apop}};
    secret_set(&secret, SLICE_LITERAL(PASSWORD));
    assert_int_equal(vault_grant_add(place->vault, &grant, &secret, 1000, &number, NULL), 0);
    secret_wipe(&secret);
    return number;
}

static int64_t password_of(struct place *place, const char *account, enum protocol protocol,
                           enum vault_grant_class class)
{
    struct secret secret = {0};
    int64_t number = -1;
    int status = grant_check_clear(place->check, account, protocol, class, &secret, &number);
    assert_true(status == 0 || status == ERR_NOT_FOUND);
    assert_int_equal(status == 0, number != 0);
    assert_int_equal(status == 0, secret_is_set(&secret));
    assert_int_equal(status == 0, grant_check_has_clear(place->check, account, protocol, class));
    if (status == 0)
        assert_true(slice_is(secret_bytes(&secret), PASSWORD));
    secret_wipe(&secret);
    return number;
}

static void assert_opens(struct place *place, const char *account, const char *password,
                         int64_t expected)
{
    int64_t number = -1;
    assert_int_equal(
        grant_check_password(place->check, account, slice_of_string(password), &number),
        expected == 0 ? GRANT_MISMATCH : GRANT_MATCH);
    assert_int_equal(number, expected);
}

static void the_password_is_told_for_what_it_serves(void **state)
{
    struct place *place = *state;
    int64_t number = add_clear(place, true, false);
    assert_int_equal(password_of(place, "work", PROTOCOL_IMAP, VAULT_GRANT_CHALLENGE), 0);
    assert_int_equal(load(place), 0);
    assert_int_equal(password_of(place, "work", PROTOCOL_IMAP, VAULT_GRANT_CHALLENGE), number);
    assert_int_equal(password_of(place, "work", PROTOCOL_POP3, VAULT_GRANT_CHALLENGE), number);
    assert_int_equal(password_of(place, "work", PROTOCOL_SMTP, VAULT_GRANT_CHALLENGE), 0);
    assert_int_equal(password_of(place, "work", PROTOCOL_POP3, VAULT_GRANT_APOP), 0);
    assert_int_equal(password_of(place, "home", PROTOCOL_IMAP, VAULT_GRANT_CHALLENGE), 0);
    grant_check_remove(place->check, number);
    assert_int_equal(password_of(place, "work", PROTOCOL_IMAP, VAULT_GRANT_CHALLENGE), 0);
}

static void the_password_may_also_be_sent(void **state)
{
    struct place *place = *state;
    int64_t number = add_clear(place, false, true);
    assert_int_equal(load(place), 0);
    assert_opens(place, "work", PASSWORD, number);
    assert_opens(place, "work", PASSWORD "x", 0);
    assert_opens(place, "work", "", 0);
    assert_opens(place, "home", PASSWORD, 0);
    assert_opens(place, NULL, PASSWORD, 0);
}

static void a_clear_grant_that_was_widened_serves_nothing(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *change, *undo;
    } changes[] = {
        {"UPDATE grants SET apop = 1", "UPDATE grants SET apop = 0"},
        {"UPDATE grants SET challenge = 0", "UPDATE grants SET challenge = 1"},
        {"UPDATE grants SET challenge = 0, apop = 1", "UPDATE grants SET challenge = 1, apop = 0"},
        {"UPDATE grants SET protocols = ''", "UPDATE grants SET protocols = 'imap,pop3'"},
        {"UPDATE grants SET kind = 'generated', challenge = 0",
         "UPDATE grants SET kind = 'clear', challenge = 1"},
        {"UPDATE grants SET account = 'home'", "UPDATE grants SET account = 'work'"},
    };
    int64_t number = add_clear(place, true, false);
    for (size_t i = 0; i < LENGTH_OF(changes); i++) {
        tamper(place, changes[i].change);
        assert_int_equal(load(place), ERR_CORRUPT);
        assert_opens(place, "work", PASSWORD, 0);
        assert_opens(place, "home", PASSWORD, 0);
        for (size_t j = 0; j < VAULT_GRANT_CLASSES; j++)
            assert_int_equal(password_of(place, "work", PROTOCOL_POP3, (enum vault_grant_class)j),
                             0);
        tamper(place, changes[i].undo);
        assert_int_equal(load(place), 0);
        assert_opens(place, "work", PASSWORD, number);
    }
}

/* Neither by what a generated one's row says of itself. */
static void a_generated_grant_does_not_become_a_clear_one(void **state)
{
    struct place *place = *state;
    struct secret secret = {0};
    int64_t number;
    const struct vault_grant grant = {.account = (char[]){"work"},
                                      .name = (char[]){"phone"},
                                      .protocols = (char[]){""},
                                      .from = (char[]){""},
                                      .kind = VAULT_GRANT_GENERATED};
    secret_set(&secret, SLICE_LITERAL("p"));
    assert_int_equal(vault_grant_add(place->vault, &grant, &secret, 1000, &number, NULL), 0);
    secret_wipe(&secret);
    static const char *const changes[] = {
        "UPDATE grants SET kind = 'clear', challenge = 1",
        "UPDATE grants SET kind = 'generated'",
        "UPDATE grants SET kind = 'clear', challenge = 0",
    };
    for (size_t i = 0; i < LENGTH_OF(changes); i++) {
        tamper(place, changes[i]);
        assert_int_equal(load(place), ERR_CORRUPT);
        assert_int_equal(password_of(place, "work", PROTOCOL_IMAP, VAULT_GRANT_CHALLENGE), 0);
        assert_opens(place, "work", "p", 0);
    }
}

static void the_password_does_not_stand_in_the_file(void **state)
{
    struct place *place = *state;
    static char content[1u << 20];
    add_clear(place, true, true);
    FILE *file = fopen(place->file, "rb");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof(content), file);
    assert_true(size > 0 && size < sizeof(content));
    fclose(file);
    assert_null(memmem(content, size, PASSWORD, strlen(PASSWORD)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(the_password_is_told_for_what_it_serves),
        PLACE_TEST(the_password_may_also_be_sent),
        PLACE_TEST(a_clear_grant_that_was_widened_serves_nothing),
        PLACE_TEST(a_generated_grant_does_not_become_a_clear_one),
        PLACE_TEST(the_password_does_not_stand_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
