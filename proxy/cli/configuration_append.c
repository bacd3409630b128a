/*
 * Happy path: old text and new sections go into a file beside it, which is read and checked, synced
 * and renamed. Its folder is locked for as long, since the file itself is replaced: of two at once
 * the second adds to what the first has written.
 *
 * Failures: 78 the old file cannot be read, or the two together have a problem · 73 a file cannot
 * be written · 75 somebody else has the lock and keeps it.
 */
#include "cli/configuration_append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/configuration.h"
#include "cli/print.h"
#include "keeper/surroundings.h"
#include "keeper/whole_file.h"

#define FILE_MAXIMUM      (2u << 20u)
#define LOCK_TRIES        200
#define LOCK_MILLISECONDS 50

static char *join(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *joined = mem_new(size);
    (void)snprintf(joined, size, "%s%s", path, suffix);
    return joined;
}

/* The folder of the file, and the one that it stands in: ~/.config/ecluse. */
static void make_folder(const char *file)
{
    char *folder = mem_copy_string(file);
    char *last = strrchr(folder, '/');
    if (last != NULL && last != folder) {
        *last = '\0';
        char *above = strrchr(folder, '/');
        if (mkdir(folder, 0700) != 0 && errno == ENOENT && above != NULL && above != folder) {
            *above = '\0';
            (void)mkdir(folder, 0700);
            *above = '/';
            (void)mkdir(folder, 0700);
        }
    }
    mem_free(folder);
}

static int write_all(int descriptor, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t count = write(descriptor, bytes.data, bytes.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ERR_SYSTEM;
        bytes = slice_skip(bytes, (size_t)count);
    }
    return fsync(descriptor) == 0 ? 0 : ERR_SYSTEM;
}

/* Root may write the file of a user: it stays his. */
static int keep_owner(int descriptor, const char *file)
{
    struct stat facts;
    if (stat(file, &facts) != 0)
        return errno == ENOENT ? 0 : ERR_SYSTEM;
    return fchown(descriptor, facts.st_uid, facts.st_gid) == 0 ? 0 : ERR_SYSTEM;
}

/* ERR_SYSTEM with errno. */
static int write_file(const char *temporary, const char *file, struct slice text)
{
    /* One of a run that was killed. */
    (void)unlink(temporary);
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return ERR_SYSTEM;
    int status = keep_owner(descriptor, file);
    if (status == 0)
        status = write_all(descriptor, text);
    if (close(descriptor) != 0)
        status = ERR_SYSTEM;
    return status;
}

/* Problems are printed under the name of the file that it is to become. */
static int check_file(const char *temporary, const char *file)
{
    struct surroundings surroundings;
    struct config_problems problems = {0};
    struct config *config = NULL;
    surroundings_read(&surroundings);
    int status = config_read(temporary, &surroundings.values, &config, &problems);
    configuration_print_problems(file, &problems, false);
    config_problems_free(&problems);
    config_free(config);
    surroundings_clear(&surroundings);
    return status == 0 ? EX_OK : EX_CONFIG;
}

/* Of the folder that it stands in; -1 with errno. */
static int open_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash == NULL ? mem_copy_string(".")
                                 : mem_copy_bytes_as_string(file, (size_t)(slash - file) + 1);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(folder);
    return descriptor;
}

/* The lock is gone with the descriptor. ERR_BUSY; ERR_SYSTEM: the folder cannot be locked. */
static int lock_folder(int folder)
{
    const struct timespec pause = {.tv_nsec = LOCK_MILLISECONDS * 1000L * 1000L};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ERR_SYSTEM;
        (void)nanosleep(&pause, NULL);
    }
    return ERR_BUSY;
}

static int replace(const char *file, int folder, const char *temporary, struct slice text)
{
    if (write_file(temporary, file, text) != 0)
        return print_failure(EX_CANTCREAT, "%s: cannot be written: %s", temporary, strerror(errno));
    int exit_code = check_file(temporary, file);
    if (exit_code == EX_OK && rename(temporary, file) != 0)
        exit_code =
            print_failure(EX_CANTCREAT, "%s: cannot be replaced: %s", file, strerror(errno));
    if (exit_code == EX_OK)
        (void)!fsync(folder); /* else a crash could undo the rename; the file is whole either way */
    else
        (void)unlink(temporary);
    return exit_code;
}

