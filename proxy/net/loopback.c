/*
 * Happy path: reno, the one that every kernel has, lets everybody choose, and that does not pace.
 * Failures: a kernel that refuses goes on with its own, which is slower at worst.
 */
#include "net/loopback.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static bool is_loopback_v6(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

bool loopback_is(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_INET:
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> IN_CLASSA_NSHIFT ==
               IN_LOOPBACKNET;
    case AF_INET6:
        return is_loopback_v6(&((const struct sockaddr_in6 *)address)->sin6_addr);
    default:
        return false;
    }
}

void loopback_tune(int descriptor)
{
    static const char congestion_control[] = "reno";
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, congestion_control,
                     (socklen_t)strlen(congestion_control));
}
