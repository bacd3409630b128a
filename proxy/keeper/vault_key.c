/*
 * Happy path: the file is read and decoded; the first time, 32 octets are drawn and the file is put
 * there whole. What other sources give goes through scrypt.
 *
 * Failures: a vault without a key (the key was lost, or never restored from a backup: a new one
 * could open nothing, so none is made); a file that is not 64 digits; no randomness; no memory for
 * scrypt.
 */
#include "keeper/vault_key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/pack.h"

#define KEY_NAME   "vault.key"
#define NEXT_NAME  KEY_NAME ".next"
#define VAULT_NAME "vault.db"
#define TEXT_SIZE  (2 * VAULT_KEY_SIZE + 1)

#define SCRYPT_N          (UINT64_C(1) << 17)
#define SCRYPT_R          8
#define SCRYPT_P          1
#define SCRYPT_MEMORY_MAX (UINT64_C(256) * 1024 * 1024)

/* ---- sources and locks ---- */

static const char *const kind_names[VAULT_KEY_KINDS] = {
    [VAULT_KEY_FILE] = "keyfile",
    [VAULT_KEY_PASSPHRASE] = "passphrase",
    [VAULT_KEY_CREDENTIAL] = "credential",
    [VAULT_KEY_COMMAND] = "command",
};

const char *vault_key_kind_name(enum vault_key_kind kind)
{
    ENSURE(kind < VAULT_KEY_KINDS);
    return kind_names[kind];
}

static bool takes_argument(enum vault_key_kind kind)
{
    return kind == VAULT_KEY_CREDENTIAL || kind == VAULT_KEY_COMMAND;
}

int vault_key_source_read(const char *text, struct vault_key_source *source_out, struct err *err)
{
    struct slice bytes = slice_of_string(text);
    size_t name_size = slice_find(bytes, ':');
    bool has_argument = name_size + 1 < bytes.size;
    for (enum vault_key_kind kind = 0; kind < VAULT_KEY_KINDS; kind++) {
        if (!slice_is(slice_take(bytes, name_size), kind_names[kind]) ||
            takes_argument(kind) != has_argument || (!has_argument && name_size < bytes.size))
            continue;
        const char *argument = has_argument ? text + name_size + 1 : "";
        if (kind == VAULT_KEY_CREDENTIAL && strchr(argument, '/') != NULL)
            break;
        *source_out = (struct vault_key_source){kind, argument};
        return 0;
    }
    return err_set(err, ERR_SYNTAX,
                   "a key source is keyfile, passphrase, credential:NAME or command:CMD");
}

int vault_lock_new(enum vault_key_kind kind, struct vault_lock *lock_out, struct err *err)
{
    *lock_out = (struct vault_lock){.kind = kind};
    if (kind != VAULT_KEY_FILE && RAND_bytes(lock_out->salt, VAULT_SALT_SIZE) != 1)
        return err_set(err, ERR_CRYPTO, "no random numbers for a salt");
    return 0;
}

int vault_lock_derive(const struct vault_lock *lock, const struct secret *octets,
                      struct secret *key_out, struct err *err)
{
    ENSURE(lock->kind != VAULT_KEY_FILE);
    struct buf salt;
    buf_init(&salt, 64);
    struct pack_writer writer = pack_writer(&salt);
    pack_bytes(&writer, slice_of(lock->salt, VAULT_SALT_SIZE));
    pack_string(&writer, vault_key_kind_name(lock->kind));
    ENSURE(writer.status == 0);
    uint8_t key[VAULT_KEY_SIZE];
    struct slice packed = buf_bytes(&salt);
    int done = EVP_PBE_scrypt((const char *)octets->bytes, octets->size, packed.data, packed.size,
                              SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY_MAX, key, VAULT_KEY_SIZE);
    buf_fini(&salt);
    if (done == 1)
        secret_set(key_out, slice_of(key, sizeof(key)));
    mem_wipe(key, sizeof(key));
    if (done != 1)
        return err_set(err, ERR_CRYPTO,
                       "the vault's key cannot be derived; it takes 128 MiB of memory");
    return 0;
}

/* ---- the key file ---- */

static bool decode(const uint8_t text[TEXT_SIZE], uint8_t key_out[VAULT_KEY_SIZE])
{
    return hex_read(slice_of(text, TEXT_SIZE - 1), key_out) && text[TEXT_SIZE - 1] == '\n';
}

static void encode(const uint8_t key[VAULT_KEY_SIZE], uint8_t text_out[TEXT_SIZE])
{
    hex_write(slice_of(key, VAULT_KEY_SIZE), (char *)text_out);
    text_out[TEXT_SIZE - 1] = '\n';
}

