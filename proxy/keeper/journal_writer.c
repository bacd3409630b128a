/*
 * Happy path: records are sealed one by one into `lines`, which are written when they fill and at
 * the end, and synced; then the chain's state of the last checkpoint is stored, so that the key on
 * disk is never ahead of the lines, and the checkpoint goes to the anchor. An epoch, and with it a
 * segment that is full or a day old, ends with a checkpoint.
 *
 * Failure modes:
 *   a write or sync that fails     what is not synced is cut off, and the segment never written to
 *                                  again; a new one begins by a gap record, alone, until that one
 *                                  is on disk
 *   the state cannot be stored     an older one is there, from which the chain can be followed
 *   the anchor fails               said, and forgotten
 *   a key cannot be used           the chain is dropped, and found anew from what is on disk
 */
#include "keeper/journal_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/message.h"
#include "base/hex.h"
#include "keeper/journal_writer_parts.h"

#define EPOCHS_MAX           8 /* of one sync: as many as a gap may span, and more */
#define SEGMENT_SECONDS      86400
#define CHECKPOINTS_MAX      ((EPOCHS_MAX + 4) * LINE_CAPACITY)
#define SECOND               1000000u
#define FORGOTTEN            (256u * 1024) /* octets at once */
#define RECORDS_AT_A_STRETCH 32

void journal_writer_warn(struct journal_result *result, const struct err *err)
{
    snprintf(result->warning, sizeof(result->warning), "%s", err->text);
}

static struct line_place place_of(const struct journal_writer *writer,
                                  const struct journal_work *work)
{
    return (struct line_place){
        .level = work->level, .service_version = ECLUSE_VERSION, .service_id = writer->service_id};
}

/* ---- failing ---- */

/* Lines were sealed that nobody will find: the next segment tells. */
static void open_gap(struct journal_writer *writer, const struct err *err)
{
    struct journal_opening *opening = &writer->opening;
    if (chain_sequence(writer->chain) == writer->synced + 1)
        return;
    if (opening->action == ACTION_AUDIT_OPEN) {
        opening->action = ACTION_AUDIT_GAP;
        journal_segment_name(writer->at.segment, opening->file);
    }
    if (opening->first == 0)
        opening->first = writer->synced + 1;
    opening->last = chain_sequence(writer->chain) - 1;
    if (opening->action == ACTION_AUDIT_GAP)
        snprintf(opening->reason, sizeof(opening->reason), "%s", err->text);
}

/* What does not count does not stay, if the disk lets it go: else whoever verifies the journal
 * finds a line that is cut off, and the gap that explains it. */
static void take_back(struct journal_writer *writer)
{
    bool is_cut = ftruncate(writer->descriptor, (off_t)writer->synced_offset) == 0;
    (void)close(writer->descriptor);
    if (writer->synced_offset == 0 && (is_cut || writer->at.offset == 0))
        (void)!journal_files_remove(writer->files, writer->at.segment, NULL);
}

/* Nothing of what is not synced counts any more; `status` and the text are those of the failure. */
static int fail(struct journal_writer *writer, int status, const struct err *err)
{
    buf_clear(&writer->lines);
    buf_clear(&writer->checkpoints);
    secret_wipe(&writer->saved);
    writer->epochs = 0;
    if (writer->chain != NULL)
        open_gap(writer, err);
    if (writer->descriptor >= 0)
        take_back(writer);
    writer->descriptor = -1;
    if (status == ERR_CRYPTO) {
        chain_free(writer->chain);
        writer->chain = NULL;
    }
    return status;
}

/* ---- writing ---- */

static int fail_to_write(const struct journal_writer *writer, struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    journal_segment_name(writer->at.segment, name);
    return err_set_errno(err, "%s/%s", state_folder_path(journal_files_folder(writer->files)),
                         name);
}

