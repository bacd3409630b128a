/*
 * Words to the service manager, as sd_notify(3) has them: a datagram to $NOTIFY_SOCKET.
 */
#ifndef ECLUSE_KEEPER_NOTIFY_H
#define ECLUSE_KEEPER_NOTIFY_H

/* Nothing happens without $NOTIFY_SOCKET; a manager that does not listen is no error either. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
