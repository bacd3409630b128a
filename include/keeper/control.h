/*
 * The control socket, runtime_dir/control: a unix socket, 0600 in a 0700 folder, of which each
 * connection's peer must be our own uid or root. One request a line, one answer a line (JSON, see
 * keeper/command.h); a line over COMMAND_REQUEST_MAX ends the connection.
 */
#ifndef ECLUSE_KEEPER_CONTROL_H
#define ECLUSE_KEEPER_CONTROL_H

#include "keeper/keeper.h"

struct control;

/* Creates runtime_dir when it is missing; ERR_DENIED when it is looser than 0700, a link or not
 * ours; ERR_BUSY when another daemon answers on the socket. A dead socket is replaced. */
MUST_CHECK int control_open(struct loop *loop, struct keeper *keeper, const char *runtime_dir,
                            const struct log *log, struct control **control_out, struct err *err);
/* Connections are closed, the socket's file removed; the memory goes with the last handle. */
void control_close(struct control *control);

#endif
