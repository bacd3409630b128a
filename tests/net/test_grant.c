/*
 * Grants in the vault, and the check of local passwords against them.
 */
#include "grant_world.h"

/* Who waits for a derivation. */
struct client {
    struct grant_derivation *derivation;
    int answers;
    enum grant_verdict verdict;
    int64_t grant;
};

/* ---- in the vault ---- */

static void a_grant_is_listed_as_it_was_added(void **state)
{
    struct place *place = *state;
    struct vault_grant grant = plain_grant("work", "Outlook 2010", VAULT_GRANT_CHOSEN);
    grant.protocols = (char *)(uintptr_t) "imap,smtp";
    grant.from = (char *)(uintptr_t) "a@x.test";
    grant.read_only = true;
    int64_t first, second = add(place, "home", "phone", VAULT_GRANT_GENERATED, "p");
    assert_int_equal(add_as(place, &grant, "secret-password", &first), 0);
    vault_grant_used(place->vault, first, 5000);
    vault_close(place->vault);
    open_vault(place);
    struct vault_grant *grants;
    size_t count;
    assert_int_equal(vault_grant_list(place->vault, "work", &grants, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(grants[0].number, first);
    assert_string_equal(grants[0].account, "work");
    assert_string_equal(grants[0].name, "Outlook 2010");
    assert_string_equal(grants[0].protocols, "imap,smtp");
    assert_string_equal(grants[0].from, "a@x.test");
    assert_true(grants[0].read_only);
    assert_int_equal(grants[0].kind, VAULT_GRANT_CHOSEN);
    assert_int_equal(grants[0].created, 1000);
    assert_int_equal(grants[0].last_used, 5000);
    vault_grants_free(grants, count);
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(grants[0].number, second);
    assert_int_equal(grants[0].kind, VAULT_GRANT_GENERATED);
    assert_int_equal(grants[0].last_used, 0);
    vault_grants_free(grants, count);
    /* the check of the set-up holds on to the vault that was closed */
    grant_check_close(place->check, on_closed, place);
    loop_run(&place->loop);
    place->closings = 0;
    assert_int_equal(grant_check_open(&place->loop, place->vault, &place->check, NULL), 0);
}

static void a_use_shows_at_once_and_is_written_by_flush(void **state)
{
    struct place *place = *state;
    int64_t number = add(place, "work", "phone", VAULT_GRANT_GENERATED, "p");
    vault_grant_used(place->vault, number, 2000);
    vault_grant_used(place->vault, number, 2001);
    vault_grant_used(place->vault, 999, 2002);
    struct vault_grant *grants;
    size_t count;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_int_equal(grants[0].last_used, 2001);
        vault_grants_free(grants, count);
        assert_int_equal(vault_flush(place->vault, NULL), 0);
    }
}

static void names_are_unique_and_numbers_are_never_used_again(void **state)
{
    struct place *place = *state;
    int64_t first = add(place, "work", "phone", VAULT_GRANT_GENERATED, "p");
    struct vault_grant grant = plain_grant("work", "phone", VAULT_GRANT_GENERATED);
    int64_t number;
    assert_int_equal(add_as(place, &grant, "other", &number), ERR_EXISTS);
    assert_int_equal(number, 0);
    assert_true(add(place, "home", "phone", VAULT_GRANT_GENERATED, "p") > first);
    int64_t last = add(place, "work", "Phone", VAULT_GRANT_GENERATED, "p");
    struct err err = {0};
    assert_int_equal(vault_grant_remove(place->vault, "work", "Phone", &number, &err), 0);
    assert_int_equal(number, last);
    assert_int_equal(vault_grant_remove(place->vault, "work", "Phone", &number, &err),
                     ERR_NOT_FOUND);
    assert_int_equal(number, 0);
    assert_true(add(place, "work", "Phone", VAULT_GRANT_GENERATED, "p") > last);
}

static void what_cannot_be_a_grant_is_refused(void **state)
{
    struct place *place = *state;
    int64_t number;
    char long_text[300], long_password[1026];
    memset(long_text, 'n', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    memset(long_password, 'p', sizeof(long_password));
    long_password[sizeof(long_password) - 1] = '\0';
    const char *const names[] = {"", "two\nlines", "\x7f", long_text};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct vault_grant grant = plain_grant("work", names[i], VAULT_GRANT_GENERATED);
        assert_int_equal(add_as(place, &grant, "p", &number), ERR_SYNTAX);
    }
    struct vault_grant grant = plain_grant("work", "phone", VAULT_GRANT_CHOSEN);
    assert_int_equal(add_as(place, &grant, "", &number), ERR_SYNTAX);
    assert_int_equal(add_as(place, &grant, long_password, &number), ERR_SYNTAX);
    struct vault_grant *grants;
    size_t count;
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, NULL), 0);
    assert_int_equal(count, 0);
    vault_grants_free(grants, count);
}

