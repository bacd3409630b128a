/*
 * A sign-in by a human: where to go is shown, and how it ends is waited for.
 */
#ifndef ECLUSE_CLI_SIGN_IN_H
#define ECLUSE_CLI_SIGN_IN_H

#include "cli/arguments.h"

/* `way` is "browser", "paste", "device", or NULL: as the account's flow says. The exit code. */
int sign_in_as_human(const struct arguments *arguments, const char *way);

/* For a human, on stderr: what has to be done at the provider before anybody can sign in there.
 * Nothing where the hint is "". */
void sign_in_print_hint(const char *provider, const char *hint);

#endif