static int write_lines(struct journal_writer *writer, struct err *err)
{
    struct slice bytes = buf_bytes(&writer->lines);
    while (bytes.size > 0) {
        ssize_t count = writer->disk.write(writer->descriptor, bytes.data, bytes.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count == 0 ? ENOSPC : errno;
            return fail_to_write(writer, err);
        }
        bytes = slice_skip(bytes, (size_t)count);
        writer->at.offset += (size_t)count;
    }
    buf_rewind(&writer->lines, JOURNAL_LINES_MAX);
    return 0;
}

/* Of a new chain as soon as it has a line; of an older one when an epoch has ended. */
static void store_state(struct journal_writer *writer, struct journal_result *result)
{
    struct err err;
    if (writer->is_new && !secret_is_set(&writer->saved)) {
        chain_save(writer->chain, &writer->saved);
        writer->saved_at = writer->at;
    }
    if (!secret_is_set(&writer->saved))
        return;
    writer->is_new = false;
    if (journal_state_store(writer->state, &writer->saved_at, &writer->saved, &err) != 0)
        journal_writer_warn(result, &err);
    secret_wipe(&writer->saved);
}

static void tell_anchor(struct journal_writer *writer, struct journal_result *result)
{
    struct err err;
    struct slice rest = buf_bytes(&writer->checkpoints);
    while (rest.size > 0) {
        struct slice line = slice_take(rest, slice_find(rest, '\n') + 1);
        if (journal_anchor_write(writer->anchor, line, &err) != 0)
            journal_writer_warn(result, &err);
        rest = slice_skip(rest, line.size);
    }
    buf_clear(&writer->checkpoints);
}

/* Nobody reads here again what is on disk: its pages serve the next lines. Fresh ones each time are
 * a fifth of the writer's work where memory must be had from a host first, and everywhere drive out
 * of the cache what is of use. */
static void forget_pages(const struct journal_writer *writer, uint64_t before)
{
    off_t from = (off_t)(before / FORGOTTEN * FORGOTTEN);
    off_t until = (off_t)(writer->at.offset / FORGOTTEN * FORGOTTEN);
    if (until > from)
        (void)posix_fadvise(writer->descriptor, from, until - from, POSIX_FADV_DONTNEED);
}

int journal_writer_sync(struct journal_writer *writer, struct journal_result *result,
                        struct err *err)
{
    if (writer->descriptor < 0 || chain_sequence(writer->chain) == writer->synced + 1)
        return 0;
    int status = write_lines(writer, err);
    if (status == 0 && writer->disk.sync(writer->descriptor) != 0)
        status = fail_to_write(writer, err);
    if (status != 0)
        return status;
    writer->synced = chain_sequence(writer->chain) - 1;
    forget_pages(writer, writer->synced_offset);
    writer->synced_offset = writer->at.offset;
    writer->epochs = 0;
    result->consumed = writer->consumed;
    result->count = writer->count;
    store_state(writer, result);
    tell_anchor(writer, result);
    return 0;
}

/* ---- lines ---- */

static int fail_to_seal(int status, struct err *err)
{
    return err_set(err, status, "a record of the journal cannot be sealed");
}

static int make_room(struct journal_writer *writer, struct err *err)
{
    return buf_room(&writer->lines) >= LINE_CAPACITY ? 0 : write_lines(writer, err);
}

/* The end of an epoch. */
static int checkpoint(struct journal_writer *writer, const struct journal_work *work,
                      struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    struct line_place place = place_of(writer, work);
    if (writer->descriptor < 0)
        return 0;
    int status = make_room(writer, err);
    if (status != 0)
        return status;
    size_t before = buf_size(&writer->lines);
    journal_segment_name(writer->at.segment, name);
    status = chain_checkpoint(writer->chain, &place, work->now, name, &writer->lines);
    if (status != 0)
        return fail_to_seal(status, err);
    ENSURE(buf_append(&writer->checkpoints, slice_skip(buf_bytes(&writer->lines), before)) == 0);
    chain_save(writer->chain, &writer->saved);
    writer->saved_at = writer->at;
    writer->saved_at.offset += buf_size(&writer->lines);
    writer->epochs++;
    return 0;
}

