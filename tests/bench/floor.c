/*
 * A relay of plaintext clients to a TLS server and nothing else, for the benchmark: what a proxy
 * cannot do without.
 *
 *   floor CA LISTEN:CONNECT…      ports on loopback
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"

struct floor {
    struct mill *mill;
    SSL_CTX *context;
    SSL_SESSION *ticket;
};

struct listener {
    struct floor *floor;
    uint16_t upstream;
};

struct end {
    struct pair *pair;
    struct link *link; /* NULL: closed */
};

struct pair {
    struct floor *floor;
    struct end client, upstream;
};

static struct end *other(struct end *end)
{
    return end == &end->pair->client ? &end->pair->upstream : &end->pair->client;
}

static void on_read(void *owner, const uint8_t *bytes, size_t size)
{
    struct end *end = owner;
    link_write(other(end)->link, bytes, size);
    if (link_is_full(other(end)->link))
        link_pause(end->link, true);
}

static void on_drained(void *owner)
{
    link_pause(other(owner)->link, false);
}

static void on_end(void *owner)
{
    struct pair *pair = ((struct end *)owner)->pair;
    link_close(pair->client.link);
    link_close(pair->upstream.link);
    free(pair);
}

static void on_open(void *owner)
{
    struct end *end = owner;
    if (end == &end->pair->upstream)
        link_pause(end->pair->client.link, false);
}

static const struct link_ops ops = {
    .on_open = on_open, .on_read = on_read, .on_drained = on_drained, .on_end = on_end};

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct end *end = SSL_get_app_data(ssl);
    SSL_SESSION_free(end->pair->floor->ticket);
    end->pair->floor->ticket = session;
    return 1;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0 &&
                           errno != EINPROGRESS))
        die("connect: %s", strerror(errno));
    return descriptor;
}

static void start_pair(const struct listener *listener, int descriptor)
{
    struct floor *floor = listener->floor;
    struct pair *pair = calloc(1, sizeof(*pair));
    int on = 1, upstream = connect_to(listener->upstream);
    if (pair == NULL)
        die("out of memory");
    pair->floor = floor;
    pair->client.pair = pair->upstream.pair = pair;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    pair->client.link = link_open(floor->mill, descriptor, NULL, true, NULL, &ops, &pair->client);
    link_pause(pair->client.link, true);
    SSL_SESSION *ticket = floor->ticket == NULL ? NULL : SSL_SESSION_dup(floor->ticket);
    pair->upstream.link =
        link_open(floor->mill, upstream, floor->context, false, ticket, &ops, &pair->upstream);
    SSL_SESSION_free(ticket);
}

static void on_connections(void *owner, int descriptor)
{
    int accepted;
    while ((accepted = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        start_pair(owner, accepted);
}

static void listen_at(struct floor *floor, const char *ports)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(ports)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct listener *listener = calloc(1, sizeof(*listener));
    const char *colon = strchr(ports, ':');
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listener == NULL || colon == NULL ||
        bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(descriptor, 4096) != 0)
        die("cannot listen at %s", ports);
    listener->floor = floor;
    listener->upstream = (uint16_t)atoi(colon + 1);
    mill_watch(floor->mill, descriptor, on_connections, listener);
}

int main(int count, char **arguments)
{
    struct floor floor = {.mill = mill_new(), .context = SSL_CTX_new(TLS_client_method())};
    if (count < 3 || SSL_CTX_load_verify_locations(floor.context, arguments[1], NULL) != 1)
        die("usage: floor CA LISTEN:CONNECT…");
    SSL_CTX_set_verify(floor.context, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(floor.context), "localhost", 0);
    SSL_CTX_set_mode(floor.context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(floor.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(floor.context, on_ticket);
    for (int i = 2; i < count; i++)
        listen_at(&floor, arguments[i]);
    mill_run(floor.mill);
    return 0;
}
