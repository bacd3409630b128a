/*
 * The journal's writer: what is on disk after it has said so; what a full or broken disk, a crash
 * and a meddler leave; how it goes on from there.
 */
#include "journal_world.h"

#include <sys/time.h>

#include "audit/seed.h"
#include "keeper/journal_state.h"

#define NOW ((uint64_t)1700000000 * 1000000)

struct place {
    char *folder;
    struct state_folder *state;
    struct secret state_key, signing_key;
    char *anchor;
    struct journal_writer *writer;
    struct journal_work work;
    struct journal_result result;
    uint64_t numbers; /* of records, given out */
    struct err err;
};

static void open_writer(struct place *place)
{
    const struct journal_writer_parts parts = {.state = place->state,
                                               .state_key = &place->state_key,
                                               .signing_key = &place->signing_key,
                                               .anchor = place->anchor,
                                               .disk = &faulty_disk};
    int status = journal_writer_open(&parts, &place->writer, &place->err);
    if (status != 0)
        print_error("%s\n", place->err.text);
    assert_int_equal(status, 0);
}

static void restart(struct place *place)
{
    journal_writer_close(place->writer);
    open_writer(place);
}

static int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    memset(&disk, 0, sizeof(disk));
    place->folder = scratch_folder_new();
    place->anchor = scratch_path(place->folder, "anchor");
    assert_int_equal(state_folder_open(place->folder, &place->state, &place->err), 0);
    secret_set(&place->state_key, SLICE_LITERAL("0123456789abcdef0123456789abcdef"));
    secret_set(&place->signing_key, SLICE_LITERAL("fedcba9876543210fedcba9876543210"));
    place->work = (struct journal_work){
        .level = AUDIT_STANDARD, .segment_max = 64ul * 1024 * 1024, .keep = 86400, .now = NOW};
    open_writer(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    journal_writer_close(place->writer);
    secret_wipe(&place->state_key);
    secret_wipe(&place->signing_key);
    state_folder_close(place->state);
    scratch_folder_remove(place->folder);
    free(place->anchor);
    mem_free(place);
    return 0;
}

/* ---- writing ---- */

static void add_record(struct place *place, struct buf *frame)
{
    struct message_record message = {0};
    record_init(&message.record, ACTION_COMMAND, WHY_NONE, NOW);
    record_add_number(&message.record, FIELD_COMMAND_NUMBER, ++place->numbers);
    record_add_string(&message.record, FIELD_USER_NAME, "work");
    record_add_string(&message.record, FIELD_LOGIN, "alice@example.test");
    assert_int_equal(message_write_record(frame, &message), 0);
}

/* One call for `count` new records. */
static int write_once(struct place *place, size_t count)
{
    struct buf frame;
    struct message message;
    buf_init(&frame, MESSAGE_SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        add_record(place, &frame);
    place->work.records = SLICE_NONE;
    if (count > 0) {
        assert_int_equal(message_read(buf_bytes(&frame), &message), 0);
        place->work.records = message.fields;
    }
    int status = journal_writer_write(place->writer, &place->work, &place->result, &place->err);
    if (status == 0 && place->result.consumed < place->work.records.size)
        assert_true(place->result.count >= 7000);
    buf_fini(&frame);
    return status;
}

static void write_records(struct place *place, size_t count)
{
    int status = write_once(place, count);
    if (status != 0)
        print_error("%s\n", place->err.text);
    assert_int_equal(status, 0);
    assert_int_equal(place->result.count, count);
    assert_int_equal(place->result.consumed, place->work.records.size);
    assert_string_equal(place->result.warning, "");
}

static struct seen look(struct place *place)
{
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    return seen;
}

/* Every record from 1 to `count` is there once, in order. */
static void assert_has_all(const struct seen *seen, uint64_t count)
{
    uint64_t next = 1;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->lines[i].action == ACTION_COMMAND)
            assert_int_equal(seen->lines[i].number, next++);
    assert_int_equal(next, count + 1);
}

