/*
 * What is known of a TLS connection that is open, as the audit journal writes it down. Of one that
 * was resumed, the certificate is that of the session that went on.
 *
 * What the certificate says is worked out once and kept with it: sessions that are resumed share
 * it, so that those after the first only look it up.
 */
#ifndef ECLUSE_NET_TLS_FACTS_H
#define ECLUSE_NET_TLS_FACTS_H

#include "net/tls.h"

/* All texts are borrowed: as long as the connection. */
struct tls_facts {
    const char *version; /* "1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    bool is_resumed;
    const char *certificate; /* SHA-256 of it, hexadecimal */
    const char *key;         /* of its SubjectPublicKeyInfo: RFC 7469 section 2.4 */
    const char *issuer;      /* RFC 2253; cut where it is longer than 255 octets */
    const char *not_after;   /* "2027-01-31T23:59:59Z" */
};

/* ENSURE: a client's connection, in the state OPEN or ENDED. */
void tls_facts(const struct tls *tls, struct tls_facts *facts_out);

#endif
