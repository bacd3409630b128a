/*
 * Certificates made in memory: an authority, and what it signs, good or bad in a chosen way.
 */
#ifndef ECLUSE_TESTS_CERTIFICATE_H
#define ECLUSE_TESTS_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

struct certificate {
    EVP_PKEY *key; /* P-256 */
    X509 *x509;
};

struct certificate_wish {
    const char *common_name;
    const char *names; /* "DNS:imap.example.org,IP:127.0.0.1"; NULL: no subjectAltName */
    bool is_authority;
    long starts, ends; /* seconds from now; both 0: yesterday to tomorrow */
};

/* Signed by `issuer`, or by itself when that is NULL. */
struct certificate *certificate_new(const struct certificate_wish *wish,
                                    const struct certificate *issuer);
void certificate_free(struct certificate *certificate);
/* PEM text for mem_free. */
char *certificate_text(const struct certificate *certificate);

#endif
