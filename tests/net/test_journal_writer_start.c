/*
 * The journal's writer after a crash and after a meddler: how it goes on from what is there. And
 * how old segments go.
 */
#include "writer_world.h"

#include <sys/time.h>

#include "keeper/journal_state.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
