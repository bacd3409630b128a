/*
 * One TLS connection as client.
 *
 * Happy path: tls_read with nothing writes the ClientHello; tls_read with what the server says ends
 * the handshake, the chain and the name are verified, the state is OPEN; from then on tls_read
 * decrypts all complete records that it is given and tls_write encrypts.
 * Failures, each of which leaves TLS_FAILED and words in tls_why:
 * - the certificate: expired, of another name, of an unknown authority, of a common name only;
 * - the server does not speak TLS, or nothing newer than 1.1, or alerts;
 * - it selects an application protocol that was not offered;
 * - it says too much before it is verified, or too long nothing afterwards;
 * - a record is damaged.
 * A connection that ends without close_notify is for the caller to notice: the state is then OPEN.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_authorities.h"
#include "net/tls_bio.h"
#include "net/tls_sessions.h"

#define RECORD_SIZE (16ul * 1024)

struct tls {
    SSL *ssl;
    struct tls_authorities *authorities;
    struct tls_session_slot slot;
    struct tls_memory memory;
    enum tls_state state;
    unsigned empty_count; /* messages since the last data */
    char *host, *alpn;    /* until OPEN */
    char *why;            /* when FAILED */
};

static void fail(struct tls *tls, const char *format, ...) PRINTF_LIKE(2, 3);

static void fail(struct tls *tls, const char *format, ...)
{
    char text[384]; /* a host name of 253 octets, and what is wrong with its certificate */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    tls->state = TLS_FAILED;
    if (tls->why == NULL)
        tls->why = mem_copy_string(text);
}

static void fail_by_certificate(struct tls *tls, long problem)
{
    const char *text = X509_verify_cert_error_string(problem);
    if (problem == X509_V_ERR_HOSTNAME_MISMATCH || problem == X509_V_ERR_IP_ADDRESS_MISMATCH)
        fail(tls, "%s: the certificate is not for %s", text, tls->host);
    else
        fail(tls, "certificate of %s: %s", tls->host, text);
}

static void fail_by_queue(struct tls *tls)
{
    unsigned long problem = ERR_peek_error();
    const char *text = ERR_reason_error_string(problem);
    if (ERR_GET_LIB(problem) != ERR_LIB_SSL || tls->state != TLS_HANDSHAKE) {
        fail(tls, "%s", text != NULL ? text : "the connection is broken");
        return;
    }
    switch (ERR_GET_REASON(problem)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        fail(tls, "the server did not answer with TLS");
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        fail(tls, "the server speaks neither TLS 1.2 nor 1.3");
        break;
    default:
        fail(tls, "%s", text != NULL ? text : "the handshake failed");
    }
}

static void fail_by_openssl(struct tls *tls)
{
    long problem = SSL_get_verify_result(tls->ssl);
    if (tls->memory.refused && tls->state == TLS_HANDSHAKE)
        fail(tls, "the server said more than %lu octets in the handshake", TLS_HANDSHAKE_MAX);
    else if (tls->memory.refused)
        fail(tls, "the server sent more than %d messages without data", TLS_EMPTY_MAX);
    else if (tls->state == TLS_HANDSHAKE && problem != X509_V_OK)
        fail_by_certificate(tls, problem);
    else
        fail_by_queue(tls);
}

/* Sees the header of each record and each handshake message. OpenSSL goes on reading by itself
 * until there is data, so that only here a flood can be stopped. */
static void on_message(int is_written, int version, int type, const void *bytes, size_t size,
                       SSL *ssl, void *argument)
{
    (void)version;
    (void)bytes;
    (void)size;
    (void)ssl;
    struct tls *tls = argument;
    bool counts = type == SSL3_RT_HEADER || type == SSL3_RT_HANDSHAKE;
    if (is_written || !counts || tls->state == TLS_HANDSHAKE)
        return;
    /* A message without data is a header and a message, so that it counts twice. */
    if (++tls->empty_count > 2 * TLS_EMPTY_MAX)
        tls->memory.refused = true;
}