static int verifier_status(struct place *place)
{
    struct vault_grant *grants;
    size_t count;
    struct secret verifier = {0};
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, NULL), 0);
    assert_int_equal(count, 1);
    int status = vault_grant_verifier(place->vault, &grants[0], &verifier, NULL);
    vault_grants_free(grants, count);
    secret_wipe(&verifier);
    return status;
}

static void a_grant_that_was_widened_opens_nothing(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *change, *undo;
    } changes[] = {
        {"UPDATE grants SET read_only = 0", "UPDATE grants SET read_only = 1"},
        {"UPDATE grants SET protocols = ''", "UPDATE grants SET protocols = 'imap'"},
        {"UPDATE grants SET sender = ''", "UPDATE grants SET sender = 'a@x.test'"},
        {"UPDATE grants SET account = 'home'", "UPDATE grants SET account = 'work'"},
        {"UPDATE grants SET name = 'other'", "UPDATE grants SET name = 'phone'"},
        {"UPDATE grants SET number = 7", "UPDATE grants SET number = 1"},
        {"UPDATE grants SET kind = 'chosen'", "UPDATE grants SET kind = 'generated'"},
    };
    struct vault_grant grant = plain_grant("work", "phone", VAULT_GRANT_GENERATED);
    grant.read_only = true;
    grant.protocols = (char *)(uintptr_t) "imap";
    grant.from = (char *)(uintptr_t) "a@x.test";
    int64_t number;
    assert_int_equal(add_as(place, &grant, "p", &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(verifier_status(place), 0);
    for (size_t i = 0; i < LENGTH_OF(changes); i++) {
        tamper(place, changes[i].change);
        assert_int_equal(verifier_status(place), ERR_CORRUPT);
        tamper(place, changes[i].undo);
        assert_int_equal(verifier_status(place), 0);
    }
}

static void a_verifier_of_another_row_opens_nothing(void **state)
{
    struct place *place = *state;
    add(place, "work", "phone", VAULT_GRANT_GENERATED, "p");
    add(place, "home", "phone", VAULT_GRANT_GENERATED, "q");
    tamper(place, "UPDATE grants SET verifier = (SELECT verifier FROM grants AS other"
                  " WHERE other.account = 'home') WHERE account = 'work'");
    assert_int_equal(load(place), ERR_CORRUPT);
    int64_t number;
    assert_int_equal(grant_check_password(place->check, "work", SLICE_LITERAL("p"), &number),
                     GRANT_MISMATCH);
    assert_int_equal(grant_check_password(place->check, "work", SLICE_LITERAL("q"), &number),
                     GRANT_MISMATCH);
    assert_int_equal(grant_check_password(place->check, "home", SLICE_LITERAL("q"), &number),
                     GRANT_MATCH);
}

/* ---- checking ---- */

static void assert_check(struct place *place, const char *account, const char *password,
                         enum grant_verdict verdict, int64_t grant)
{
    int64_t number = -1;
    assert_int_equal(
        grant_check_password(place->check, account, slice_of_string(password), &number), verdict);
    assert_int_equal(number, grant);
}

static void a_generated_password_opens_its_own_account_only(void **state)
{
    struct place *place = *state;
    assert_check(place, "work", "p", GRANT_MISMATCH, 0);
    int64_t phone = add(place, "work", "phone", VAULT_GRANT_GENERATED, "phone-password");
    int64_t tablet = add(place, "work", "tablet", VAULT_GRANT_GENERATED, "tablet-password");
    int64_t home = add(place, "home", "phone", VAULT_GRANT_GENERATED, "home-password");
    add(place, "unconfigured", "phone", VAULT_GRANT_GENERATED, "lost-password");
    assert_check(place, "work", "phone-password", GRANT_MISMATCH, 0);
    assert_int_equal(load(place), 0);
    assert_check(place, "work", "phone-password", GRANT_MATCH, phone);
    assert_check(place, "work", "tablet-password", GRANT_MATCH, tablet);
    assert_check(place, "home", "home-password", GRANT_MATCH, home);
    assert_check(place, "home", "phone-password", GRANT_MISMATCH, 0);
    assert_check(place, "empty", "phone-password", GRANT_MISMATCH, 0);
    assert_check(place, NULL, "phone-password", GRANT_MISMATCH, 0);
    assert_check(place, "unconfigured", "lost-password", GRANT_MISMATCH, 0);
    assert_check(place, "work", "phone-passwor", GRANT_MISMATCH, 0);
    assert_check(place, "work", "Phone-password", GRANT_MISMATCH, 0);
    assert_check(place, "work", "", GRANT_MISMATCH, 0);
    assert_string_equal(grant_check_grant(place->check, tablet)->name, "tablet");
    assert_int_equal(vault_grant_remove(place->vault, "work", "phone", &phone, NULL), 0);
    assert_int_equal(load(place), 0);
    assert_check(place, "work", "phone-password", GRANT_MISMATCH, 0);
    assert_check(place, "work", "tablet-password", GRANT_MATCH, tablet);
    assert_null(grant_check_grant(place->check, phone));
}

static void on_done(void *owner, enum grant_verdict verdict, int64_t grant)
{
    struct client *client = owner;
    client->answers++;
    client->verdict = verdict;
    client->grant = grant;
    client->derivation = NULL;
}

static void start(struct place *place, struct client *client, const char *account,
                  const char *password)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of_string(password));
    client->derivation = grant_check_derive_start(place->check, account, &secret, on_done, client);
    assert_false(secret_is_set(&secret));
    assert_int_equal(client->answers, 0);
}

