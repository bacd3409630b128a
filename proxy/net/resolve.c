/*
 * Happy path: a literal, or a name that was looked up within the last minute, is answered in the
 * next turn of the loop. Otherwise the ticket joins the one look-up of its name, which runs in
 * libuv's thread pool, and all who wait are answered when it ends.
 *
 * Failures:
 *  - the resolver fails: the last good answer serves for an hour, and nobody waits for another try
 *    within RETRY_MILLISECONDS; without one ERR_UNAVAILABLE, and the next who asks tries again
 *  - all tickets of a look-up are cancelled: it cannot be stopped while its thread runs, so it ends
 *    and fills the cache
 *  - no memory at open: the process ends
 *  - closed while look-ups run: the resolver's memory stays until the last of them has ended; those
 *    that wait for a thread are cancelled
 */
#include "net/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define FRESH_MILLISECONDS (60l * 1000)
#define STALE_MILLISECONDS (60l * 60 * 1000)
#define RETRY_MILLISECONDS (10l * 1000)
/* Names come from the configuration; reloads may bring new ones. */
#define NAMES_MAX 256

struct addresses {
    struct dial_address items[RESOLVE_ADDRESSES_MAX];
    size_t count; /* 0: none known */
};

struct name {
    struct list node; /* in resolver.names, the one asked for last at the end */
    struct resolver *resolver;
    uv_getaddrinfo_t request;
    bool running;
    struct list waiting; /* of struct resolve_ticket */
    struct addresses addresses;
    int64_t found; /* steady milliseconds of the last good answer */
    int64_t fresh_until;
    char host[];
};

struct resolver {
    struct loop *loop;
    struct list names;
    size_t name_count, running_count, ticket_count;
    bool closing;
};

struct resolve_ticket {
    struct list node; /* in name.waiting */
    struct resolver *resolver;
    struct deferral deferral;
    struct addresses addresses; /* when it is answered from what is known */
    int failure;                /* of libuv, when the look-up could not be started */
    char *host;                 /* for the text */
    void (*on_answer)(void *owner, int status, const struct dial_address *addresses, size_t count,
                      const char *text);
    void *owner;
};

/* ---- answering ---- */

/* Frees the ticket first: the owner may do anything from within. */
static void answer(struct resolve_ticket *ticket, const struct addresses *addresses, int failure)
{
    char text[160] = "";
    void (*on_answer)(void *, int, const struct dial_address *, size_t, const char *) =
        ticket->on_answer;
    void *owner = ticket->owner;
    struct addresses copy = *addresses;
    if (copy.count == 0)
        snprintf(text, sizeof(text), "look up %.100s: %s", ticket->host,
                 failure == 0 ? "it has no address" : uv_strerror(failure));
    resolve_cancel(ticket);
    if (copy.count == 0)
        on_answer(owner, ERR_UNAVAILABLE, NULL, 0, text);
    else
        on_answer(owner, 0, copy.items, copy.count, NULL);
}

static void on_deferred(struct deferral *deferral)
{
    struct resolve_ticket *ticket = CONTAINER_OF(deferral, struct resolve_ticket, deferral);
    struct addresses addresses = ticket->addresses;
    answer(ticket, &addresses, ticket->failure);
}

/* ---- the look-up ---- */

static bool read_address(const struct addrinfo *info, struct dial_address *address_out)
{
    *address_out = (struct dial_address){0};
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)info->ai_addr;
        address_out->family = 4;
        memcpy(address_out->bytes, &in->sin_addr, 4);
        return true;
    }
    if (info->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)info->ai_addr;
        address_out->family = 6;
        memcpy(address_out->bytes, &in->sin6_addr, 16);
        return true;
    }
    return false;
}

static bool is_known(const struct addresses *addresses, const struct dial_address *address)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (memcmp(&addresses->items[i], address, sizeof(*address)) == 0)
            return true;
    }
    return false;
}

