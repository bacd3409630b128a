/*
 * The server side of TLS: who we are to clients. An identity is a certificate chain, its key and
 * the lowest version that is spoken: one for each listener, shared by its connections, never
 * changed. A renewed certificate is a new identity; connections keep the one they began with.
 *
 * A minimum of TLS 1.2 or 1.3 has the security level of the system. A minimum of TLS 1.0 or 1.1 is
 * for devices that know nothing better: such an identity also takes their ciphers, signatures and
 * key sizes (level 0), and newer clients still get the best that both know.
 *
 * A client that offers application protocols (ALPN, RFC 7301) must offer ours; one that offers none
 * is fine. So a browser that was lured to a mail port ends in the handshake.
 */
#ifndef ECLUSE_NET_TLS_IDENTITY_H
#define ECLUSE_NET_TLS_IDENTITY_H

#include "net/tls.h"

struct tls_identity;

struct tls_identity_settings {
    struct slice certificate; /* PEM: ours first, then those that lead to the authority */
    struct slice key;         /* PEM, without a passphrase */
    unsigned minimum;         /* 0 to 3: TLS 1.0 to 1.3 */
    const char *alpn;         /* "imap", "pop3", or NULL: whoever offers anything is refused */
};

/* ERR_SYNTAX with a text for the operator: no certificate in it, no key, they do not belong
 * together, too weak for the security level. References are counted; all is copied. */
MUST_CHECK int tls_identity_new(const struct tls_identity_settings *settings,
                                struct tls_identity **identity_out, struct err *err);
void tls_identity_free(struct tls_identity *identity);

/* A connection as server, for tls_free; it waits for the client to speak and holds its identity. */
struct tls *tls_server_new(struct tls_identity *identity);

#endif
