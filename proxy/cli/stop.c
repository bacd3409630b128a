/*
 * Ends when the daemon's process has ended, so that what comes next in a script finds the ports
 * free. 75: it takes longer than sessions are ever given.
 */
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"

/* Above the largest `drain` that anybody waits for at a terminal. */
#define STOP_MILLISECONDS 60000

static int run(const struct arguments *arguments)
{
    struct remote remote;
    json_t *answer = NULL;
    int exit_code = ask_daemon(arguments, &remote, &answer);
    if (exit_code != EX_OK)
        return exit_code;
    long long process = (long long)ask_number(answer, "pid");
    json_decref(answer);
    int status = remote_wait_for_end(&remote, STOP_MILLISECONDS);
    remote_close(&remote);
    if (status != 0)
        return print_failure(EX_TEMPFAIL,
                             "stop: process %lld still waits for its sessions; ask "
                             "once more to end them",
                             process);
    print_line("stopped");
    return EX_OK;
}

const struct subcommand subcommand_stop = {
    .name = "stop",
    .operands = "",
    .summary = "have the daemon end its sessions and stop",
    .run = run,
};
