/*
 * Happy path: the vault says what kind of source it is sealed with and with which salt; the source
 * is asked, the key derived, the vault opened.
 *
 * Failures:
 *  - another kind of source than the vault's: told before anything is asked
 *  - what does not open it: told; nothing is changed
 *  - a crash while it is sealed anew with a key file: the file that was prepared opens the vault,
 *    and is put in its place now; or it does not, and the one that was there before does
 *  - a crash after it was sealed anew, before the old key file was removed: the next rekey does
 */
#include "keeper/vault_unlock.h"

#include "keeper/vault_source.h"

/* ---- opening ---- */

static int open_with_prepared(const struct state_folder *folder, struct vault **vault_out,
                              struct err *err)
{
    struct secret key = {0}, copy = {0};
    int status = vault_key_file_prepared(folder, &key, err);
    if (status != 0)
        return status;
    secret_copy(&copy, &key);
    status = vault_open(folder, &copy, vault_out, err);
    if (status == 0)
        status = vault_key_file_put(folder, &key, err);
    if (status != 0) {
        vault_close(*vault_out);
        *vault_out = NULL;
    }
    secret_wipe(&key);
    secret_wipe(&copy);
    return status;
}

static int open_with_file(const struct state_folder *folder, struct vault **vault_out,
                          struct err *err)
{
    struct secret key = {0};
    int status = vault_key_from_file(folder, &key, err);
    if (status == ERR_NOT_FOUND)
        status = ERR_CONFIG; /* a vault without its key */
    if (status == 0)
        status = vault_open(folder, &key, vault_out, err);
    secret_wipe(&key);
    return status;
}

static int open_with_either_file(const struct state_folder *folder, struct vault **vault_out,
                                 struct err *err)
{
    int status = open_with_prepared(folder, vault_out, err);
    if (status != ERR_NOT_FOUND && status != ERR_CORRUPT)
        return status;
    bool is_left_over = status == ERR_CORRUPT;
    status = open_with_file(folder, vault_out, err);
    if (status == 0 && is_left_over)
        vault_key_file_forget_prepared(folder);
    return status;
}

static int open_with_octets(const struct state_folder *folder,
                            const struct vault_key_source *source, const struct vault_lock *lock,
                            enum vault_source_use use, struct vault **vault_out, struct err *err)
{
    struct secret octets = {0}, key = {0};
    int status = vault_source_ask(source, use, &octets, err);
    if (status == 0)
        status = vault_lock_derive(lock, &octets, &key, err);
    secret_wipe(&octets);
    if (status != 0)
        return status;
    status = vault_open_sealed(folder, lock, &key, vault_out, err);
    secret_wipe(&key);
    return status;
}

static int open_new(const struct state_folder *folder, const struct vault_key_source *source,
                    struct vault **vault_out, struct err *err)
{
    if (source->kind == VAULT_KEY_FILE)
        return open_with_file(folder, vault_out, err);
    struct vault_lock lock;
    int status = vault_lock_new(source->kind, &lock, err);
    if (status != 0)
        return status;
    return open_with_octets(folder, source, &lock, VAULT_SOURCE_SEALS, vault_out, err);
}

static int open_present(const struct state_folder *folder, const struct vault_key_source *source,
                        const struct vault_lock *lock, struct vault **vault_out, struct err *err)
{
    if (source->kind == VAULT_KEY_FILE)
        return open_with_either_file(folder, vault_out, err);
    return open_with_octets(folder, source, lock, VAULT_SOURCE_OPENS, vault_out, err);
}

int vault_unlock(const struct state_folder *folder, const char *source_text,
                 struct vault **vault_out, struct err *err)
{
    struct vault_key_source source = {0};
    struct vault_lock lock = {0};
    *vault_out = NULL;
    int status = vault_key_source_read(source_text, &source, err);
    if (status != 0)
        return status;
    status = vault_read_lock(folder, &lock, err);
    if (status == ERR_NOT_FOUND)
        return open_new(folder, &source, vault_out, err);
    if (status == 0 && lock.kind != source.kind)
        return err_set(err, ERR_CONFIG,
                       "the vault was sealed with a %s, and vault_key is %s; seal it anew: "
                       "ecluse vault rekey",
                       vault_key_kind_name(lock.kind), vault_key_kind_name(source.kind));
    return status == 0 ? open_present(folder, &source, &lock, vault_out, err) : status;
}

/* ---- sealing anew ---- */

/* What the vault is opened with. */
static int choose_source(const struct vault_lock *lock, const char *from,
                         struct vault_key_source *source_out, struct err *err)
{
    const char *kind = vault_key_kind_name(lock->kind);
    bool is_enough = lock->kind == VAULT_KEY_FILE || lock->kind == VAULT_KEY_PASSPHRASE;
    if (from == NULL && !is_enough)
        return err_set(err, ERR_SYNTAX, "the vault was sealed with a %s; say which: --from %s:%s",
                       kind, kind, lock->kind == VAULT_KEY_COMMAND ? "CMD" : "NAME");
    int status = vault_key_source_read(from == NULL ? kind : from, source_out, err);
    if (status != 0)
        return status;
    if (source_out->kind != lock->kind)
        return err_set(err, ERR_SYNTAX, "the vault was sealed with a %s, not with a %s", kind,
                       vault_key_kind_name(source_out->kind));
    return 0;
}

static int make_key(const struct state_folder *folder, const struct vault_key_source *to,
                    struct vault_lock *lock_out, struct secret *key_out, struct err *err)
{
    int status = vault_lock_new(to->kind, lock_out, err);
    if (status != 0)
        return status;
    if (to->kind == VAULT_KEY_FILE)
        return vault_key_file_prepare(folder, key_out, err);
    struct secret octets = {0};
    status = vault_source_ask(to, VAULT_SOURCE_SEALS, &octets, err);
    if (status == 0)
        status = vault_lock_derive(lock_out, &octets, key_out, err);
    secret_wipe(&octets);
    return status;
}

static int seal_anew(const struct state_folder *folder, struct vault *vault,
                     const struct vault_key_source *to, struct vault_left *left_out,
                     struct err *err)
{
    struct vault_lock lock;
    struct secret key = {0}, copy = {0};
    int status = make_key(folder, to, &lock, &key, err);
    if (status == 0) {
        secret_copy(&copy, &key);
        status = vault_rekey(vault, &lock, &copy, left_out, err);
    }
    if (status == 0 && to->kind == VAULT_KEY_FILE)
        status = vault_key_file_put(folder, &key, err);
    else if (status == 0)
        status = vault_key_file_remove(folder, err);
    secret_wipe(&key);
    secret_wipe(&copy);
    return status;
}

int vault_unlock_and_rekey(const struct state_folder *folder, const char *from, const char *to,
                           struct vault_rekeyed *rekeyed_out, struct vault **vault_out,
                           struct err *err)
{
    struct vault_key_source old_source = {0}, new_source = {0};
    struct vault_lock lock;
    struct vault *vault = NULL;
    int status = vault_key_source_read(to, &new_source, err);
    if (status == 0)
        status = vault_read_lock(folder, &lock, err);
    if (status == 0)
        status = choose_source(&lock, from, &old_source, err);
    if (status == 0)
        status = open_present(folder, &old_source, &lock, &vault, err);
    if (status != 0)
        return status;
    *rekeyed_out = (struct vault_rekeyed){.from = lock.kind, .to = new_source.kind};
    status = seal_anew(folder, vault, &new_source, &rekeyed_out->left, err);
    if (status == 0)
        *vault_out = vault;
    else
        vault_close(vault);
    return status;
}
