#include "gate/gate.h"
#include "cli/subcommand.h"

/* Started by the keeper, with the channel as descriptor 3; of no use by hand. */
static int run(const struct arguments *arguments)
{
    (void)arguments;
    return gate_main();
}

const struct subcommand subcommand_gate = {
    .name = "gate",
    .operands = "",
    .summary = "the process that holds the mail sessions; started by ecluse run alone",
    .is_hidden = true,
    .run = run,
};
