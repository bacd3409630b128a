/*
 * Where the browser comes back to at the end of a sign-in (RFC 8252 section 7.3): a web server on
 * 127.0.0.1 and [::1], both at the same port, for this one path. Plain
 * HTTP, GET alone, a constant page for an answer, nothing of the request in it. It is
 * libmicrohttpd's, on our loop, without threads.
 *
 * With `owner_only` a connection of another user of this machine is closed, unanswered, as the
 * listeners for mail do it; the catcher goes on.
 *
 * Whoever else sends something here (a page in the user's browser, a local program) is told 400,
 * 403, 404 or 405, and the catcher goes on. A connection has five seconds; over 64 at once are
 * closed.
 */
#ifndef ECLUSE_KEEPER_REDIRECT_CATCHER_H
#define ECLUSE_KEEPER_REDIRECT_CATCHER_H

#include "base/err.h"
#include "base/log.h"
#include "base/slice.h"
#include "net/loop.h"

struct redirect_catcher;

struct redirect_catcher_options {
    const char *host; /* of the redirect URI: 127.0.0.1, [::1] or localhost */
    uint16_t port;    /* 0: the kernel chooses */
    const char *path; /* begins with '/' */
    bool owner_only;
    const struct log *log; /* borrowed */
    /* What stood behind the '?'. True: that is what was waited for. May close the catcher. */
    bool (*on_redirect)(void *owner, struct slice query);
    void *owner;
};

/* ERR_UNAVAILABLE, ERR_SYSTEM with a text. */
MUST_CHECK int redirect_catcher_open(struct loop *loop,
                                     const struct redirect_catcher_options *options,
                                     struct redirect_catcher **catcher_out, struct err *err);
/* Borrowed: "http://127.0.0.1:40312/path". */
const char *redirect_catcher_uri(const struct redirect_catcher *catcher);
/* on_redirect is not called any more. Answers under way have a second to go out. */
void redirect_catcher_close(struct redirect_catcher *catcher);

#endif
