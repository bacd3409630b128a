/*
 * Everything that is shown here comes from the rows that the command line is checked by.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/arguments.h"
#include "cli/print.h"

#define NAME_WIDTH 26

static void print_row(const char *name, const char *rest, const char *what)
{
    char left[80];
    snprintf(left, sizeof(left), "%s%s%s", name, *rest == '\0' ? "" : " ", rest);
    printf("  %-*s %s\n", NAME_WIDTH, left, what);
}

static void print_common(const struct subcommand *subcommand)
{
    print_row("-c", "FILE", "the configuration (default: $ECLUSE_CONFIG, then");
    print_row("", "", "$XDG_CONFIG_HOME/ecluse/ecluse.ini, then /etc/ecluse/ecluse.ini)");
    if (subcommand == NULL || subcommand->has_json)
        print_row("--json", "", "print JSON, where a table is printed");
    print_row("--help", "", "this");
}

static int print_overview(void)
{
    printf(
        "ecluse: old mail clients, with a password on localhost, at providers that want OAuth2\n\n"
        "usage: ecluse [-c FILE] COMMAND ...\n\n");
    for (const struct subcommand *const *row = subcommand_table(); *row != NULL; row++)
        if (!(*row)->is_hidden)
            print_row((*row)->name, (*row)->operands, (*row)->summary);
    printf("\n");
    print_common(NULL);
    printf("\necluse help COMMAND tells the options of one command.\n");
    return EX_OK;
}

static int print_one(const struct subcommand *subcommand)
{
    printf("usage: ecluse %s%s%s%s\n\n%s\n\n", subcommand->name,
           *subcommand->operands == '\0' ? "" : " ", subcommand->operands,
           subcommand->flag_count == 0 ? "" : " [OPTION ...]", subcommand->summary);
    for (size_t i = 0; i < subcommand->flag_count; i++) {
        const struct flag *flag = &subcommand->flags[i];
        print_row(flag->name, flag->value == NULL ? "" : flag->value, flag->help);
    }
    print_common(subcommand);
    return EX_OK;
}

/* Serves `ecluse help`, `ecluse help COMMAND`, `ecluse --help` and `ecluse COMMAND --help`. */
static int run(const struct arguments *arguments)
{
    const struct subcommand *subject = arguments->subcommand;
    if (subject == NULL)
        return print_overview();
    if (arguments->help)
        return print_one(subject);
    if (arguments->operand_count == 0)
        return print_overview();
    const char *name = arguments->operands[0];
    subject = subcommand_find(name);
    if (subject == NULL)
        return print_failure(EX_USAGE, "%s is no command; see ecluse help", name);
    return print_one(subject);
}

const struct subcommand subcommand_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "list the commands, or tell the options of one",
    .operands_maximum = 1,
    .run = run,
};
