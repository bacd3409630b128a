/*
 * One TLS connection, in either role.
 *
 * Happy path: tls_read with what the peer says (as client first with nothing, which writes the
 * ClientHello) ends the handshake; the role makes its last checks; the state is OPEN; from then on
 * tls_read decrypts all complete records that it is given and tls_write encrypts.
 * Failures, each of which leaves TLS_FAILED and words in tls_why:
 * - what the role finds, or has words for: tls_client.c, tls_server.c;
 * - the peer says too much in the handshake, or too long nothing afterwards;
 * - a record is damaged.
 * A connection that ends without close_notify is for the caller to notice: the state is then OPEN.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

#include "net/tls_connection.h"

#define RECORD_SIZE (16ul * 1024)

void tls_fail(struct tls *tls, const char *format, ...)
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

void tls_fail_by_reason(struct tls *tls, unsigned long problem, const char *otherwise)
{
    const char *text = ERR_reason_error_string(problem);
    tls_fail(tls, "%s", text != NULL ? text : otherwise);
}

static void fail_by_openssl(struct tls *tls)
{
    if (tls->memory.refused && tls->state == TLS_HANDSHAKE)
        tls_fail(tls, "the %s said more than %lu octets in the handshake", tls->role->peer,
                 TLS_HANDSHAKE_MAX);
    else if (tls->memory.refused)
        tls_fail(tls, "the %s sent more than %d messages without data", tls->role->peer,
                 TLS_EMPTY_MAX);
    else
        tls->role->explain(tls, ERR_peek_error());
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
    if (!is_written && type == SSL3_RT_HANDSHAKE)
        tls->is_peer_heard = true;
    if (is_written || !counts || tls->state == TLS_HANDSHAKE)
        return;
    /* A message without data is a header and a message, so that it counts twice. */
    if (++tls->empty_count > 2 * TLS_EMPTY_MAX)
        tls->memory.refused = true;
}

void tls_init(struct tls *tls, const struct tls_role *role, SSL_CTX *context, BIO_METHOD *method)
{
    tls->role = role;
    tls->memory.allowance = TLS_HANDSHAKE_MAX;
    tls->ssl = SSL_new(context);
    ENSURE(tls->ssl != NULL);
    SSL_set_msg_callback(tls->ssl, on_message);
    SSL_set_msg_callback_arg(tls->ssl, tls);
    BIO *bio = tls_bio_new(method, &tls->memory);
    SSL_set_bio(tls->ssl, bio, bio);
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    mem_free(tls->why);
    tls->role->free(tls);
}

static void advance_handshake(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->role->finish_handshake(tls);
        if (tls->state == TLS_FAILED)
            return;
        tls->state = TLS_OPEN;
        tls->memory.allowance = SIZE_MAX;
    } else if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ) {
        fail_by_openssl(tls);
    }
}

/* OpenSSL's read buffer is taken and given back with each record. Here only the last one gives it
 * back: before that one no more is left than a record may have. */
static void keep_buffer_for_more(struct tls *tls)
{
    bool has_more = tls->memory.input.size > TLS_RECORD_MAX;
    if (has_more == tls->is_buffer_kept)
        return;
    tls->is_buffer_kept = has_more;
    if (has_more)
        SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
    else
        SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
}

/* True: the buffer is full, and there may be more. */
static bool decrypt(struct tls *tls, uint8_t *plain, size_t capacity, size_t *size_out)
{
    while (*size_out < capacity) {
        size_t size = 0;
        keep_buffer_for_more(tls);
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
        /* It wants to read when half a message of the handshake's kind has come: the peer cut a
         * ticket into records, and until the rest of it comes nothing can be sent. */
        int result = SSL_write_ex(tls->ssl, plain.data, plain.size, &size);
        if (result != 1 && SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
            tls_fail(tls, "the %s sent an incomplete message", tls->role->peer);
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
