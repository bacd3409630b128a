/*
 * The other end of the control socket: a request to the daemon that runs, and its answer. Blocking,
 * with a deadline. Before anything is sent it is made sure whose socket it is.
 */
#ifndef ECLUSE_CLI_REMOTE_H
#define ECLUSE_CLI_REMOTE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

/* A table of every account and grant that the limits of the configuration allow. */
#define REMOTE_ANSWER_MAX (4u * 1024 * 1024)
/* Above the 30 s that a token request may take. */
#define REMOTE_ANSWER_MILLISECONDS 60000
#define REMOTE_SLOW_MILLISECONDS   1000

struct remote {
    int descriptor;
    int process;  /* pidfd of the daemon; -1 where the kernel gives none */
    int patience; /* milliseconds for an answer; REMOTE_ANSWER_MILLISECONDS unless changed */
    /* Called once when an answer takes longer than REMOTE_SLOW_MILLISECONDS; NULL unless set. */
    void (*on_slow)(int patience);
};

/* ERR_NOT_FOUND: no daemon answers there. ERR_DENIED: the socket is not of our uid, or we may not
 * connect; nothing was sent. */
MUST_CHECK int remote_open(const char *runtime_dir, struct remote *remote_out, struct err *err);
void remote_close(struct remote *remote);

/* One line there, one line back (without its end, appended to `answer`). ERR_CLOSED, ERR_TIMEOUT,
 * ERR_FULL (`answer` has not the room). */
MUST_CHECK int remote_ask(struct remote *remote, struct slice request, struct buf *answer,
                          struct err *err);
/* Waits for the daemon's process to end: 0 or ERR_TIMEOUT. */
MUST_CHECK int remote_wait_for_end(struct remote *remote, int milliseconds);

#endif
