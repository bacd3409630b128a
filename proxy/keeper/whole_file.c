/*
 * Happy path: opened, checked by fstat, read to its end.
 *
 * Failures: it is not there; a FIFO or a folder; a private one that others can read; too large.
 */
#include "keeper/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int descriptor, const char *path, bool is_private, struct err *err)
{
    struct stat stat;
    if (fstat(descriptor, &stat) != 0)
        return err_set_errno(err, "%s", path);
    if (!S_ISREG(stat.st_mode))
        return err_set(err, ERR_DENIED, "%s is not a regular file", path);
    if (is_private && stat.st_uid != geteuid() && stat.st_uid != 0)
        return err_set(err, ERR_DENIED, "%s belongs to user %u, neither to us nor to root", path,
                       (unsigned)stat.st_uid);
    if (is_private && (stat.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, ERR_DENIED, "%s has mode %04o, others can get at it; run: chmod 600 %s",
                       path, (unsigned)(stat.st_mode & 07777), path);
    return 0;
}

static int read_all(int descriptor, const char *path, struct buf *out, struct err *err)
{
    uint8_t bytes[16384];
    ssize_t count;
    int status = 0;
    do {
        count = read(descriptor, bytes, sizeof(bytes));
        if (count > 0 && buf_append(out, slice_of(bytes, (size_t)count)) != 0)
            status = err_set(err, ERR_FULL, "%s is larger than %zu KiB", path,
                             (size_t)out->maximum / 1024);
        else if (count < 0 && errno != EINTR)
            status = err_set_errno(err, "%s", path);
    } while (status == 0 && count != 0);
    mem_wipe(bytes, sizeof(bytes));
    return status;
}

int whole_file_read(const char *path, bool is_private, struct buf *out, struct err *err)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0 && errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (descriptor < 0)
        return err_set_errno(err, "%s", path);
    int status = check(descriptor, path, is_private, err);
    if (status == 0)
        status = read_all(descriptor, path, out, err);
    (void)close(descriptor);
    return status;
}
