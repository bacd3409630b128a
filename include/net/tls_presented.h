/*
 * What a certificate says of itself, for words to a human. Within the net room.
 */
#ifndef ECLUSE_NET_TLS_PRESENTED_H
#define ECLUSE_NET_TLS_PRESENTED_H

#include <openssl/x509.h>

#include "net/tls.h"

/* Replaces what is there; NULL changes nothing. */
void tls_presented_note(struct tls_presented *presented, X509 *certificate);

#endif
