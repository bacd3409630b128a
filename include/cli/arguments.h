/*
 * The command line, read once: which subcommand, its operands, its options. No option is ever
 * guessed from its first letters, none may stand twice, and no secret is taken from here.
 */
#ifndef ECLUSE_CLI_ARGUMENTS_H
#define ECLUSE_CLI_ARGUMENTS_H

#include "base/err.h"
#include "cli/subcommand.h"

#define ARGUMENTS_FLAGS_MAX    13
#define ARGUMENTS_OPERANDS_MAX 2

/* All strings are borrowed from argv. */
struct arguments {
    const struct subcommand *subcommand; /* NULL: none was named */
    const char *config_file;             /* of -c, or NULL */
    bool json;
    bool help;
    bool version; /* --version in front of any subcommand */
    const char *operands[ARGUMENTS_OPERANDS_MAX];
    size_t operand_count;
    const char *values[ARGUMENTS_FLAGS_MAX]; /* by the row of the flag; NULL: not given */
};

/* ERR_SYNTAX: the text says what is wrong and where help is. Operands and values are UTF-8 without
 * control characters, or refused. */
MUST_CHECK int arguments_read(int argc, char *const *argv, struct arguments *arguments_out,
                              struct err *err);

/* The value of an option (ENSURE: it is in the subcommand's row), "" for one that takes none; NULL
 * when it was not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);

#endif