static void assert_derives(struct place *place, const char *account, const char *password,
                           enum grant_verdict verdict, int64_t grant)
{
    struct client client = {0};
    start(place, &client, account, password);
    assert_non_null(client.derivation);
    loop_run(&place->loop);
    assert_int_equal(client.answers, 1);
    assert_int_equal(client.verdict, verdict);
    assert_int_equal(client.grant, grant);
}

static void a_chosen_password_is_derived_once(void **state)
{
    struct place *place = *state;
    int64_t desk = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    int64_t lap = add(place, "work", "lap", VAULT_GRANT_CHOSEN, "battery staple");
    assert_int_equal(load(place), 0);
    static const char *const askers[] = {"work", "home", "empty", NULL};
    for (size_t i = 0; i < LENGTH_OF(askers); i++)
        assert_check(place, askers[i], "correct horse", GRANT_LATER, 0);
    assert_derives(place, "home", "correct horse", GRANT_MISMATCH, 0);
    assert_derives(place, NULL, "correct horse", GRANT_MISMATCH, 0);
    assert_derives(place, "work", "correct horse", GRANT_MATCH, desk);
    assert_derives(place, "work", "wrong", GRANT_MISMATCH, 0);
    assert_check(place, "work", "correct horse", GRANT_MATCH, desk);
    assert_check(place, "home", "correct horse", GRANT_LATER, 0);
    assert_check(place, "work", "battery staple", GRANT_LATER, 0);
    assert_derives(place, "work", "battery staple", GRANT_MATCH, lap);
    assert_check(place, "work", "battery staple", GRANT_MATCH, lap);
    assert_check(place, "work", "wrong", GRANT_LATER, 0);
}

