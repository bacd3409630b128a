/*
 * For the tests of the journal: a state folder of its own, keys, a disk that fails when a test says
 * so, and all lines of the journal read back.
 */
#ifndef ECLUSE_TESTS_NET_JOURNAL_WORLD_H
#define ECLUSE_TESTS_NET_JOURNAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "audit/reader.h"
#include "auth/message.h"
#include "keeper/journal_files.h"
#include "keeper/journal_writer.h"

/* ---- a disk with faults; asked by the writer's thread ---- */

static struct {
    _Atomic int error;       /* 0: none; of every write, or of every sync */
    _Atomic bool in_sync;    /* it is the sync that fails */
    _Atomic size_t left;     /* octets that are still written before writes fail */
    _Atomic unsigned syncs;  /* that went well */
    _Atomic bool is_stalled; /* a sync waits until this is false */
} disk;

static inline ssize_t disk_write(int descriptor, const void *bytes, size_t size)
{
    int error = disk.error;
    if (error != 0 && !disk.in_sync && disk.left == 0) {
        errno = error;
        return -1;
    }
    size_t count = error != 0 && !disk.in_sync && size > disk.left ? disk.left : size;
    if (error != 0 && !disk.in_sync)
        disk.left -= count;
    return write(descriptor, bytes, count);
}

static inline int disk_sync(int descriptor)
{
    while (disk.is_stalled)
        usleep(1000);
    if (disk.error != 0 && disk.in_sync) {
        errno = disk.error;
        return -1;
    }
    disk.syncs++;
    return fdatasync(descriptor);
}

static const struct journal_disk faulty_disk = {disk_write, disk_sync};

static inline void disk_fail_writes(int error, size_t left)
{
    disk.in_sync = false;
    disk.left = left;
    disk.error = error;
}

static inline void disk_fail_syncs(int error)
{
    disk.in_sync = true;
    disk.error = error;
}

static inline void disk_mend(void)
{
    disk.error = 0;
}

/* ---- what stands in the journal ---- */

#define LINES_MAX 40000

struct seen_line {
    uint64_t segment, sequence, epoch;
    enum record_action action;
    bool is_signed;
    uint64_t number; /* FIELD_COMMAND_NUMBER, as the tests' records have it */
    uint64_t first, last, count;
    char file[64], reason[200], login[80], head[65], digest[65];
};

struct seen {
    struct seen_line *lines;
    size_t count;
    size_t segments;
    size_t torn; /* octets behind the last whole line of a segment */
};

static inline void seen_text(const struct record *record, enum record_field field, char *out,
                             size_t capacity)
{
    const struct record_value *value = record_find(record, field);
    snprintf(out, capacity, "%.*s", value == NULL ? 0 : (int)value->text.size,
             value == NULL ? "" : (const char *)value->text.data);
}

static inline void see_line(struct seen *seen, uint64_t segment, struct slice line)
{
    struct reading *reading = mem_new(sizeof(*reading));
    assert_int_equal(reader_read(line, reading), 0);
    assert_true(seen->count < LINES_MAX);
    struct seen_line *seen_line = &seen->lines[seen->count++];
    *seen_line = (struct seen_line){.segment = segment,
                                    .sequence = reading->sequence,
                                    .epoch = reading->epoch,
                                    .action = reading->record.action,
                                    .is_signed = reading->is_signed,
                                    .number = reader_number(reading, FIELD_COMMAND_NUMBER, 0),
                                    .first = reader_number(reading, FIELD_AUDIT_FIRST, 0),
                                    .last = reader_number(reading, FIELD_AUDIT_LAST, 0),
                                    .count = reader_number(reading, FIELD_AUDIT_COUNT, 0)};
    seen_text(&reading->record, FIELD_AUDIT_FILE, seen_line->file, sizeof(seen_line->file));
    seen_text(&reading->record, FIELD_REASON, seen_line->reason, sizeof(seen_line->reason));
    seen_text(&reading->record, FIELD_LOGIN, seen_line->login, sizeof(seen_line->login));
    seen_text(&reading->record, FIELD_AUDIT_HEAD, seen_line->head, sizeof(seen_line->head));
    seen_text(&reading->record, FIELD_AUDIT_DIGEST, seen_line->digest, sizeof(seen_line->digest));
    mem_free(reading);
}

static inline char *read_whole(const char *path, size_t *size_out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    char *text = mem_new((size_t)size + 1);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    *size_out = (size_t)size;
    return text;
}

static inline void see_segment(struct seen *seen, const char *path, uint64_t segment)
{
    size_t size;
    char *text = read_whole(path, &size);
    struct slice rest = slice_of(text, size);
    while (rest.size > 0) {
        size_t length = slice_find(rest, '\n');
        if (length == rest.size) {
            seen->torn += length;
            break;
        }
        see_line(seen, segment, slice_take(rest, length));
        rest = slice_skip(rest, length + 1);
    }
    mem_free(text);
}

static inline char *segment_path(const char *folder, uint64_t first)
{
    char name[JOURNAL_SEGMENT_NAME], relative[80];
    journal_segment_name(first, name);
    snprintf(relative, sizeof(relative), JOURNAL_FILES_FOLDER "/%s", name);
    return scratch_path(folder, relative);
}

static inline struct seen see(const char *folder, const struct state_folder *state)
{
    struct seen seen = {.lines = mem_new_array(LINES_MAX, sizeof(struct seen_line))};
    struct journal_files *files;
    struct journal_segment *segments;
    struct err err;
    assert_int_equal(journal_files_open(state, &files, &err), 0);
    assert_int_equal(journal_files_list(files, &segments, &seen.segments, &err), 0);
    for (size_t i = 0; i < seen.segments; i++) {
        char *path = segment_path(folder, segments[i].first);
        struct stat about;
        assert_int_equal(stat(path, &about), 0);
        assert_int_equal(about.st_mode & 07777, 0600);
        see_segment(&seen, path, segments[i].first);
        free(path);
    }
    mem_free(segments);
    journal_files_close(files);
    return seen;
}

static inline void seen_free(struct seen *seen)
{
    mem_free(seen->lines);
}

static inline size_t seen_count(const struct seen *seen, enum record_action action)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->count; i++)
        count += seen->lines[i].action == action;
    return count;
}

/* The only one. */
static inline const struct seen_line *seen_find(const struct seen *seen, enum record_action action)
{
    const struct seen_line *found = NULL;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->lines[i].action == action) {
            assert_null(found);
            found = &seen->lines[i];
        }
    assert_non_null(found);
    return found;
}

/* Numbers count up by one, but over what a gap tells of; segments begin as they should, and are
 * named by their first line. */
static inline void assert_in_order(const struct seen *seen)
{
    for (size_t i = 0; i < seen->count; i++) {
        const struct seen_line *line = &seen->lines[i];
        bool is_first = i == 0 || line->segment != seen->lines[i - 1].segment;
        if (is_first) {
            assert_int_equal(line->segment, line->sequence);
            assert_true(line->action == ACTION_AUDIT_OPEN || line->action == ACTION_AUDIT_GAP ||
                        line->action == ACTION_AUDIT_RECOVERED);
            assert_int_equal(strlen(line->head), 64);
            assert_int_equal(strlen(line->digest), 64);
        }
        if (i == 0 || line->sequence == seen->lines[i - 1].sequence + 1)
            continue;
        assert_int_equal(line->action, ACTION_AUDIT_GAP);
        assert_true(line->first <= seen->lines[i - 1].sequence + 1);
        assert_int_equal(line->last, line->sequence - 1);
    }
}

#endif