/* ---- when all is well ---- */

static void a_journal_begins_and_goes_on(void **state)
{
    struct place *place = *state;
    write_records(place, 3);
    assert_int_equal(place->result.sequence, 4);
    assert_true(disk.syncs > 0);
    restart(place);
    write_records(place, 2);
    assert_int_equal(place->result.sequence, 6);
    struct seen seen = look(place);
    assert_int_equal(seen.segments, 1);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.lines[0].action, ACTION_AUDIT_OPEN);
    assert_int_equal(seen.lines[0].sequence, 1);
    assert_has_all(&seen, 5);
    seen_free(&seen);
}

static void nothing_to_write_touches_nothing(void **state)
{
    struct place *place = *state;
    write_records(place, 0);
    assert_int_equal(place->result.sequence, 0);
    struct seen seen = look(place);
    assert_int_equal(seen.segments, 0);
    seen_free(&seen);
}

static void an_epoch_ends_after_a_thousand_records(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 5; i++) {
        write_records(place, 500);
        if (i % 2 == 0)
            restart(place);
    }
    struct seen seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_CHECKPOINT), 2);
    assert_has_all(&seen, 2500);
    for (size_t i = 0; i < seen.count; i++)
        assert_int_equal(seen.lines[i].is_signed, seen.lines[i].action == ACTION_AUDIT_CHECKPOINT);
    assert_int_equal(seen.lines[seen.count - 1].epoch, 2);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), 0);
    seen_free(&seen);
}

/* As many as there may be: the rest is for another call. */
static void a_call_takes_eight_epochs_at_the_most(void **state)
{
    struct place *place = *state;
    assert_int_equal(write_once(place, 12000), 0);
    assert_in_range(place->result.count, 7000, 8000);
    struct seen seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_COMMAND), place->result.count);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_CHECKPOINT), 8);
    seen_free(&seen);
}

static void an_epoch_ends_after_a_quarter_of_an_hour(void **state)
{
    struct place *place = *state;
    write_records(place, 1);
    place->work.now += 899ul * 1000000;
    write_records(place, 1);
    place->work.now += 1000000;
    write_records(place, 0);
    place->work.now += 900ul * 1000000;
    write_records(place, 0);
    struct seen seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_CHECKPOINT), 1);
    seen_free(&seen);
    write_records(place, 1);
    write_records(place, 0);
    seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_CHECKPOINT), 2);
    seen_free(&seen);
}

static void the_last_call_leaves_nothing_without_a_signature(void **state)
{
    struct place *place = *state;
    place->work.is_last = true;
    write_records(place, 2);
    write_records(place, 0);
    struct seen seen = look(place);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.lines[3].action, ACTION_AUDIT_CHECKPOINT);
    seen_free(&seen);
}

static void a_full_segment_is_followed_by_another(void **state)
{
    struct place *place = *state;
    place->work.segment_max = 20000;
    for (int i = 0; i < 10; i++)
        write_records(place, 30);
    restart(place);
    write_records(place, 30);
    struct seen seen = look(place);
    assert_true(seen.segments > 3);
    assert_has_all(&seen, 330);
    for (size_t i = 1; i < seen.count; i++)
        if (seen.lines[i].segment != seen.lines[i - 1].segment) {
            assert_int_equal(seen.lines[i - 1].action, ACTION_AUDIT_CHECKPOINT);
            assert_int_equal(seen.lines[i].action, ACTION_AUDIT_OPEN);
        }
    seen_free(&seen);
}

static void a_segment_lasts_a_day(void **state)
{
    struct place *place = *state;
    write_records(place, 1);
    place->work.now += 86399ul * 1000000;
    write_records(place, 1);
    place->work.now += 1000000;
    write_records(place, 1);
    struct seen seen = look(place);
    assert_int_equal(seen.segments, 2);
    assert_has_all(&seen, 3);
    seen_free(&seen);
}

