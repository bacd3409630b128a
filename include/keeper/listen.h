/*
 * Listening sockets, as the gates inherit them: non-blocking, close-on-exec, backlog 4096. Never
 * SO_REUSEPORT: a port that somebody else has is an error and not shared.
 *
 * A unix socket is made 0600, in a folder that nobody else can write to (made 0700 when it is
 * missing and the one above is there); the file of one that nobody answers on any more is replaced.
 */
#ifndef ECLUSE_KEEPER_LISTEN_H
#define ECLUSE_KEEPER_LISTEN_H

#include "base/list.h"
#include "conf/config.h"

struct listen_socket {
    struct list node;
    struct listen_address address; /* a copy */
    int descriptor;
    bool is_inherited; /* from systemd: its file is not ours to remove */
};

/* ERR_UNAVAILABLE: the address is taken. ERR_DENIED: a folder that is not ours or root's or that
 * others can write to, or a port that needs a privilege. The text names the address. */
MUST_CHECK int listen_socket_bind(const struct listen_address *address,
                                  struct listen_socket **socket_out, struct err *err);
/* Takes over a descriptor; ERR_NOT_FOUND, and not taken, when it does not listen on this address.
 */
MUST_CHECK int listen_socket_adopt(const struct listen_address *address, int descriptor,
                                   struct listen_socket **socket_out);
/* Closes it and removes a unix socket's file. */
void listen_socket_free(struct listen_socket *socket);

/* The descriptors that systemd has opened for this process (socket activation): *count_out of them
 * from *first_out on. The environment forgets them, so that no child takes them for its own. */
void listen_inherited(int *first_out, int *count_out);

bool listen_socket_is_at(const struct listen_socket *socket, const struct listen_address *address);

#define LISTEN_TEXT_MAX 160
/* "127.0.0.1:1143", "[::1]:1143", "unix:/path" */
void listen_address_text(const struct listen_address *address, char out[LISTEN_TEXT_MAX]);

#endif
