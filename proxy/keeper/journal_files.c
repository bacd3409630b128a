/*
 * Happy path: segments are made with O_EXCL, appended to, and removed when they are old; names are
 * synced with the folder before anybody counts on them.
 *
 * Failures are the system's and are told. A crash while a tail is put aside leaves it in the
 * segment, whole, and perhaps a second time aside: nothing is lost, and the next start does it
 * anew.
 */
#include "keeper/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS 20

struct journal_files {
    struct state_folder *folder;
};

int journal_files_open(const struct state_folder *state, struct journal_files **files_out,
                       struct err *err)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/" JOURNAL_FILES_FOLDER, state_folder_path(state));
    if (size < 0 || (size_t)size >= sizeof(path))
        return err_set(err, ERR_CONFIG, "the path of state_dir is too long");
    struct state_folder *folder;
    int status = state_folder_open_unlocked(path, &folder, err);
    if (status != 0)
        return status;
    struct journal_files *files = mem_new(sizeof(*files));
    files->folder = folder;
    *files_out = files;
    return 0;
}

void journal_files_close(struct journal_files *files)
{
    if (files == NULL)
        return;
    state_folder_close(files->folder);
    mem_free(files);
}

const struct state_folder *journal_files_folder(const struct journal_files *files)
{
    return files->folder;
}

static int fail(const struct journal_files *files, const char *name, struct err *err)
{
    return err_set_errno(err, "%s/%s", state_folder_path(files->folder), name);
}

static int sync_folder(const struct journal_files *files, struct err *err)
{
    return fsync(state_folder_descriptor(files->folder)) == 0 ? 0 : fail(files, "", err);
}

/* ---- names ---- */

void journal_segment_name(uint64_t first, char name_out[JOURNAL_SEGMENT_NAME])
{
    snprintf(name_out, JOURNAL_SEGMENT_NAME, "%0*" PRIu64 ".jsonl", DIGITS, first);
}

static bool read_name(const char *name, uint64_t *first_out)
{
    return strlen(name) == JOURNAL_SEGMENT_NAME - 1 && strcmp(name + DIGITS, ".jsonl") == 0 &&
           slice_read_number(slice_of(name, DIGITS), UINT64_MAX, first_out);
}

