/*
 * TCP that never leaves this machine. There is no path to share and none to probe, but the system's
 * congestion control works all the same; one that paces (BBR) holds back what is written and sends
 * it by timers, which cost as much as the encryption does.
 */
#ifndef ECLUSE_NET_LOOPBACK_H
#define ECLUSE_NET_LOOPBACK_H

#include <stdbool.h>
#include <sys/socket.h>

/* 127.0.0.0/8, ::1, and the former mapped into IPv6. Of any family: a unix socket's is none. */
bool loopback_is(const struct sockaddr_storage *address);

/* For a socket that connects to loopback, or listens there: what it accepts inherits it. It is not
 * worth failing for. */
void loopback_tune(int descriptor);

#endif
