/*
 * Who is at the other end of a local connection: the uid of the process that made the socket. By
 * SO_PEERCRED for unix sockets, by NETLINK_SOCK_DIAG for TCP over loopback, and by /proc/net/tcp
 * and tcp6 where netlink is not to be had. A socket that has no owner any more (closed at once,
 * TIME_WAIT) is not found: a stranger.
 */
#ifndef ECLUSE_NET_PEER_H
#define ECLUSE_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct peer_lookup; /* the netlink socket; opened before the process confines itself */

MUST_CHECK int peer_lookup_open(struct peer_lookup **lookup_out, struct err *err);
void peer_lookup_close(struct peer_lookup *lookup);

struct peer_address {
    uint8_t family;    /* 4, 6, or 1 for a unix socket */
    uint8_t bytes[16]; /* IPv4 in the first four */
    uint16_t port;
    char ip[48];      /* "127.0.0.1", "::1", "" for a unix socket */
    char text[64];    /* "127.0.0.1:40312", "[::1]:40312", "unix" */
    bool is_loopback; /* 127.0.0.0/8, ::1, the same mapped into IPv6, or a unix socket */
    bool has_user;    /* whose process it is, when somebody has asked peer_user */
    uint32_t user_id;
};

MUST_CHECK int peer_address(int descriptor, struct peer_address *address_out);
/* Synchronous, some microseconds. ERR_NOT_FOUND: nobody owns it, or it cannot be known. */
MUST_CHECK int peer_user(struct peer_lookup *lookup, int descriptor, uint32_t *user_id_out);

/* True if the address (IPv4 mapped to ::ffff:a.b.c.d) is within network/prefix. */
bool peer_is_within(const struct peer_address *address, const uint8_t network[16],
                    unsigned prefix_length);

#endif
