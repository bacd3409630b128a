/*
 * Happy path: the folder is opened (keeper/private_folder.h) and locked; files are opened relative
 * to it and checked by fstat.
 *
 * Failures:
 *  - a link, another owner, a looser mode: ERR_DENIED with the command that mends it; nothing is
 *    repaired silently, since somebody may have read it already
 *  - a FIFO or device in place of a file: ERR_DENIED, without waiting for its other end
 *  - a second process: ERR_BUSY, by flock, which goes with the process however it ends; but if that
 *    was in the middle of starting another, that one has it for a moment longer, which is waited
 * for
 *  - a crash while a whole file is written: only its ".new" is left, and is made anew next time
 */
#include "keeper/state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "keeper/private_folder.h"

#define NAME_MAX_HERE           64 /* of our own files */
#define LOCK_TRIES              100
#define LOCK_PAUSE_MILLISECONDS 20

struct state_folder {
    char *path;
    int descriptor;
    int lock;
};

/* ---- the folder ---- */

/* Leaves the reason in errno. */
static bool take_lock(int descriptor)
{
    for (unsigned i = 1; flock(descriptor, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            return false;
        uv_sleep(LOCK_PAUSE_MILLISECONDS);
    }
    return true;
}

static int lock_folder(struct state_folder *folder, struct err *err)
{
    int status = state_folder_open_file(folder, "lock", STATE_FILE_WRITE, &folder->lock, err);
    if (status == ERR_NOT_FOUND) {
        status = state_folder_open_file(folder, "lock", STATE_FILE_CREATE, &folder->lock, err);
        if (status == ERR_EXISTS) /* another ecluse was faster */
            status = state_folder_open_file(folder, "lock", STATE_FILE_WRITE, &folder->lock, err);
    }
    if (status != 0)
        return status;
    if (take_lock(folder->lock))
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_BUSY, "%s: another ecluse uses this folder", folder->path);
    return err_set_errno(err, "%s/lock", folder->path);
}

static int open_folder(const char *path, bool is_locked, struct state_folder **folder_out,
                       struct err *err)
{
    *folder_out = NULL;
    struct state_folder *folder = mem_new(sizeof(*folder));
    folder->descriptor = -1;
    folder->lock = -1;
    int status = private_folder_open("state_dir", path, &folder->descriptor, &folder->path, err);
    if (status == 0 && is_locked)
        status = lock_folder(folder, err);
    if (status != 0) {
        state_folder_close(folder);
        return status;
    }
    *folder_out = folder;
    return 0;
}

int state_folder_open(const char *path, struct state_folder **folder_out, struct err *err)
{
    return open_folder(path, true, folder_out, err);
}

int state_folder_open_unlocked(const char *path, struct state_folder **folder_out, struct err *err)
{
    return open_folder(path, false, folder_out, err);
}

void state_folder_close(struct state_folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->lock >= 0)
        (void)close(folder->lock);
    if (folder->descriptor >= 0)
        (void)close(folder->descriptor);
    mem_free(folder->path);
    mem_free(folder);
}

const char *state_folder_path(const struct state_folder *folder)
{
    return folder->path;
}

int state_folder_descriptor(const struct state_folder *folder)
{
    return folder->descriptor;
}

/* ---- files in it ---- */

static int check_file(const struct state_folder *folder, const char *name, const struct stat *stat,
                      struct err *err)
{
    const char *path = folder->path;
    if (S_ISLNK(stat->st_mode))
        return err_set(err, ERR_DENIED,
                       "%s/%s is a symbolic link; put the file itself there, or remove it", path,
                       name);
    if (!S_ISREG(stat->st_mode))
        return err_set(err, ERR_DENIED, "%s/%s is not a regular file; remove it", path, name);
    if (stat->st_uid != geteuid())
        return err_set(err, ERR_DENIED, "%s/%s belongs to user %u, not to us; run: chown %u %s/%s",
                       path, name, (unsigned)stat->st_uid, (unsigned)geteuid(), path, name);
    if ((stat->st_mode & 0177) != 0)
        return err_set(err, ERR_DENIED,
                       "%s/%s has mode %04o, others can get at it; run: chmod 600 %s/%s", path,
                       name, (unsigned)(stat->st_mode & 07777), path, name);
    if (stat->st_nlink != 1)
        return err_set(err, ERR_DENIED,
                       "%s/%s has %u hard links; copy it, and put the copy in its place", path,
                       name, (unsigned)stat->st_nlink);
    return 0;
}

