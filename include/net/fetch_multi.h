/*
 * libcurl's multi interface on our loop: its sockets as uv_poll, its one timer as uv_timer. Part of
 * net/fetch; nobody else includes it.
 */
#ifndef ECLUSE_NET_FETCH_MULTI_H
#define ECLUSE_NET_FETCH_MULTI_H

#include <curl/curl.h>

#include "net/loop.h"

struct fetch_multi;

struct fetch_multi_ops {
    /* A transfer has ended; it is off the multi already, and the owner's. Never from within a
     * function of this header; anything may be called from it. */
    void (*on_done)(void *owner, CURL *transfer, CURLcode result);
    void (*on_closed)(void *owner);
};

struct fetch_multi *fetch_multi_open(struct loop *loop, const struct fetch_multi_ops *ops,
                                     void *owner);
/* ENSURE: no transfer is on it. */
void fetch_multi_close(struct fetch_multi *multi);

/* 0 or a CURLMcode. */
MUST_CHECK int fetch_multi_add(struct fetch_multi *multi, CURL *transfer);
/* Before the end; on_done is not called. */
void fetch_multi_remove(struct fetch_multi *multi, CURL *transfer);

#endif
