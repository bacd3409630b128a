/*
 * What the refusals of the large providers mean: one sentence, and what to do about it.
 *
 * RFC 6749 has six codes for everything; the rest is in a number (Microsoft's AADSTS...), in a
 * subcode, or in the words of the description.
 */
#ifndef ECLUSE_AUTH_OAUTH_REASON_H
#define ECLUSE_AUTH_OAUTH_REASON_H

#include <stdint.h>

#include "auth/oauth.h"

enum oauth_remedy {
    OAUTH_REMEDY_SIGN_IN,      /* the token or password is dead: only a new one helps */
    OAUTH_REMEDY_USER,         /* the user or an administrator mends it, and the token lives on */
    OAUTH_REMEDY_CONFIGURATION /* the options, or the registration, are wrong */
};

struct oauth_reason {
    enum oauth_remedy remedy;
    const char *text;   /* a sentence in the middle of another: no capital, no full stop */
    const char *advice; /* what to do, imperative; "": sign in */
};

/* NULL: nothing is known beyond the code in `error`. */
const struct oauth_reason *oauth_reason_find(const struct oauth_answer *answer);

#endif
