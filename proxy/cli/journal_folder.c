/*
 * Happy path: names are listed and sorted, each segment is read to its end.
 *
 * Failures: 69 there is no journal, or none that can be read.
 */
#include "cli/journal_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/configuration.h"
#include "cli/print.h"

#define DIGITS     20u
#define READ_CHUNK 65536u

void journal_folder_name(uint64_t first, char name_out[JOURNAL_FOLDER_NAME])
{
    snprintf(name_out, JOURNAL_FOLDER_NAME, "%0*" PRIu64 ".jsonl", (int)DIGITS, first);
}

static bool read_name(const char *name, uint64_t *first_out)
{
    return strlen(name) == DIGITS + 6 && strcmp(name + DIGITS, ".jsonl") == 0 &&
           slice_read_number(slice_of(name, DIGITS), INT64_MAX, first_out);
}

/* The folder of the configuration; NULL after it was said what is wrong, with the exit code. */
static char *configured_path(const struct arguments *arguments, int *exit_code_out)
{
    struct config *config = NULL;
    *exit_code_out = configuration_read(arguments, false, &config);
    if (*exit_code_out != EX_OK)
        return NULL;
    size_t size = strlen(config->state_dir) + sizeof("/audit");
    char *path = mem_new(size);
    snprintf(path, size, "%s/audit", config->state_dir);
    config_free(config);
    return path;
}

int journal_folder_open(const struct arguments *arguments, const char *folder,
                        struct journal_folder *folder_out)
{
    struct err err;
    int exit_code = EX_OK;
    *folder_out = (struct journal_folder){.descriptor = -1};
    folder_out->path =
        folder == NULL ? configured_path(arguments, &exit_code) : mem_copy_string(folder);
    if (folder_out->path == NULL)
        return exit_code;
    folder_out->descriptor = open(folder_out->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_out->descriptor < 0) {
        exit_code =
            print_failure(EX_UNAVAILABLE, "audit: there is no journal that can be read: %s: %s",
                          folder_out->path, strerror(errno));
        journal_folder_close(folder_out);
        return exit_code;
    }
    if (journal_folder_list(folder_out, &err) == 0)
        return EX_OK;
    journal_folder_close(folder_out);
    return print_failure(EX_UNAVAILABLE, "audit: %s", err.text);
}

