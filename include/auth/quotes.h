/*
 * Servers quote what they refuse. What they say is shown to people, and must not hold a secret.
 */
#ifndef ECLUSE_AUTH_QUOTES_H
#define ECLUSE_AUTH_QUOTES_H

#include <stdbool.h>

#include "base/slice.h"

/* Does the text repeat the secret or its start (QUOTES_SHOWN octets of it), as it is or in base64,
 * wherever in a longer message it stood? Base64 of a secret under 8 octets is not recognised. */
#define QUOTES_SHOWN 16u
bool quotes_secret(struct slice text, struct slice secret);

#endif
