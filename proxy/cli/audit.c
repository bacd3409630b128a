/*
 * Reading, checking and keeping the audit journal: the first word behind `audit` says what.
 */
#include "cli/audit.h"

#include <string.h>
#include <sysexits.h>

#include "cli/print.h"

#define FILTERS "--account", "--protocol", "--action", "--session", "--since", "--until", "--failed"

/* What each takes besides -c and --help. */
static const struct {
    const char *name;
    int (*run)(const struct arguments *arguments);
    const char *const options[12];
} verbs[] = {
    {"show", audit_show, {"--json", "--folder", FILTERS}},
    {"follow", audit_follow, {"--json", FILTERS}},
    {"stats", audit_stats, {"--json", "--folder", FILTERS}},
    {"export", audit_export, {"--folder", "--account"}},
    {"verify", audit_verify, {"--json", "--folder", "--seed-stdin", "--key", "--anchor"}},
    {"init", audit_init, {NULL}},
    {"erase", audit_erase, {"--account"}},
};

static bool is_taken(const char *const *options, const char *name)
{
    while (*options != NULL && strcmp(*options, name) != 0)
        options++;
    return *options != NULL;
}

/* The first option that was given and is of no use; NULL: none. */
static const char *misplaced(const struct arguments *arguments, const char *const *options)
{
    const struct subcommand *subcommand = arguments->subcommand;
    if (arguments->json && !is_taken(options, "--json"))
        return "--json";
    for (size_t i = 0; i < subcommand->flag_count; i++)
        if (arguments->values[i] != NULL && !is_taken(options, subcommand->flags[i].name))
            return subcommand->flags[i].name;
    return NULL;
}

static int run(const struct arguments *arguments)
{
    const char *name = arguments->operands[0];
    size_t i = 0;
    while (i < LENGTH_OF(verbs) && strcmp(verbs[i].name, name) != 0)
        i++;
    if (i == LENGTH_OF(verbs))
        return print_failure(EX_USAGE, "audit: it does no %s; see ecluse help audit", name);
    const char *option = misplaced(arguments, verbs[i].options);
    if (option != NULL)
        return print_failure(EX_USAGE, "audit: %s takes no %s; see ecluse help audit", name,
                             option);
    return verbs[i].run(arguments);
}

static const struct flag flags[] = {
    {"--account", "NAME", "show follow stats export erase: of this account alone"},
    {"--protocol", "P", "of imap, pop3 or smtp alone (show follow stats, like all that follow)"},
    {"--action", "LIST", "of these actions alone: message-send,command …"},
    {"--session", "ID", "of one session"},
    {"--since", "TIME", "2026-01-31, \"2026-01-31 23:59\", 2h, 7d, today, yesterday"},
    {"--until", "TIME", "likewise"},
    {"--failed", NULL, "only what did not succeed"},
    {"--folder", "DIR", "a copy of the journal, instead of this installation's"},
    {"--seed-stdin", NULL, "verify: the seed of `audit init`, on stdin; several with spaces"},
    {"--key", "FILE", "verify: the public key (default: public.pem of the folder)"},
    {"--anchor", "FILE", "verify: checkpoints kept elsewhere, such as lines of syslog"},
};

const struct subcommand subcommand_audit = {
    .name = "audit",
    .operands = "show|follow|stats|export|verify|init|erase",
    .summary = "read the audit journal, check that nobody changed it, manage its keys",
    .operands_minimum = 1,
    .operands_maximum = 1,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .has_json = true,
    .run = run,
};