/* The folder is locked. */
static int append(const char *file, int folder, struct slice sections)
{
    struct buf text;
    struct err err;
    buf_init(&text, FILE_MAXIMUM);
    int status = whole_file_read(file, false, &text, &err);
    if (status == ERR_NOT_FOUND)
        status = 0;
    struct slice old = buf_bytes(&text);
    if (status == 0 && old.size > 0 && old.data[old.size - 1] != '\n')
        status = buf_append_string(&text, "\n");
    if (status == 0)
        status = buf_append(&text, sections);
    char *temporary = join(file, ".new");
    int exit_code = status == 0 ? replace(file, folder, temporary, buf_bytes(&text))
                                : print_failure(EX_CONFIG, "%s: cannot be added to: %s", file,
                                                status == ERR_FULL ? "it is too long" : err.text);
    mem_free(temporary);
    buf_fini(&text);
    return exit_code;
}

static int lock_and_append(const char *file, struct slice sections)
{
    make_folder(file);
    int folder = open_folder(file);
    if (folder < 0)
        return print_failure(EX_CANTCREAT, "%s: cannot be written: %s", file, strerror(errno));
    int status = lock_folder(folder), exit_code;
    if (status == 0)
        exit_code = append(file, folder, sections);
    else if (status == ERR_BUSY)
        exit_code = print_failure(EX_TEMPFAIL,
                                  "%s: its folder is locked by another program; try "
                                  "again",
                                  file);
    else
        exit_code = print_failure(EX_CANTCREAT, "%s: its folder cannot be locked: %s", file,
                                  strerror(errno));
    close(folder);
    return exit_code;
}

int configuration_append(const char *file, struct slice sections)
{
    /* What a symbolic link names is replaced, not the link. */
    char *real = realpath(file, NULL);
    int exit_code = lock_and_append(real == NULL ? file : real, sections);
    free(real);
    return exit_code;
}

/* ---- a file beside it ---- */

char *configuration_beside(const char *file, const char *name)
{
    char *real_file = realpath(file, NULL);
    const char *nearest = real_file != NULL ? real_file : file, *slash = strrchr(nearest, '/');
    char *folder = slash == NULL ? mem_copy_string("./")
                                 : mem_copy_bytes_as_string(nearest, (size_t)(slash - nearest) + 1);
    char *real_folder = realpath(folder, NULL);
    char *start = join(real_folder != NULL ? real_folder : folder, real_folder != NULL ? "/" : "");
    char *path = join(start, name);
    mem_free(start);
    free(real_folder);
    mem_free(folder);
    free(real_file);
    return path;
}

/* Whoever could change it, or read it, has no say. */
static bool is_there(const char *path, struct slice content)
{
    struct buf text;
    struct err err;
    buf_init(&text, content.size);
    bool is_same =
        whole_file_read(path, true, &text, &err) == 0 && slice_equal(buf_bytes(&text), content);
    buf_fini(&text);
    return is_same;
}

static int write_new(int descriptor, const char *file, const char *path, struct slice content)
{
    int status = keep_owner(descriptor, file);
    if (status == 0)
        status = write_all(descriptor, content);
    int failure = errno;
    if (close(descriptor) != 0 && status == 0) {
        status = ERR_SYSTEM;
        failure = errno;
    }
    if (status == 0)
        return EX_OK;
    (void)unlink(path);
    return print_failure(EX_CANTCREAT, "%s: cannot be written: %s", path, strerror(failure));
}

static int write_private(const char *file, const char *path, struct slice content, bool *is_new_out)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    *is_new_out = descriptor >= 0;
    if (descriptor >= 0)
        return write_new(descriptor, file, path, content);
    if (errno != EEXIST)
        return print_failure(EX_CANTCREAT, "%s: cannot be written: %s", path, strerror(errno));
    if (is_there(path, content))
        return EX_OK;
    return print_failure(EX_CANTCREAT,
                         "%s: is there already, with something else in it or open to others; move "
                         "it away",
                         path);
}

int configuration_write_beside(const char *file, const char *name, struct slice content,
                               char **path_out, bool *is_new_out)
{
    make_folder(file);
    char *path = configuration_beside(file, name);
    int exit_code = write_private(file, path, content, is_new_out);
    if (exit_code == EX_OK)
        *path_out = path;
    else
        mem_free(path);
    return exit_code;
}

/* Its folder, or the nearest above it that is there. 0 or errno. */
static int try_folder_of(const char *file)
{
    char *folder = mem_copy_string(file);
    int failure;
    do {
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            (void)snprintf(folder, 2, ".");
        else
            slash[slash == folder ? 1 : 0] = '\0';
        failure = access(folder, W_OK | X_OK) == 0 ? 0 : errno;
    } while (failure == ENOENT && folder[1] != '\0');
    mem_free(folder);
    return failure;
}

int configuration_can_append(const char *file)
{
    char *real = realpath(file, NULL);
    int failure = try_folder_of(real == NULL ? file : real);
    free(real);
    return failure == 0 ? EX_OK
                        : print_failure(EX_CANTCREAT,
                                        "%s: its folder cannot be written: %s; name a "
                                        "configuration of your own with -c FILE",
                                        file, strerror(failure));
}
