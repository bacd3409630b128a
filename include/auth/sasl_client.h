/*
 * The client side of SASL, for the upstream: libsasl2 with XOAUTH2 and OAUTHBEARER (RFC 7628) as
 * plug-ins of this process for a token, and its own PLAIN (RFC 4616), LOGIN and SCRAM (RFC 5802,
 * 7677) for a password. The plug-ins are loaded once, when the library is opened: afterwards
 * nothing is read from disk. No configuration of libsasl2 is read at all, no security layer ever
 * negotiated.
 *
 * PLAIN and LOGIN send the password as it is, and there is no switch against them: the upstream is
 * spoken to through verified TLS only.
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
    bool is_password;     /* `token` is the upstream's password */
};

/* `plugin_folder` is where libsasl2's mechanisms are, as in auth/sasl_server.h; only those of the
 * mechanisms below are loaded. One that is missing leaves its mechanism out, and nothing else.
 *
 * ERR_SYSTEM: the program does not export its gethostname (auth/hostname.h), or a plug-in is there
 * and cannot be loaded; ERR_CONFIG: ':' or '=' in the folder's name; ERR_EXISTS: the process has
 * one already. libsasl2's own log goes nowhere, as in auth/sasl_server.h. */
MUST_CHECK int sasl_initiator_library_open(const char *plugin_folder,
                                           struct sasl_initiator_library **library_out,
                                           struct err *err);
void sasl_initiator_library_close(struct sasl_initiator_library *library);
/* The mechanisms that there are, in order of preference, those with a token first: all of
 * "OAUTHBEARER XOAUTH2 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN" with every plug-in. */
const char *sasl_initiator_library_mechanisms(const struct sasl_initiator_library *library);

/* The user is who logs in, and nobody else: no authorization identity is ever sent.
 *
 * ERR_DENIED: user, token, password or host hold what must not cross (controls, 0x01; a token has
 * only the characters of RFC 6750 section 2.1, a password is as auth/credential.h has it, and a
 * user with a password neither starts nor ends with a blank): nothing is ever repaired.
 * ERR_NOT_FOUND: no such mechanism, or not one for a password or a token as it is. After an error
 * the token is still the caller's. */
MUST_CHECK int sasl_initiator_new(struct sasl_initiator_library *library, const char *mechanism,
                                  const struct sasl_initiator_identity *identity,
                                  struct sasl_initiator **initiator_out);
void sasl_initiator_free(struct sasl_initiator *initiator);

/* The first message; `data` is NULL when the mechanism lets the server speak first (LOGIN), which
 * is not the same as an empty one (RFC 4422 section 3): then `data` is set and `size` 0. Borrowed
 * until the next call; holds the token, or with PLAIN the password. */
MUST_CHECK int sasl_initiator_start(struct sasl_initiator *initiator, struct slice *response_out);
/* The answer to a challenge: borrowed and secret likewise; `data` is never NULL.
 *
 * After the first message of the mechanisms with a token a challenge is the server's error (JSON):
 * the answer is empty for XOAUTH2, one 0x01 for OAUTHBEARER (RFC 7628 section 3.2.3). SCRAM answers
 * the server's proof by an empty message once it is verified, and the server's error ("e=...") so
 * too, after which the exchange is never complete.
 *
 * ERR_DENIED: the proof is wrong, the server does not know the password; ERR_SYNTAX: not a
 * challenge of this mechanism, or the mechanism has nothing more to say. The exchange is over then.
 */
MUST_CHECK int sasl_initiator_step(struct sasl_initiator *initiator, struct slice challenge,
                                   struct slice *response_out);
/* The mechanism has said and verified all that it can, so that the server's success counts. False
 * with SCRAM until the server has proved that it knows the password: a server that reports success
 * before that is not the provider. True for the mechanisms with a token from their first message
 * on, for PLAIN and LOGIN from their last. */
bool sasl_initiator_is_complete(const struct sasl_initiator *initiator);

#endif
