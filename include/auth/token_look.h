/*
 * What can be seen in an access token, and in the scope that came with it, of why a mail server may
 * not take it. Nothing is decided by this: a token is for the server to judge, and most are opaque.
 */
#ifndef ECLUSE_AUTH_TOKEN_LOOK_H
#define ECLUSE_AUTH_TOKEN_LOOK_H

#include "base/slice.h"

#define TOKEN_LOOK_TEXT 200u

enum token_flaw {
    TOKEN_FLAW_NONE,     /* that can be seen */
    TOKEN_FLAW_RESOURCE, /* it is for something else than mail: the text names it */
    TOKEN_FLAW_SCOPE,    /* the provider granted less than was asked for: what is missing */
    TOKEN_FLAW_USER      /* it is somebody else's than whose mailbox is wanted: whose */
};

struct token_question {
    struct slice token;
    const char *granted; /* the scope that the provider answered with; "": as asked */
    const char *wanted;  /* what the protocol needs of it, words; "": not known */
    const char *user;    /* who is to log in */
};

/* `text_out` is printable, never of the token itself but of a claim in it; "" with FLAW_NONE. */
enum token_flaw token_look(const struct token_question *question, char text_out[TOKEN_LOOK_TEXT]);

#endif
