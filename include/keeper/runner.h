/*
 * The process that runs the configuration's commands for a keeper that is confined: they are the
 * user's own, and need what the keeper has given up (the user's files and agents, other programs).
 *
 * It is started before the confinement and has none. It reads the configuration itself, and runs no
 * command that does not stand there, with no variable but our own: whoever has taken over the
 * keeper cannot make it run anything else. What it does for each is keeper/secret_command.
 *
 * When it ends, commands fail until ecluse is started again.
 */
#ifndef ECLUSE_KEEPER_RUNNER_H
#define ECLUSE_KEEPER_RUNNER_H

#include "base/log.h"
#include "conf/config.h"
#include "keeper/secret_command.h"

struct runner;
struct errand;

/* A command stands in it that may be needed later than at the start. */
bool runner_is_needed(const struct config *config);

/* Starts the process; `file` is that of the configuration. */
MUST_CHECK int runner_open(struct loop *loop, const char *file, const struct log *log,
                           struct runner **runner_out, struct err *err);
/* The same with a process that is there already, at the other end of a socket, which is taken
 * over. */
MUST_CHECK int runner_connect(struct loop *loop, int descriptor, const struct log *log,
                              struct runner **runner_out, struct err *err);
/* It ends, with what it runs. ENSURE: every errand is done or cancelled. The memory goes when the
 * loop has closed its handles. */
void runner_close(struct runner *runner);
/* It reads the configuration again, before it looks at what is asked after this. */
void runner_reread(struct runner *runner);

/* As secret_command_start_with, which calls it. */
struct errand *runner_start(struct runner *runner, const char *command, int64_t milliseconds,
                            const struct secret_command_options *options,
                            secret_command_done *on_done, void *owner);
void runner_cancel(struct errand *errand);

/* ---- the process ---- */

/* Serves what comes from the descriptor until that is closed. Returns the exit code. */
int runner_serve(int descriptor, const char *file);
/* The same with descriptor 3, which the keeper has given. */
int runner_main(const char *file);

#endif
