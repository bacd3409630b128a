/*
 * An HTTPS server on loopback that misbehaves as it is told, by the path of each request:
 *
 *   /echo            200, the body of the request
 *   /status/NNN      that status, "status NNN"
 *   /busy            503 with Retry-After: 7
 *   /busy-for-ever   503 with Retry-After: 99999999
 *   /redirect        302 to /echo
 *   /long            200, chunked, without end
 *   /announced       200, Content-Length of 1 GiB, some of it
 *   /most            200, chunked, just what a fetch may get
 *   /zipped          200, Content-Encoding: gzip, what is no gzip
 *   /hang            no answer
 *   /cut             200, Content-Length 100, ten octets, close_notify
 *   /reset           200, ten octets, reset
 *   /garbage         what is not HTTP
 *
 * A thread for each connection, ended by its client or by https_server_stop.
 */
#ifndef ECLUSE_TESTS_HTTPS_SERVER_H
#define ECLUSE_TESTS_HTTPS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "certificate.h"

struct https_server;

/* `silent`: accepts, reads, and does not even shake hands. `version_max`: of OpenSSL, 0: any. */
struct https_server *https_server_start(const struct certificate *certificate, bool silent,
                                        int version_max);
/* All clients must have closed. */
void https_server_stop(struct https_server *server);

unsigned https_server_port(const struct https_server *server);
/* Of all requests so far. */
size_t https_server_request_count(struct https_server *server);
/* The head of the last request (up to the empty line), cut to `capacity`. */
void https_server_last_head(struct https_server *server, char *out, size_t capacity);
/* Waits until that many connections have been accepted. */
void https_server_wait_for_connections(struct https_server *server, size_t count);

#endif
