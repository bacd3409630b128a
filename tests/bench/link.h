/*
 * Connections for the benchmark's two ends, over epoll: plaintext or TLS, in either role. Written
 * to cost little, so that what is measured between them is the proxy: one recv of up to 256 KiB,
 * all records decrypted, up to 16 records encrypted into one send.
 *
 * This is no part of ecluse and shares no code with it: a mistake in one must not hide in the
 * other. It trusts its peers; what goes wrong ends the program with a sentence.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_CHUNK (256ul * 1024)

struct mill; /* one epoll, its scratch memory and what its links share */
struct link; /* one connection */

struct link_ops {
    void (*on_open)(void *owner); /* connected, and TLS is up */
    void (*on_read)(void *owner, const uint8_t *bytes, size_t size);
    void (*on_drained)(void *owner); /* what the socket had not taken has gone */
    void (*on_end)(void *owner);     /* the peer has closed: link_close it */
};

struct mill *mill_new(void);
/* Calls `on_ready` when `descriptor` (listening, standard input) is readable. */
void mill_watch(struct mill *mill, int descriptor, void (*on_ready)(void *owner, int descriptor),
                void *owner);
/* Until mill_stop. */
void mill_run(struct mill *mill);
void mill_stop(struct mill *mill);

/* A connected or connecting non-blocking socket. `context` NULL: plaintext. `session` (or NULL) is
 * for a client to resume. Links with an on_open are told there also in plaintext. */
struct link *link_open(struct mill *mill, int descriptor, SSL_CTX *context, bool is_server,
                       SSL_SESSION *session, const struct link_ops *ops, void *owner);
/* At once, within any callback; nothing is called afterwards. A clean TLS end is said. */
void link_close(struct link *link);
/* Everything is taken; what the socket does not take is kept. */
void link_write(struct link *link, const void *bytes, size_t size);
/* Something is kept: whoever has more to say waits for on_drained. */
bool link_is_full(const struct link *link);
/* Reads no more until it is to again. */
void link_pause(struct link *link, bool is_paused);
/* NULL in plaintext. */
SSL *link_ssl(const struct link *link);

/* Says why on standard error, and ends the program. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
