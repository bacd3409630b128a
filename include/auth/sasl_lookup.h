/*
 * The users, as libsasl2 asks for them in the course of one exchange: which names there can be, a
 * password to be checked, a password to be told, and who may act for whom. It keeps what was
 * answered, so that an exchange can be accepted on our own word and not on libsasl2's alone.
 */
#ifndef ECLUSE_AUTH_SASL_LOOKUP_H
#define ECLUSE_AUTH_SASL_LOOKUP_H

#include <sasl/sasl.h>

#include "auth/credential.h"
#include "auth/sasl_server.h"

#define SASL_LOOKUP_NAME      "ecluse" /* of both plug-ins, for libsasl2's options */
#define SASL_LOOKUP_CALLBACKS 2

enum sasl_lookup_outcome {
    SASL_LOOKUP_NOTHING, /* nobody asked, or there is no such user: never to be accepted */
    SASL_LOOKUP_MISMATCH,
    SASL_LOOKUP_MATCH,
    SASL_LOOKUP_LATER,
    SASL_LOOKUP_TOLD /* libsasl2 has the user's password and compares by itself */
};

struct sasl_lookup {
    const struct sasl_users *users; /* borrowed */
    void *exchange;
    enum sasl_lookup_outcome outcome;
    bool is_malformed;                   /* a password with a NUL in it */
    char user[CREDENTIAL_USER_MAX + 1u]; /* whose password `outcome` is about */
};

/* Adds the plug-ins of this process: user names as they are typed, and passwords through `users`.
 * After sasl_server_init. SASL_OK or libsasl2's error. */
MUST_CHECK int sasl_lookup_register(void);
/* Fills SASL_LOOKUP_CALLBACKS entries of the table of one connection. */
void sasl_lookup_callbacks(struct sasl_lookup *lookup, sasl_callback_t *callbacks_out);

#endif