static void what_was_remembered_outlives_a_load_but_not_its_grant(void **state)
{
    struct place *place = *state;
    int64_t number, desk = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    assert_derives(place, "work", "correct horse", GRANT_MATCH, desk);
    add(place, "work", "phone", VAULT_GRANT_GENERATED, "p");
    assert_int_equal(load(place), 0);
    assert_check(place, "work", "correct horse", GRANT_MATCH, desk);
    assert_int_equal(vault_grant_remove(place->vault, "work", "desk", &number, NULL), 0);
    assert_int_equal(load(place), 0);
    assert_check(place, "work", "correct horse", GRANT_MISMATCH, 0);
    int64_t again = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    assert_check(place, "work", "correct horse", GRANT_LATER, 0);
    assert_derives(place, "work", "correct horse", GRANT_MATCH, again);
}

static void a_grant_that_is_taken_out_of_memory_opens_nothing(void **state)
{
    struct place *place = *state;
    int64_t desk = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    int64_t phone = add(place, "work", "phone", VAULT_GRANT_GENERATED, "p");
    int64_t laptop = add(place, "work", "laptop", VAULT_GRANT_GENERATED, "l");
    assert_int_equal(load(place), 0);
    assert_derives(place, "work", "correct horse", GRANT_MATCH, desk);
    grant_check_remove(place->check, phone);
    grant_check_remove(place->check, phone);
    assert_null(grant_check_grant(place->check, phone));
    assert_check(place, "work", "p", GRANT_LATER, 0);
    assert_check(place, "work", "l", GRANT_MATCH, laptop);
    assert_check(place, "work", "correct horse", GRANT_MATCH, desk);
    grant_check_remove(place->check, desk);
    assert_check(place, "work", "correct horse", GRANT_MISMATCH, 0);
    assert_check(place, "work", "l", GRANT_MATCH, laptop);
}

static void a_grant_removed_while_it_is_derived_does_not_match(void **state)
{
    struct place *place = *state;
    struct client client = {0};
    int64_t number;
    add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    start(place, &client, "work", "correct horse");
    assert_int_equal(vault_grant_remove(place->vault, "work", "desk", &number, NULL), 0);
    assert_int_equal(load(place), 0);
    loop_run(&place->loop);
    assert_int_equal(client.answers, 1);
    assert_int_equal(client.verdict, GRANT_MISMATCH);
    assert_int_equal(client.grant, 0);
}

static void too_many_passwords_at_once_are_busy(void **state)
{
    struct place *place = *state;
    int64_t desk = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    struct client guesses[GRANT_DERIVATIONS_MAX] = {0}, more = {0}, same[3] = {0};
    static const char *const passwords[] = {"a", "b", "c", "correct horse"};
    for (size_t i = 0; i < LENGTH_OF(guesses); i++) {
        start(place, &guesses[i], "work", passwords[i]);
        assert_non_null(guesses[i].derivation);
    }
    start(place, &more, "work", "e");
    assert_null(more.derivation);
    start(place, &more, "home", "correct horse");
    assert_null(more.derivation);
    for (size_t i = 0; i < LENGTH_OF(same); i++) {
        start(place, &same[i], "work", "correct horse");
        assert_non_null(same[i].derivation);
    }
    loop_run(&place->loop);
    for (size_t i = 0; i < LENGTH_OF(guesses); i++) {
        assert_int_equal(guesses[i].answers, 1);
        assert_int_equal(guesses[i].grant, i == 3 ? desk : 0);
    }
    for (size_t i = 0; i < LENGTH_OF(same); i++) {
        assert_int_equal(same[i].answers, 1);
        assert_int_equal(same[i].verdict, GRANT_MATCH);
        assert_int_equal(same[i].grant, desk);
    }
    assert_int_equal(more.answers, 0);
}

static void who_cancels_is_not_answered(void **state)
{
    struct place *place = *state;
    int64_t desk = add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    struct client running = {0}, with_it = {0}, waiting = {0}, last = {0};
    start(place, &running, "work", "correct horse");
    start(place, &with_it, "work", "correct horse");
    start(place, &waiting, "work", "b");
    start(place, &last, "work", "c");
    grant_check_derive_cancel(waiting.derivation);
    grant_check_derive_cancel(running.derivation);
    loop_run(&place->loop);
    assert_int_equal(running.answers, 0);
    assert_int_equal(waiting.answers, 0);
    assert_int_equal(with_it.answers, 1);
    assert_int_equal(with_it.grant, desk);
    assert_int_equal(last.answers, 1);
    assert_int_equal(last.verdict, GRANT_MISMATCH);
}

