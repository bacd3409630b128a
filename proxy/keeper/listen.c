/*
 * Happy path: socket, options, bind, listen. A unix socket's folder is made when it is missing.
 *
 * Failures:
 * - the address is taken, of a unix socket only when somebody answers on it: ERR_UNAVAILABLE;
 * - its folder is another's or open to others, who could put their own socket there: ERR_DENIED;
 * - a privileged port: ERR_DENIED;
 * - anything else: ERR_SYSTEM.
 */
#include "keeper/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/loopback.h"

#define BACKLOG 4096

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

void listen_address_text(const struct listen_address *address, char out[LISTEN_TEXT_MAX])
{
    if (address->path != NULL)
        snprintf(out, LISTEN_TEXT_MAX, "unix:%s", address->path);
    else if (strchr(address->host, ':') != NULL)
        snprintf(out, LISTEN_TEXT_MAX, "[%s]:%u", address->host, (unsigned)address->port);
    else
        snprintf(out, LISTEN_TEXT_MAX, "%s:%u", address->host, (unsigned)address->port);
}

/* ---- addresses ---- */

/* The size of the address; 0 when it is none. */
static socklen_t fill(const struct listen_address *address, union any_address *out)
{
    memset(out, 0, sizeof(*out));
    if (address->path != NULL) {
        size_t length = strlen(address->path);
        if (length >= sizeof(out->local.sun_path))
            return 0;
        out->local.sun_family = AF_UNIX;
        memcpy(out->local.sun_path, address->path, length);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    }
    if (inet_pton(AF_INET, address->host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        return sizeof(out->v4);
    }
    if (inet_pton(AF_INET6, address->host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(address->port);
        return sizeof(out->v6);
    }
    return 0;
}

static bool is_same(const union any_address *a, const union any_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    switch (a->any.sa_family) {
    case AF_UNIX:
        return strncmp(a->local.sun_path, b->local.sun_path, sizeof(a->local.sun_path)) == 0;
    case AF_INET:
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    case AF_INET6:
        return a->v6.sin6_port == b->v6.sin6_port &&
               memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
    default:
        return false;
    }
}

bool listen_socket_is_at(const struct listen_socket *socket, const struct listen_address *address)
{
    union any_address a, b;
    return fill(&socket->address, &a) > 0 && fill(address, &b) > 0 && is_same(&a, &b);
}

/* ---- unix sockets ---- */

/* The last one alone: a mistyped path is not to leave a trail. */
static bool make_when_missing(const char *folder)
{
    struct stat about;
    if (stat(folder, &about) == 0 || errno != ENOENT)
        return true;
    return mkdir(folder, 0700) == 0 || errno == EEXIST;
}

/* Whoever can write to the folder can put a socket of their own into the place of ours. */
static int prepare_folder(const char *path, struct err *err)
{
    char *folder = mem_copy_string(path);
    char *slash = strrchr(folder, '/');
    struct stat about;
    int status = 0;

    if (slash == NULL)
        status = err_set(err, ERR_CONFIG, "unix:%s: give the whole path", path);
    else
        slash[slash == folder ? 1 : 0] = '\0';
    if (status == 0 && !make_when_missing(folder))
        status = err_set_errno(err, "unix:%s: cannot make the folder %s", path, folder);
    if (status == 0 && stat(folder, &about) != 0)
        status = err_set_errno(err, "unix:%s: folder %s", path, folder);
    if (status == 0 && about.st_uid != geteuid() && about.st_uid != 0)
        status = err_set(err, ERR_DENIED,
                         "unix:%s: folder %s belongs to user %u; use one of your own or of root's",
                         path, folder, (unsigned)about.st_uid);
    else if (status == 0 && (about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        status = err_set(err, ERR_DENIED,
                         "unix:%s: others can write to folder %s; chmod go-w it, or use another",
                         path, folder);
    mem_free(folder);
    return status;
}

/* Only a socket file of ours that refuses connections is dead. */
static bool remove_dead(const char *path, const union any_address *address, socklen_t size)
{
    struct stat about;
    if (lstat(path, &about) != 0 || !S_ISSOCK(about.st_mode) || about.st_uid != geteuid())
        return false;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return false;
    bool is_dead = connect(descriptor, &address->any, size) != 0 && errno == ECONNREFUSED;
    close(descriptor);
    return is_dead && unlink(path) == 0;
}

/* ---- binding ---- */

static int set_options(int descriptor, int family)
{
    const int on = 1;
    if (family == AF_UNIX)
        /* What bind makes has the mode of the socket: it is never open to others, not for a moment.
         */
        return fchmod(descriptor, S_IRUSR | S_IWUSR);
    if (family == AF_INET6 &&
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return -1;
    return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

/* These two leave the reason in errno. */
static bool bind_or_replace(int descriptor, const char *path, const union any_address *to,
                            socklen_t size)
{
    if (bind(descriptor, &to->any, size) == 0)
        return true;
    if (errno != EADDRINUSE || path == NULL)
        return false;
    if (!remove_dead(path, to, size)) {
        errno = EADDRINUSE;
        return false;
    }
    return bind(descriptor, &to->any, size) == 0;
}

static bool bind_and_listen(int descriptor, const char *path, const union any_address *to,
                            socklen_t size)
{
    return set_options(descriptor, to->any.sa_family) == 0 &&
           bind_or_replace(descriptor, path, to, size) && listen(descriptor, BACKLOG) == 0;
}

static int set_bind_error(struct err *err, const char *text)
{
    switch (errno) {
    case EADDRINUSE:
        return err_set(err, ERR_UNAVAILABLE,
                       "%s is taken by another program; stop that one, or choose another address",
                       text);
    case EACCES:
        return err_set(err, ERR_DENIED,
                       "%s: not allowed; ports below 1024 need CAP_NET_BIND_SERVICE, or a socket "
                       "from systemd",
                       text);
    case EADDRNOTAVAIL:
        return err_set(err, ERR_SYSTEM, "%s: this machine does not have that address", text);
    default:
        return err_set_errno(err, "%s", text);
    }
}

static struct listen_socket *socket_new(const struct listen_address *address,
                                        const union any_address *to, int descriptor)
{
    struct listen_socket *new = mem_new(sizeof(*new));
    list_init(&new->node);
    new->descriptor = descriptor;
    if (loopback_is(&to->storage))
        loopback_tune(descriptor);
    new->address.port = address->port;
    if (address->path != NULL)
        new->address.path = mem_copy_string(address->path);
    if (address->host != NULL)
        new->address.host = mem_copy_string(address->host);
    return new;
}

int listen_socket_bind(const struct listen_address *address, struct listen_socket **socket_out,
                       struct err *err)
{
    char text[LISTEN_TEXT_MAX];
    union any_address to;
    socklen_t size = fill(address, &to);

    listen_address_text(address, text);
    if (size == 0)
        return err_set(err, ERR_CONFIG, "%s is no address to listen on", text);
    int status = address->path == NULL ? 0 : prepare_folder(address->path, err);
    if (status != 0)
        return status;
    int descriptor = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return err_set_errno(err, "%s", text);
    if (!bind_and_listen(descriptor, address->path, &to, size)) {
        status = set_bind_error(err, text);
        close(descriptor);
        return status;
    }
    *socket_out = socket_new(address, &to, descriptor);
    return 0;
}

int listen_socket_adopt(const struct listen_address *address, int descriptor,
                        struct listen_socket **socket_out)
{
    union any_address wanted, found;
    socklen_t size = sizeof(found.storage);
    int listens = 0;
    socklen_t listens_size = sizeof(listens);

    memset(&found, 0, sizeof(found));
    if (fill(address, &wanted) == 0 || getsockname(descriptor, &found.any, &size) != 0 ||
        getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 ||
        listens == 0 || !is_same(&wanted, &found))
        return ERR_NOT_FOUND;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0)
        return ERR_NOT_FOUND;
    *socket_out = socket_new(address, &wanted, descriptor);
    (*socket_out)->is_inherited = true;
    return 0;
}

/* sd_listen_fds(3): the environment says how many, from 3 on, and for which process. */
#define INHERITED_FIRST 3
#define INHERITED_MAX   1024

static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || *text == '\0')
        return -1;
    long number = strtol(text, &end, 10);
    return *end == '\0' ? number : -1;
}

void listen_inherited(int *first_out, int *count_out)
{
    long count = number_of("LISTEN_FDS");
    bool ours = number_of("LISTEN_PID") == (long)getpid();
    *first_out = INHERITED_FIRST;
    *count_out = ours && count > 0 && count <= INHERITED_MAX ? (int)count : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

void listen_socket_free(struct listen_socket *old)
{
    list_remove(&old->node);
    if (old->address.path != NULL && !old->is_inherited)
        unlink(old->address.path);
    close(old->descriptor);
    mem_free(old->address.path);
    mem_free(old->address.host);
    mem_free(old);
}
