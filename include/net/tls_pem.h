/*
 * Certificates and keys out of PEM text. Within the net room.
 */
#ifndef ECLUSE_NET_TLS_PEM_H
#define ECLUSE_NET_TLS_PEM_H

#include <openssl/x509.h>

#include "base/err.h"
#include "base/slice.h"

/* All of them, in order, for sk_X509_pop_free; text between them is passed over. ERR_SYNTAX: there
 * is none, or one that cannot be read. */
MUST_CHECK int tls_pem_certificates(struct slice text, STACK_OF(X509) * *certificates_out,
                                    struct err *err);
/* For EVP_PKEY_free. ERR_SYNTAX: there is none, it cannot be read, or it needs a passphrase (nobody
 * is asked for it). */
MUST_CHECK int tls_pem_key(struct slice text, EVP_PKEY **key_out, struct err *err);

#endif
