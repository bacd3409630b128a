/*
 * What is known of a TLS connection that is open, as the audit journal writes it down. Of one that
 * was resumed, the certificate is that of the session that went on.
 */
#ifndef ECLUSE_NET_TLS_FACTS_H
#define ECLUSE_NET_TLS_FACTS_H

#include "net/tls.h"

#define TLS_FACTS_HASH_SIZE (2 * 32 + 1)

struct tls_facts {
    const char *version; /* "1.3" */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384" */
    bool is_resumed;
    char certificate[TLS_FACTS_HASH_SIZE]; /* SHA-256 of it, hexadecimal */
    char key[TLS_FACTS_HASH_SIZE];         /* of its SubjectPublicKeyInfo: RFC 7469 section 2.4 */
    char issuer[256];                      /* RFC 2253; cut where it is longer */
    char not_after[32];                    /* "2027-01-31T23:59:59Z" */
};

/* ENSURE: a client's connection, in the state OPEN or ENDED. */
void tls_facts(const struct tls *tls, struct tls_facts *facts_out);

#endif
