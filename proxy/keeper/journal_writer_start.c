/*
 * Where the chain stands when the journal is opened.
 *
 * Happy path: the state says up to which line the chain was known; the lines that were written
 * since are followed one by one to the end of the last segment, which is then appended to.
 *
 * Failure modes:
 *   a line that was cut off by a crash   put aside; the segment goes on, by a record that says so
 *   a gap behind which no checkpoint is  crossed, as the record at its end tells; a segment without
 *                                        a whole line, of a crash before that, goes
 *   lines that are not of this chain,    left where they are; a new segment tells of it, and
 * whoever or not there any more                verifies the journal will find what is wrong no
 * state                             the segments that are there are put aside together, and a new
 * chain begins
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "keeper/journal_writer_parts.h"

#define CHUNK_SIZE (4 * LINE_CAPACITY)
#define SECOND     1000000u

/* ---- a new chain ---- */

static int publish_key(struct journal_writer *writer, struct err *err)
{
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE];
    struct buf pem;
    buf_init(&pem, SIGNATURE_PEM_MAX);
    int status = signature_public_key(&writer->signing_key, key);
    if (status == 0)
        status = signature_write_pem(key, &pem);
    if (status != 0)
        (void)err_set(err, status, "the journal's public key cannot be written");
    else
        status = state_folder_replace_whole(journal_files_folder(writer->files), "public.pem",
                                            buf_bytes(&pem), err);
    buf_fini(&pem);
    return status;
}

static int begin_chain(struct journal_writer *writer, struct err *err)
{
    struct secret seed = {0};
    int status = seed_make(&seed);
    if (status == 0)
        writer->chain = chain_new(&seed, &writer->signing_key);
    secret_wipe(&seed);
    if (writer->chain == NULL)
        return err_set(err, ERR_CRYPTO, "the journal's chain cannot be begun");
    writer->is_new = true;
    return publish_key(writer, err);
}

static int begin_anew(struct journal_writer *writer, const struct journal_work *work,
                      size_t segments, struct err *err)
{
    if (segments > 0) {
        struct journal_opening *opening = &writer->opening;
        int status = journal_files_put_aside(writer->files, (int64_t)(work->now / SECOND),
                                             opening->file, err);
        if (status != 0)
            return status;
        opening->action = ACTION_AUDIT_RECOVERED;
        snprintf(opening->reason, sizeof(opening->reason),
                 "the state of the chain is lost; a new one begins, and %zu older segments are put "
                 "aside",
                 segments);
    }
    return begin_chain(writer, err);
}

/* ---- following ---- */

struct walk {
    struct journal_writer *writer;
    struct buf bytes; /* read, not followed yet; at `offset` of the segment */
    uint64_t offset;
    bool is_foreign; /* a whole line that is not the chain's next one */
};

static int follow_lines(struct walk *walk)
{
    while (!walk->is_foreign) {
        struct slice bytes = buf_bytes(&walk->bytes);
        size_t size = slice_find(bytes, '\n') + 1;
        if (size > bytes.size) {
            walk->is_foreign = bytes.size >= LINE_CAPACITY;
            return 0;
        }
        int status = chain_follow(walk->writer->chain, slice_take(bytes, size));
        if (status == ERR_CRYPTO)
            return status;
        walk->is_foreign = status != 0;
        if (status == 0) {
            walk->offset += size;
            buf_consume(&walk->bytes, size);
        }
    }
    return 0;
}

static int read_on(struct walk *walk, int descriptor, bool *is_end_out, struct err *err)
{
    uint8_t chunk[CHUNK_SIZE];
    ssize_t count;
    do
        count =
            pread(descriptor, chunk, sizeof(chunk), (off_t)(walk->offset + buf_size(&walk->bytes)));
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return err_set_errno(err, "the journal cannot be read");
    *is_end_out = count == 0;
    ENSURE(buf_append(&walk->bytes, slice_of(chunk, (size_t)count)) == 0);
    int status = follow_lines(walk);
    return status == 0 ? 0 : err_set(err, status, "the journal's chain cannot be followed");
}