static void on_done_cancels_other(void *owner, enum grant_verdict verdict, int64_t grant)
{
    struct client *client = owner;
    on_done(&client[0], verdict, grant);
    grant_check_derive_cancel(client[1].derivation);
}

static void one_who_is_answered_may_cancel_another(void **state)
{
    struct place *place = *state;
    add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    struct client clients[3] = {0};
    struct secret secret = {0};
    secret_set(&secret, SLICE_LITERAL("correct horse"));
    clients[0].derivation =
        grant_check_derive_start(place->check, "work", &secret, on_done_cancels_other, clients);
    start(place, &clients[1], "work", "correct horse");
    start(place, &clients[2], "work", "correct horse");
    loop_run(&place->loop);
    assert_int_equal(clients[0].answers, 1);
    assert_int_equal(clients[1].answers, 0);
    assert_int_equal(clients[2].answers, 1);
}

static void closing_waits_for_the_thread(void **state)
{
    struct place *place = *state;
    add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    assert_int_equal(load(place), 0);
    struct client running = {0}, waiting = {0};
    start(place, &running, "work", "correct horse");
    start(place, &waiting, "work", "b");
    grant_check_derive_cancel(running.derivation);
    grant_check_derive_cancel(waiting.derivation);
}

static void generated_passwords_are_readable_and_differ(void **state)
{
    struct place *place = *state;
    struct secret one = {0}, other = {0};
    bool seen[128] = {false};
    for (int i = 0; i < 200; i++) {
        assert_int_equal(grant_password_generate(&one, NULL), 0);
        assert_int_equal(one.size, 26);
        assert_int_equal(strspn((const char *)one.bytes, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
        assert_false(secret_equal(&one, secret_bytes(&other)));
        for (size_t k = 0; k < one.size; k++)
            seen[one.bytes[k]] = true;
        secret_move(&other, &one);
    }
    size_t kinds = 0;
    for (size_t i = 0; i < LENGTH_OF(seen); i++)
        kinds += seen[i];
    assert_int_equal(kinds, 32);
    struct vault_grant grant = plain_grant("work", "phone", VAULT_GRANT_GENERATED);
    int64_t number, matched;
    assert_int_equal(vault_grant_add(place->vault, &grant, &other, 1, &number, NULL), 0);
    assert_int_equal(load(place), 0);
    assert_int_equal(grant_check_password(place->check, "work", secret_bytes(&other), &matched),
                     GRANT_MATCH);
    assert_int_equal(matched, number);
    secret_wipe(&other);
}

int main(void)
{
    alarm(120);
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_grant_is_listed_as_it_was_added),
        PLACE_TEST(a_use_shows_at_once_and_is_written_by_flush),
        PLACE_TEST(names_are_unique_and_numbers_are_never_used_again),
        PLACE_TEST(what_cannot_be_a_grant_is_refused),
        PLACE_TEST(a_grant_that_was_widened_opens_nothing),
        PLACE_TEST(a_verifier_of_another_row_opens_nothing),
        PLACE_TEST(a_generated_password_opens_its_own_account_only),
        PLACE_TEST(a_chosen_password_is_derived_once),
        PLACE_TEST(what_was_remembered_outlives_a_load_but_not_its_grant),
        PLACE_TEST(a_grant_that_is_taken_out_of_memory_opens_nothing),
        PLACE_TEST(a_grant_removed_while_it_is_derived_does_not_match),
        PLACE_TEST(too_many_passwords_at_once_are_busy),
        PLACE_TEST(who_cancels_is_not_answered),
        PLACE_TEST(one_who_is_answered_may_cancel_another),
        PLACE_TEST(closing_waits_for_the_thread),
        PLACE_TEST(generated_passwords_are_readable_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
