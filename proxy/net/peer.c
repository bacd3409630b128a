/*
 * The owner of the other end of a local connection.
 *
 * Happy path: the kernel is asked by NETLINK_SOCK_DIAG for the socket whose own end is our peer and
 * whose other end is us; it answers with the uid that made it.
 * Failures, all of which mean a stranger:
 * - no such socket (it was closed), or one without an inode (closed, its rest is still about);
 * - the kernel answers with another socket: it falls back to one that listens on that port;
 * - the peer is on another machine or in another network namespace.
 * Where the kernel has no such netlink, /proc/net/tcp and tcp6 are read instead.
 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/peer_table.h"

#define STATE_LISTEN 10

struct peer_lookup {
    int netlink;   /* -1: not to be had */
    int tables[2]; /* /proc/net/tcp and tcp6, open only without netlink; or -1 */
    uint32_t sequence;
};

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

/* -- addresses -- */

static void note_loopback(struct peer_address *address)
{
    static const uint8_t four[16] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t six[16] = {[15] = 1};
    address->is_loopback =
        peer_is_within(address, four, 96 + 8) || peer_is_within(address, six, 128);
}

/* Without the words. */
static int from_socket(const struct sockaddr_storage *socket, struct peer_address *out)
{
    *out = (struct peer_address){0};
    if (socket->ss_family == AF_UNIX) {
        out->family = 1;
        out->is_loopback = true;
        return 0;
    }
    if (socket->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)socket;
        out->family = 4;
        memcpy(out->bytes, &four->sin_addr, sizeof(four->sin_addr));
        out->port = ntohs(four->sin_port);
    } else if (socket->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)socket;
        out->family = 6;
        memcpy(out->bytes, &six->sin6_addr, sizeof(six->sin6_addr));
        out->port = ntohs(six->sin6_port);
    } else {
        return ERR_NOT_FOUND;
    }
    note_loopback(out);
    return 0;
}

static void put_into_words(struct peer_address *address)
{
    if (address->family == 1) {
        snprintf(address->text, sizeof(address->text), "unix");
        return;
    }
    inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, address->ip,
              sizeof(address->ip));
    snprintf(address->text, sizeof(address->text), address->family == 4 ? "%s:%u" : "[%s]:%u",
             address->ip, address->port);
}

static int far_address(int descriptor, struct peer_address *address_out)
{
    struct sockaddr_storage socket = {0};
    socklen_t size = sizeof(socket);
    if (getpeername(descriptor, (struct sockaddr *)&socket, &size) != 0)
        return errno == ENOTCONN ? ERR_NOT_FOUND : ERR_SYSTEM;
    return from_socket(&socket, address_out);
}

int peer_address(int descriptor, struct peer_address *address_out)
{
    int status = far_address(descriptor, address_out);
    if (status == 0)
        put_into_words(address_out);
    return status;
}

static int own_address(int descriptor, struct peer_address *address_out)
{
    struct sockaddr_storage socket = {0};
    socklen_t size = sizeof(socket);
    if (getsockname(descriptor, (struct sockaddr *)&socket, &size) != 0)
        return ERR_SYSTEM;
    return from_socket(&socket, address_out);
}

bool peer_is_within(const struct peer_address *address, const uint8_t network[16],
                    unsigned prefix_length)
{
    if (address->family == 1 || prefix_length > 128)
        return false;
    uint8_t bytes[16];
    peer_address_map(address, bytes);
    size_t whole = prefix_length / 8;
    if (memcmp(bytes, network, whole) != 0)
        return false;
    unsigned rest = prefix_length % 8;
    return rest == 0 || (bytes[whole] ^ network[whole]) >> (8 - rest) == 0;
}

/* -- netlink -- */

/* Addresses that are mapped into IPv6 stay so: the kernel finds the socket of IPv4 by itself. */
static void fill_id(const struct peer_address *near_end, const struct peer_address *far_end,
                    struct inet_diag_req_v2 *out)
{
    out->sdiag_family = near_end->family == 4 ? AF_INET : AF_INET6;
    memcpy(out->id.idiag_src, near_end->bytes, sizeof(near_end->bytes));
    memcpy(out->id.idiag_dst, far_end->bytes, sizeof(far_end->bytes));
    out->id.idiag_sport = htons(near_end->port);
    out->id.idiag_dport = htons(far_end->port);
    memset(out->id.idiag_cookie, 0xff, sizeof(out->id.idiag_cookie)); /* INET_DIAG_NOCOOKIE */
}

static int ask(struct peer_lookup *lookup, const struct inet_diag_req_v2 *body)
{
    struct question question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = ++lookup->sequence},
        .body = *body,
    };
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent = sendto(lookup->netlink, &question, sizeof(question), 0,
                          (const struct sockaddr *)&kernel, sizeof(kernel));
    return sent == (ssize_t)sizeof(question) ? 0 : ERR_SYSTEM;
}