/* From walk->offset to the end of the segment, or to what is not of the chain. */
static int follow_segment(struct walk *walk, uint64_t segment, struct err *err)
{
    int descriptor;
    bool is_end = false;
    int status = journal_files_read(walk->writer->files, segment, &descriptor, err);
    if (status != 0)
        return status;
    while (status == 0 && !is_end && !walk->is_foreign)
        status = read_on(walk, descriptor, &is_end, err);
    (void)close(descriptor);
    return status;
}

/* ---- what was found ---- */

static void tell(struct journal_writer *writer, const char *file, const char *reason)
{
    struct journal_opening *opening = &writer->opening;
    opening->action = ACTION_AUDIT_RECOVERED;
    snprintf(opening->file, sizeof(opening->file), "%s", file);
    snprintf(opening->reason, sizeof(opening->reason), "%s; the next line is number %" PRIu64,
             reason, chain_sequence(writer->chain));
}

static int add_recovered(struct journal_writer *writer, const struct journal_work *work,
                         const char *file, struct err *err)
{
    struct record record;
    record_init(&record, ACTION_AUDIT_RECOVERED, WHY_INTERNAL, work->now);
    record_add_string(&record, FIELD_REASON, "what stood behind the last whole line was put aside");
    record_add_string(&record, FIELD_AUDIT_FILE, file);
    return journal_writer_add(writer, work, &record, err);
}

/* The segment goes on behind its last whole line. One that has none is made anew. */
static int go_on_in(struct journal_writer *writer, const struct journal_work *work,
                    struct walk *walk, const struct journal_position *position, struct err *err)
{
    char aside[JOURNAL_ASIDE_NAME] = "";
    int status = 0;
    if (buf_size(&walk->bytes) > 0)
        status = journal_files_cut(writer->files, position->segment, walk->offset, aside, err);
    if (status == 0 && walk->offset == 0) {
        if (*aside != '\0')
            tell(writer, aside, "what stood behind the last whole line was put aside");
        return journal_files_remove(writer->files, position->segment, err);
    }
    if (status == 0)
        status = journal_files_append(writer->files, position->segment, &writer->descriptor, err);
    if (status != 0)
        return status;
    writer->at = *position;
    writer->at.offset = writer->synced_offset = walk->offset;
    return *aside == '\0' ? 0 : add_recovered(writer, work, aside, err);
}

static const struct journal_segment *find(const struct journal_segment *segments, size_t count,
                                          uint64_t first)
{
    for (size_t i = 0; i < count; i++)
        if (segments[i].first == first)
            return &segments[i];
    return NULL;
}

/* The segment's first line, or as much of it as there is. */
static int read_first_line(const struct journal_writer *writer, uint64_t segment, struct buf *line,
                           struct err *err)
{
    uint8_t bytes[LINE_CAPACITY];
    int descriptor;
    int status = journal_files_read(writer->files, segment, &descriptor, err);
    if (status != 0)
        return status;
    ssize_t count = pread(descriptor, bytes, sizeof(bytes), 0);
    if (count < 0)
        status = err_set_errno(err, "the journal cannot be read");
    (void)close(descriptor);
    struct slice read = slice_of(bytes, count < 0 ? 0 : (size_t)count);
    ENSURE(buf_append(line, slice_take(read, slice_find(read, '\n') + 1)) == 0);
    return status;
}

static int drop_segment(const struct journal_writer *writer, uint64_t segment, bool is_empty,
                        struct err *err)
{
    char aside[JOURNAL_ASIDE_NAME];
    int status = is_empty ? 0 : journal_files_cut(writer->files, segment, 0, aside, err);
    return status == 0 ? journal_files_remove(writer->files, segment, err) : status;
}

/* A failing disk left numbers out, and a crash came before the checkpoint behind the gap: the
 * segment begins with the record of it, or had not come to that. *size_out: of that record; 0: the
 * segment is not of this chain, or not there any more. */
