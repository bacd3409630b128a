#include <stdio.h>
#include <sysexits.h>

#include "cli/configuration.h"
#include "cli/print.h"

static int run(const struct arguments *arguments)
{
    if (arguments_value(arguments, "--defaults") != NULL) {
        config_print_defaults(stdout);
        return EX_OK;
    }
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, true, &config);
    if (exit_code == EX_OK)
        print_line("%s: fine", config->file);
    config_free(config);
    return exit_code;
}

static const struct flag flags[] = {
    {"--defaults", NULL, "print every option with its default instead"},
};

const struct subcommand subcommand_check = {
    .name = "check",
    .operands = "",
    .summary = "say every problem of the configuration, with file, line and the fix",
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
