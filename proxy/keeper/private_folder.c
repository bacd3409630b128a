/*
 * Happy path: missing folders are made 0700, the last is opened without following a link and
 * checked.
 *
 * Failures: a link, another owner, a looser mode, a parent in which anybody could exchange it:
 * ERR_DENIED; nothing is repaired silently, since somebody may have read it already.
 */
#include "keeper/private_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p: every component that is missing, 0700. */
static int make_folders(const char *path, struct err *err)
{
    char *copy = mem_copy_string(path);
    int status = 0;
    for (char *end = copy; status == 0 && *end != '\0';) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        char separator = *end;
        *end = '\0';
        bool made = mkdir(copy, 0700) == 0;
        /* The umask may have taken away what we need ourselves. */
        if ((made && chmod(copy, 0700) != 0) || (!made && errno != EEXIST))
            status = err_set_errno(err, "cannot make the folder %s", copy);
        *end = separator;
    }
    mem_free(copy);
    return status;
}

static int check_folder(const char *option, const char *path, const struct stat *stat,
                        struct err *err)
{
    if (stat->st_uid != geteuid())
        return err_set(err, ERR_DENIED,
                       "%s belongs to user %u, not to us; run: chown %u %s, or choose another %s",
                       path, (unsigned)stat->st_uid, (unsigned)geteuid(), path, option);
    if ((stat->st_mode & 0077) != 0)
        return err_set(err, ERR_DENIED, "%s has mode %04o, others can get at it; run: chmod 700 %s",
                       path, (unsigned)(stat->st_mode & 07777), path);
    return 0;
}

/* Whoever can write to a folder above could put another folder in the place of ours. With the
 * sticky bit they cannot. */
static int check_parents(const char *path, struct err *err)
{
    char parent[PATH_MAX];
    size_t size = strlen(path) + 1;
    ENSURE(size <= sizeof(parent));
    memcpy(parent, path, size);
    for (char *slash = strrchr(parent, '/'); slash != NULL; slash = strrchr(parent, '/')) {
        *slash = '\0';
        const char *name = parent[0] == '\0' ? "/" : parent;
        struct stat stat_of;
        if (stat(name, &stat_of) != 0)
            return err_set_errno(err, "%s", name);
        if ((stat_of.st_mode & S_IWOTH) != 0 && (stat_of.st_mode & S_ISVTX) == 0)
            return err_set(err, ERR_DENIED,
                           "%s has mode %04o: anybody could exchange %s in it; run: chmod o-w %s",
                           name, (unsigned)(stat_of.st_mode & 07777), path, name);
    }
    return 0;
}

static int open_last(const char *option, const char *path, int *descriptor_out, struct err *err)
{
    *descriptor_out = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*descriptor_out >= 0)
        return 0;
    if (errno == ENOTDIR || errno == ELOOP)
        return err_set(err, ERR_DENIED,
                       "%s is a symbolic link or no folder; give the folder itself as %s", path,
                       option);
    return err_set_errno(err, "%s", path);
}

static int check(const char *option, const char *path, int descriptor, char resolved[PATH_MAX],
                 struct err *err)
{
    struct stat stat;
    if (fstat(descriptor, &stat) != 0)
        return err_set_errno(err, "%s", path);
    int status = check_folder(option, path, &stat, err);
    if (status != 0)
        return status;
    if (realpath(path, resolved) == NULL)
        return err_set_errno(err, "%s", path);
    return check_parents(resolved, err);
}

int private_folder_open(const char *option, const char *path, int *descriptor_out, char **path_out,
                        struct err *err)
{
    char resolved[PATH_MAX];
    int descriptor = -1;
    /* A link's target is not what O_NOFOLLOW looks at when the path ends in a slash. */
    char *trimmed = mem_copy_string(path);
    for (size_t size = strlen(trimmed); size > 1 && trimmed[size - 1] == '/'; size--)
        trimmed[size - 1] = '\0';
    int status = make_folders(trimmed, err);
    if (status == 0)
        status = open_last(option, trimmed, &descriptor, err);
    if (status == 0)
        status = check(option, trimmed, descriptor, resolved, err);
    mem_free(trimmed);
    if (status == 0) {
        *descriptor_out = descriptor;
        *path_out = mem_copy_string(resolved);
    } else if (descriptor >= 0) {
        (void)close(descriptor);
    }
    return status;
}
