/*
 * Versions from `minimum` up, no renegotiation, no compression, buffers only while they hold
 * something.
 *
 * Failures: none but a broken OpenSSL.
 */
#include "net/tls_context.h"

#include "base/mem.h"

SSL_CTX *tls_context_new(const SSL_METHOD *method, int minimum)
{
    SSL_CTX *context = SSL_CTX_new(method);
    ENSURE(context != NULL);
    ENSURE(SSL_CTX_set_min_proto_version(context, minimum) == 1);
    ENSURE(SSL_CTX_set_max_proto_version(context, 0) == 1);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF |
                                       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                       SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    return context;
}
