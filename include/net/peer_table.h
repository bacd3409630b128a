/*
 * /proc/net/tcp and /proc/net/tcp6 as text: the fallback of peer.h. Within the net room.
 */
#ifndef ECLUSE_NET_PEER_TABLE_H
#define ECLUSE_NET_PEER_TABLE_H

#include "net/peer.h"

/*
 * Reads the table that `descriptor` (from open(2)) stands for, from its start, and looks for the
 * socket whose own end is `near_end` and whose other end is `far_end`. An IPv4 address matches the
 * same one mapped into IPv6. ERR_NOT_FOUND also for a socket that belongs to no process.
 */
MUST_CHECK int peer_table_find(int descriptor, const struct peer_address *near_end,
                               const struct peer_address *far_end, uint32_t *user_id_out);

/* As 16 octets, IPv4 as ::ffff:a.b.c.d. */
void peer_address_map(const struct peer_address *address, uint8_t bytes_out[16]);

#endif
