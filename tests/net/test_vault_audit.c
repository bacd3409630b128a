/*
 * The keys of the audit journal: the same after a start and after a rekey; those of pseudonyms each
 * its own, until they are forgotten.
 */
#include <sqlite3.h>

#include "keeper/vault_audit.h"
#include "vault_world.h"

static void open_again(struct place *place, const char *source)
{
    struct err err = {0};
    close_vault(place);
    assert_int_equal(unlock(place, source, &err), 0);
}

static void get(struct place *place, const char *account, struct secret *key_out)
{
    struct err err = {0};
    assert_int_equal(vault_pseudonym_key(place->vault, account, key_out, &err), 0);
    assert_int_equal(key_out->size, VAULT_AUDIT_KEY_SIZE);
}

static void purposes_have_keys_of_their_own(void **state)
{
    struct place *place = *state;
    struct secret keys[VAULT_AUDIT_PURPOSES] = {{0}}, again = {0};
    struct err err = {0};
    open_again(place, "keyfile");
    for (size_t i = 0; i < VAULT_AUDIT_PURPOSES; i++) {
        assert_int_equal(vault_audit_key(place->vault, (enum vault_audit_purpose)i, &keys[i], &err),
                         0);
        for (size_t k = 0; k < i; k++)
            assert_false(secret_equal(&keys[i], secret_bytes(&keys[k])));
    }
    close_vault(place);
    assert_rekeys(place, "keyfile", "credential:key");
    open_again(place, "credential:key");
    for (size_t i = 0; i < VAULT_AUDIT_PURPOSES; i++) {
        assert_int_equal(vault_audit_key(place->vault, (enum vault_audit_purpose)i, &again, &err),
                         0);
        assert_true(secret_equal(&again, secret_bytes(&keys[i])));
        secret_wipe(&keys[i]);
    }
    secret_wipe(&again);
}

static void pseudonyms_outlive_a_start_and_a_rekey(void **state)
{
    struct place *place = *state;
    struct secret work = {0}, home = {0}, again = {0};
    open_again(place, "keyfile");
    get(place, "work", &work);
    get(place, "home", &home);
    assert_false(secret_equal(&work, secret_bytes(&home)));
    close_vault(place);
    assert_rekeys(place, "keyfile", "credential:key");
    open_again(place, "credential:key");
    get(place, "work", &again);
    assert_true(secret_equal(&again, secret_bytes(&work)));
    secret_wipe(&work);
    secret_wipe(&home);
    secret_wipe(&again);
}

static void what_is_forgotten_does_not_come_back(void **state)
{
    struct place *place = *state;
    struct secret before = {0}, after = {0};
    struct err err = {0};
    open_again(place, "keyfile");
    get(place, "work", &before);
    assert_int_equal(vault_pseudonym_forget(place->vault, "work", &err), 0);
    assert_int_equal(vault_pseudonym_forget(place->vault, "work", &err), ERR_NOT_FOUND);
    get(place, "work", &after);
    assert_false(secret_equal(&after, secret_bytes(&before)));
    secret_wipe(&before);
    secret_wipe(&after);
}

/* Put at another account's place it opens nothing, and no new one is made. */
static void a_moved_key_is_damage(void **state)
{
    struct place *place = *state;
    struct secret key = {0};
    struct err err = {0};
    open_again(place, "keyfile");
    get(place, "work", &key);
    sqlite3 *database;
    assert_int_equal(sqlite3_open_v2(place->file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    assert_int_equal(
        sqlite3_exec(database, "UPDATE pseudonyms SET account = 'home'", NULL, NULL, NULL), 0);
    sqlite3_close(database);
    assert_int_equal(vault_pseudonym_key(place->vault, "home", &key, &err), ERR_CORRUPT);
    secret_wipe(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(purposes_have_keys_of_their_own),
        TEST(pseudonyms_outlive_a_start_and_a_rekey),
        TEST(what_is_forgotten_does_not_come_back),
        TEST(a_moved_key_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