/* The next address of that family at or behind *position, which moves past it. */
static bool next_of_family(const struct addrinfo **position, uint8_t family,
                           struct dial_address *address_out)
{
    while (*position != NULL) {
        const struct addrinfo *info = *position;
        *position = info->ai_next;
        if (read_address(info, address_out) && address_out->family == family)
            return true;
    }
    return false;
}

/* The system's order within each family, the families in turn, beginning with the one that the
 * system puts first (RFC 8305 section 4). */
static struct addresses interleave(const struct addrinfo *list)
{
    struct addresses result = {0};
    struct dial_address address;
    const struct addrinfo *first = list;
    while (first != NULL && !read_address(first, &address))
        first = first->ai_next;
    if (first == NULL)
        return result;
    uint8_t families[2] = {address.family, address.family == 6 ? 4 : 6};
    const struct addrinfo *positions[2] = {first, first};
    bool any = true;
    for (size_t turn = 0; any && result.count < RESOLVE_ADDRESSES_MAX; turn ^= 1) {
        bool found = next_of_family(&positions[turn], families[turn], &address);
        if (found && !is_known(&result, &address))
            result.items[result.count++] = address;
        any = found || positions[turn ^ 1] != NULL;
    }
    return result;
}

static void name_free(struct name *name)
{
    list_remove(&name->node);
    name->resolver->name_count--;
    mem_free(name);
}

/* What is known now, after a look-up. */
static void take_result(struct name *name, int status, const struct addrinfo *list)
{
    int64_t now = clock_steady_milliseconds();
    struct addresses found = status == 0 ? interleave(list) : (struct addresses){0};
    if (found.count > 0) {
        name->addresses = found;
        name->found = now;
        name->fresh_until = now + FRESH_MILLISECONDS;
    } else if (name->addresses.count > 0 && now - name->found <= STALE_MILLISECONDS) {
        name->fresh_until = now + RETRY_MILLISECONDS;
    } else {
        name->addresses.count = 0;
    }
}

static void answer_all(struct name *name, int failure)
{
    struct addresses addresses = name->addresses;
    struct list waiting;
    list_init(&waiting);
    while (!list_is_empty(&name->waiting)) {
        struct list *node = name->waiting.next;
        list_remove(node);
        list_append(&waiting, node);
    }
    while (!list_is_empty(&waiting))
        answer(CONTAINER_OF(waiting.next, struct resolve_ticket, node), &addresses, failure);
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct name *name = CONTAINER_OF(request, struct name, request);
    struct resolver *resolver = name->resolver;
    name->running = false;
    resolver->running_count--;
    if (!resolver->closing)
        take_result(name, status, list);
    uv_freeaddrinfo(list);
    if (!resolver->closing) {
        answer_all(name, status);
        return;
    }
    name_free(name);
    if (resolver->running_count == 0)
        mem_free(resolver);
}

static int look_up(struct name *name)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = uv_getaddrinfo(&name->resolver->loop->uv, &name->request, on_looked_up, name->host,
                                NULL, &hints);
    if (status == 0) {
        name->running = true;
        name->resolver->running_count++;
    }
    return status;
}

/* ---- names ---- */

/* Makes room by forgetting the name that was asked for longest ago and that nobody waits for. */
static void forget_one(struct resolver *resolver)
{
    LIST_FOREACH (node, &resolver->names) {
        struct name *name = CONTAINER_OF(node, struct name, node);
        if (!name->running && list_is_empty(&name->waiting)) {
            name_free(name);
            return;
        }
    }
}

static struct name *name_find(struct resolver *resolver, const char *host)
{
    LIST_FOREACH (node, &resolver->names) {
        struct name *name = CONTAINER_OF(node, struct name, node);
        if (strcmp(name->host, host) == 0) {
            list_remove(&name->node);
            list_append(&resolver->names, &name->node);
            return name;
        }
    }
    return NULL;
}