static int compare(const void *a, const void *b)
{
    const struct journal_segment *left = a, *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

static int look_at(const struct journal_files *files, const char *name,
                   struct journal_segment *segment_out, struct err *err)
{
    struct stat about;
    int status = state_folder_check_file(files->folder, name, err);
    if (status != 0)
        return status;
    if (fstatat(state_folder_descriptor(files->folder), name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(files, name, err);
    segment_out->size = (uint64_t)about.st_size;
    segment_out->modified = about.st_mtime;
    return 0;
}

static int collect(const struct journal_files *files, DIR *folder,
                   struct journal_segment **segments, size_t *count, struct err *err)
{
    for (;;) {
        struct journal_segment segment;
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            return errno == 0 ? 0 : fail(files, "", err);
        if (!read_name(entry->d_name, &segment.first))
            continue;
        int status = look_at(files, entry->d_name, &segment, err);
        if (status != 0)
            return status;
        *segments = mem_resize(*segments, (*count + 1) * sizeof(segment));
        (*segments)[(*count)++] = segment;
    }
}

int journal_files_list(const struct journal_files *files, struct journal_segment **segments_out,
                       size_t *count_out, struct err *err)
{
    *segments_out = NULL;
    *count_out = 0;
    /* A descriptor of its own: that of the folder keeps its place from one reading to the next. */
    int descriptor =
        openat(state_folder_descriptor(files->folder), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (folder == NULL) {
        int status = fail(files, "", err);
        if (descriptor >= 0)
            (void)close(descriptor);
        return status;
    }
    int status = collect(files, folder, segments_out, count_out, err);
    closedir(folder);
    if (status != 0) {
        mem_free(*segments_out);
        *segments_out = NULL;
        *count_out = 0;
    } else if (*count_out > 0) {
        qsort(*segments_out, *count_out, sizeof(**segments_out), compare);
    }
    return status;
}

/* ---- segments ---- */

static int open_segment(const struct journal_files *files, uint64_t first,
                        enum state_file_mode mode, int *descriptor_out, struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    journal_segment_name(first, name);
    int status = state_folder_open_file(files->folder, name, mode, descriptor_out, err);
    if (status != 0 || mode == STATE_FILE_READ)
        return status;
    if (fcntl(*descriptor_out, F_SETFL, O_APPEND) != 0) {
        status = fail(files, name, err);
        (void)close(*descriptor_out);
        *descriptor_out = -1;
    }
    return status;
}

int journal_files_create(const struct journal_files *files, uint64_t first, int *descriptor_out,
                         struct err *err)
{
    int status = open_segment(files, first, STATE_FILE_CREATE, descriptor_out, err);
    if (status == 0 && (status = sync_folder(files, err)) != 0) {
        (void)close(*descriptor_out);
        *descriptor_out = -1;
        (void)!journal_files_remove(files, first, NULL);
    }
    return status;
}

int journal_files_append(const struct journal_files *files, uint64_t first, int *descriptor_out,
                         struct err *err)
{
    return open_segment(files, first, STATE_FILE_WRITE, descriptor_out, err);
}

int journal_files_read(const struct journal_files *files, uint64_t first, int *descriptor_out,
                       struct err *err)
{
    return open_segment(files, first, STATE_FILE_READ, descriptor_out, err);
}

int journal_files_remove(const struct journal_files *files, uint64_t first, struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    journal_segment_name(first, name);
    if (unlinkat(state_folder_descriptor(files->folder), name, 0) != 0)
        return fail(files, name, err);
    return sync_folder(files, err);
}

/* ---- what is put aside ---- */

static bool write_all(int descriptor, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(descriptor, bytes, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

static bool copy_from(int from, off_t offset, int to)
{
    uint8_t chunk[16384];
    for (;;) {
        ssize_t count = pread(from, chunk, sizeof(chunk), offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 || !write_all(to, chunk, (size_t)count))
            return false;
        if (count == 0)
            return fsync(to) == 0;
        offset += count;
    }
}

static int cut(const struct journal_files *files, int segment, uint64_t size, const char *name,
               struct err *err)
{
    int aside;
    state_folder_remove_file(files->folder, name);
    int status = state_folder_open_file(files->folder, name, STATE_FILE_CREATE, &aside, err);
    if (status != 0)
        return status;
    if (!copy_from(segment, (off_t)size, aside))
        status = fail(files, name, err);
    (void)close(aside);
    if (status == 0)
        status = sync_folder(files, err);
    if (status == 0 && (ftruncate(segment, (off_t)size) != 0 || fsync(segment) != 0))
        status = fail(files, name, err);
    return status;
}

int journal_files_cut(const struct journal_files *files, uint64_t first, uint64_t size,
                      char name_out[JOURNAL_ASIDE_NAME], struct err *err)
{
    int segment;
    int status = journal_files_append(files, first, &segment, err);
    if (status != 0)
        return status;
    snprintf(name_out, JOURNAL_ASIDE_NAME, "%0*" PRIu64 "-%" PRIu64 ".torn", DIGITS, first, size);
    status = cut(files, segment, size, name_out, err);
    (void)close(segment);
    return status;
}

static int move_all(const struct journal_files *files, int aside,
                    const struct journal_segment *segments, size_t count, struct err *err)
{
    int folder = state_folder_descriptor(files->folder);
    for (size_t i = 0; i < count; i++) {
        char name[JOURNAL_SEGMENT_NAME];
        journal_segment_name(segments[i].first, name);
        if (renameat(folder, name, aside, name) != 0)
            return fail(files, name, err);
    }
    return fsync(aside) == 0 ? sync_folder(files, err) : fail(files, "", err);
}

int journal_files_put_aside(const struct journal_files *files, int64_t now,
                            char name_out[JOURNAL_ASIDE_NAME], struct err *err)
{
    struct journal_segment *segments;
    size_t count;
    int folder = state_folder_descriptor(files->folder);
    int status = journal_files_list(files, &segments, &count, err);
    if (status != 0)
        return status;
    snprintf(name_out, JOURNAL_ASIDE_NAME, "aside-%" PRId64, now);
    int aside = -1;
    if (mkdirat(folder, name_out, 0700) == 0 || errno == EEXIST)
        aside = openat(folder, name_out, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (aside < 0) {
        status = fail(files, name_out, err);
    } else {
        status = move_all(files, aside, segments, count, err);
        (void)close(aside);
    }
    mem_free(segments);
    return status;
}
