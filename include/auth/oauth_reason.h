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

#define OAUTH_CODE_MAX    80u
#define OAUTH_REFUSAL_MAX 480u

/* "AADSTS50173", else "invalid_grant". */
void oauth_refusal_write_code(const struct oauth_answer *answer, char code_out[OAUTH_CODE_MAX]);
/* What a refusal says: the reason with its code, "the client has to prove itself (AADSTS7000218)";
 * where none is known, or the code is one that has many reasons, with `words`, which is the
 * answer's description or NULL: "the scope is not valid (invalid_scope: words)", "invalid_grant:
 * words". */
void oauth_refusal_write(const struct oauth_answer *answer, const char *words,
                         char text_out[OAUTH_REFUSAL_MAX]);

#endif
