/*
 * The subcommands: one row each, from which the dispatch, `ecluse help` and the check of the
 * arguments are made. proxy/cli/<name>.c has the row of `ecluse <name>` and its function.
 */
#ifndef ECLUSE_CLI_SUBCOMMAND_H
#define ECLUSE_CLI_SUBCOMMAND_H

#include <stdbool.h>

#include "base/mem.h"

struct arguments;

/* An option of one subcommand; those that every one has (-c, --json, --help) are not listed. */
struct flag {
    const char *name;  /* "--name" */
    const char *value; /* "NAME" as help shows it; NULL: it takes none */
    const char *help;
};

struct subcommand {
    const char *name;
    const char *operands; /* as help shows them: "ACCOUNT N", or "" */
    const char *summary;
    size_t operands_minimum, operands_maximum;
    const struct flag *flags; /* ARGUMENTS_FLAGS_MAX at most */
    size_t flag_count;
    const char *const *absent; /* options that this version does not have; NULL at the end */
    bool has_json;             /* --json is of use */
    bool is_hidden;            /* for the program itself, not in the help */
    int (*run)(const struct arguments *arguments); /* the exit code */
};

extern const struct subcommand subcommand_accounts;
extern const struct subcommand subcommand_audit;
extern const struct subcommand subcommand_add;
extern const struct subcommand subcommand_cert;
extern const struct subcommand subcommand_check;
extern const struct subcommand subcommand_doctor;
extern const struct subcommand subcommand_gate;
extern const struct subcommand subcommand_grant;
extern const struct subcommand subcommand_grants;
extern const struct subcommand subcommand_help;
extern const struct subcommand subcommand_import;
extern const struct subcommand subcommand_login;
extern const struct subcommand subcommand_logout;
extern const struct subcommand subcommand_providers;
extern const struct subcommand subcommand_reload;
extern const struct subcommand subcommand_revoke;
extern const struct subcommand subcommand_run;
extern const struct subcommand subcommand_runner;
extern const struct subcommand subcommand_sessions;
extern const struct subcommand subcommand_status;
extern const struct subcommand subcommand_stop;
extern const struct subcommand subcommand_token;
extern const struct subcommand subcommand_try;
extern const struct subcommand subcommand_vault;
extern const struct subcommand subcommand_version;

/* All of them in the order of the help; NULL at the end. */
const struct subcommand *const *subcommand_table(void);
/* NULL when there is none. */
const struct subcommand *subcommand_find(const char *name);

#endif
