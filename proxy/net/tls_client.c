/*
 * The client's role.
 *
 * Happy path: the host name, the session and the application protocol are set before the
 * ClientHello; the chain and the name are verified by OpenSSL in the handshake, and asked again.
 * Failures, with words for each:
 * - the certificate: expired, of another name, of an unknown authority, of a common name only;
 * - the server does not speak TLS, or nothing newer than 1.1, or alerts;
 * - it selects an application protocol that was not offered.
 */
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "net/tls_authorities.h"
#include "net/tls_connection.h"
#include "net/tls_presented.h"
#include "net/tls_sessions.h"

struct tls_client {
    struct tls tls;
    struct tls_authorities *authorities;
    struct tls_session_slot slot;
    char *host, *alpn;               /* until OPEN */
    struct tls_presented *presented; /* or NULL; in the handshake */
};

static struct tls_client *client_of(struct tls *tls)
{
    return CONTAINER_OF(tls, struct tls_client, tls);
}

/* -- words -- */

static void fail_by_certificate(struct tls_client *client, long problem)
{
    const char *text = X509_verify_cert_error_string(problem);
    if (problem == X509_V_ERR_HOSTNAME_MISMATCH || problem == X509_V_ERR_IP_ADDRESS_MISMATCH)
        tls_fail(&client->tls, "%s: the certificate is not for %s", text, client->host);
    else
        tls_fail(&client->tls, "certificate of %s: %s", client->host, text);
}

static void fail_by_handshake(struct tls *tls, unsigned long problem)
{
    switch (ERR_GET_LIB(problem) == ERR_LIB_SSL ? ERR_GET_REASON(problem) : 0) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        tls_fail(tls, "the server did not answer with TLS");
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        tls_fail(tls, "the server speaks neither TLS 1.2 nor 1.3");
        break;
    default:
        tls_fail_by_reason(tls, problem, "the handshake failed");
    }
}

static void explain(struct tls *tls, unsigned long problem)
{
    long verified = SSL_get_verify_result(tls->ssl);
    if (tls->state != TLS_HANDSHAKE)
        tls_fail_by_reason(tls, problem, "the connection is broken");
    else if (verified != X509_V_OK)
        fail_by_certificate(client_of(tls), verified);
    else
        fail_by_handshake(tls, problem);
}

/* -- the end of the handshake -- */

static void forget_handshake(struct tls_client *client)
{
    mem_free(client->host);
    mem_free(client->alpn);
    client->host = NULL;
    client->alpn = NULL;
}

/* What OpenSSL was told to do, asked again of what it has done. */
static void finish_handshake(struct tls *tls)
{
    struct tls_client *client = client_of(tls);
    const unsigned char *selected;
    unsigned selected_size;
    SSL_get0_alpn_selected(tls->ssl, &selected, &selected_size);
    struct slice alpn = slice_of(selected, selected_size);
    if (SSL_get0_peer_certificate(tls->ssl) == NULL)
        tls_fail(tls, "the server has no certificate");
    else if (SSL_get_verify_result(tls->ssl) != X509_V_OK)
        fail_by_certificate(client, SSL_get_verify_result(tls->ssl));
    else if (alpn.size > 0 && (client->alpn == NULL || !slice_is(alpn, client->alpn)))
        tls_fail(tls, "the server selected an application protocol that was not offered");
    forget_handshake(client);
}

static void free_client(struct tls *tls)
{
    struct tls_client *client = client_of(tls);
    tls_authorities_free(client->authorities);
    forget_handshake(client);
    mem_free(client);
}

static const struct tls_role role = {
    .peer = "server",
    .finish_handshake = finish_handshake,
    .explain = explain,
    .free = free_client,
};

/* -- its start -- */

/* Asked after each certificate of the chain; decides nothing. What is noted is the server's own
 * certificate or, once one is refused, the one that is. */
static int on_certificate(int accepted, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session_slot *slot = SSL_get_app_data(ssl);
    struct tls_presented *presented = CONTAINER_OF(slot, struct tls_client, slot)->presented;
    if (!accepted)
        tls_presented_note(presented, X509_STORE_CTX_get_current_cert(store));
    else if (X509_STORE_CTX_get_error_depth(store) == 0)
        tls_presented_note(presented, X509_STORE_CTX_get0_cert(store));
    return accepted;
}

static void make_session_key(struct tls_client *client, const char *host, const char *key)
{
    const struct slice parts[] = {
        slice_of(client->authorities->fingerprint, sizeof(client->authorities->fingerprint)),
        slice_of(host, strlen(host) + 1),
        slice_of_string(key),
    };
    struct buf all;
    buf_init(&all, SIZE_MAX);
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        ENSURE(buf_append(&all, parts[i]) == 0);
    SHA256(buf_bytes(&all).data, buf_size(&all), client->slot.key);
    buf_fini(&all);
}

static void resume(struct tls_client *client, const struct tls_settings *settings)
{
    if (settings->sessions == NULL || settings->session_key == NULL)
        return;
    client->slot.sessions = settings->sessions;
    make_session_key(client, settings->host, settings->session_key);
    SSL_SESSION *session = tls_sessions_find(client->slot.sessions, client->slot.key);
    if (session == NULL)
        return;
    ENSURE(SSL_set_session(client->tls.ssl, session) == 1);
    SSL_SESSION_free(session);
}

static void expect_host(struct tls_client *client, const char *host)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(client->tls.ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* OpenSSL takes an empty name for "any" and one with a leading dot for a whole domain. */
    if (host[0] == '\0' || host[0] == '.') {
        tls_fail(&client->tls, "\"%s\" is not a host name", host);
        return;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1)
        return;
    ENSURE(X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1);
    if (SSL_set_tlsext_host_name(client->tls.ssl, client->host) != 1)
        tls_fail(&client->tls, "\"%s\" is not a host name", host);
}

static void offer_alpn(struct tls_client *client, const char *alpn)
{
    uint8_t list[256];
    size_t size = strlen(alpn);
    ENSURE(size > 0 && size < sizeof(list));
    list[0] = (uint8_t)size;
    memcpy(list + 1, alpn, size);
    ENSURE(SSL_set_alpn_protos(client->tls.ssl, list, (unsigned)size + 1) == 0);
    client->alpn = mem_copy_string(alpn);
}

struct tls *tls_client_new(const struct tls_settings *settings)
{
    ENSURE(settings->host != NULL);
    struct tls_client *client = mem_new(sizeof(*client));
    client->authorities = tls_authorities_hold(settings->authorities);
    client->host = mem_copy_string(settings->host);
    tls_init(&client->tls, &role, client->authorities->context, client->authorities->method);
    ENSURE(SSL_set_app_data(client->tls.ssl, &client->slot) == 1);
    SSL_set_connect_state(client->tls.ssl);
    expect_host(client, settings->host);
    if (settings->alpn != NULL)
        offer_alpn(client, settings->alpn);
    if (settings->presented != NULL) {
        client->presented = settings->presented;
        SSL_set_verify(client->tls.ssl, SSL_VERIFY_PEER, on_certificate);
    }
    resume(client, settings);
    return &client->tls;
}
