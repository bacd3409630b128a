/*
 * Happy path: the configuration is read, the keeper opened and confined, and the loop runs until it
 * is told to stop.
 *
 * Failures: 78 the configuration, or a state or runtime folder that is not safe · 75 another ecluse
 * has the vault · 69 an address to listen on is taken · 70 all else.
 */
#include <sysexits.h>

#include "cli/configuration.h"
#include "cli/print.h"
#include "keeper/exit_code.h"
#include "keeper/keeper.h"

static int serve(struct loop *loop, struct config *config)
{
    struct keeper *keeper = NULL;
    struct err err;
    int status = keeper_open(loop, config, KEEPER_DAEMON, &keeper, &err);
    if (status != 0)
        return print_failure(exit_code_of(status), "run: %s", err.text);
    status = keeper_confine(keeper, &err);
    if (status == 0)
        keeper_run(keeper);
    keeper_free(keeper);
    return status == 0 ? EX_OK : print_failure(exit_code_of(status), "run: %s", err.text);
}

static int run(const struct arguments *arguments)
{
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, true, &config);
    if (exit_code != EX_OK)
        return exit_code;
    struct loop loop;
    struct err err;
    if (loop_init(&loop, &err) != 0) {
        config_free(config);
        return print_failure(EX_SOFTWARE, "run: %s", err.text);
    }
    exit_code = serve(&loop, config);
    loop_fini(&loop);
    return exit_code;
}

const struct subcommand subcommand_run = {
    .name = "run",
    .operands = "",
    .summary = "serve, in the foreground; the log goes to stderr",
    .run = run,
};