static void make_session_key(struct tls *tls, const char *host, const char *key)
{
    const struct slice parts[] = {
        slice_of(tls->authorities->fingerprint, sizeof(tls->authorities->fingerprint)),
        slice_of(host, strlen(host) + 1),
        slice_of_string(key),
    };
    struct buf all;
    buf_init(&all, SIZE_MAX);
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        ENSURE(buf_append(&all, parts[i]) == 0);
    SHA256(buf_bytes(&all).data, buf_size(&all), tls->slot.key);
    buf_fini(&all);
}

static void resume(struct tls *tls, const struct tls_settings *settings)
{
    if (settings->sessions == NULL || settings->session_key == NULL)
        return;
    tls->slot.sessions = settings->sessions;
    make_session_key(tls, settings->host, settings->session_key);
    SSL_SESSION *session = tls_sessions_find(tls->slot.sessions, tls->slot.key);
    if (session == NULL)
        return;
    ENSURE(SSL_set_session(tls->ssl, session) == 1);
    SSL_SESSION_free(session);
}

static void expect_host(struct tls *tls, const char *host)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    /* OpenSSL takes an empty name for "any" and one with a leading dot for a whole domain. */
    if (host[0] == '\0' || host[0] == '.') {
        fail(tls, "\"%s\" is not a host name", host);
        return;
    }
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1)
        return;
    ENSURE(X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1);
    if (SSL_set_tlsext_host_name(tls->ssl, tls->host) != 1)
        fail(tls, "\"%s\" is not a host name", host);
}

static void offer_alpn(struct tls *tls, const char *alpn)
{
    uint8_t list[256];
    size_t size = strlen(alpn);
    ENSURE(size > 0 && size < sizeof(list));
    list[0] = (uint8_t)size;
    memcpy(list + 1, alpn, size);
    ENSURE(SSL_set_alpn_protos(tls->ssl, list, (unsigned)size + 1) == 0);
    tls->alpn = mem_copy_string(alpn);
}

struct tls *tls_client_new(const struct tls_settings *settings)
{
    ENSURE(settings->host != NULL);
    struct tls *tls = mem_new(sizeof(*tls));
    tls->authorities = tls_authorities_hold(settings->authorities);
    tls->memory.allowance = TLS_HANDSHAKE_MAX;
    tls->host = mem_copy_string(settings->host);
    tls->ssl = SSL_new(tls->authorities->context);
    ENSURE(tls->ssl != NULL);
    SSL_set_app_data(tls->ssl, &tls->slot);
    SSL_set_msg_callback(tls->ssl, on_message);
    SSL_set_msg_callback_arg(tls->ssl, tls);
    BIO *bio = tls_bio_new(tls->authorities->method, &tls->memory);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    expect_host(tls, settings->host);
    if (settings->alpn != NULL)
        offer_alpn(tls, settings->alpn);
    resume(tls, settings);
    return tls;
}

static void forget_handshake(struct tls *tls)
{
    mem_free(tls->host);
    mem_free(tls->alpn);
    tls->host = NULL;
    tls->alpn = NULL;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    tls_authorities_free(tls->authorities);
    forget_handshake(tls);
    mem_free(tls->why);
    mem_free(tls);
}

/* What OpenSSL was told to do, asked again of what it has done. */
static void check_peer(struct tls *tls)
{
    const unsigned char *selected;
    unsigned selected_size;
    SSL_get0_alpn_selected(tls->ssl, &selected, &selected_size);
    struct slice alpn = slice_of(selected, selected_size);
    if (SSL_get0_peer_certificate(tls->ssl) == NULL)
        fail(tls, "the server has no certificate");
    else if (SSL_get_verify_result(tls->ssl) != X509_V_OK)
        fail_by_certificate(tls, SSL_get_verify_result(tls->ssl));
    else if (alpn.size > 0 && (tls->alpn == NULL || !slice_is(alpn, tls->alpn)))
        fail(tls, "the server selected an application protocol that was not offered");
}

