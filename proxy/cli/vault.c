/*
 * Failures: 75 the daemon runs, or another command uses the vault · 65 it is not told what the
 * vault is sealed with, or there is none; or it is sealed anew but for damaged entries · 78 what
 * should open it does not · what the source of the key says · 69 the audit journal cannot be
 * written
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "keeper/exit_code.h"
#include "keeper/journal_alone.h"
#include "keeper/vault_unlock.h"

static int write_down(const struct state_folder *folder, struct vault *vault,
                      const struct config *config, const struct vault_rekeyed *rekeyed,
                      struct err *err)
{
    char text[100];
    struct record record;
    snprintf(text, sizeof(text), "the vault is sealed with a %s; before, with a %s",
             vault_key_kind_name(rekeyed->to), vault_key_kind_name(rekeyed->from));
    record_init(&record, ACTION_KEY_ROTATE, WHY_NONE, (uint64_t)clock_wall_microseconds());
    record_add_string(&record, FIELD_REASON, text);
    int status = journal_write_alone(folder, vault, config, &record, err);
    return status == 0 ? 0 : err_wrap(err, "it is sealed anew, but that is not written down");
}

static int rekey(const struct config *config, const char *from, struct vault_rekeyed *rekeyed_out,
                 struct err *err)
{
    struct state_folder *folder = NULL;
    struct vault *vault = NULL;
    int status = state_folder_open(config->state_dir, &folder, err);
    if (status == ERR_BUSY)
        return err_wrap(err, "the daemon has to be stopped first (ecluse stop)");
    if (status == 0)
        status = vault_unlock_and_rekey(folder, from, config->vault_key, rekeyed_out, &vault, err);
    if (status == 0)
        status = write_down(folder, vault, config, rekeyed_out, err);
    vault_close(vault);
    state_folder_close(folder);
    return status;
}

static int run(const struct arguments *arguments)
{
    struct config *config = NULL;
    struct vault_rekeyed rekeyed = {0};
    struct err err;
    if (strcmp(arguments->operands[0], "rekey") != 0)
        return print_failure(EX_USAGE, "vault: it does rekey alone; see ecluse help vault");
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    int status = rekey(config, arguments_value(arguments, "--from"), &rekeyed, &err);
    config_free(config);
    if (status != 0)
        return print_failure(exit_code_of(status), "vault: %s", err.text);
    print_line("the vault is sealed with a %s now; before, with a %s",
               vault_key_kind_name(rekeyed.to), vault_key_kind_name(rekeyed.from));
    if (rekeyed.left.count == 0)
        return EX_OK;
    return print_failure(
        EX_DATAERR,
        "vault: %zu entries are damaged, or were moved, and are kept as they were: "
        "%s; sign in again, and make new passwords in the place of those",
        rekeyed.left.count, rekeyed.left.names);
}

static const struct flag flags[] = {
    {"--from", "SOURCE", "what it is sealed with, as vault_key was: credential:NAME, command:CMD"},
};

const struct subcommand subcommand_vault = {
    .name = "vault",
    .operands = "rekey",
    .summary = "seal the vault anew, with what vault_key is now",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
