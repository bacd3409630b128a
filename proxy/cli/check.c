#include <stdio.h>
#include <sysexits.h>

#include "cli/configuration.h"
#include "cli/print.h"
#include "conf/table.h"

static void print_defaults(enum section_kind kind)
{
    const struct option_table *table = option_table(kind);
    printf("%s[%s%s]\n", kind == SECTION_GLOBAL ? "" : "\n", table->section,
           kind == SECTION_GLOBAL ? "" : " NAME");
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->rows[i];
        printf("%-29s = %-34s ; %s\n", option->key, option->initial, option->help);
    }
}

static int run(const struct arguments *arguments)
{
    if (arguments_value(arguments, "--defaults") != NULL) {
        for (int kind = 0; kind < SECTION_KIND_COUNT; kind++)
            print_defaults((enum section_kind)kind);
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