static void checkpoints_go_to_the_anchor(void **state)
{
    struct place *place = *state;
    size_t size;
    write_records(place, 900);
    assert_int_equal(access(place->anchor, F_OK), -1);
    write_records(place, 1500);
    char *text = read_whole(place->anchor, &size);
    struct seen anchored = {.lines = mem_new_array(LINES_MAX, sizeof(struct seen_line))};
    see_segment(&anchored, place->anchor, 0);
    assert_int_equal(anchored.count, 2);
    assert_int_equal(seen_count(&anchored, ACTION_AUDIT_CHECKPOINT), 2);
    mem_free(text);
    seen_free(&anchored);
}

static void an_anchor_that_fails_is_a_warning(void **state)
{
    struct place *place = *state;
    assert_int_equal(mkdir(place->anchor, 0700), 0);
    assert_int_equal(write_once(place, 1000), 0);
    assert_non_null(strstr(place->result.warning, "audit_anchor"));
    assert_int_equal(place->result.count, 1000);
}

static void pseudonyms_are_the_accounts(void **state)
{
    struct place *place = *state;
    struct journal_subject other = {.account = (char[]){"other"}};
    struct journal_subject work = {.next = &other, .account = (char[]){"work"}};
    secret_set(&work.key, SLICE_LITERAL("0123456789abcdef0123456789abcdef"));
    secret_set(&other.key, SLICE_LITERAL("fedcba9876543210fedcba9876543210"));
    place->work.level = AUDIT_MINIMAL;
    write_records(place, 1);
    place->work.subjects = &work;
    write_records(place, 2);
    struct seen seen = look(place);
    assert_non_null(strstr(seen.lines[1].login, "redacted"));
    assert_memory_equal(seen.lines[2].login, "h:", 2);
    assert_non_null(strstr(seen.lines[2].login, "@example.test"));
    assert_string_equal(seen.lines[2].login, seen.lines[3].login);
    seen_free(&seen);
    secret_wipe(&work.key);
    secret_wipe(&other.key);
}

static void a_new_seed_begins_a_segment(void **state)
{
    struct place *place = *state;
    struct secret seed = {0};
    write_records(place, 2);
    assert_int_equal(seed_make(&seed), 0);
    place->work.seed = &seed;
    write_records(place, 2);
    uint64_t first = place->result.seed_first;
    place->work.seed = NULL;
    secret_wipe(&seed);
    restart(place);
    write_records(place, 2);
    struct seen seen = look(place);
    assert_has_all(&seen, 6);
    assert_int_equal(seen.segments, 2);
    assert_int_equal(seen_find(&seen, ACTION_AUDIT_CHECKPOINT)->sequence, first - 1);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_OPEN), 2);
    seen_free(&seen);
}

/* ---- a disk that fails ---- */

/* The batch that failed comes again, behind a gap that tells which numbers may be missing. */
static void assert_recovers_from(struct place *place, const char *reason)
{
    uint64_t before = place->numbers;
    disk_mend();
    place->numbers -= 50;
    write_records(place, 50);
    struct seen seen = look(place);
    const struct seen_line *gap = seen_find(&seen, ACTION_AUDIT_GAP);
    assert_int_equal(gap->segment, gap->sequence);
    assert_non_null(strstr(gap->reason, reason));
    assert_int_equal(gap->count, 0);
    assert_int_equal(gap->first, 12);
    assert_true(gap->last >= 61);
    assert_int_equal(place->numbers, before);
    uint64_t next = 11;
    for (size_t i = 0; i < seen.count; i++)
        if (seen.lines[i].segment == gap->segment && seen.lines[i].action == ACTION_COMMAND)
            assert_int_equal(seen.lines[i].number, next++);
    assert_int_equal(next, 61);
    seen_free(&seen);
    restart(place);
    write_records(place, 1);
    seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), 0);
    seen_free(&seen);
}