static struct name *name_new(struct resolver *resolver, const char *host)
{
    if (resolver->name_count >= NAMES_MAX)
        forget_one(resolver);
    size_t size = strlen(host) + 1;
    struct name *name = mem_new(sizeof(*name) + size);
    memcpy(name->host, host, size);
    name->resolver = resolver;
    list_init(&name->waiting);
    list_init(&name->node);
    list_append(&resolver->names, &name->node);
    resolver->name_count++;
    return name;
}

static bool read_literal(const char *host, struct addresses *addresses_out)
{
    struct dial_address address = {.family = 4};
    if (uv_inet_pton(AF_INET, host, address.bytes) != 0) {
        address.family = 6;
        if (uv_inet_pton(AF_INET6, host, address.bytes) != 0)
            return false;
    }
    *addresses_out = (struct addresses){.items = {address}, .count = 1};
    return true;
}

/* True when the ticket has what it needs to be answered; false when it waits for a look-up. */
static bool find_answer(struct resolver *resolver, struct resolve_ticket *ticket)
{
    if (read_literal(ticket->host, &ticket->addresses))
        return true;
    struct name *name = name_find(resolver, ticket->host);
    if (name == NULL)
        name = name_new(resolver, ticket->host);
    if (name->addresses.count > 0 && clock_steady_milliseconds() < name->fresh_until) {
        ticket->addresses = name->addresses;
        return true;
    }
    if (!name->running) {
        ticket->failure = look_up(name);
        if (ticket->failure != 0)
            return true;
    }
    list_append(&name->waiting, &ticket->node);
    return false;
}

/* ---- the interface ---- */

struct resolve_ticket *resolve_start(struct resolver *resolver, const char *host,
                                     void (*on_answer)(void *owner, int status,
                                                       const struct dial_address *addresses,
                                                       size_t count, const char *text),
                                     void *owner)
{
    ENSURE(!resolver->closing);
    struct resolve_ticket *ticket = mem_new(sizeof(*ticket));
    ticket->resolver = resolver;
    ticket->host = mem_copy_string(host);
    ticket->on_answer = on_answer;
    ticket->owner = owner;
    list_init(&ticket->node);
    deferral_init(&ticket->deferral, on_deferred);
    resolver->ticket_count++;
    if (find_answer(resolver, ticket))
        loop_defer(resolver->loop, &ticket->deferral);
    return ticket;
}

void resolve_cancel(struct resolve_ticket *ticket)
{
    list_remove(&ticket->node);
    deferral_cancel(&ticket->deferral);
    ticket->resolver->ticket_count--;
    mem_free(ticket->host);
    mem_free(ticket);
}

/* glibc sets up the resolver and the order of its sources with the first look-up, in whatever
 * thread that is. Without memory it crashes there, or finds no name for the rest of its life (2.36:
 * nss_database.c, resolv_conf.c). A service is looked up in files alone; whether it is found does
 * not matter. */
static void prepare_library(void)
{
    struct servent entry, *found;
    char strings[1024];
    ENSURE(res_init() == 0);
    (void)getservbyname_r("domain", "tcp", &entry, strings, sizeof(strings), &found);
}

struct resolver *resolver_open(struct loop *loop)
{
    prepare_library();
    struct resolver *resolver = mem_new(sizeof(*resolver));
    resolver->loop = loop;
    list_init(&resolver->names);
    return resolver;
}

void resolver_close(struct resolver *resolver)
{
    ENSURE(resolver->ticket_count == 0 && !resolver->closing);
    resolver->closing = true;
    LIST_FOREACH_SAFE (node, &resolver->names) {
        struct name *name = CONTAINER_OF(node, struct name, node);
        if (name->running)
            (void)uv_cancel((uv_req_t *)&name->request);
        else
            name_free(name);
    }
    if (resolver->running_count == 0)
        mem_free(resolver);
}