int state_folder_check_file(const struct state_folder *folder, const char *name, struct err *err)
{
    struct stat stat;
    if (fstatat(folder->descriptor, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return err_set(err, ERR_NOT_FOUND, "%s/%s does not exist", folder->path, name);
        return err_set_errno(err, "%s/%s", folder->path, name);
    }
    return check_file(folder, name, &stat, err);
}

static int open_new(const struct state_folder *folder, const char *name, int *descriptor_out,
                    struct err *err)
{
    int descriptor =
        openat(folder->descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0 && errno == EEXIST)
        return err_set(err, ERR_EXISTS, "%s/%s exists already", folder->path, name);
    if (descriptor < 0)
        return err_set_errno(err, "cannot make %s/%s", folder->path, name);
    /* The umask may take bits away, an access control list on the folder may change them. */
    if (fchmod(descriptor, 0600) != 0) {
        int status = err_set_errno(err, "%s/%s", folder->path, name);
        (void)close(descriptor);
        return status;
    }
    *descriptor_out = descriptor;
    return 0;
}

static int open_existing(const struct state_folder *folder, const char *name, int access,
                         int *descriptor_out, struct err *err)
{
    /* Asked first, so that a device or FIFO is not even opened; asked again of what was opened. */
    int status = state_folder_check_file(folder, name, err);
    if (status != 0)
        return status;
    int descriptor = openat(folder->descriptor, name, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return err_set_errno(err, "%s/%s", folder->path, name);
    struct stat stat;
    if (fstat(descriptor, &stat) != 0)
        status = err_set_errno(err, "%s/%s", folder->path, name);
    else
        status = check_file(folder, name, &stat, err);
    if (status != 0) {
        (void)close(descriptor);
        return status;
    }
    *descriptor_out = descriptor;
    return 0;
}

int state_folder_open_file(const struct state_folder *folder, const char *name,
                           enum state_file_mode mode, int *descriptor_out, struct err *err)
{
    *descriptor_out = -1;
    if (mode == STATE_FILE_CREATE)
        return open_new(folder, name, descriptor_out, err);
    return open_existing(folder, name, mode == STATE_FILE_READ ? O_RDONLY : O_RDWR, descriptor_out,
                         err);
}

static int write_whole(int descriptor, const void *bytes, size_t size)
{
    ssize_t count;
    do
        count = write(descriptor, bytes, size);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -1;
    if ((size_t)count != size) {
        errno = ENOSPC;
        return -1;
    }
    return fsync(descriptor);
}

static void temporary_name(const char *name, char out[NAME_MAX_HERE])
{
    int length = snprintf(out, NAME_MAX_HERE, "%s.new", name);
    ENSURE(length > 0 && length < NAME_MAX_HERE);
}

void state_folder_remove_file(const struct state_folder *folder, const char *name)
{
    (void)unlinkat(folder->descriptor, name, 0);
}

static int move_in_place(const struct state_folder *folder, const char *name, unsigned flags,
                         struct err *err)
{
    char temporary[NAME_MAX_HERE];
    temporary_name(name, temporary);
    if (renameat2(folder->descriptor, temporary, folder->descriptor, name, flags) != 0) {
        if (errno == EEXIST)
            return err_set(err, ERR_EXISTS, "%s/%s exists already", folder->path, name);
        return err_set_errno(err, "cannot make %s/%s", folder->path, name);
    }
    if (fsync(folder->descriptor) != 0)
        return err_set_errno(err, "%s", folder->path);
    return 0;
}

int state_folder_publish(const struct state_folder *folder, const char *name, struct err *err)
{
    return move_in_place(folder, name, RENAME_NOREPLACE, err);
}

static int put_whole(const struct state_folder *folder, const char *name, struct slice bytes,
                     unsigned flags, struct err *err)
{
    char temporary[NAME_MAX_HERE];
    temporary_name(name, temporary);
    state_folder_remove_file(folder, temporary);
    int descriptor = -1;
    int status = open_new(folder, temporary, &descriptor, err);
    if (status != 0)
        return status;
    if (write_whole(descriptor, bytes.data, bytes.size) != 0)
        status = err_set_errno(err, "cannot write %s/%s", folder->path, temporary);
    (void)close(descriptor);
    if (status == 0)
        status = move_in_place(folder, name, flags, err);
    if (status != 0)
        state_folder_remove_file(folder, temporary);
    return status;
}

int state_folder_create_whole(const struct state_folder *folder, const char *name,
                              const void *bytes, size_t size, struct err *err)
{
    return put_whole(folder, name, slice_of(bytes, size), RENAME_NOREPLACE, err);
}

int state_folder_replace_whole(const struct state_folder *folder, const char *name,
                               struct slice bytes, struct err *err)
{
    return put_whole(folder, name, bytes, 0, err);
}