static void a_full_disk_makes_a_gap(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    disk_fail_writes(ENOSPC, 0);
    assert_int_equal(write_once(place, 50), ERR_SYSTEM);
    assert_int_equal(place->result.consumed, 0);
    assert_int_equal(place->result.sequence, 11);
    assert_recovers_from(place, "No space left");
}

static void a_write_that_is_cut_leaves_a_torn_line(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    disk_fail_writes(ENOSPC, 5000);
    assert_int_equal(write_once(place, 50), ERR_SYSTEM);
    struct seen seen = look(place);
    assert_true(seen.torn > 0);
    assert_true(seen.count > 12);
    seen_free(&seen);
    assert_recovers_from(place, "No space left");
}

static void a_sync_that_fails_is_not_tried_again(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    disk_fail_syncs(EIO);
    assert_int_equal(write_once(place, 50), ERR_SYSTEM);
    assert_int_equal(place->result.consumed, 0);
    assert_recovers_from(place, "Input/output error");
}

/* However often it fails: one gap, and no litter. */
static void many_failures_make_one_gap(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    disk_fail_syncs(EIO);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write_once(place, 50), ERR_SYSTEM);
        place->numbers -= 50;
    }
    disk_fail_writes(ENOSPC, 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write_once(place, 50), ERR_SYSTEM);
        place->numbers -= 50;
    }
    place->numbers += 50;
    struct seen seen = look(place);
    assert_int_equal(seen.segments, 1);
    seen_free(&seen);
    assert_recovers_from(place, "");
}

static void records_that_were_given_up_are_counted(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    place->work.lost = 7;
    write_records(place, 1);
    assert_int_equal(place->result.lost_told, 7);
    place->work.lost = 0;
    write_records(place, 1);
    struct seen seen = look(place);
    assert_int_equal(seen_find(&seen, ACTION_AUDIT_GAP)->count, 7);
    assert_has_all(&seen, 12);
    seen_free(&seen);
}

static void the_first_segment_of_all_can_fail(void **state)
{
    struct place *place = *state;
    disk_fail_writes(ENOSPC, 0);
    assert_int_equal(write_once(place, 5), ERR_SYSTEM);
    disk_mend();
    place->numbers = 0;
    write_records(place, 5);
    struct seen seen = look(place);
    assert_has_all(&seen, 5);
    assert_int_equal(seen.lines[0].action, ACTION_AUDIT_GAP);
    seen_free(&seen);
}

/* ---- crashes ---- */

static char *copy_of(const char *path, size_t *size_out)
{
    return read_whole(path, size_out);
}

static void put_back(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Cut anywhere, the whole lines that are left go on, and what is behind them is put aside. */
static void a_tail_that_is_torn_anywhere_is_put_aside(void **state)
{
    struct place *place = *state;
    write_records(place, 3);
    char *path = segment_path(place->folder, 1);
    char *state_path = scratch_path(place->folder, JOURNAL_FILES_FOLDER "/state");
    size_t size, state_size, whole;
    place->work.is_last = true;
    write_records(place, 0);
    place->work.is_last = false;
    char *saved = copy_of(state_path, &state_size);
    char *settled = copy_of(path, &whole);
    mem_free(settled);
    write_records(place, 3);
    char *bytes = copy_of(path, &size);
    journal_writer_close(place->writer);
    for (size_t cut = whole; cut <= size; cut += cut + 97 < size ? 97 : 1) {
        put_back(path, bytes, cut);
        put_back(state_path, saved, state_size);
        open_writer(place);
        place->numbers = 100;
        write_records(place, 1);
        struct seen seen = look(place);
        size_t lines = 0;
        for (size_t i = 0; i < cut; i++)
            lines += bytes[i] == '\n';
        bool is_torn = bytes[cut - 1] != '\n';
        assert_int_equal(seen.count, lines + 1 + is_torn);
        assert_int_equal(seen.torn, 0);
        assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), is_torn);
        seen_free(&seen);
        journal_writer_close(place->writer);
    }
    open_writer(place);
    free(path);
    free(state_path);
    mem_free(saved);
    mem_free(bytes);
}

