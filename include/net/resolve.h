/*
 * Names to addresses, off the loop's thread (getaddrinfo in libuv's pool). One look-up at a time
 * per name, however many wait for it; answers are kept for a minute, and the last good one serves
 * for an hour when the resolver fails.
 *
 * A literal address is answered without a look-up, yet never from within resolve_start.
 */
#ifndef ECLUSE_NET_RESOLVE_H
#define ECLUSE_NET_RESOLVE_H

#include "net/dial.h"

#define RESOLVE_ADDRESSES_MAX 16

struct resolver;
struct resolve_ticket;

/* Before other threads look names up. */
struct resolver *resolver_open(struct loop *loop);
/* Tickets must have been answered or cancelled. Memory goes when running look-ups have ended. */
void resolver_close(struct resolver *resolver);

/* `on_answer` is called exactly once unless cancelled: status 0 with 1..16 addresses, IPv6 and IPv4
 * in turn as RFC 8305 asks, or ERR_UNAVAILABLE with a text. The ticket is invalid from then on. */
struct resolve_ticket *resolve_start(struct resolver *resolver, const char *host,
                                     void (*on_answer)(void *owner, int status,
                                                       const struct dial_address *addresses,
                                                       size_t count, const char *text),
                                     void *owner);
void resolve_cancel(struct resolve_ticket *ticket);

#endif
