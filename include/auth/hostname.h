/*
 * The machine's name, as this program gives it to the libraries that it uses.
 *
 * proxy/auth/hostname.c defines gethostname(2) for the whole program. It works only when the
 * executable exports it (-Wl,--export-dynamic-symbol=gethostname): hostname_is_ours tells.
 */
#ifndef ECLUSE_AUTH_HOSTNAME_H
#define ECLUSE_AUTH_HOSTNAME_H

#include <stdbool.h>

/* Fully qualified, so that nobody feels a need to ask the resolver. */
#define HOSTNAME_TEXT "localhost.localdomain"

/* True when a shared library that calls gethostname gets ours. */
bool hostname_is_ours(void);

#endif