/* The kernel answers before sendto returns, so that there is nothing to wait for. */
static int hear(struct peer_lookup *lookup, struct inet_diag_msg *out)
{
    union {
        struct nlmsghdr header;
        uint8_t bytes[4096];
    } answer;
    for (;;) {
        struct sockaddr_nl sender = {0};
        socklen_t sender_size = sizeof(sender);
        ssize_t size = recvfrom(lookup->netlink, &answer, sizeof(answer), MSG_DONTWAIT,
                                (struct sockaddr *)&sender, &sender_size);
        if (size < (ssize_t)sizeof(answer.header) || answer.header.nlmsg_len > (size_t)size)
            return ERR_SYSTEM;
        /* A privileged process could send as well; only the kernel is believed. */
        if (sender.nl_pid != 0 || answer.header.nlmsg_seq != lookup->sequence)
            continue;
        if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            answer.header.nlmsg_len < NLMSG_LENGTH(sizeof(*out)))
            return ERR_NOT_FOUND;
        memcpy(out, NLMSG_DATA(&answer.header), sizeof(*out));
        return 0;
    }
}

static int find_by_netlink(struct peer_lookup *lookup, const struct inet_diag_req_v2 *body,
                           struct inet_diag_msg *out)
{
    int status = ask(lookup, body);
    return status != 0 ? status : hear(lookup, out);
}

static int user_by_netlink(struct peer_lookup *lookup, const struct peer_address *near_end,
                           const struct peer_address *far_end, uint32_t *user_id_out)
{
    struct inet_diag_req_v2 body = {.sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX};
    struct inet_diag_msg found;
    fill_id(near_end, far_end, &body);
    int status = find_by_netlink(lookup, &body, &found);
    if (status != 0)
        return status;
    bool is_exact =
        found.id.idiag_sport == body.id.idiag_sport && found.id.idiag_dport == body.id.idiag_dport;
    if (!is_exact || found.idiag_state == STATE_LISTEN || found.idiag_inode == 0)
        return ERR_NOT_FOUND;
    *user_id_out = found.idiag_uid;
    return 0;
}

/* Without the kernel's module every question is answered as if there were no such socket: so ask
 * for one that is there, a listening one of our own. */
static bool does_netlink_answer(struct peer_lookup *lookup)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return false;
    const struct sockaddr_in any_port = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct peer_address address;
    const struct peer_address nobody = {.family = 4};
    struct inet_diag_req_v2 body = {.sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX};
    struct inet_diag_msg found;
    bool answers = false;
    if (bind(listener, (const struct sockaddr *)&any_port, sizeof(any_port)) == 0 &&
        listen(listener, 1) == 0 && own_address(listener, &address) == 0) {
        fill_id(&address, &nobody, &body);
        answers = find_by_netlink(lookup, &body, &found) == 0 &&
                  found.id.idiag_sport == body.id.idiag_sport;
    }
    close(listener);
    return answers;
}

/* -- the lookup -- */

static void close_if_open(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

int peer_lookup_open(struct peer_lookup **lookup_out, struct err *err)
{
    struct peer_lookup *lookup = mem_new(sizeof(*lookup));
    lookup->tables[0] = lookup->tables[1] = -1;
    lookup->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (lookup->netlink >= 0 && !does_netlink_answer(lookup))
        close_if_open(&lookup->netlink);
    if (lookup->netlink < 0) {
        lookup->tables[0] = open("/proc/net/tcp", O_RDONLY | O_CLOEXEC);
        lookup->tables[1] = open("/proc/net/tcp6", O_RDONLY | O_CLOEXEC);
        if (lookup->tables[0] < 0 && lookup->tables[1] < 0) {
            int status = err_set_errno(err, "neither netlink sock_diag nor /proc/net/tcp");
            mem_free(lookup);
            *lookup_out = NULL;
            return status;
        }
    }
    *lookup_out = lookup;
    return 0;
}

void peer_lookup_close(struct peer_lookup *lookup)
{
    if (lookup == NULL)
        return;
    close_if_open(&lookup->netlink);
    close_if_open(&lookup->tables[0]);
    close_if_open(&lookup->tables[1]);
    mem_free(lookup);
}

static int user_of_unix(int descriptor, uint32_t *user_id_out)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return ERR_NOT_FOUND;
    *user_id_out = credentials.uid;
    return 0;
}

int peer_user(struct peer_lookup *lookup, int descriptor, uint32_t *user_id_out)
{
    struct peer_address near_end, far_end;
    if (far_address(descriptor, &near_end) != 0 || own_address(descriptor, &far_end) != 0)
        return ERR_NOT_FOUND;
    if (near_end.family == 1)
        return user_of_unix(descriptor, user_id_out);
    if (lookup->netlink >= 0)
        return user_by_netlink(lookup, &near_end, &far_end, user_id_out) == 0 ? 0 : ERR_NOT_FOUND;
    for (size_t i = 0; i < LENGTH_OF(lookup->tables); i++) {
        if (lookup->tables[i] >= 0 &&
            peer_table_find(lookup->tables[i], &near_end, &far_end, user_id_out) == 0)
            return 0;
    }
    return ERR_NOT_FOUND;
}