void journal_folder_close(struct journal_folder *folder)
{
    if (folder->descriptor >= 0)
        (void)close(folder->descriptor);
    mem_free(folder->path);
    mem_free(folder->firsts);
    *folder = (struct journal_folder){.descriptor = -1};
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* For each name in it. ERR_SYSTEM. */
static int go_through(int at, const char *path, void (*on_name)(void *owner, const char *name),
                      void *owner, struct err *err)
{
    int descriptor = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *stream = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (stream == NULL) {
        err_set_errno(err, "%s", path);
        if (descriptor >= 0)
            (void)close(descriptor);
        return ERR_SYSTEM;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        on_name(owner, entry->d_name);
    (void)closedir(stream);
    return 0;
}

static void take_segment(void *owner, const char *name)
{
    struct journal_folder *folder = owner;
    uint64_t first;
    if (!read_name(name, &first))
        return;
    folder->firsts = mem_resize(folder->firsts, (folder->count + 1) * sizeof(first));
    folder->firsts[folder->count++] = first;
}

int journal_folder_list(struct journal_folder *folder, struct err *err)
{
    folder->count = 0;
    int status = go_through(folder->descriptor, ".", take_segment, folder, err);
    if (status != 0)
        return err_wrap(err, "%s", folder->path);
    if (folder->count > 0)
        qsort(folder->firsts, folder->count, sizeof(*folder->firsts), compare);
    return 0;
}

/* ---- what is beside them ---- */

struct aside_count {
    const struct journal_folder *folder;
    struct journal_aside aside;
    int status;
    struct err *err;
};

static void count_segment(void *owner, const char *name)
{
    struct aside_count *count = owner;
    uint64_t first;
    count->aside.segments += read_name(name, &first);
}

static void count_aside(void *owner, const char *name)
{
    struct aside_count *count = owner;
    struct stat stat;
    size_t size = strlen(name), tail = sizeof(".torn") - 1;
    count->aside.tails += size > tail && strcmp(name + size - tail, ".torn") == 0;
    if (count->status != 0 || !slice_starts_with(slice_of_string(name), "aside-") ||
        fstatat(count->folder->descriptor, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(stat.st_mode))
        return;
    count->aside.folders++;
    count->status = go_through(count->folder->descriptor, name, count_segment, count, count->err);
}

int journal_folder_aside(const struct journal_folder *folder, struct journal_aside *aside_out,
                         struct err *err)
{
    struct aside_count count = {.folder = folder, .err = err};
    int status = go_through(folder->descriptor, ".", count_aside, &count, err);
    if (status == 0)
        status = count.status;
    if (status != 0)
        return err_wrap(err, "%s", folder->path);
    *aside_out = count.aside;
    return 0;
}

int journal_folder_segment(const struct journal_folder *folder, uint64_t first, int *descriptor_out,
                           struct err *err)
{
    char name[JOURNAL_FOLDER_NAME];
    struct stat stat;
    journal_folder_name(first, name);
    int descriptor =
        openat(folder->descriptor, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (descriptor < 0 || fstat(descriptor, &stat) != 0) {
        int status = errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
        err_set_errno(err, "%s/%s", folder->path, name);
        if (descriptor >= 0)
            (void)close(descriptor);
        return status;
    }
    if (!S_ISREG(stat.st_mode)) {
        (void)close(descriptor);
        return err_set(err, ERR_DENIED, "%s/%s is no regular file", folder->path, name);
    }
    *descriptor_out = descriptor;
    return 0;
}

/* ---- lines ---- */

struct journal_lines *journal_lines_new(void (*on_line)(void *owner, const struct reading *reading,
                                                        struct slice line),
                                        void *owner)
{
    struct journal_lines *lines = mem_new(sizeof(*lines));
    lines->on_line = on_line;
    lines->owner = owner;
    return lines;
}

void journal_lines_free(struct journal_lines *lines)
{
    mem_free(lines);
}

static void take_line(struct journal_lines *lines, struct slice line)
{
    if (!lines->is_endless && reader_read(line, &lines->reading) == 0)
        lines->on_line(lines->owner, &lines->reading, line);
    else
        lines->unreadable++;
}

static void carry(struct journal_lines *lines, struct slice bytes)
{
    if (bytes.size > sizeof(lines->carry) - lines->carried) {
        lines->is_endless = true;
    } else if (bytes.size > 0) {
        memcpy(lines->carry + lines->carried, bytes.data, bytes.size);
        lines->carried += bytes.size;
    }
}

static void take_bytes(struct journal_lines *lines, struct slice bytes)
{
    while (bytes.size > 0) {
        size_t size = slice_find(bytes, '\n');
        struct slice line = slice_take(bytes, size);
        bool is_whole = size < bytes.size;
        bytes = slice_skip(bytes, size + 1);
        if (is_whole && lines->carried == 0 && !lines->is_endless) {
            take_line(lines, line);
            continue;
        }
        carry(lines, line);
        if (!is_whole)
            break;
        take_line(lines, slice_of(lines->carry, lines->carried));
        lines->carried = 0;
        lines->is_endless = false;
    }
}

int journal_lines_read(struct journal_lines *lines, int descriptor, struct err *err)
{
    uint8_t *bytes = mem_new(READ_CHUNK);
    ssize_t count;
    do {
        count = read(descriptor, bytes, READ_CHUNK);
        if (count > 0)
            take_bytes(lines, slice_of(bytes, (size_t)count));
    } while (count > 0 || (count < 0 && errno == EINTR));
    mem_free(bytes);
    return count == 0 ? 0 : err_set_errno(err, "the journal");
}

int journal_lines_read_all(struct journal_lines *lines, const struct journal_folder *folder,
                           struct err *err)
{
    for (size_t i = 0; i < folder->count; i++) {
        int descriptor = -1;
        int status = journal_folder_segment(folder, folder->firsts[i], &descriptor, err);
        if (status == ERR_NOT_FOUND)
            continue;
        if (status == 0) {
            status = journal_lines_read(lines, descriptor, err);
            (void)close(descriptor);
        }
        if (status != 0)
            return status;
        /* What a crash left there without an end is no line. */
        lines->carried = 0;
        lines->is_endless = false;
    }
    return 0;
}
