/*
 * A sign-in by a human: where to go is shown, and how it ends is waited for.
 */
#ifndef ECLUSE_CLI_SIGN_IN_H
#define ECLUSE_CLI_SIGN_IN_H

#include "cli/ask.h"

/* `way` is "browser", "paste", "device", or NULL: as the account's flow says. The exit code. */
int sign_in_as_human(const struct arguments *arguments, const char *way);

/* For a human, on stderr: what has to be done at the provider before anybody can sign in there.
 * Nothing where the hint is "". */
void sign_in_print_hint(const char *provider, const char *hint);
/* The same for any account of a keeper that is being talked to already. What the human has to know
 * goes to `say`: print_line or print_complaint. */
typedef void sign_in_say(const char *format, ...) PRINTF_LIKE(1, 2);
int sign_in_within(struct conversation *conversation, const struct arguments *arguments,
                   const char *account, const char *way, sign_in_say *say);

#endif
