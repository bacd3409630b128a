/*
 * What the subcommands do, once: a request in JSON, an answer in JSON. The control socket brings
 * them to the daemon's keeper, the command line to an offline one; neither knows what is inside.
 *
 * Request:  {"command": "grant", "account": "work", …}
 * Answer:   {"status": 0, …} or {"status": <exit code of sysexits>, "error": "what failed: why;
 * what to do"}
 *
 * Passwords and tokens stand in requests and answers of `credential`, `grant`, `login` and `token`:
 * the text is in struct secret and wiped.
 */
#ifndef ECLUSE_KEEPER_COMMAND_H
#define ECLUSE_KEEPER_COMMAND_H

#include "base/secret.h"
#include "keeper/keeper.h"

#define COMMAND_REQUEST_MAX (64u * 1024)

struct command; /* one that has not been answered yet */

/* `on_answer` is called exactly once unless cancelled; never from within command_start. `answer`
 * may be moved from. */
struct command *command_start(struct keeper *keeper, struct slice request,
                              void (*on_answer)(void *owner, struct secret *answer), void *owner);
void command_cancel(struct command *command);
/* True while it is for somebody who is likely to be gone when the client is: a sign-in, a token
 * that was brought. */
bool command_waits_for_user(const struct command *command);

#endif
