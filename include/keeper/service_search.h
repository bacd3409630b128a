/*
 * The mail servers of a domain that nobody has configured: what it publishes of itself is asked
 * for, one source after the other, until one says something that can be used.
 *
 *   1. https://autoconfig.DOMAIN/mail/config-v1.1.xml, over verified TLS, redirects not followed
 *   2. https://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml, the same
 *   3. SRV records (RFC 6186, RFC 8314), which nobody vouches for
 *   4. the MX record, which tells at whose house the domain is: no servers, only a name
 *
 * What is found is a proposal: the user says whether it is right.
 */
#ifndef ECLUSE_KEEPER_SERVICE_SEARCH_H
#define ECLUSE_KEEPER_SERVICE_SEARCH_H

#include "conf/mail_service.h"
#include "net/fetch.h"
#include "net/record_query.h"

struct service_search;

/* All borrowed; they outlive the search. */
struct service_search_parts {
    struct loop *loop;
    struct fetcher *fetcher;
    const char *ca_file;
    uint16_t https_port;                   /* 0: that of https */
    const struct sockaddr_in *name_server; /* NULL: those of the machine */
};

struct service_search_answer {
    /* NULL: nothing was found. It may be moved from, else it is cleared after the call. */
    struct mail_service *service;
    const char *exchanger; /* when nothing was found, and there is one; else NULL */
    const char *source;    /* the URL, or "SRV records of DOMAIN"; or why nothing was found */
    bool is_vouched_for;   /* the domain itself says so, over TLS */
};

/* The domain of the address is a host name (ENSURE). `on_answer` is called exactly once unless
 * cancelled, never from within; texts are borrowed during the call, and printable. */
struct service_search *
service_search_start(const struct service_search_parts *parts, const char *address,
                     void (*on_answer)(void *owner, const struct service_search_answer *answer),
                     void *owner);
void service_search_cancel(struct service_search *search);

#endif
