/*
 * The socket file of keeper/control.h and its folder. Reached through the folder's descriptor, so
 * that no name is exchanged in between and a long path is no trouble.
 */
#ifndef ECLUSE_KEEPER_CONTROL_SOCKET_H
#define ECLUSE_KEEPER_CONTROL_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

#define CONTROL_SOCKET_NAME "control"

struct control_socket {
    int folder;     /* runtime_dir */
    int descriptor; /* listens; non-blocking */
    ino_t inode;    /* of the file, so that only our own is removed */
};

/* As control_open says; on an error nothing is open. */
MUST_CHECK int control_socket_open(const char *runtime_dir, struct control_socket *socket_out,
                                   struct err *err);
/* Removes the file. The descriptor must not be watched any more. */
void control_socket_close(struct control_socket *socket);

/* The address of `name` in the folder, for as long as `folder` is open. */
void control_socket_address(int folder, const char *name, struct sockaddr_un *address_out);

#endif
