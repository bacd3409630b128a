/*
 * A mail client that proves its password without sending it: libsasl2's own client side, with the
 * plug-ins of the same folder. Every function asserts.
 */
#ifndef ECLUSE_TESTS_CHALLENGE_CLIENT_H
#define ECLUSE_TESTS_CHALLENGE_CLIENT_H

#include <sasl/sasl.h>

#include "base/slice.h"

struct challenge_client {
    const char *user, *authorization; /* borrowed */
    sasl_secret_t *password;
    sasl_conn_t *connection;
    sasl_callback_t callbacks[6];
};

void challenge_client_library_open(void);
void challenge_client_library_close(void);

/* `authorization`: whom to act for; "" for oneself. */
void challenge_client_open(struct challenge_client *client, const char *user,
                           const char *authorization, const char *password);
void challenge_client_close(struct challenge_client *client);

#endif