static int read_key(const struct state_folder *folder, const char *name, struct secret *key_out,
                    struct err *err)
{
    int descriptor;
    int status = state_folder_open_file(folder, name, STATE_FILE_READ, &descriptor, err);
    if (status != 0)
        return status;
    uint8_t text[TEXT_SIZE + 1], key[VAULT_KEY_SIZE];
    ssize_t size = read(descriptor, text, sizeof(text));
    if (size < 0)
        status = err_set_errno(err, "%s/%s", state_folder_path(folder), name);
    else if (size != TEXT_SIZE || !decode(text, key))
        status = err_set(err, ERR_CORRUPT,
                         "%s/%s is not a key (%d hexadecimal digits and a line end); "
                         "restore it from a backup",
                         state_folder_path(folder), name, TEXT_SIZE - 1);
    else
        secret_set(key_out, slice_of(key, sizeof(key)));
    (void)close(descriptor);
    mem_wipe(text, sizeof(text));
    mem_wipe(key, sizeof(key));
    return status;
}

static int draw_key(struct secret *key_out, struct err *err)
{
    uint8_t key[VAULT_KEY_SIZE];
    if (RAND_priv_bytes(key, sizeof(key)) != 1)
        return err_set(err, ERR_CRYPTO, "no random numbers for a key");
    secret_set(key_out, slice_of(key, sizeof(key)));
    mem_wipe(key, sizeof(key));
    return 0;
}

/* Over what is there, or only when nothing is there. */
static int write_key(const struct state_folder *folder, const char *name, bool is_first,
                     const struct secret *key, struct err *err)
{
    ENSURE(key->size == VAULT_KEY_SIZE);
    uint8_t text[TEXT_SIZE];
    encode(key->bytes, text);
    int status = is_first
                     ? state_folder_create_whole(folder, name, text, sizeof(text), err)
                     : state_folder_replace_whole(folder, name, slice_of(text, sizeof(text)), err);
    mem_wipe(text, sizeof(text));
    return status;
}

int vault_key_from_file(const struct state_folder *folder, struct secret *key_out, struct err *err)
{
    int status = read_key(folder, KEY_NAME, key_out, err);
    if (status != ERR_NOT_FOUND)
        return status;
    int vault = state_folder_check_file(folder, VAULT_NAME, NULL);
    if (vault != ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "%s/" VAULT_NAME " is there but its key, " KEY_NAME
                       ", is not; restore the key from a backup, or move " VAULT_NAME
                       " away and sign in anew",
                       state_folder_path(folder));
    struct secret key = {0};
    status = draw_key(&key, err);
    if (status == 0)
        status = write_key(folder, KEY_NAME, true, &key, err);
    if (status == 0)
        secret_move(key_out, &key);
    secret_wipe(&key);
    return status;
}

int vault_key_file_prepare(const struct state_folder *folder, struct secret *key_out,
                           struct err *err)
{
    int status = draw_key(key_out, err);
    return status == 0 ? write_key(folder, NEXT_NAME, false, key_out, err) : status;
}

int vault_key_file_prepared(const struct state_folder *folder, struct secret *key_out,
                            struct err *err)
{
    return read_key(folder, NEXT_NAME, key_out, err);
}

/* What lies in the file's blocks; a file system that copies on write keeps them all the same. */
static int overwrite(const struct state_folder *folder, const char *name, struct err *err)
{
    static const uint8_t zeros[TEXT_SIZE];
    int descriptor;
    int status = state_folder_open_file(folder, name, STATE_FILE_WRITE, &descriptor, err);
    if (status != 0)
        return status == ERR_NOT_FOUND ? 0 : status;
    if (write(descriptor, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros) || fsync(descriptor) != 0)
        status = err_set_errno(err, "cannot overwrite %s/%s", state_folder_path(folder), name);
    (void)close(descriptor);
    return status;
}

int vault_key_file_put(const struct state_folder *folder, const struct secret *key, struct err *err)
{
    int status = overwrite(folder, KEY_NAME, err);
    if (status == 0)
        status = write_key(folder, KEY_NAME, false, key, err);
    if (status == 0)
        vault_key_file_forget_prepared(folder);
    return status;
}

void vault_key_file_forget_prepared(const struct state_folder *folder)
{
    state_folder_remove_file(folder, NEXT_NAME);
}

int vault_key_file_remove(const struct state_folder *folder, struct err *err)
{
    int status = overwrite(folder, KEY_NAME, err);
    if (status == 0)
        status = overwrite(folder, NEXT_NAME, err);
    if (status == 0) {
        state_folder_remove_file(folder, KEY_NAME);
        vault_key_file_forget_prepared(folder);
    }
    return status;
}