int journal_writer_end_epoch(struct journal_writer *writer, const struct journal_work *work,
                             struct err *err)
{
    bool is_empty = chain_epoch_first(writer->chain) == chain_sequence(writer->chain);
    return is_empty ? 0 : checkpoint(writer, work, err);
}

/* The next segment will begin orderly. */
static int end_segment(struct journal_writer *writer, const struct journal_work *work,
                       struct journal_result *result, struct err *err)
{
    int status = journal_writer_end_epoch(writer, work, err);
    if (status == 0)
        status = journal_writer_sync(writer, result, err);
    if (status != 0 || writer->descriptor < 0)
        return status;
    (void)close(writer->descriptor);
    writer->descriptor = -1;
    return 0;
}

static void describe_opening(const struct journal_writer *writer, const struct journal_work *work,
                             const char *name, struct record *record)
{
    const struct journal_opening *opening = &writer->opening;
    bool is_open = opening->action == ACTION_AUDIT_OPEN;
    record_init(record, opening->action, is_open ? WHY_NONE : WHY_INTERNAL, work->now);
    record_add_string(record, FIELD_REASON, opening->reason);
    record_add_string(record, FIELD_AUDIT_FILE, is_open ? name : opening->file);
    if (opening->last >= opening->first && opening->first > 0) {
        record_add_number(record, FIELD_AUDIT_FIRST, opening->first);
        record_add_number(record, FIELD_AUDIT_LAST, opening->last);
    }
    if (!is_open)
        record_add_number(record, FIELD_AUDIT_COUNT, work->lost);
    chain_describe(writer->chain, record);
}

/* Something stands where the next segment belongs, and cannot be of this chain. */
static int create_in_place(struct journal_writer *writer, uint64_t first, struct err *err)
{
    char aside[JOURNAL_ASIDE_NAME];
    int status = journal_files_create(writer->files, first, &writer->descriptor, err);
    if (status != ERR_EXISTS)
        return status;
    status = journal_files_cut(writer->files, first, 0, aside, err);
    if (status == 0)
        status = journal_files_remove(writer->files, first, err);
    return status == 0 ? journal_files_create(writer->files, first, &writer->descriptor, err)
                       : status;
}

static int begin_segment(struct journal_writer *writer, const struct journal_work *work,
                         struct err *err)
{
    char name[JOURNAL_SEGMENT_NAME];
    struct record record;
    struct line_place place = place_of(writer, work);
    uint64_t first = chain_sequence(writer->chain);
    int status = create_in_place(writer, first, err);
    if (status != 0)
        return status;
    writer->at =
        (struct journal_position){.segment = first, .opened = (int64_t)(work->now / SECOND)};
    writer->synced_offset = 0;
    journal_segment_name(first, name);
    describe_opening(writer, work, name, &record);
    status = chain_write(writer->chain, &place, &record, &writer->lines);
    return status == 0 ? 0 : fail_to_seal(status, err);
}

static const struct secret *key_of(const struct journal_work *work, const struct record *record)
{
    const struct record_value *name = record_find(record, FIELD_USER_NAME);
    for (const struct journal_subject *subject = work->subjects; subject != NULL && name != NULL;
         subject = subject->next)
        if (slice_is(name->text, subject->account))
            return &subject->key;
    return NULL;
}

int journal_writer_add(struct journal_writer *writer, const struct journal_work *work,
                       const struct record *record, struct err *err)
{
    struct line_place place = place_of(writer, work);
    int status = writer->descriptor >= 0 ? 0 : begin_segment(writer, work, err);
    if (status == 0)
        status = make_room(writer, err);
    if (status != 0)
        return status;
    if (work->level == AUDIT_MINIMAL)
        place.pseudonym_key = key_of(work, record);
    status = chain_write(writer->chain, &place, record, &writer->lines);
    return status == 0 ? 0 : fail_to_seal(status, err);
}

