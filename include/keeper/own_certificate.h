/*
 * The key and certificate that `ecluse cert` puts into state_dir, where listeners with TLS look for
 * them (keeper/listener_tls.h). It works beside a daemon, which reads them at its next reload.
 */
#ifndef ECLUSE_KEEPER_OWN_CERTIFICATE_H
#define ECLUSE_KEEPER_OWN_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/tls_certificate.h"

struct own_certificate {
    char *certificate_file, *key_file; /* absolute */
    bool has_new_key;
    struct tls_certificate facts;
};

/* Makes a certificate, with the key that is there unless there is none or `wants_new_key`. On an
 * error, what was there is still there. ERR_DENIED: the folder or the key is not safe. ERR_SYNTAX:
 * the key is none. Cleared by own_certificate_clear. */
MUST_CHECK int own_certificate_make(const char *state_dir, bool wants_new_key, int64_t now,
                                    struct own_certificate *certificate_out, struct err *err);
void own_certificate_clear(struct own_certificate *certificate);

#endif
