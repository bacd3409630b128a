#include <sysexits.h>

#include "cli/arguments.h"
#include "cli/print.h"

static int run(const struct arguments *arguments)
{
    if (!arguments->json) {
        print_line("ecluse %s", ECLUSE_VERSION);
        return EX_OK;
    }
    json_t *json = json_pack("{s:s}", "version", ECLUSE_VERSION);
    print_json(json);
    json_decref(json);
    return EX_OK;
}

const struct subcommand subcommand_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .has_json = true,
    .run = run,
};
