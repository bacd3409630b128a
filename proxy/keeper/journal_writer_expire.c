/*
 * Happy path: once a minute the oldest segments are looked at; those whose last line is older than
 * `keep` are told of by one record, which carries the chain over to the first that stays, and when
 * it is on disk they are removed.
 *
 * Failures: a segment that cannot be read or removed is a warning, and stays. A crash between the
 * record and the removal: it is told of once more.
 */
#include <unistd.h>

#include "audit/reader.h"
#include "keeper/journal_writer_parts.h"

#define LOOK_SECONDS 60
#define SECOND       1000000u

/* Where the chain stood before the first line of the segment, as that line says. */
static int read_stand(const struct journal_writer *writer, uint64_t segment,
                      struct reading *reading, char line[LINE_CAPACITY], struct err *err)
{
    int descriptor;
    int status = journal_files_read(writer->files, segment, &descriptor, err);
    if (status != 0)
        return status;
    ssize_t count = pread(descriptor, line, LINE_CAPACITY, 0);
    (void)close(descriptor);
    struct slice bytes = slice_of(line, count < 0 ? 0 : (size_t)count);
    if (reader_read(slice_take(bytes, slice_find(bytes, '\n')), reading) != 0 ||
        record_find(&reading->record, FIELD_AUDIT_HEAD) == NULL ||
        record_find(&reading->record, FIELD_AUDIT_DIGEST) == NULL)
        return err_set(err, ERR_CORRUPT,
                       "a segment of the journal does not begin as it should; nothing before it is "
                       "removed");
    return 0;
}

static int add_tombstone(struct journal_writer *writer, const struct journal_work *work,
                         const struct journal_segment *segments, size_t old,
                         const struct record *stand, struct err *err)
{
    char file[JOURNAL_SEGMENT_NAME];
    struct record record;
    journal_segment_name(segments[old - 1].first, file);
    record_init(&record, ACTION_AUDIT_EXPIRE, WHY_NONE, work->now);
    record_add_number(&record, FIELD_AUDIT_FIRST, segments[0].first);
    record_add_number(&record, FIELD_AUDIT_LAST, segments[old].first - 1);
    record_add_number(&record, FIELD_AUDIT_COUNT, segments[old].first - segments[0].first);
    record_add_string(&record, FIELD_AUDIT_FILE, file);
    record_add_text(&record, FIELD_AUDIT_HEAD, record_find(stand, FIELD_AUDIT_HEAD)->text);
    record_add_text(&record, FIELD_AUDIT_DIGEST, record_find(stand, FIELD_AUDIT_DIGEST)->text);
    return journal_writer_add(writer, work, &record, err);
}

static int tell(struct journal_writer *writer, const struct journal_work *work,
                const struct journal_segment *segments, size_t old, struct journal_result *result,
                struct err *err)
{
    struct reading *reading = mem_new(sizeof(*reading));
    char line[LINE_CAPACITY];
    int status = read_stand(writer, segments[old].first, reading, line, err);
    if (status == 0)
        status = add_tombstone(writer, work, segments, old, &reading->record, err);
    mem_free(reading);
    if (status == 0)
        status = journal_writer_end_epoch(writer, work, err);
    return status == 0 ? journal_writer_sync(writer, result, err) : status;
}

/* Never the one that is written to, which is the last. */
static size_t count_old(const struct journal_work *work, const struct journal_segment *segments,
                        size_t count)
{
    size_t old = 0;
    int64_t now = (int64_t)(work->now / SECOND);
    while (old + 1 < count && now - segments[old].modified > work->keep)
        old++;
    return old;
}

int journal_writer_expire(struct journal_writer *writer, const struct journal_work *work,
                          struct journal_result *result, struct err *err)
{
    struct journal_segment *segments;
    size_t count;
    struct err own = {0};
    int64_t now = (int64_t)(work->now / SECOND);
    if (now - writer->looked_for_old < LOOK_SECONDS && now >= writer->looked_for_old)
        return 0;
    writer->looked_for_old = now;
    int status = journal_files_list(writer->files, &segments, &count, &own);
    size_t old = status == 0 ? count_old(work, segments, count) : 0;
    if (old > 0)
        status = tell(writer, work, segments, old, result, &own);
    for (size_t i = 0; status == 0 && i < old; i++)
        status = journal_files_remove(writer->files, segments[i].first, &own);
    mem_free(segments);
    /* Whatever was sealed must not be left hanging. */
    if (status != 0 && chain_sequence(writer->chain) != writer->synced + 1) {
        *err = own;
        return status;
    }
    if (status != 0)
        journal_writer_warn(result, &own);
    return 0;
}