static void what_is_put_aside_is_all_there(void **state)
{
    struct place *place = *state;
    write_records(place, 3);
    journal_writer_close(place->writer);
    char *path = segment_path(place->folder, 1);
    FILE *file = fopen(path, "ab");
    assert_int_equal(fwrite("{\"torn", 1, 6, file), 6);
    fclose(file);
    open_writer(place);
    write_records(place, 1);
    struct seen seen = look(place);
    const struct seen_line *told = seen_find(&seen, ACTION_AUDIT_RECOVERED);
    char relative[100];
    size_t size;
    snprintf(relative, sizeof(relative), JOURNAL_FILES_FOLDER "/%s", told->file);
    char *aside = scratch_path(place->folder, relative);
    char *bytes = read_whole(aside, &size);
    assert_int_equal(size, 6);
    assert_memory_equal(bytes, "{\"torn", 6);
    assert_has_all(&seen, 4);
    mem_free(bytes);
    free(aside);
    free(path);
    seen_free(&seen);
}

/* A crash between a segment's making and its first line. */
static void an_empty_segment_is_made_anew(void **state)
{
    struct place *place = *state;
    write_records(place, 3);
    journal_writer_close(place->writer);
    char *path = segment_path(place->folder, 5);
    for (size_t size = 0; size <= 1; size++) {
        put_back(path, "{", size);
        open_writer(place);
        write_records(place, 1);
        struct seen seen = look(place);
        assert_int_equal(seen.segments, 2);
        assert_int_equal(seen.lines[4].action,
                         size == 0 ? ACTION_AUDIT_OPEN : ACTION_AUDIT_RECOVERED);
        assert_has_all(&seen, 4);
        seen_free(&seen);
        journal_writer_close(place->writer);
        assert_int_equal(remove(path), 0);
        place->numbers = 3;
    }
    open_writer(place);
    free(path);
}

/* ---- meddling ---- */

static void assert_tells(struct place *place, const char *reason)
{
    open_writer(place);
    write_records(place, 1);
    struct seen seen = see(place->folder, place->state);
    const struct seen_line *told = seen_find(&seen, ACTION_AUDIT_RECOVERED);
    if (strstr(told->reason, reason) == NULL)
        print_error("%s\n", told->reason);
    assert_non_null(strstr(told->reason, reason));
    assert_int_equal(told->segment, told->sequence);
    seen_free(&seen);
    restart(place);
    write_records(place, 1);
    seen = see(place->folder, place->state);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), 1);
    seen_free(&seen);
}

static void a_changed_line_stays_and_is_told_of(void **state)
{
    struct place *place = *state;
    size_t size;
    write_records(place, 1);
    write_records(place, 5);
    journal_writer_close(place->writer);
    char *path = segment_path(place->folder, 1);
    char *bytes = copy_of(path, &size);
    char *found = strstr(bytes + size * 2 / 3, "alice");
    assert_non_null(found);
    *found = 'A';
    put_back(path, bytes, size);
    assert_tells(place, "not of this chain");
    size_t after;
    char *again = copy_of(path, &after);
    assert_int_equal(after, size);
    assert_memory_equal(again, bytes, size);
    mem_free(again);
    mem_free(bytes);
    free(path);
}

static void lines_that_are_gone_are_told_of(void **state)
{
    struct place *place = *state;
    place->work.is_last = true;
    write_records(place, 5);
    place->work.is_last = false;
    journal_writer_close(place->writer);
    char *path = segment_path(place->folder, 1);
    assert_int_equal(truncate(path, 100), 0);
    assert_tells(place, "lines of a segment are missing");
    free(path);
}

