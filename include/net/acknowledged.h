/*
 * How much of what was written to a TCP socket the peer's system has acknowledged. A peer that does
 * not read acknowledges nothing more once its buffer is full, however much our own kernel takes.
 */
#ifndef ECLUSE_NET_ACKNOWLEDGED_H
#define ECLUSE_NET_ACKNOWLEDGED_H

#include <stdint.h>

/* Octets since it was connected; 0 if it is no TCP socket. */
uint64_t acknowledged_octets(int descriptor);

#endif
