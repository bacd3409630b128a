/*
 * A token that only the local password opens: who brings it, and what becomes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/scratch_folder.h"
#include "keeper/grant_check.h"
#include "keeper/heirloom.h"
#include "keeper/vault_key.h"

#define PASSWORD "pa\\ss"
#define SALT     "AAECAwQFBgcICQoLDA0ODw=="
#define TOKEN                                                                                      \
    "gAAAAABlU_EAEBESExQVFhcYGRobHB0eHzejVXNlNsJ7Viow07Mk6G-IsJwIyrCscypGViaCT4QzVpeXX1NjrJw_fH0_" \
    "jSOF-w=="

struct place {
    char *scratch;
    struct state_folder *folder;
    struct vault *vault;
    struct loop loop;
    struct grant_check *check;
    struct heirlooms *heirlooms;
    struct account_config work, home;
    struct account_config *accounts[2];
    struct config config;
    int inheritances;
};

struct client {
    int answers;
    enum grant_verdict verdict;
    int64_t grant;
};

static void load(struct place *place)
{
    struct err err = {0};
    assert_int_equal(heirlooms_load(place->heirlooms, &place->config, place->vault, &err), 0);
}

static int64_t add_grant(struct place *place, const char *account, const char *name,
                         const struct secret *password)
{
    const struct vault_grant grant = {.account = (char *)(uintptr_t)account,
                                      .name = (char *)(uintptr_t)name,
                                      .protocols = (char *)(uintptr_t) "",
                                      .from = (char *)(uintptr_t) "",
                                      .kind = VAULT_GRANT_CHOSEN};
    static const char *const labels[] = {"work", "home"};
    struct err err = {0};
    int64_t number = 0;
    assert_int_equal(vault_grant_add(place->vault, &grant, password, 1, &number, &err), 0);
    assert_int_equal(grant_check_load(place->check, labels, 2, &err), 0);
    return number;
}

static int64_t inherit(void *owner, const char *account, const struct secret *token,
                       const struct secret *password)
{
    struct place *place = owner;
    place->inheritances++;
    assert_string_equal(account, "work");
    assert_true(slice_is(secret_bytes(token), "legacy-refresh"));
    assert_true(heirlooms_remove(place->heirlooms, account));
    return add_grant(place, account, HEIRLOOM_GRANT, password);
}

static int place_set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct secret key = {0};
    struct err err = {0};
    place->scratch = scratch_folder_new();
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    assert_int_equal(vault_key_from_file(place->folder, &key, &err), 0);
    assert_int_equal(vault_open(place->folder, &key, &place->vault, &err), 0);
    assert_int_equal(loop_init(&place->loop, &err), 0);
    assert_int_equal(grant_check_open(&place->loop, place->vault, &place->check, &err), 0);
    place->work = (struct account_config){
        .name = (char *)(uintptr_t) "work",
        .sealed = {.token = (char *)(uintptr_t)TOKEN, .salt = (char *)(uintptr_t)SALT}};
    place->home = (struct account_config){.name = (char *)(uintptr_t) "home"};
    place->accounts[0] = &place->work;
    place->accounts[1] = &place->home;
    place->config = (struct config){.accounts = place->accounts, .account_count = 2};
    place->heirlooms = heirlooms_new();
    const struct grant_heirs heirs = {
        .heirlooms = place->heirlooms, .inherit = inherit, .owner = place};
    grant_check_set_heirs(place->check, &heirs);
    load(place);
    *state = place;
    return 0;
}

static void on_closed(void *owner)
{
    (void)owner;
}

static int place_tear_down(void **state)
{
    struct place *place = *state;
    grant_check_close(place->check, on_closed, place);
    loop_run(&place->loop);
    loop_fini(&place->loop);
    heirlooms_free(place->heirlooms);
    vault_close(place->vault);
    state_folder_close(place->folder);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static void on_done(void *owner, enum grant_verdict verdict, int64_t grant)
{
    struct client *client = owner;
    client->answers++;
    client->verdict = verdict;
    client->grant = grant;
}

static void start(struct place *place, const char *account, const char *password,
                  struct client *client)
{
    struct secret secret = {0};
    int64_t number = 0;
    assert_int_equal(
        grant_check_password(place->check, account, slice_of_string(password), &number),
        GRANT_LATER);
    secret_set(&secret, slice_of_string(password));
    assert_non_null(grant_check_derive_start(place->check, account, &secret, on_done, client));
}

static struct client try(struct place *place, const char *account, const char *password)
{
    struct client client = {0};
    start(place, account, password, &client);
    loop_run(&place->loop);
    assert_int_equal(client.answers, 1);
    return client;
}

static void test_the_right_password_inherits(void **state)
{
    struct place *place = *state;
    struct client clients[3] = {{0}};
    int64_t number = 0;
    for (size_t i = 0; i < LENGTH_OF(clients); i++)
        start(place, "work", PASSWORD, &clients[i]);
    loop_run(&place->loop);
    for (size_t i = 0; i < LENGTH_OF(clients); i++) {
        assert_int_equal(clients[i].answers, 1);
        assert_int_equal(clients[i].verdict, GRANT_MATCH);
        assert_int_equal(clients[i].grant, clients[0].grant);
    }
    assert_int_equal(place->inheritances, 1);
    assert_false(heirlooms_are_left(place->heirlooms));
    assert_int_equal(grant_check_password(place->check, "work", SLICE_LITERAL(PASSWORD), &number),
                     GRANT_MATCH);
    assert_int_equal(number, clients[0].grant);
}

/* Also the right one for another account, or for nobody. */
static void test_all_others_do_not(void **state)
{
    struct place *place = *state;
    assert_int_equal(try(place, "work", "pa/ss").verdict, GRANT_MISMATCH);
    assert_int_equal(try(place, "home", PASSWORD).verdict, GRANT_MISMATCH);
    assert_int_equal(try(place, NULL, PASSWORD).verdict, GRANT_MISMATCH);
    assert_int_equal(place->inheritances, 0);
    assert_true(heirlooms_are_left(place->heirlooms));
}

