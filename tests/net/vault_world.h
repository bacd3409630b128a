/*
 * A vault with two tokens and three grants, in a folder of its own, and what opens it and seals it
 * anew. $CREDENTIALS_DIRECTORY has the credential "key".
 */
#ifndef ECLUSE_TESTS_VAULT_WORLD_H
#define ECLUSE_TESTS_VAULT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/scratch_folder.h"
#include "keeper/grant_verifier.h"
#include "keeper/vault_unlock.h"

#define ISSUER "https://id.example.test"
#define OCTETS "sixteen-octets-x"

struct place {
    char *scratch, *file, *credentials;
    struct state_folder *folder;
    struct vault *vault;
    struct secret chosen; /* the verifier of that grant */
};

static inline int unlock(struct place *place, const char *source, struct err *err)
{
    return vault_unlock(place->folder, source, &place->vault, err);
}

static inline void close_vault(struct place *place)
{
    vault_close(place->vault);
    place->vault = NULL;
}

static inline void store(struct place *place, const char *account, const char *token)
{
    struct secret secret = {0};
    struct err err = {0};
    secret_set(&secret, slice_of_string(token));
    assert_int_equal(vault_token_store(place->vault, account, ISSUER, &secret, 1, &err), 0);
    secret_wipe(&secret);
}

static inline void add_grant(struct place *place, const char *name, enum vault_grant_kind kind)
{
    struct secret secret = {0};
    struct err err = {0};
    int64_t number;
    char *copy = mem_copy_string(name);
    const struct vault_grant grant = {
        .account = (char[]){"work"},
        .name = copy,
        .protocols = (char[]){"imap"},
        .from = (char[]){""},
        .kind = kind,
        .classes = {kind == VAULT_GRANT_CLEAR},
    };
    secret_set(&secret, slice_of_string(name));
    assert_int_equal(vault_grant_add(place->vault, &grant, &secret, 1, &number, &err), 0);
    secret_wipe(&secret);
    mem_free(copy);
}

static inline void remember_chosen(struct place *place)
{
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    uint8_t hash[GRANT_HASH_SIZE];
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(grants[1].kind, VAULT_GRANT_CHOSEN);
    assert_int_equal(vault_grant_verifier(place->vault, &grants[1], &place->chosen, &err), 0);
    assert_int_equal(grant_derive(place->chosen.bytes, slice_of_string("chosen"), hash), 0);
    assert_memory_equal(place->chosen.bytes + GRANT_SALT_SIZE, hash, sizeof(hash));
    vault_grants_free(grants, count);
}

static inline void write_credential(struct place *place, const char *name, const char *octets,
                                    mode_t mode)
{
    char *path = scratch_path(place->credentials, name);
    (void)remove(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(octets, file) >= 0);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static inline int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct err err = {0};
    place->scratch = scratch_folder_new();
    place->file = scratch_path(place->scratch, "vault.db");
    place->credentials = scratch_path(place->scratch, "credentials");
    assert_int_equal(mkdir(place->credentials, 0700), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", place->credentials, 1), 0);
    write_credential(place, "key", OCTETS "\n", 0400);
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    store(place, "work", "token-of-work");
    store(place, "home", "token-of-home");
    add_grant(place, "generated", VAULT_GRANT_GENERATED);
    add_grant(place, "chosen", VAULT_GRANT_CHOSEN);
    add_grant(place, "clear", VAULT_GRANT_CLEAR);
    remember_chosen(place);
    close_vault(place);
    *state = place;
    return 0;
}

static inline int tear_down(void **state)
{
    struct place *place = *state;
    close_vault(place);
    secret_wipe(&place->chosen);
    state_folder_close(place->folder);
    free(place->file);
    free(place->credentials);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static inline void assert_token(struct place *place, const char *account, const char *token)
{
    struct secret secret = {0};
    struct err err = {0};
    assert_int_equal(vault_token_load(place->vault, account, ISSUER, &secret, &err), 0);
    assert_true(slice_is(secret_bytes(&secret), token));
    secret_wipe(&secret);
}

/* A generated password is still the one that the hash in the vault was made of. */
static inline void assert_verifies(struct place *place, const struct vault_grant *grant,
                                   const struct secret *verifier)
{
    struct secret again = {0};
    struct slice password = slice_of_string(grant->name);
    switch (grant->kind) {
    case VAULT_GRANT_GENERATED:
        assert_int_equal(grant_verifier_of_generated(vault_grant_key(place->vault), grant->account,
                                                     password, &again),
                         0);
        assert_true(secret_equal(verifier, secret_bytes(&again)));
        secret_wipe(&again);
        break;
    case VAULT_GRANT_CHOSEN:
        assert_true(secret_equal(verifier, secret_bytes(&place->chosen)));
        break;
    case VAULT_GRANT_CLEAR:
        assert_true(secret_equal(verifier, password));
        break;
    }
}

static inline void assert_everything_is_there(struct place *place)
{
    struct secret verifier = {0};
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    assert_token(place, "work", "token-of-work");
    assert_token(place, "home", "token-of-home");
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(vault_grant_verifier(place->vault, &grants[i], &verifier, &err), 0);
        assert_verifies(place, &grants[i], &verifier);
    }
    vault_grants_free(grants, count);
    secret_wipe(&verifier);
}

static inline void assert_opens(struct place *place, const char *source)
{
    struct err err = {0};
    int status = unlock(place, source, &err);
    if (status != 0)
        print_message("%s: %s\n", source, err.text);
    assert_int_equal(status, 0);
    assert_everything_is_there(place);
    close_vault(place);
}

static inline void assert_does_not_open(struct place *place, const char *source, int status,
                                        const char *words)
{
    struct err err = {0};
    assert_int_equal(unlock(place, source, &err), status);
    assert_null(place->vault);
    if (strstr(err.text, words) == NULL)
        print_message("%s: %s\n", source, err.text);
    assert_non_null(strstr(err.text, words));
    assert_null(strstr(err.text, OCTETS));
}

static inline int rekey(struct place *place, const char *from, const char *to,
                        struct vault_left *left_out, struct err *err)
{
    struct vault_rekeyed rekeyed = {0};
    struct vault *vault = NULL;
    int status = vault_unlock_and_rekey(place->folder, from, to, &rekeyed, &vault, err);
    vault_close(vault);
    *left_out = rekeyed.left;
    return status;
}

static inline void assert_rekeys(struct place *place, const char *from, const char *to)
{
    struct err err = {0};
    struct vault_left left;
    int status = rekey(place, from, to, &left, &err);
    if (status != 0)
        print_message("to %s: %s\n", to, err.text);
    assert_int_equal(status, 0);
    assert_int_equal(left.count, 0);
}

static inline bool is_there(struct place *place, const char *name)
{
    char *path = scratch_path(place->scratch, name);
    bool is = access(path, F_OK) == 0;
    free(path);
    return is;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
