/*
 * A question to the name servers of the machine for records of one type: the answer as it came from
 * the wire, for whoever can read it. By the resolver of the C library, off the loop's thread; no
 * search list is applied.
 */
#ifndef ECLUSE_NET_RECORD_QUERY_H
#define ECLUSE_NET_RECORD_QUERY_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

#define RECORD_ANSWER_MAX (16ul * 1024)

struct record_query;

/* `server` is asked instead of those of the machine, unless NULL. `on_answer` is called exactly
 * once unless cancelled, never from within: status 0 with the answer, borrowed during the call;
 * ERR_NOT_FOUND: there is no such name or record; ERR_UNAVAILABLE: no answer, or one of a server
 * that cannot tell. */
struct record_query *
record_query_start(struct loop *loop, const char *name, unsigned type,
                   const struct sockaddr_in *server,
                   void (*on_answer)(void *owner, int status, struct slice answer), void *owner);
/* Its thread goes on to its end, for nobody. */
void record_query_cancel(struct record_query *query);

#endif
