/*
 * Grants in a vault, in a folder of its own, and the check of local passwords against them.
 */
#ifndef ECLUSE_TESTS_GRANT_WORLD_H
#define ECLUSE_TESTS_GRANT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "../lib/scratch_folder.h"
#include "keeper/grant_check.h"
#include "keeper/vault_key.h"

static const char *const accounts[] = {"work", "home", "empty"};

struct place {
    char *scratch, *file;
    struct state_folder *folder;
    struct vault *vault;
    struct loop loop;
    struct grant_check *check;
    int closings;
};

static inline void open_vault(struct place *place)
{
    struct secret key = {0};
    struct err err = {0};
    assert_int_equal(vault_key_from_file(place->folder, &key, &err), 0);
    assert_int_equal(vault_open(place->folder, &key, &place->vault, &err), 0);
}

static inline int place_set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct err err = {0};
    place->scratch = scratch_folder_new();
    place->file = scratch_path(place->scratch, "vault.db");
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    open_vault(place);
    assert_int_equal(loop_init(&place->loop, &err), 0);
    assert_int_equal(grant_check_open(&place->loop, place->vault, &place->check, &err), 0);
    *state = place;
    return 0;
}

static inline void on_closed(void *owner)
{
    struct place *place = owner;
    place->closings++;
}

static inline int place_tear_down(void **state)
{
    struct place *place = *state;
    grant_check_close(place->check, on_closed, place);
    assert_int_equal(place->closings, 0);
    loop_run(&place->loop);
    assert_int_equal(place->closings, 1);
    loop_fini(&place->loop);
    vault_close(place->vault);
    state_folder_close(place->folder);
    free(place->file);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static inline struct vault_grant plain_grant(const char *account, const char *name,
                                             enum vault_grant_kind kind)
{
    return (struct vault_grant){.account = (char *)(uintptr_t)account,
                                .name = (char *)(uintptr_t)name,
                                .protocols = (char *)(uintptr_t) "",
                                .from = (char *)(uintptr_t) "",
                                .kind = kind};
}

static inline int add_as(struct place *place, const struct vault_grant *grant, const char *password,
                         int64_t *number_out)
{
    struct secret secret = {0};
    struct err err = {0};
    secret_set(&secret, slice_of_string(password));
    int status = vault_grant_add(place->vault, grant, &secret, 1000, number_out, &err);
    assert_true(status == 0 || strlen(err.text) > 0);
    assert_null(strstr(err.text, password[0] == '\0' ? "-" : password));
    secret_wipe(&secret);
    return status;
}

static inline int64_t add(struct place *place, const char *account, const char *name,
                          enum vault_grant_kind kind, const char *password)
{
    struct vault_grant grant = plain_grant(account, name, kind);
    int64_t number;
    assert_int_equal(add_as(place, &grant, password, &number), 0);
    assert_true(number > 0);
    return number;
}

static inline int load(struct place *place)
{
    struct err err = {0};
    return grant_check_load(place->check, accounts, LENGTH_OF(accounts), &err);
}

static inline void tamper(struct place *place, const char *sql)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open_v2(place->file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    assert_int_equal(
        sqlite3_exec(database, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_total_changes(database) > 0);
    sqlite3_close(database);
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

#endif