static void test_a_grant_comes_first(void **state)
{
    struct place *place = *state;
    struct secret password = {0};
    secret_set(&password, SLICE_LITERAL(PASSWORD));
    int64_t number = add_grant(place, "work", "phone", &password);
    secret_wipe(&password);
    struct client client = try(place, "work", PASSWORD);
    assert_int_equal(client.verdict, GRANT_MATCH);
    assert_int_equal(client.grant, number);
    assert_int_equal(place->inheritances, 0);
}

static void test_who_has_signed_in_inherits_nothing(void **state)
{
    struct place *place = *state;
    struct secret token = {0};
    struct err err = {0};
    secret_set(&token, SLICE_LITERAL("new"));
    assert_int_equal(vault_token_store(place->vault, "work", "https://id.test", &token, 1, &err),
                     0);
    secret_wipe(&token);
    load(place);
    assert_false(heirlooms_are_left(place->heirlooms));
}

static void test_what_was_made_once_is_not_made_again(void **state)
{
    struct place *place = *state;
    int64_t number = 0;
    struct err err = {0};
    assert_int_equal(try(place, "work", PASSWORD).verdict, GRANT_MATCH);
    load(place);
    assert_false(heirlooms_are_left(place->heirlooms));
    assert_int_equal(vault_grant_remove(place->vault, "work", HEIRLOOM_GRANT, &number, &err), 0);
    /* Neither a grant nor a sign-in is left: whoever wiped both starts anew. */
    load(place);
    assert_true(heirlooms_are_left(place->heirlooms));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_right_password_inherits),
        TEST(test_all_others_do_not),
        TEST(test_a_grant_comes_first),
        TEST(test_who_has_signed_in_inherits_nothing),
        TEST(test_what_was_made_once_is_not_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
