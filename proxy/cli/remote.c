/*
 * Happy path: the folder is opened, the socket in it checked and connected to, the line sent, and
 * bytes read up to the end of the answer's line.
 *
 * Failures:
 *  - no folder, no socket, or one that nobody listens on: ERR_NOT_FOUND, the caller works offline
 *  - a socket or a listener of another user: ERR_DENIED. Root may talk to any user's daemon, but
 * then nobody else may be able to put a socket there
 *  - a daemon that hangs: ERR_TIMEOUT; one that ends in between: ERR_CLOSED
 */
#include "cli/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/control_socket.h"

/* Of connecting and sending; a daemon that hangs leaves both waiting. */
#define SEND_SECONDS 10

/* Ours or root's. For root also the folder's owner, when the folder is private to that user and
 * stands in a place where only root or that user could have made it. */
static bool is_trusted(int folder, uid_t owner)
{
    struct stat private, parent;
    if (owner == geteuid() || owner == 0)
        return true;
    if (geteuid() != 0 || fstat(folder, &private) != 0 || fstatat(folder, "..", &parent, 0) != 0)
        return false;
    return private.st_uid == owner && (private.st_mode & (S_IRWXG | S_IRWXO)) == 0 &&
           (parent.st_uid == 0 || parent.st_uid == owner) &&
           (parent.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int check_socket(int folder, const char *path, struct err *err)
{
    struct stat about;
    if (fstatat(folder, CONTROL_SOCKET_NAME, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "not running; start it with ecluse run");
        return err_set_errno(err, "%s/" CONTROL_SOCKET_NAME, path);
    }
    if (!S_ISSOCK(about.st_mode) || !is_trusted(folder, about.st_uid))
        return err_set(err, ERR_DENIED,
                       "%s/" CONTROL_SOCKET_NAME
                       " is no socket of ours (uid %u); run this as that user, or remove it",
                       path, (unsigned)about.st_uid);
    return 0;
}

/* Whoever listens, not whoever made the file. */
static int check_peer(int folder, struct remote *remote, const char *path, struct err *err)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(remote->descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return err_set_errno(err, "%s/" CONTROL_SOCKET_NAME, path);
    if (!is_trusted(folder, peer.uid))
        return err_set(err, ERR_DENIED,
                       "%s/" CONTROL_SOCKET_NAME " is answered by uid %u; run this as that user",
                       path, (unsigned)peer.uid);
    remote->process = (int)syscall(SYS_pidfd_open, peer.pid, 0);
    return 0;
}

static int connect_to(int folder, struct remote *remote, const char *path, struct err *err)
{
    struct sockaddr_un address;
    control_socket_address(folder, CONTROL_SOCKET_NAME, &address);
    remote->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (remote->descriptor < 0)
        return err_set_errno(err, "socket");
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    setsockopt(remote->descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(remote->descriptor, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (errno == EAGAIN)
            return err_set(err, ERR_TIMEOUT, "the daemon takes no connection; see its log");
        if (errno == ECONNREFUSED || errno == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "not running; start it with ecluse run");
        return err_set(err, ERR_DENIED, "%s/" CONTROL_SOCKET_NAME " lets us not connect", path);
    }
    return check_peer(folder, remote, path, err);
}

int remote_open(const char *runtime_dir, struct remote *remote_out, struct err *err)
{
    *remote_out = (struct remote){-1, -1, REMOTE_ANSWER_MILLISECONDS, NULL};
    int folder = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "not running; start it with ecluse run");
    if (folder < 0)
        return err_set(err, ERR_DENIED, "%s cannot be entered; run this as the daemon's user",
                       runtime_dir);
    int status = check_socket(folder, runtime_dir, err);
    if (status == 0)
        status = connect_to(folder, remote_out, runtime_dir, err);
    close(folder);
    if (status != 0)
        remote_close(remote_out);
    return status;
}

void remote_close(struct remote *remote)
{
    if (remote->descriptor >= 0)
        close(remote->descriptor);
    if (remote->process >= 0)
        close(remote->process);
    *remote = (struct remote){-1, -1, REMOTE_ANSWER_MILLISECONDS, NULL};
}

static bool send_all(int descriptor, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t count = send(descriptor, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes = slice_skip(bytes, (size_t)count);
    }
    return true;
}

/* False: the time is over. */
static bool wait_readable(int descriptor, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_steady_milliseconds();
        struct pollfd watched = {.fd = descriptor, .events = POLLIN};
        int count = poll(&watched, 1, left > 0 ? (int)left : 0);
        if (count > 0)
            return true;
        if (count == 0)
            return false;
    }
}

/* True when `chunk` ends the line; appends what belongs to it. */
static bool take_chunk(struct slice chunk, struct buf *answer, int *status)
{
    struct slice line = slice_take(chunk, slice_find(chunk, '\n'));
    *status = buf_append(answer, line);
    return *status != 0 || line.size < chunk.size;
}

static void wait_a_moment(const struct remote *remote)
{
    int64_t now = clock_steady_milliseconds();
    if (remote->on_slow != NULL &&
        !wait_readable(remote->descriptor, now + REMOTE_SLOW_MILLISECONDS))
        remote->on_slow(remote->patience);
}

static int receive_line(const struct remote *remote, struct buf *answer, struct err *err)
{
    uint8_t chunk[4096];
    int64_t deadline = clock_steady_milliseconds() + remote->patience;
    wait_a_moment(remote);
    for (int status = 0;;) {
        if (!wait_readable(remote->descriptor, deadline))
            return err_set(err, ERR_TIMEOUT, "the daemon gives no answer; see its log");
        ssize_t count = recv(remote->descriptor, chunk, sizeof(chunk), 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return err_set(err, ERR_CLOSED, "the daemon ended the connection; try again");
        bool done = take_chunk(slice_of(chunk, (size_t)count), answer, &status);
        mem_wipe(chunk, (size_t)count);
        if (status != 0)
            return err_set(err, status, "the daemon's answer is too long");
        if (done)
            return 0;
    }
}

int remote_ask(struct remote *remote, struct slice request, struct buf *answer, struct err *err)
{
    /* A daemon that is too busy answers before it has read the request: look for that answer even
     * when sending fails. */
    if (send_all(remote->descriptor, request))
        (void)send_all(remote->descriptor, SLICE_LITERAL("\n"));
    return receive_line(remote, answer, err);
}

int remote_wait_for_end(struct remote *remote, int milliseconds)
{
    if (remote->process < 0)
        return 0;
    return wait_readable(remote->process, clock_steady_milliseconds() + milliseconds) ? 0
                                                                                      : ERR_TIMEOUT;
}
