/*
 * XOAUTH2 and OAUTHBEARER (RFC 7628) as client plug-ins of libsasl2.
 */
#ifndef ECLUSE_AUTH_SASL_OAUTH_H
#define ECLUSE_AUTH_SASL_OAUTH_H

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "base/secret.h"

/* Whose message it is. Checked already: nothing in it can end a field. A connection carries a
 * pointer to it as the context of its callback SASL_CB_AUTHNAME. */
struct sasl_oauth_identity {
    char *host;
    uint16_t port;
    char *user;
    struct secret token;
};

/* The entry point, for sasl_client_add_plugin. */
int sasl_oauth_init(const sasl_utils_t *utils, int version_max, int *version_out,
                    sasl_client_plug_t **plugins_out, int *count_out);

#endif
