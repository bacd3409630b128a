/*
 * The server's role.
 *
 * Happy path: the client speaks first; version, cipher and protocol are what its identity allows.
 * Failures, with words for each:
 * - the client does not speak TLS, or nothing as new as the minimum;
 * - it wants to speak another protocol, as browsers do: no_application_protocol;
 * - it ends the handshake by an alert, mostly because it does not trust the certificate.
 */
#include "net/tls_server.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_connection.h"

#define OFFER_SHOWN 128

struct tls_server {
    struct tls tls;
    struct tls_identity *identity;
};

static struct tls_server *server_of(struct tls *tls)
{
    return CONTAINER_OF(tls, struct tls_server, tls);
}

/* -- words -- */

/* TLS 1.3 says 1.2 where the older ones say what they are. */
static const char *version_name(int version)
{
    static const char *const names[] = {"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2"};
    if (version < SSL3_VERSION)
        return "SSL 2.0";
    return names[version < TLS1_2_VERSION ? version - SSL3_VERSION : 3];
}

static void fail_by_alert(struct tls *tls, int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
        tls_fail(tls, "the client does not trust the certificate");
        break;
    case SSL_AD_CERTIFICATE_EXPIRED:
        tls_fail(tls, "the client says that the certificate has expired");
        break;
    default:
        tls_fail(tls, "the client gave up: %s", SSL_alert_desc_string_long(alert));
    }
}

static void fail_by_handshake(struct tls *tls, unsigned long problem, int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
        if (tls->is_peer_heard)
            tls_fail_by_reason(tls, problem, "");
        else
            tls_fail(tls, "a plaintext client on a TLS port");
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL:
        tls_fail(tls, "the client speaks nothing newer than %s",
                 version_name(SSL_client_version(tls->ssl)));
        break;
    case SSL_R_NO_SHARED_CIPHER:
        tls_fail(tls, "the client and the listener have no cipher in common");
        break;
    default:
        tls_fail_by_reason(tls, problem, "the handshake failed");
    }
}

static void explain(struct tls *tls, unsigned long problem)
{
    int reason = ERR_GET_LIB(problem) == ERR_LIB_SSL ? ERR_GET_REASON(problem) : 0;
    int alert = reason - SSL_AD_REASON_OFFSET;
    if (alert > 0 && alert < 256)
        fail_by_alert(tls, alert);
    else if (tls->state != TLS_HANDSHAKE)
        tls_fail_by_reason(tls, problem, "the connection is broken");
    else
        fail_by_handshake(tls, problem, reason);
}

/* -- the application protocol -- */

static struct slice next_offered(struct slice *offered)
{
    size_t size = offered->size > 0 ? offered->data[0] : 0;
    struct slice name = slice_take(slice_skip(*offered, 1), size);
    *offered = slice_skip(*offered, 1 + size);
    return name;
}

static void fail_by_offer(struct tls *tls, struct slice offered)
{
    char shown[OFFER_SHOWN] = "", name[OFFER_SHOWN];
    const char *separator = "";
    while (offered.size > 0 && strlen(shown) + 1 < sizeof(shown)) {
        slice_escape(next_offered(&offered), name, sizeof(name));
        size_t size = strlen(shown);
        snprintf(shown + size, sizeof(shown) - size, "%s%s", separator, name);
        separator = ", ";
    }
    const char *alpn = server_of(tls)->identity->alpn;
    if (alpn != NULL)
        tls_fail(tls, "the client wants to speak %s, not %s", shown, alpn);
    else
        tls_fail(tls, "the client wants to speak %s, which is not spoken here", shown);
}

int tls_server_select_alpn(SSL *ssl, const unsigned char **selected_out,
                           unsigned char *selected_size_out, const unsigned char *offered,
                           unsigned offered_size, void *identity)
{
    const char *alpn = ((struct tls_identity *)identity)->alpn;
    struct slice rest = slice_of(offered, offered_size);
    while (alpn != NULL && rest.size > 0) {
        struct slice name = next_offered(&rest);
        if (!slice_is(name, alpn))
            continue;
        *selected_out = name.data;
        *selected_size_out = (unsigned char)name.size;
        return SSL_TLSEXT_ERR_OK;
    }
    fail_by_offer(SSL_get_app_data(ssl), slice_of(offered, offered_size));
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* -- the connection -- */

static void finish_handshake(struct tls *tls)
{
    (void)tls;
}

static void free_server(struct tls *tls)
{
    struct tls_server *server = server_of(tls);
    tls_identity_free(server->identity);
    mem_free(server);
}

static const struct tls_role role = {
    .peer = "client",
    .finish_handshake = finish_handshake,
    .explain = explain,
    .free = free_server,
};

struct tls *tls_server_new(struct tls_identity *identity)
{
    struct tls_server *server = mem_new(sizeof(*server));
    identity->references++;
    server->identity = identity;
    tls_init(&server->tls, &role, identity->context, identity->method);
    ENSURE(SSL_set_app_data(server->tls.ssl, &server->tls) == 1);
    SSL_set_accept_state(server->tls.ssl);
    return &server->tls;
}
