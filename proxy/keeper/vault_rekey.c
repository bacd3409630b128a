/*
 * Happy path: every sealed column is opened with the old key and sealed with the new one, the
 * header last, in one transaction. The key of generated grants stays the same one: what they are
 * checked by is a hash with it. Tokens that were kept aside as damaged open with no key, and stay.
 *
 * Failures: a damaged entry, or one that was moved here, is left as it is; anything else undoes the
 * transaction, and the vault is used on with the old key. A crash is undone by SQLite at the next
 * opening.
 */
#include <stdio.h>
#include <string.h>

#include "keeper/vault_store.h"

struct old_seal {
    struct vault_lock lock;
    struct secret key;
};

/* Names that something else has written may hold anything. */
void vault_left_add(struct vault_left *left, const char *what, const char *account)
{
    char text[VAULT_LEFT_TEXT], printable[VAULT_LEFT_TEXT];
    size_t used = strlen(left->names);
    snprintf(text, sizeof(text), "%s %s", what, account);
    slice_escape(slice_of_string(text), printable, sizeof(printable));
    snprintf(left->names + used, sizeof(left->names) - used, "%s%s", left->count == 0 ? "" : ", ",
             printable);
    left->count++;
}

static int reseal(struct vault *vault, struct old_seal *old, const struct vault_lock *lock,
                  struct secret *seal_key, struct vault_left *left_out, struct err *err)
{
    int status = vault_tokens_reseal(vault, seal_key, left_out, err);
    if (status == 0)
        status = vault_grants_reseal(vault, seal_key, left_out, err);
    if (status != 0)
        return status;
    old->lock = vault->lock;
    secret_move(&old->key, &vault->seal_key);
    vault->lock = *lock;
    secret_move(&vault->seal_key, seal_key);
    return vault_write_header(vault, err);
}

int vault_rekey(struct vault *vault, const struct vault_lock *lock, struct secret *key,
                struct vault_left *left_out, struct err *err)
{
    ENSURE(key->size == SEAL_KEY_SIZE);
    *left_out = (struct vault_left){0};
    struct old_seal old = {0};
    struct secret seal_key = {0};
    int status = seal_derive_key(key, "ecluse vault seal", &seal_key);
    if (status != 0)
        (void)err_set(err, status, "the vault's keys cannot be derived");
    else
        status = vault_begin(vault, err);
    if (status == 0)
        status = vault_end(vault, reseal(vault, &old, lock, &seal_key, left_out, err), err);
    if (status != 0 && secret_is_set(&old.key)) {
        vault->lock = old.lock;
        secret_move(&vault->seal_key, &old.key);
    }
    secret_wipe(&old.key);
    secret_wipe(&seal_key);
    secret_wipe(key);
    return status;
}
