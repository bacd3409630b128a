/*
 * Happy path: the file is read and decoded; the first time, 32 octets are drawn and the file is put
 * there whole.
 *
 * Failures: a vault without a key (the key was lost, or never restored from a backup: a new one
 * could open nothing, so none is made); a file that is not 64 digits; no randomness.
 */
#include "keeper/vault_key.h"

#include <openssl/rand.h>
#include <unistd.h>

#define KEY_NAME   "vault.key"
#define VAULT_NAME "vault.db"
#define TEXT_SIZE  (2 * VAULT_KEY_SIZE + 1)

static int digit_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

static bool decode(const uint8_t text[TEXT_SIZE], uint8_t key_out[VAULT_KEY_SIZE])
{
    for (size_t i = 0; i < VAULT_KEY_SIZE; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key_out[i] = (uint8_t)(high << 4 | low);
    }
    return text[TEXT_SIZE - 1] == '\n';
}

static void encode(const uint8_t key[VAULT_KEY_SIZE], uint8_t text_out[TEXT_SIZE])
{
    for (size_t i = 0; i < VAULT_KEY_SIZE; i++) {
        text_out[2 * i] = (uint8_t) "0123456789abcdef"[key[i] >> 4];
        text_out[2 * i + 1] = (uint8_t) "0123456789abcdef"[key[i] & 15];
    }
    text_out[TEXT_SIZE - 1] = '\n';
}

static int read_key(const struct state_folder *folder, struct secret *key_out, struct err *err)
{
    int descriptor;
    int status = state_folder_open_file(folder, KEY_NAME, STATE_FILE_READ, &descriptor, err);
    if (status != 0)
        return status;
    uint8_t text[TEXT_SIZE + 1], key[VAULT_KEY_SIZE];
    ssize_t size = read(descriptor, text, sizeof(text));
    if (size < 0)
        status = err_set_errno(err, "%s/" KEY_NAME, state_folder_path(folder));
    else if (size != TEXT_SIZE || !decode(text, key))
        status = err_set(err, ERR_CORRUPT,
                         "%s/" KEY_NAME " is not a key (%d hexadecimal digits and a line end); "
                         "restore it from a backup",
                         state_folder_path(folder), TEXT_SIZE - 1);
    else
        secret_set(key_out, slice_of(key, sizeof(key)));
    (void)close(descriptor);
    mem_wipe(text, sizeof(text));
    mem_wipe(key, sizeof(key));
    return status;
}

static int make_key(const struct state_folder *folder, struct secret *key_out, struct err *err)
{
    uint8_t key[VAULT_KEY_SIZE], text[TEXT_SIZE];
    if (RAND_priv_bytes(key, sizeof(key)) != 1)
        return err_set(err, ERR_CRYPTO, "no random numbers for a key");
    encode(key, text);
    int status = state_folder_create_whole(folder, KEY_NAME, text, sizeof(text), err);
    if (status == 0)
        secret_set(key_out, slice_of(key, sizeof(key)));
    mem_wipe(text, sizeof(text));
    mem_wipe(key, sizeof(key));
    return status;
}

int vault_key_from_file(const struct state_folder *folder, struct secret *key_out, struct err *err)
{
    int status = read_key(folder, key_out, err);
    if (status != ERR_NOT_FOUND)
        return status;
    int vault = state_folder_check_file(folder, VAULT_NAME, NULL);
    if (vault != ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND,
                       "%s/" VAULT_NAME " is there but its key, " KEY_NAME
                       ", is not; restore the key from a backup, or move " VAULT_NAME
                       " away and sign in anew",
                       state_folder_path(folder));
    return make_key(folder, key_out, err);
}