static void advance_handshake(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        check_peer(tls);
        if (tls->state == TLS_FAILED)
            return;
        tls->state = TLS_OPEN;
        tls->memory.allowance = SIZE_MAX;
        forget_handshake(tls);
    } else if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ) {
        fail_by_openssl(tls);
    }
}

/* True: the buffer is full, and there may be more. */
static bool decrypt(struct tls *tls, uint8_t *plain, size_t capacity, size_t *size_out)
{
    while (*size_out < capacity) {
        size_t size = 0;
        ERR_clear_error();
        int result = SSL_read_ex(tls->ssl, plain + *size_out, capacity - *size_out, &size);
        if (result == 1) {
            *size_out += size;
            tls->empty_count = 0;
            continue;
        }
        int problem = SSL_get_error(tls->ssl, result);
        if (problem == SSL_ERROR_ZERO_RETURN)
            tls->state = TLS_ENDED;
        else if (problem != SSL_ERROR_WANT_READ)
            fail_by_openssl(tls);
        return false;
    }
    return tls->memory.input.size > 0 || SSL_pending(tls->ssl) > 0;
}

bool tls_read(struct tls *tls, struct slice cipher, uint8_t *plain, size_t capacity,
              size_t *plain_size_out, struct buf *cipher_out)
{
    *plain_size_out = 0;
    if (tls->state == TLS_ENDED || tls->state == TLS_FAILED)
        return false;
    ENSURE(buf_room(cipher_out) >= 64ul * 1024);
    ENSURE(cipher.size == 0 || tls->memory.input.size == 0);
    if (cipher.size > 0)
        tls->memory.input = cipher;
    tls->memory.answer = cipher_out;
    bool more = false;
    if (tls->state == TLS_HANDSHAKE)
        advance_handshake(tls);
    if (tls->state == TLS_OPEN)
        more = decrypt(tls, plain, capacity, plain_size_out);
    tls->memory.answer = NULL;
    if (!more)
        tls->memory.input = SLICE_NONE;
    return more;
}

static size_t records_of(size_t size)
{
    return (size + RECORD_SIZE - 1) / RECORD_SIZE;
}

size_t tls_write(struct tls *tls, struct slice plain, uint8_t *cipher, size_t capacity)
{
    ENSURE(tls->state == TLS_OPEN || tls->state == TLS_ENDED);
    ENSURE(capacity >= plain.size + records_of(plain.size) * TLS_RECORD_OVERHEAD);
    tls->memory.output = cipher;
    tls->memory.output_size = 0;
    tls->memory.output_capacity = capacity;
    while (plain.size > 0 && tls->state != TLS_FAILED) {
        size_t size = 0;
        ERR_clear_error();
        /* It wants to read when half a message of the handshake's kind has come: the server cut a
         * ticket into records, and until the rest of it comes nothing can be sent. */
        int result = SSL_write_ex(tls->ssl, plain.data, plain.size, &size);
        if (result != 1 && SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
            fail(tls, "the server sent an incomplete message");
        else if (result != 1)
            fail_by_openssl(tls);
        plain = slice_skip(plain, size);
    }
    tls->memory.output = NULL;
    return tls->memory.output_size;
}

void tls_end(struct tls *tls, struct buf *cipher_out)
{
    if (tls->state != TLS_OPEN && tls->state != TLS_ENDED)
        return;
    tls->memory.answer = cipher_out;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
    tls->memory.answer = NULL;
}

enum tls_state tls_state(const struct tls *tls)
{
    return tls->state;
}

const char *tls_why(const struct tls *tls)
{
    return tls->why != NULL ? tls->why : "";
}

bool tls_is_resumed(const struct tls *tls)
{
    return SSL_session_reused(tls->ssl) == 1;
}

void tls_describe(const struct tls *tls, char *out, size_t capacity)
{
    snprintf(out, capacity, "%s %s%s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl),
             tls_is_resumed(tls) ? " resumed" : "");
}
