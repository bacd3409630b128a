/*
 * TLS as a calculator: cipher bytes in, plain bytes out, and the other way round, over a BIO of our
 * own on memory that the caller lends. No socket, no libuv: two of these can be tested by feeding
 * each other.
 *
 * As client, always: TLS 1.2 or higher, the chain and the host name verified (subjectAltName; a
 * common name alone is refused, partial wildcards too). As server: what net/tls_identity.h says.
 * As both: no renegotiation, no compression, no early data. There is no way to switch any of it
 * off.
 */
#ifndef ECLUSE_NET_TLS_H
#define ECLUSE_NET_TLS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct tls_authorities; /* whom to trust: one SSL_CTX */
struct tls_sessions;    /* tickets for resumption, one per account and host */
struct tls;             /* one connection */

/* `bundle` is PEM text; ERR_SYNTAX when no certificate is in it. References are counted. */
MUST_CHECK int tls_authorities_new(struct slice bundle, struct tls_authorities **authorities_out,
                                   struct err *err);
void tls_authorities_free(struct tls_authorities *authorities);

/* At most `maximum` keys are remembered; the one used longest ago goes first. */
struct tls_sessions *tls_sessions_new(size_t maximum);
void tls_sessions_free(struct tls_sessions *sessions);

#define TLS_NAMES_CAPACITY 200

/* What stands in the certificate that the server shows, or of its chain in the one that is refused.
 */
struct tls_presented {
    int64_t not_before, not_after;  /* wall seconds; 0: none was shown */
    char names[TLS_NAMES_CAPACITY]; /* the first ones, printable; may be cut */
};

struct tls_settings {
    struct tls_authorities *authorities; /* outlives the connection */
    struct tls_sessions *sessions;       /* may be NULL: never resumed; outlives the connection */
    /* Account and host:port: tickets are never shared between accounts, nor between authorities
     * of different contents. NULL: never resumed. */
    const char *session_key;
    const char *host; /* name (sent as SNI) or address literal that must be in the certificate */
    const char *alpn; /* "imap", or NULL to send none; if the server selects, it must match */
    struct tls_presented *presented; /* filled in by the handshake, which it outlives; or NULL */
};

struct tls *tls_client_new(const struct tls_settings *settings);
/* The other role is tls_server_new in net/tls_identity.h; what follows is the same for both. */
void tls_free(struct tls *tls);

/* A peer may say this much before it is verified, certificate chain included. */
#define TLS_HANDSHAKE_MAX (128ul * 1024)
/* Messages in a row that carry no data: tickets, key updates, alerts. A few are normal. */
#define TLS_EMPTY_MAX 32
/* What tls_read may find of a record whose start came earlier: so many more plain octets than
 * cipher octets. */
#define TLS_RECORD_MAX (17ul * 1024)
/* What encryption adds to 16 KiB at most; a key update may stand before the first. */
#define TLS_RECORD_OVERHEAD 128u

enum tls_state {
    TLS_HANDSHAKE, /* nothing plain has passed yet */
    TLS_OPEN,      /* as client: verified */
    TLS_ENDED,     /* the peer said close_notify */
    TLS_FAILED     /* see tls_why; what is in `cipher_out` (an alert) should still be sent */
};

/*
 * The peer's bytes, all of them (`cipher` may be empty: that starts the client's handshake). Plain
 * bytes are written to plain[0..capacity), *plain_size_out of them; when the return value is true
 * the buffer was too short, `cipher` must stay where it is, and the function must be called again,
 * with no cipher bytes, once the buffer is emptied. A capacity of at least the size of `cipher` +
 * TLS_RECORD_MAX is never too short. What is to be sent to the peer is appended to *cipher_out
 * (ENSURE: it has room for 64 KiB).
 */
bool tls_read(struct tls *tls, struct slice cipher, uint8_t *plain, size_t capacity,
              size_t *plain_size_out, struct buf *cipher_out);

/*
 * Encrypts all of `plain` into cipher[0..capacity); returns the number of cipher octets. ENSURE:
 * the state is OPEN or ENDED (the peer has finished, we have not), tls_end was not called, and
 * capacity is at least the size + TLS_RECORD_OVERHEAD for each 16 KiB begun. It may make the state
 * FAILED: what it returned is then to be dropped.
 */
size_t tls_write(struct tls *tls, struct slice plain, uint8_t *cipher, size_t capacity);
/* Appends close_notify. */
void tls_end(struct tls *tls, struct buf *cipher_out);

enum tls_state tls_state(const struct tls *tls);
/* Why it failed, in words for the log: "certificate has expired", "host name mismatch …"; as
 * server: "the client speaks nothing newer than TLS 1.1", "a plaintext client on a TLS port". */
const char *tls_why(const struct tls *tls);

/* Once OPEN. The text is for the log: "TLSv1.3 TLS_AES_256_GCM_SHA384 resumed". */
bool tls_is_resumed(const struct tls *tls);
void tls_describe(const struct tls *tls, char *out, size_t capacity);

#endif
