/*
 * The claims of a JSON Web Token that somebody else has signed. The signature is not looked at: for
 * a token that came over TLS from whoever has made it, or of which nothing depends on what it says.
 */
#ifndef ECLUSE_AUTH_JWT_CLAIMS_H
#define ECLUSE_AUTH_JWT_CLAIMS_H

#include <jansson.h>

#include "base/slice.h"

/* NULL when it is no such token. For json_decref. */
json_t *jwt_claims_read(struct slice token);

#endif
