/*
 * Dynamic registration of a public native client (RFC 7591, as draft-ietf-mailmaint-oauth-public
 * wants it): no secret, proof by PKCE, a redirect to loopback at any port (RFC 8252 section 7.3).
 */
#ifndef ECLUSE_AUTH_OAUTH_REGISTRATION_H
#define ECLUSE_AUTH_OAUTH_REGISTRATION_H

#include "base/err.h"
#include "base/secret.h"

/* The path of the redirect URIs of a registered client: a server compares it, and not the port. */
#define OAUTH_REGISTRATION_PATH  "/"
#define OAUTH_CLIENT_ID_MAX      1024u
#define OAUTH_REGISTRATION_SCOPE 4096u

/* JSON. `scope` is UTF-8 and may be ""; `has_device`: the server has a device endpoint, whose grant
 * is asked for, too. ERR_FULL: the scope is longer than OAUTH_REGISTRATION_SCOPE. */
MUST_CHECK int oauth_registration_request(const char *scope, bool has_device,
                                          struct secret *body_out);

/* *client_id_out, for mem_free, is printable. ERR_DENIED: the server refuses, or gives a client
 * that has to prove itself by a secret; ERR_SYNTAX: the answer cannot be used. The text says why,
 * printable. */
MUST_CHECK int oauth_registration_read(int http_status, struct slice body, char **client_id_out,
                                       struct err *err);

#endif
