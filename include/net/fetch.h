/*
 * HTTPS to token endpoints and their like, POST or GET: libcurl's multi interface on our loop, with
 * its settings nailed down: https only, no redirects, verified TLS >= 1.2, no cookies, no netrc, no
 * decompression, 30 s, at most 64 KiB of answer. Proxies of the environment are ignored. The name
 * must stand in the certificate's subjectAltName, and only the given bundle is trusted. Every
 * request has a connection of its own: on one that is used again libcurl may send a request twice,
 * and a refresh token that rotates would be lost with the answer to the first.
 */
#ifndef ECLUSE_NET_FETCH_H
#define ECLUSE_NET_FETCH_H

#include "base/err.h"
#include "base/secret.h"
#include "net/loop.h"

struct fetcher;
struct fetch; /* one request */

#define FETCH_ANSWER_MAX      (64ul * 1024)
#define FETCH_TIMEOUT_SECONDS 30

struct fetch_request {
    const char *url;
    const char *ca_file; /* path of a bundle */
    /* moved from; application/x-www-form-urlencoded. NULL: a GET */
    struct secret *body;
    bool body_is_json;  /* application/json instead */
    const char *accept; /* NULL: application/json */
    /* moved from; value of the Authorization header; NULL or not set: none */
    struct secret *authorization;
    unsigned timeout_seconds; /* for all of it; 0: FETCH_TIMEOUT_SECONDS */
};

struct fetch_answer {
    int status;          /* of HTTP; 0 when there was no answer */
    struct slice body;   /* borrowed; wiped after the callback */
    int64_t retry_after; /* seconds, 0 when not said; at most a day */
    int64_t date;        /* the server's clock, wall seconds; 0 when not said */
    const char *text;    /* when status is 0: why, for the log */
};

/* The first one in a process has libcurl use memory that is wiped when it is freed. */
MUST_CHECK int fetcher_open(struct loop *loop, struct fetcher **fetcher_out, struct err *err);
/* Requests must have been answered or cancelled; on_closed follows once. */
void fetcher_close(struct fetcher *fetcher, void (*on_closed)(void *owner), void *owner);

/* `on_answer` is called exactly once unless cancelled, never from within fetch_start. Failures to
 * start (a bad URL) come by on_answer as well. */
struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
                          void (*on_answer)(void *owner, const struct fetch_answer *answer),
                          void *owner);
void fetch_cancel(struct fetch *fetch);

#endif
