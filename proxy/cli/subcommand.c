#include "cli/subcommand.h"

#include <string.h>

static const struct subcommand *const subcommands[] = {
    &subcommand_run,      &subcommand_check,
    &subcommand_add,      &subcommand_providers,
    &subcommand_login,    &subcommand_logout,
    &subcommand_accounts, &subcommand_grant,
    &subcommand_grants,   &subcommand_revoke,
    &subcommand_token,    &subcommand_import,
    &subcommand_status,   &subcommand_sessions,
    &subcommand_doctor,   &subcommand_audit,
    &subcommand_cert,     &subcommand_vault,
    &subcommand_reload,   &subcommand_stop,
    &subcommand_version,  &subcommand_help,
    &subcommand_gate,     &subcommand_runner,
    &subcommand_try,      NULL,
};

const struct subcommand *const *subcommand_table(void)
{
    return subcommands;
}

const struct subcommand *subcommand_find(const char *name)
{
    size_t i = 0;
    while (subcommands[i] != NULL && strcmp(subcommands[i]->name, name) != 0)
        i++;
    return subcommands[i];
}
