/*
 * ecluse: the command. Makes the process safe, reads the command line, and gives it to the
 * subcommand; its result is the exit code.
 */
#include <sysexits.h>

#include "cli/arguments.h"
#include "cli/print.h"
#include "cli/process.h"

static int dispatch(const struct arguments *arguments)
{
    if (arguments->version)
        return subcommand_version.run(arguments);
    if (arguments->help)
        return subcommand_help.run(arguments);
    if (arguments->subcommand == NULL)
        return print_failure(EX_USAGE, "no command; see ecluse help");
    return arguments->subcommand->run(arguments);
}

int main(int argc, char **argv)
{
    struct err err;
    struct arguments arguments;
    if (process_prepare(&err) != 0)
        return print_failure(EX_NOPERM, "%s", err.text);
    if (arguments_read(argc, argv, &arguments, &err) != 0)
        return print_failure(EX_USAGE, "%s", err.text);
    int exit_code = dispatch(&arguments);
    process_end();
    if (!print_flush() && exit_code == EX_OK)
        return print_failure(EX_CANTCREAT, "the output could not be written; nothing was printed");
    return exit_code;
}