static void a_segment_that_is_gone_is_told_of(void **state)
{
    struct place *place = *state;
    place->work.is_last = true;
    write_records(place, 5);
    place->work.is_last = false;
    journal_writer_close(place->writer);
    char *path = segment_path(place->folder, 1);
    assert_int_equal(remove(path), 0);
    assert_tells(place, "a segment is missing");
    free(path);
}

static void a_lost_state_begins_a_new_chain(void **state)
{
    struct place *place = *state;
    place->work.segment_max = 20000;
    write_records(place, 100);
    journal_writer_close(place->writer);
    char *path = scratch_path(place->folder, JOURNAL_FILES_FOLDER "/state");
    assert_int_equal(remove(path), 0);
    assert_tells(place, "the state of the chain is lost");
    struct seen seen = look(place);
    assert_int_equal(seen.lines[0].sequence, 1);
    char relative[100];
    snprintf(relative, sizeof(relative), JOURNAL_FILES_FOLDER "/%s", seen.lines[0].file);
    char *aside = scratch_path(place->folder, relative);
    struct stat about;
    assert_int_equal(stat(aside, &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    free(aside);
    free(path);
    seen_free(&seen);
}

/* ---- the state of the chain ---- */

static void of_the_state_one_slot_is_enough(void **state)
{
    struct place *place = *state;
    struct journal_files *files;
    struct journal_state *kept;
    struct journal_position position = {.segment = 1};
    struct secret chain = {0}, loaded = {0};
    char *path = scratch_path(place->folder, JOURNAL_FILES_FOLDER "/state");
    assert_int_equal(journal_files_open(place->state, &files, &place->err), 0);
    assert_int_equal(journal_state_open(files, &place->state_key, &kept, &place->err), 0);
    assert_int_equal(journal_state_load(kept, &position, &loaded, &place->err), ERR_NOT_FOUND);
    for (unsigned i = 1; i <= 5; i++) {
        char text[20];
        int length = snprintf(text, sizeof(text), "chain %u", i);
        secret_set(&chain, slice_of(text, (size_t)length));
        position.offset = i;
        assert_int_equal(journal_state_store(kept, &position, &chain, &place->err), 0);
        journal_state_close(kept);
        /* The slot that comes next is garbage, as after a crash. */
        FILE *file = fopen(path, "r+b");
        assert_int_equal(fseek(file, (i + 1) % 2 * 4096, SEEK_SET), 0);
        assert_int_equal(fwrite("\0\0\1\0garbage", 1, 11, file), 11);
        fclose(file);
        assert_int_equal(journal_state_open(files, &place->state_key, &kept, &place->err), 0);
        assert_int_equal(journal_state_load(kept, &position, &loaded, &place->err), 0);
        assert_int_equal(position.offset, i);
        assert_true(secret_equal(&loaded, secret_bytes(&chain)));
    }
    secret_wipe(&chain);
    secret_wipe(&loaded);
    journal_state_close(kept);
    journal_files_close(files);
    free(path);
}

/* Of an older epoch's key nothing is left. */
static void an_older_state_is_overwritten(void **state)
{
    struct place *place = *state;
    size_t size, zeros = 0;
    write_records(place, 2500);
    char *path = scratch_path(place->folder, JOURNAL_FILES_FOLDER "/state");
    char *bytes = read_whole(path, &size);
    assert_int_equal(size, 8192);
    for (size_t i = 0; i < 4096; i++)
        zeros += bytes[i] == 0;
    bool first_is_empty = zeros == 4096;
    for (size_t i = 4096; i < 8192; i++)
        zeros += bytes[i] == 0;
    assert_true(zeros >= 4096 && zeros < 8192);
    if (!first_is_empty)
        for (size_t i = 4096; i < 8192; i++)
            assert_int_equal(bytes[i], 0);
    mem_free(bytes);
    free(path);
}

/* ---- expiry ---- */

static void make_old(struct place *place, uint64_t segment, uint64_t now)
{
    char *path = segment_path(place->folder, segment);
    struct timeval times[2] = {{.tv_sec = (time_t)(now / 1000000)},
                               {.tv_sec = (time_t)(now / 1000000)}};
    assert_int_equal(utimes(path, times), 0);
    free(path);
}

static void old_segments_go_and_leave_a_tombstone(void **state)
{
    struct place *place = *state;
    place->work.segment_max = 20000;
    for (int i = 0; i < 10; i++)
        write_records(place, 30);
    struct seen before = look(place);
    uint64_t third = 0, found = 0;
    for (size_t i = 0; i < before.count; i++) {
        if (before.lines[i].sequence != before.lines[i].segment)
            continue;
        if (++found == 3)
            third = before.lines[i].sequence;
        make_old(place, before.lines[i].segment,
                 found < 3 ? place->work.now - 10ul * 1000000
                           : place->work.now + 86000ul * 1000000);
    }
    place->work.now += 86395ul * 1000000;
    write_records(place, 1);
    struct seen seen = look(place);
    const struct seen_line *told = seen_find(&seen, ACTION_AUDIT_EXPIRE);
    assert_int_equal(seen.lines[0].sequence, third);
    assert_int_equal(told->first, 1);
    assert_int_equal(told->last, third - 1);
    assert_int_equal(told->count, third - 1);
    assert_string_equal(told->head, seen.lines[0].head);
    assert_string_equal(told->digest, seen.lines[0].digest);
    assert_true(told[1].is_signed);
    seen_free(&seen);
    seen_free(&before);
    restart(place);
    write_records(place, 1);
    seen = look(place);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), 0);
    seen_free(&seen);
}

