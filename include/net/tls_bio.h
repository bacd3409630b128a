/*
 * What OpenSSL reads from and writes to: memory that the caller of tls.h lends for one call. Within
 * the net room.
 */
#ifndef ECLUSE_NET_TLS_BIO_H
#define ECLUSE_NET_TLS_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

#include "base/buf.h"

struct tls_memory {
    struct slice input; /* what is left of it */
    size_t allowance;   /* octets that may still be read; one more makes `refused` true */
    struct buf *answer; /* written to when `output` is NULL; full makes `refused` true */
    uint8_t *output;    /* ENSURE: never full */
    size_t output_size, output_capacity;
    bool refused; /* every read and write fails for good */
};

/* Shared by many; freed by BIO_meth_free after the last of them. */
BIO_METHOD *tls_bio_method_new(void);
/* `memory` outlives it. */
BIO *tls_bio_new(BIO_METHOD *method, struct tls_memory *memory);

#endif
