/*
 * The client side of SASL, for the upstream: libsasl2 with XOAUTH2 and OAUTHBEARER (RFC 7628) as
 * plug-ins of this process. Nothing is read from disk.
 *
 * libsasl2 asks the machine for its own name at every sasl_client_new, and the resolver when that
 * name has no dot: a blocking look-up in the loop. auth/hostname.h answers for it.
 */
#ifndef ECLUSE_AUTH_SASL_CLIENT_H
#define ECLUSE_AUTH_SASL_CLIENT_H

#include "base/err.h"
#include "base/secret.h"

struct sasl_initiator_library; /* the library's state is global: one a process */
struct sasl_initiator;         /* one exchange */

struct sasl_initiator_identity {
    const char *service; /* imap, pop, smtp */
    const char *host;    /* of the upstream: goes into OAUTHBEARER's host= */
    uint16_t port;
    const char *user;
    struct secret *token; /* moved from */
};

/* ERR_SYSTEM: the program does not export its gethostname (auth/hostname.h); ERR_EXISTS: the
 * process has one already. libsasl2's own log goes nowhere, as in auth/sasl_server.h. */
MUST_CHECK int sasl_initiator_library_open(struct sasl_initiator_library **library_out,
                                           struct err *err);
void sasl_initiator_library_close(struct sasl_initiator_library *library);

/* ERR_DENIED: user, token or host hold an octet that must not cross (controls, 0x01; a token has
 * only the characters of RFC 6750 section 2.1): nothing is ever repaired. ERR_NOT_FOUND: no such
 * mechanism. After an error the token is still the caller's. */
MUST_CHECK int sasl_initiator_new(struct sasl_initiator_library *library, const char *mechanism,
                                  const struct sasl_initiator_identity *identity,
                                  struct sasl_initiator **initiator_out);
void sasl_initiator_free(struct sasl_initiator *initiator);

/* The first message. Borrowed until the next call; holds the token. */
MUST_CHECK int sasl_initiator_start(struct sasl_initiator *initiator, struct slice *response_out);
/* The answer to a challenge. After the first message of both mechanisms a challenge is the server's
 * error (JSON): the answer is empty for XOAUTH2, one 0x01 for OAUTHBEARER (RFC 7628 section 3.2.3).
 * ERR_SYNTAX: the mechanism has nothing more to say. */
MUST_CHECK int sasl_initiator_step(struct sasl_initiator *initiator, struct slice challenge,
                                   struct slice *response_out);

/* The mechanisms that there are, "OAUTHBEARER XOAUTH2". */
const char *sasl_initiator_library_mechanisms(const struct sasl_initiator_library *library);

#endif
