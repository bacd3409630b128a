/*
 * The check of a password is the same work whatever was typed, so that its time tells nothing: each
 * grant's hash is compared, to its last octet, by the library's compare of constant time.
 */
#include "grant_world.h"

#include "../lib/counted_compare.h"
#include "keeper/grant_verifier.h"

static void assert_same_work(struct place *place, const char *account, const char *password,
                             enum grant_verdict verdict)
{
    int64_t number;
    compared.calls = compared.octets = 0;
    assert_int_equal(
        grant_check_password(place->check, account, slice_of_string(password), &number), verdict);
    assert_int_equal(compared.calls, 3);
    assert_int_equal(compared.octets, 3 * GRANT_HASH_SIZE);
}

static void every_password_is_compared_with_every_grant(void **state)
{
    struct place *place = *state;
    add(place, "work", "first", VAULT_GRANT_GENERATED, "first-password");
    add(place, "work", "last", VAULT_GRANT_GENERATED, "last-password");
    add(place, "home", "other", VAULT_GRANT_GENERATED, "other-password");
    assert_int_equal(load(place), 0);
    assert_same_work(place, "work", "first-password", GRANT_MATCH);
    assert_same_work(place, "work", "last-password", GRANT_MATCH);
    assert_same_work(place, "home", "other-password", GRANT_MATCH);
    assert_same_work(place, "work", "first-passwore", GRANT_MISMATCH);
    assert_same_work(place, "work", "x", GRANT_MISMATCH);
    assert_same_work(place, "work", "other-password", GRANT_MISMATCH);
    assert_same_work(place, "empty", "first-password", GRANT_MISMATCH);
    assert_same_work(place, NULL, "first-password", GRANT_MISMATCH);
}

static void on_done(void *owner, enum grant_verdict verdict, int64_t grant)
{
    enum grant_verdict *verdict_out = owner;
    (void)grant;
    *verdict_out = verdict;
}

/* One compare for each chosen grant that any account has. */
static void assert_derives(struct place *place, const char *account, const char *password,
                           enum grant_verdict verdict)
{
    struct secret secret = {0};
    enum grant_verdict told = GRANT_LATER;
    secret_set(&secret, slice_of_string(password));
    compared.calls = compared.octets = 0;
    assert_non_null(grant_check_derive_start(place->check, account, &secret, on_done, &told));
    loop_run(&place->loop);
    assert_int_equal(told, verdict);
    assert_int_equal(compared.calls, 2);
    assert_int_equal(compared.octets, 2 * GRANT_HASH_SIZE);
}

static void a_chosen_password_is_compared_with_as_many(void **state)
{
    struct place *place = *state;
    add(place, "work", "desk", VAULT_GRANT_CHOSEN, "correct horse");
    add(place, "work", "lap", VAULT_GRANT_CHOSEN, "battery staple");
    add(place, "home", "phone", VAULT_GRANT_GENERATED, "phone-password");
    assert_int_equal(load(place), 0);
    assert_same_work(place, "work", "correct horse", GRANT_LATER);
    assert_derives(place, "work", "correct horse", GRANT_MATCH);
    assert_derives(place, "work", "battery stable", GRANT_MISMATCH);
    assert_derives(place, "home", "correct horse", GRANT_MISMATCH);
    assert_derives(place, NULL, "correct horse", GRANT_MISMATCH);
    /* one of the two is remembered */
    assert_same_work(place, "work", "correct horse", GRANT_MATCH);
    assert_same_work(place, "work", "correct house", GRANT_LATER);
    assert_same_work(place, "home", "correct horse", GRANT_LATER);
}

int main(void)
{
    alarm(60);
    const struct CMUnitTest tests[] = {
        PLACE_TEST(every_password_is_compared_with_every_grant),
        PLACE_TEST(a_chosen_password_is_compared_with_as_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
