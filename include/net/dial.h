/*
 * Connecting: happy eyeballs (RFC 8305) over the given addresses, then, for TLS from the first
 * byte, the verified handshake. Yields a stream that is ready to be read.
 *
 * Ends in exactly one of on_ready and on_failed, then on_closed after dial_close. The deadline is
 * the caller's: it calls dial_close when it has waited enough. A failed verification ends the dial:
 * no other address is tried, since the name is the same.
 */
#ifndef ECLUSE_NET_DIAL_H
#define ECLUSE_NET_DIAL_H

#include "net/stream.h"

struct dial;

struct dial_address {
    uint8_t family; /* 4 or 6 */
    uint8_t bytes[16];
};

struct dial_settings {
    const struct dial_address *addresses; /* in the order to try; copied */
    size_t address_count;
    uint16_t port;
    enum tls_mode mode; /* ON: handshake right away. STARTTLS: handed over in plaintext */
    const struct tls_settings *tls; /* strings are copied where they are kept */
};

struct dial_ops {
    /* The stream is the owner's now: it calls stream_set_owner before it returns. Until then
     * dial_winner says where it leads. */
    void (*on_ready)(void *owner, struct stream *stream);
    /* WHY_UNREACHABLE or WHY_UPSTREAM_TLS; `text` is for the log: "connect to 192.0.2.1 port 993:
     * connection refused". */
    void (*on_failed)(void *owner, enum why why, const char *text);
    void (*on_closed)(void *owner);
};

struct dial *dial_open(struct loop *loop, const struct dial_settings *settings,
                       const struct dial_ops *ops, void *owner);
void dial_close(struct dial *dial);
const struct dial_address *dial_winner(const struct dial *dial);

#endif
