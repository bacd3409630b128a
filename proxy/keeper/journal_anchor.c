/*
 * Happy path: the socket is connected to, or the file opened, with the first line, and kept.
 *
 * Failures: a log that was started anew has another socket, so it is connected to once more; a line
 * that cannot be delivered then is told, and not kept: the next one says more than it did.
 */
#include "keeper/journal_anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY (10 * 8 + 6) /* authpriv, info */

enum anchor_kind { ANCHOR_NONE, ANCHOR_AUTO, ANCHOR_LOG, ANCHOR_FILE };

struct journal_anchor {
    enum anchor_kind kind;
    char *path;
    int descriptor;
};

static enum anchor_kind kind_of(const char *where)
{
    if (strcmp(where, "none") == 0)
        return ANCHOR_NONE;
    if (strcmp(where, "auto") == 0)
        return ANCHOR_AUTO;
    return strcmp(where, "syslog") == 0 ? ANCHOR_LOG : ANCHOR_FILE;
}

struct journal_anchor *journal_anchor_new(const char *where, const char *socket)
{
    struct journal_anchor *anchor = mem_new(sizeof(*anchor));
    anchor->kind = kind_of(where);
    anchor->path = mem_copy_string(anchor->kind == ANCHOR_FILE ? where : socket);
    anchor->descriptor = -1;
    return anchor;
}

static void close_anchor(struct journal_anchor *anchor)
{
    if (anchor->descriptor >= 0)
        (void)close(anchor->descriptor);
    anchor->descriptor = -1;
}

void journal_anchor_free(struct journal_anchor *anchor)
{
    if (anchor == NULL)
        return;
    close_anchor(anchor);
    mem_free(anchor->path);
    mem_free(anchor);
}

static int fail(struct journal_anchor *anchor, struct err *err)
{
    int status = err_set_errno(err, "audit_anchor: %s", anchor->path);
    close_anchor(anchor);
    return status;
}

/* ---- the system's log ---- */

static bool connect_log(struct journal_anchor *anchor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(anchor->path);
    if (size >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, anchor->path, size + 1);
    anchor->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return anchor->descriptor >= 0 &&
           connect(anchor->descriptor, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool send_log(const struct journal_anchor *anchor, struct slice line)
{
    char head[80], when[32] = "";
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local) != NULL)
        (void)strftime(when, sizeof(when), "%b %e %T", &local);
    int size =
        snprintf(head, sizeof(head), "<%d>%s ecluse-audit[%d]: ", PRIORITY, when, (int)getpid());
    struct iovec parts[] = {
        {.iov_base = head, .iov_len = (size_t)size},
        {.iov_base = (void *)(uintptr_t)line.data, .iov_len = line.size - 1},
    };
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = LENGTH_OF(parts)};
    return sendmsg(anchor->descriptor, &message, MSG_NOSIGNAL) >= 0;
}

static int write_log(struct journal_anchor *anchor, struct slice line, struct err *err)
{
    if (anchor->descriptor >= 0 && send_log(anchor, line))
        return 0;
    close_anchor(anchor);
    if (connect_log(anchor) && send_log(anchor, line))
        return 0;
    if (anchor->kind == ANCHOR_AUTO && (errno == ENOENT || errno == ECONNREFUSED)) {
        close_anchor(anchor);
        return 0;
    }
    return fail(anchor, err);
}

/* ---- a file ---- */

static int write_file(struct journal_anchor *anchor, struct slice line, struct err *err)
{
    if (anchor->descriptor < 0)
        anchor->descriptor =
            open(anchor->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (anchor->descriptor < 0)
        return fail(anchor, err);
    ssize_t count = write(anchor->descriptor, line.data, line.size);
    if (count >= 0 && (size_t)count != line.size) {
        errno = ENOSPC;
        count = -1;
    }
    if (count < 0 || fdatasync(anchor->descriptor) != 0)
        return fail(anchor, err);
    return 0;
}

int journal_anchor_write(struct journal_anchor *anchor, struct slice line, struct err *err)
{
    ENSURE(line.size > 0);
    switch (anchor->kind) {
    case ANCHOR_NONE:
        break;
    case ANCHOR_FILE:
        return write_file(anchor, line, err);
    case ANCHOR_AUTO:
    case ANCHOR_LOG:
        return write_log(anchor, line, err);
    }
    return 0;
}