static int cross_gap(struct walk *walk, const struct journal_segment *segments, size_t at,
                     size_t *count, uint64_t *size_out, struct err *err)
{
    struct journal_writer *writer = walk->writer;
    struct buf line;
    *size_out = 0;
    if (segments[at].first <= chain_sequence(writer->chain))
        return 0;
    buf_init(&line, LINE_CAPACITY);
    int status = read_first_line(writer, segments[at].first, &line, err);
    struct slice bytes = buf_bytes(&line);
    bool is_whole = bytes.size > 0 && bytes.data[bytes.size - 1] == '\n';
    bool is_cut = !is_whole && bytes.size < LINE_CAPACITY && at == *count - 1;
    int crossed = status == 0 && is_whole ? chain_cross(writer->chain, bytes) : ERR_CORRUPT;
    if (status == 0 && is_cut) {
        status = drop_segment(writer, segments[at].first, bytes.size == 0, err);
        *count -= status == 0;
    } else if (crossed == 0) {
        *size_out = bytes.size;
    } else if (crossed != ERR_CORRUPT) {
        status = err_set(err, crossed, "the journal's chain cannot be followed");
    }
    buf_fini(&line);
    return status;
}

static size_t index_of(const struct journal_segment *segments, size_t count, uint64_t first)
{
    size_t i = 0;
    while (i < count && segments[i].first != first)
        i++;
    return i;
}

/* To the end of the last of the segments that follow one another. */
static int follow_all(struct walk *walk, const struct journal_work *work,
                      const struct journal_segment *segments, size_t *count,
                      struct journal_position *position, struct err *err)
{
    struct journal_writer *writer = walk->writer;
    for (;;) {
        uint64_t offset = 0;
        int status = follow_segment(walk, position->segment, err);
        if (status != 0 || walk->is_foreign || buf_size(&walk->bytes) > 0)
            return status;
        size_t next = index_of(segments, *count, position->segment) + 1;
        if (next >= *count)
            return 0;
        if (segments[next].first != chain_sequence(writer->chain)) {
            status = cross_gap(walk, segments, next, count, &offset, err);
            if (status != 0 || offset == 0)
                return status;
        }
        *position = (struct journal_position){.segment = segments[next].first,
                                              .opened = (int64_t)(work->now / SECOND)};
        walk->offset = offset;
    }
}

static int go_on(struct journal_writer *writer, const struct journal_work *work,
                 const struct journal_segment *segments, size_t count,
                 struct journal_position *position, struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    const struct journal_segment *found = find(segments, count, position->segment);
    struct walk walk = {.writer = writer, .offset = position->offset};
    journal_segment_name(position->segment, name);
    if (found == NULL || found->size < position->offset) {
        tell(writer, name,
             found == NULL ? "a segment is missing" : "lines of a segment are missing");
        return 0;
    }
    buf_init(&walk.bytes, CHUNK_SIZE + LINE_CAPACITY);
    int status = follow_all(&walk, work, segments, &count, position, err);
    journal_segment_name(position->segment, name);
    if (status == 0 && (walk.is_foreign || position->segment != segments[count - 1].first))
        tell(writer, name, "lines follow that are not of this chain");
    else if (status == 0)
        status = go_on_in(writer, work, &walk, position, err);
    buf_fini(&walk.bytes);
    return status;
}

static int start_with(struct journal_writer *writer, const struct journal_work *work,
                      const struct journal_segment *segments, size_t count, struct err *err)
{
    struct journal_position position = {0};
    struct secret saved = {0};
    int status = journal_state_load(writer->state, &position, &saved, err);
    if (status == 0)
        status = chain_restore(secret_bytes(&saved), &writer->signing_key, &writer->chain);
    secret_wipe(&saved);
    if (status == ERR_NOT_FOUND || status == ERR_CORRUPT)
        return begin_anew(writer, work, count, err);
    if (status != 0)
        return err_set(err, status, "the journal's chain cannot go on");
    return go_on(writer, work, segments, count, &position, err);
}

int journal_writer_start(struct journal_writer *writer, const struct journal_work *work,
                         struct err *err)
{
    struct journal_segment *segments = NULL;
    size_t count = 0;
    writer->opening = (struct journal_opening){.action = ACTION_AUDIT_OPEN};
    int status = journal_files_list(writer->files, &segments, &count, err);
    if (status == 0)
        status = start_with(writer, work, segments, count, err);
    mem_free(segments);
    if (status == 0)
        writer->synced = chain_sequence(writer->chain) - 1 - (buf_size(&writer->lines) > 0);
    else if (writer->chain != NULL) {
        chain_free(writer->chain);
        writer->chain = NULL;
    }
    return status;
}