/* ---- the folder ---- */

static void a_folder_in_reach_of_others_is_refused(void **state)
{
    struct place *place = *state;
    char *path = scratch_path(place->folder, JOURNAL_FILES_FOLDER);
    journal_writer_close(place->writer);
    place->writer = NULL;
    assert_int_equal(chmod(path, 0755), 0);
    const struct journal_writer_parts parts = {.state = place->state,
                                               .state_key = &place->state_key,
                                               .signing_key = &place->signing_key,
                                               .anchor = "none"};
    struct journal_writer *writer;
    assert_int_equal(journal_writer_open(&parts, &writer, &place->err), ERR_DENIED);
    assert_non_null(strstr(place->err.text, "chmod 700"));
    free(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_journal_begins_and_goes_on),
        TEST(nothing_to_write_touches_nothing),
        TEST(an_epoch_ends_after_a_thousand_records),
        TEST(a_call_takes_eight_epochs_at_the_most),
        TEST(an_epoch_ends_after_a_quarter_of_an_hour),
        TEST(the_last_call_leaves_nothing_without_a_signature),
        TEST(a_full_segment_is_followed_by_another),
        TEST(a_segment_lasts_a_day),
        TEST(checkpoints_go_to_the_anchor),
        TEST(an_anchor_that_fails_is_a_warning),
        TEST(pseudonyms_are_the_accounts),
        TEST(a_new_seed_begins_a_segment),
        TEST(a_full_disk_makes_a_gap),
        TEST(a_write_that_is_cut_leaves_a_torn_line),
        TEST(a_sync_that_fails_is_not_tried_again),
        TEST(many_failures_make_one_gap),
        TEST(records_that_were_given_up_are_counted),
        TEST(the_first_segment_of_all_can_fail),
        TEST(a_tail_that_is_torn_anywhere_is_put_aside),
        TEST(what_is_put_aside_is_all_there),
        TEST(an_empty_segment_is_made_anew),
        TEST(a_changed_line_stays_and_is_told_of),
        TEST(lines_that_are_gone_are_told_of),
        TEST(a_segment_that_is_gone_is_told_of),
        TEST(a_lost_state_begins_a_new_chain),
        TEST(of_the_state_one_slot_is_enough),
        TEST(an_older_state_is_overwritten),
        TEST(old_segments_go_and_leave_a_tombstone),
        TEST(a_folder_in_reach_of_others_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