/* ---- the parts of a call ---- */

/* Nothing else is sealed before that has been told, and is on disk. The checkpoint behind it lets a
 * start follow the chain without crossing the gap. */
static int tell_what_is_missing(struct journal_writer *writer, const struct journal_work *work,
                                struct journal_result *result, struct err *err)
{
    if (work->lost > 0 && writer->opening.action == ACTION_AUDIT_OPEN) {
        int status = end_segment(writer, work, result, err);
        if (status != 0)
            return status;
        writer->opening.action = ACTION_AUDIT_GAP;
    }
    if (writer->opening.action == ACTION_AUDIT_OPEN)
        return 0;
    int status = begin_segment(writer, work, err);
    if (status == 0)
        status = journal_writer_sync(writer, result, err);
    if (status != 0) {
        /* Whatever of it is there tells nothing. */
        if (writer->descriptor >= 0)
            (void)!journal_files_remove(writer->files, writer->at.segment, NULL);
        return status;
    }
    writer->opening = (struct journal_opening){.action = ACTION_AUDIT_OPEN};
    result->lost_told = work->lost;
    status = checkpoint(writer, work, err);
    return status == 0 ? journal_writer_sync(writer, result, err) : status;
}

/* Before a line announces it: else a crash would leave one that nobody has. */
static int keep_seed(struct journal_writer *writer, struct err *err)
{
    struct secret state = {0};
    chain_save(writer->chain, &state);
    int status = journal_state_store(writer->state, &writer->at, &state, err);
    secret_wipe(&state);
    return status;
}

static int seal_anew(struct journal_writer *writer, const struct journal_work *work,
                     struct journal_result *result, struct err *err)
{
    struct record record;
    record_init(&record, ACTION_KEY_ROTATE, WHY_NONE, work->now);
    record_add_string(&record, FIELD_REASON, "a new seed seals the journal from the next epoch on");
    int status = journal_writer_add(writer, work, &record, err);
    if (status == 0)
        status = journal_writer_sync(writer, result, err);
    if (status == 0 && chain_set_seed(writer->chain, work->seed) != 0)
        status = fail_to_seal(ERR_CRYPTO, err);
    if (status == 0)
        status = keep_seed(writer, err);
    if (status == 0)
        status = end_segment(writer, work, result, err);
    if (status != 0)
        return status;
    result->seed_first = chain_sequence(writer->chain);
    status = begin_segment(writer, work, err);
    return status == 0 ? journal_writer_sync(writer, result, err) : status;
}

static bool segment_is_over(const struct journal_writer *writer, const struct journal_work *work)
{
    return writer->descriptor >= 0 &&
           (writer->at.offset + buf_size(&writer->lines) >= work->segment_max ||
            (int64_t)(work->now / SECOND) - writer->at.opened >= SEGMENT_SECONDS);
}

static int end_what_is_due(struct journal_writer *writer, const struct journal_work *work,
                           struct journal_result *result, struct err *err)
{
    if (!segment_is_over(writer, work))
        return chain_is_due(writer->chain, work->now) ? checkpoint(writer, work, err) : 0;
    int status = end_segment(writer, work, result, err);
    return status == 0 ? begin_segment(writer, work, err) : status;
}

/* What a flood brings at a time is most of a millisecond of work: a session that waits for this CPU
 * need not wait for all of it. */
static void step_aside(const struct journal_writer *writer)
{
    if (writer->count % RECORDS_AT_A_STRETCH == 0)
        (void)sched_yield();
}

static int write_records(struct journal_writer *writer, const struct journal_work *work,
                         struct journal_result *result, struct err *err)
{
    struct slice rest = work->records;
    struct message_record message FILLED_LATER;
    int status = 0;
    while (status == 0 && rest.size > 0 && writer->epochs < EPOCHS_MAX) {
        ENSURE(message_read_record(&rest, &message) == 0);
        status = journal_writer_add(writer, work, &message.record, err);
        if (status == 0) {
            writer->consumed = work->records.size - rest.size;
            writer->count++;
            status = end_what_is_due(writer, work, result, err);
            step_aside(writer);
        }
    }
    if (status == 0 && work->is_last && writer->descriptor >= 0)
        status = journal_writer_end_epoch(writer, work, err);
    return status == 0 ? journal_writer_sync(writer, result, err) : status;
}

