/*
 * Happy path: a function a kind; what it gives is checked against what seals or opens a vault.
 *
 * Failures: the source is not there, does not answer, or gives what is no secret. All of them are
 * told before the vault is touched.
 */
#include "keeper/vault_source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keeper/secret_command.h"
#include "keeper/terminal.h"
#include "keeper/whole_file.h"

/* ---- passphrase ---- */

static int ask_passphrase(enum vault_source_use use, struct secret *octets_out, struct err *err)
{
    if (use == VAULT_SOURCE_OPENS)
        return terminal_ask("the vault's passphrase", VAULT_SOURCE_MAX, octets_out, err);
    struct secret again = {0};
    int status = terminal_ask("the vault's new passphrase", VAULT_SOURCE_MAX, octets_out, err);
    if (status == 0 && octets_out->size >= VAULT_SOURCE_MIN)
        status = terminal_ask("the same once more", VAULT_SOURCE_MAX, &again, err);
    if (status == 0 && secret_is_set(&again) && !secret_equal(&again, secret_bytes(octets_out)))
        status = err_set(err, ERR_SYNTAX, "the two passphrases differ; nothing was changed");
    secret_wipe(&again);
    return status;
}

/* ---- credential ---- */

/* systemd gives a user's service root's file and an access list that names the user; its mask
 * stands where the group's bits are. */
static int check_credential(const char *path, struct err *err)
{
    struct stat stat_of;
    if (stat(path, &stat_of) != 0 && errno == ENOENT)
        return err_set(err, ERR_CONFIG, "vault_key: there is no credential %s", path);
    else if (stat(path, &stat_of) != 0)
        return err_set_errno(err, "%s", path);
    mode_t forbidden = S_IWGRP | S_IXGRP | S_IRWXO | (stat_of.st_uid == 0 ? 0 : S_IRGRP);
    if ((stat_of.st_mode & forbidden) != 0)
        return err_set(err, ERR_DENIED, "%s has mode %04o, others can get at it; run: chmod 400 %s",
                       path, (unsigned)(stat_of.st_mode & 07777), path);
    return 0;
}

static int read_credential(const char *name, struct secret *octets_out, struct err *err)
{
    char path[PATH_MAX];
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || folder[0] != '/')
        return err_set(err, ERR_CONFIG,
                       "vault_key = credential:%s needs $CREDENTIALS_DIRECTORY, which systemd sets "
                       "for a unit with LoadCredential= or LoadCredentialEncrypted=",
                       name);
    int size = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof(path))
        return err_set(err, ERR_CONFIG, "the path of credential %s is too long", name);
    struct buf content;
    buf_init(&content, VAULT_SOURCE_MAX + 1);
    int status = check_credential(path, err);
    if (status == 0)
        status = whole_file_read(path, false, &content, err);
    struct slice bytes = buf_bytes(&content);
    if (bytes.size > 0 && bytes.data[bytes.size - 1] == '\n')
        bytes.size--;
    if (status == 0)
        secret_set(octets_out, bytes);
    buf_fini(&content);
    return status == ERR_FULL ? ERR_SYNTAX : status;
}

/* ---- command ---- */

struct run {
    struct loop loop;
    struct secret *octets;
    int status;
    struct err *err;
};

static void on_command_done(void *owner, int status, struct secret *output, const char *reason)
{
    struct run *run = owner;
    if (status == 0)
        secret_move(run->octets, output);
    else
        run->status = err_set(run->err, status, "vault_key: the command %s", reason);
}

/* On a loop of its own, which ends with the command. */
static int run_command(const char *command, struct secret *octets_out, struct err *err)
{
    struct run run = {.octets = octets_out, .err = err};
    int status = loop_init(&run.loop, err);
    if (status != 0)
        return status;
    (void)secret_command_start(&run.loop, command, VAULT_SOURCE_MILLISECONDS, on_command_done,
                               &run);
    loop_run(&run.loop);
    loop_fini(&run.loop);
    return run.status;
}

/* ---- all ---- */

static int ask(const struct vault_key_source *source, enum vault_source_use use,
               struct secret *octets_out, struct err *err)
{
    switch (source->kind) {
    case VAULT_KEY_PASSPHRASE:
        return ask_passphrase(use, octets_out, err);
    case VAULT_KEY_CREDENTIAL:
        return read_credential(source->argument, octets_out, err);
    case VAULT_KEY_COMMAND:
        return run_command(source->argument, octets_out, err);
    case VAULT_KEY_FILE:
    case VAULT_KEY_KINDS:
        break;
    }
    ENSURE(false);
    return ERR_CONFIG;
}

int vault_source_ask(const struct vault_key_source *source, enum vault_source_use use,
                     struct secret *octets_out, struct err *err)
{
    int status = ask(source, use, octets_out, err);
    size_t minimum = use == VAULT_SOURCE_SEALS ? VAULT_SOURCE_MIN : 1;
    if (status == 0 && octets_out->size < minimum)
        status = err_set(err, ERR_SYNTAX,
                         "what seals the vault (vault_key = %s) needs %d octets or more",
                         vault_key_kind_name(source->kind), (int)minimum);
    if (status != 0)
        secret_wipe(octets_out);
    return status;
}
