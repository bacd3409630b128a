/*
 * A command of the configuration that prints a secret, such as password_command, or nothing of
 * interest, such as notify_command: run by /bin/sh -c, asynchronously, with a limit of time.
 *
 * It has /dev/null as input and for its errors (which may quote the secret), none of our
 * descriptors, "/" as folder and a small environment: what finds programs, the user's agents and a
 * way to ask him for a passphrase. It is the leader of a session of its own; when its time is up or
 * nobody waits any more, it is killed with its whole group.
 */
#ifndef ECLUSE_KEEPER_SECRET_COMMAND_H
#define ECLUSE_KEEPER_SECRET_COMMAND_H

#include "base/secret.h"
#include "net/loop.h"

struct secret_command;

/* Exactly once unless cancelled, and never from within secret_command_start. status 0: `output` is
 * the one line that was printed, without its end (LF or CRLF), as credential_password_is_valid has
 * it; it may be moved from, and is wiped afterwards. Else `output` is NULL and `reason` completes
 * "the command ...", without anything that it printed:
 *   ERR_SYSTEM       it could not be started
 *   ERR_UNAVAILABLE  it ended with a status other than 0, or by a signal
 *   ERR_TIMEOUT      its time was up
 *   ERR_SYNTAX       nothing, more than a line, too much, or what cannot stand in a password */
typedef void secret_command_done(void *owner, int status, struct secret *output,
                                 const char *reason);

/* ENSURE: at least a millisecond. */
struct secret_command *secret_command_start(struct loop *loop, const char *command,
                                            int64_t milliseconds, secret_command_done *on_done,
                                            void *owner);
/* The same with limits of its own, for a secret that is no password. */
struct secret_command_options {
    size_t output_max;            /* octets of the line; 0: its output goes to /dev/null, and
                                   * `output` is empty */
    const char *const *variables; /* NAME=value, besides the usual ones; at most 4 and a NULL */
};
struct secret_command *secret_command_start_with(struct loop *loop, const char *command,
                                                 int64_t milliseconds,
                                                 const struct secret_command_options *options,
                                                 secret_command_done *on_done, void *owner);
/* The loop lives on until the killed command is gone, which is at once. */
void secret_command_cancel(struct secret_command *command);

#endif
