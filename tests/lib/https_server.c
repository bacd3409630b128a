#include "https_server.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define CONNECTIONS_MAX 128
#define REQUEST_MAX     65536

struct https_server {
    SSL_CTX *context;
    bool silent;
    int listener;
    unsigned port;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t threads[CONNECTIONS_MAX];
    size_t connection_count, request_count;
    char head[REQUEST_MAX];
};

struct connection {
    struct https_server *server;
    int socket;
    SSL *ssl;
    char request[REQUEST_MAX];
    size_t size;
};

static void say(struct connection *connection, const char *text)
{
    (void)SSL_write(connection->ssl, text, (int)strlen(text));
}

/* True when the request is whole: head, and a body of Content-Length. */
static bool is_whole(const struct connection *connection, const char **body_out)
{
    const char *end = strstr(connection->request, "\r\n\r\n");
    if (end == NULL)
        return false;
    const char *length = strcasestr(connection->request, "\r\ncontent-length:");
    *body_out = end + 4;
    return length == NULL || strlen(end + 4) >= strtoul(length + 17, NULL, 10);
}

static bool read_request(struct connection *connection, const char **body_out)
{
    while (connection->size + 1 < REQUEST_MAX) {
        int count = SSL_read(connection->ssl, connection->request + connection->size,
                             (int)(REQUEST_MAX - 1 - connection->size));
        if (count <= 0)
            return false;
        connection->size += (size_t)count;
        connection->request[connection->size] = '\0';
        if (is_whole(connection, body_out))
            return true;
    }
    return false;
}

static void wait_for_end(struct connection *connection)
{
    char bytes[512];
    while (SSL_read(connection->ssl, bytes, sizeof(bytes)) > 0)
        ;
}

static void reset(struct connection *connection)
{
    struct linger linger = {.l_onoff = 1};
    say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    SSL_set_quiet_shutdown(connection->ssl, 1);
}

/* `chunks` of 1,024 octets; 0: until the client has enough. */
static void send_chunks(struct connection *connection, size_t chunks)
{
    char chunk[1024 + 16];
    memcpy(chunk, "400\r\n", 5);
    memset(chunk + 5, 'x', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 3);
    say(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; chunks == 0 || i < chunks; i++) {
        if (SSL_write(connection->ssl, chunk, (int)strlen(chunk)) <= 0)
            return;
    }
    say(connection, "0\r\n\r\n");
}

static void answer_with(struct connection *connection, const char *status, const char *header,
                        const char *body)
{
    char text[4096];
    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
             strlen(body), header, body);
    say(connection, text);
}

static void answer(struct connection *connection, const char *path, const char *body)
{
    char status[32];
    if (strcmp(path, "/echo") == 0)
        answer_with(connection, "200 OK", "Content-Type: application/json\r\n", body);
    else if (strncmp(path, "/status/", 8) == 0) {
        snprintf(status, sizeof(status), "%.3s Word", path + 8);
        answer_with(connection, status, "", "the words");
    } else if (strcmp(path, "/busy") == 0)
        answer_with(connection, "503 Busy", "Retry-After: 7\r\n", "busy");
    else if (strcmp(path, "/busy-for-ever") == 0)
        answer_with(connection, "503 Busy", "Retry-After: 99999999\r\n", "busy");
    else if (strcmp(path, "/redirect") == 0)
        answer_with(connection, "302 Found", "Location: /echo\r\n", "elsewhere");
    else if (strcmp(path, "/long") == 0)
        send_chunks(connection, 0);
    else if (strcmp(path, "/most") == 0)
        send_chunks(connection, 64);
    else if (strcmp(path, "/announced") == 0)
        say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n0123456789");
    else if (strcmp(path, "/zipped") == 0)
        answer_with(connection, "200 OK", "Content-Encoding: gzip\r\n", "not gzip");
    else if (strcmp(path, "/cut") == 0)
        say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    else if (strcmp(path, "/reset") == 0)
        reset(connection);
    else if (strcmp(path, "/garbage") == 0)
        say(connection, "220 this is another protocol\r\n");
    else if (strcmp(path, "/hang") != 0)
        answer_with(connection, "404 Not Found", "", "");
}