static int do_work(struct journal_writer *writer, const struct journal_work *work,
                   struct journal_result *result, struct err *err)
{
    int status = writer->chain == NULL ? journal_writer_start(writer, work, err) : 0;
    if (status == 0)
        status = tell_what_is_missing(writer, work, result, err);
    if (status == 0)
        status = end_what_is_due(writer, work, result, err);
    if (status == 0 && work->seed != NULL)
        status = seal_anew(writer, work, result, err);
    if (status == 0)
        status = write_records(writer, work, result, err);
    if (status == 0)
        status = journal_writer_expire(writer, work, result, err);
    return status;
}

static void set_anchor(struct journal_writer *writer, const char *where)
{
    journal_anchor_free(writer->anchor);
    writer->anchor = journal_anchor_new(where, JOURNAL_ANCHOR_SOCKET);
}

int journal_writer_write(struct journal_writer *writer, const struct journal_work *work,
                         struct journal_result *result_out, struct err *err)
{
    struct err own = {0};
    ENSURE(work->level != AUDIT_OFF);
    *result_out = (struct journal_result){0};
    writer->consumed = writer->count = 0;
    if (work->anchor != NULL)
        set_anchor(writer, work->anchor);
    int status = do_work(writer, work, result_out, &own);
    if (status != 0) {
        status = fail(writer, status, &own);
        *err = own;
    }
    result_out->sequence = writer->synced;
    return status;
}

/* ---- open and close ---- */

static ssize_t write_to(int descriptor, const void *bytes, size_t size)
{
    return write(descriptor, bytes, size);
}

static int sync_to(int descriptor)
{
    return fdatasync(descriptor);
}

/* The installation is known by its public key. */
static int name_service(struct journal_writer *writer, struct err *err)
{
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE];
    if (signature_public_key(&writer->signing_key, key) != 0)
        return err_set(err, ERR_CRYPTO, "the journal's signing key cannot be used");
    hex_write(slice_of(key, (sizeof(writer->service_id) - 1) / 2), writer->service_id);
    return 0;
}

int journal_writer_open(const struct journal_writer_parts *parts,
                        struct journal_writer **writer_out, struct err *err)
{
    static const struct journal_disk system_disk = {write_to, sync_to};
    struct journal_writer *writer = mem_new(sizeof(*writer));
    writer->descriptor = -1;
    writer->disk = parts->disk != NULL ? *parts->disk : system_disk;
    writer->opening.action = ACTION_AUDIT_OPEN;
    buf_init(&writer->lines, JOURNAL_LINES_MAX);
    buf_init(&writer->checkpoints, CHECKPOINTS_MAX);
    secret_copy(&writer->signing_key, parts->signing_key);
    set_anchor(writer, parts->anchor);
    int status = name_service(writer, err);
    if (status == 0)
        status = journal_files_open(parts->state, &writer->files, err);
    if (status == 0)
        status = journal_state_open(writer->files, parts->state_key, &writer->state, err);
    if (status != 0) {
        journal_writer_close(writer);
        return status;
    }
    *writer_out = writer;
    return 0;
}

void journal_writer_close(struct journal_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->descriptor >= 0)
        (void)close(writer->descriptor);
    chain_free(writer->chain);
    journal_state_close(writer->state);
    journal_files_close(writer->files);
    journal_anchor_free(writer->anchor);
    secret_wipe(&writer->signing_key);
    secret_wipe(&writer->saved);
    buf_fini(&writer->lines);
    buf_fini(&writer->checkpoints);
    mem_free(writer);
}
