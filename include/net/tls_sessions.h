/*
 * Sessions for resumption, as tls.c stores and finds them. Within the net room; the rest sees
 * tls_sessions_new and tls_sessions_free of tls.h.
 */
#ifndef ECLUSE_NET_TLS_SESSIONS_H
#define ECLUSE_NET_TLS_SESSIONS_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* SHA-256 over all that two connections must have in common. */
#define TLS_SESSION_KEY_SIZE 32

/* Where a connection finds and leaves its session; the SSL's app data. */
struct tls_session_slot {
    struct tls_sessions *sessions; /* NULL: never resumed */
    uint8_t key[TLS_SESSION_KEY_SIZE];
};

/* OpenSSL's new-session callback. */
int tls_sessions_on_new(SSL *ssl, SSL_SESSION *session);

/* Keeps a copy in place of what was there. */
void tls_sessions_keep(struct tls_sessions *sessions, const uint8_t key[TLS_SESSION_KEY_SIZE],
                       const SSL_SESSION *session);
/* A copy for SSL_SESSION_free, or NULL. It stays for the next one to find: a ticket that may be
 * used once only costs that one a full handshake, no more. */
SSL_SESSION *tls_sessions_find(struct tls_sessions *sessions,
                               const uint8_t key[TLS_SESSION_KEY_SIZE]);

#endif