static void remember(struct connection *connection, const char *body)
{
    struct https_server *server = connection->server;
    size_t size = (size_t)(body - connection->request);
    pthread_mutex_lock(&server->lock);
    memcpy(server->head, connection->request, size);
    server->head[size] = '\0';
    server->request_count++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void serve_tls(struct connection *connection)
{
    const char *body;
    char path[64];
    if (SSL_accept(connection->ssl) != 1 || !read_request(connection, &body))
        return;
    remember(connection, body);
    if (sscanf(connection->request, "%*s %63s", path) != 1)
        return;
    answer(connection, path, body);
    bool ends_itself = strcmp(path, "/cut") == 0 || strcmp(path, "/reset") == 0;
    if (!ends_itself)
        wait_for_end(connection);
    SSL_shutdown(connection->ssl);
}

static void serve_silence(struct connection *connection)
{
    char bytes[512];
    while (read(connection->socket, bytes, sizeof(bytes)) > 0)
        ;
}

static void *serve(void *argument)
{
    struct connection *connection = argument;
    connection->ssl = SSL_new(connection->server->context);
    ENSURE(connection->ssl != NULL);
    SSL_set_fd(connection->ssl, connection->socket);
    if (connection->server->silent)
        serve_silence(connection);
    else
        serve_tls(connection);
    SSL_free(connection->ssl);
    close(connection->socket);
    mem_free(connection);
    return NULL;
}

static void *accept_all(void *argument)
{
    struct https_server *server = argument;
    int socket;
    while ((socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = mem_new(sizeof(*connection));
        connection->server = server;
        connection->socket = socket;
        ENSURE(server->connection_count < CONNECTIONS_MAX);
        pthread_t *thread = &server->threads[server->connection_count];
        ENSURE(pthread_create(thread, NULL, serve, connection) == 0);
        pthread_mutex_lock(&server->lock);
        server->connection_count++;
        pthread_cond_broadcast(&server->changed);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static void listen_on_loopback(struct https_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ENSURE(server->listener >= 0);
    ENSURE(bind(server->listener, (struct sockaddr *)&address, size) == 0);
    ENSURE(listen(server->listener, CONNECTIONS_MAX) == 0);
    ENSURE(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
}

struct https_server *https_server_start(const struct certificate *certificate, bool silent,
                                        int version_max)
{
    struct https_server *server = mem_new(sizeof(*server));
    server->silent = silent;
    server->context = SSL_CTX_new(TLS_server_method());
    ENSURE(server->context != NULL);
    if (version_max != 0 && version_max < TLS1_2_VERSION)
        SSL_CTX_set_security_level(server->context, 0);
    ENSURE(SSL_CTX_set_min_proto_version(server->context, TLS1_VERSION) == 1);
    ENSURE(SSL_CTX_set_max_proto_version(server->context, version_max) == 1);
    ENSURE(SSL_CTX_use_certificate(server->context, certificate->x509) == 1);
    ENSURE(SSL_CTX_use_PrivateKey(server->context, certificate->key) == 1);
    ENSURE(pthread_mutex_init(&server->lock, NULL) == 0);
    ENSURE(pthread_cond_init(&server->changed, NULL) == 0);
    listen_on_loopback(server);
    ENSURE(pthread_create(&server->acceptor, NULL, accept_all, server) == 0);
    return server;
}

void https_server_stop(struct https_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    for (size_t i = 0; i < server->connection_count; i++)
        pthread_join(server->threads[i], NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    mem_free(server);
}

unsigned https_server_port(const struct https_server *server)
{
    return server->port;
}

size_t https_server_request_count(struct https_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->request_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void https_server_last_head(struct https_server *server, char *out, size_t capacity)
{
    pthread_mutex_lock(&server->lock);
    snprintf(out, capacity, "%s", server->head);
    pthread_mutex_unlock(&server->lock);
}

void https_server_wait_for_connections(struct https_server *server, size_t count)
{
    pthread_mutex_lock(&server->lock);
    while (server->connection_count < count)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}
