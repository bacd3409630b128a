/*
 * Happy path: LABEL.json beside the configuration, for each account that has a key.
 *
 * Failures: 73 the file cannot be written, or is there with something else in it.
 */
#include "cli/import_keys.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/configuration_append.h"
#include "conf/label.h"

#define NAME_SIZE (SECTION_LABEL_MAXIMUM + sizeof(".json"))

void import_keys_clear(struct import_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        mem_free(keys->made[i]);
    mem_free(keys->made);
    *keys = (struct import_keys){0};
}

static void name_of(const struct account_config *account, char name_out[NAME_SIZE])
{
    (void)snprintf(name_out, NAME_SIZE, "%s.json", account->name);
}

static void set_path(struct account_config *account, char *path)
{
    mem_free(account->jwt_key_file);
    account->jwt_key_file = path;
}

void import_keys_name(struct config *config, const char *place)
{
    char name[NAME_SIZE];
    for (size_t i = 0; i < config->account_count; i++) {
        name_of(config->accounts[i], name);
        if (secret_is_set(&config->accounts[i]->key))
            set_path(config->accounts[i], configuration_beside(place, name));
    }
}

static int write_one(struct import_keys *keys, struct account_config *account, const char *place)
{
    char name[NAME_SIZE], *path = NULL;
    bool is_new = false;
    name_of(account, name);
    int exit_code =
        configuration_write_beside(place, name, secret_bytes(&account->key), &path, &is_new);
    if (exit_code != EX_OK)
        return exit_code;
    set_path(account, path);
    if (is_new)
        keys->made[keys->count++] = mem_copy_string(path);
    return EX_OK;
}

int import_keys_write(struct import_keys *keys, struct config *config, const char *place)
{
    int exit_code = EX_OK;
    keys->made = mem_new_array(config->account_count + 1, sizeof(char *));
    for (size_t i = 0; i < config->account_count && exit_code == EX_OK; i++)
        if (secret_is_set(&config->accounts[i]->key))
            exit_code = write_one(keys, config->accounts[i], place);
    if (exit_code != EX_OK)
        import_keys_undo(keys);
    return exit_code;
}

void import_keys_undo(const struct import_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        (void)unlink(keys->made[i]);
}
