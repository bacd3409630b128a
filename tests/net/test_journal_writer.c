/*
 * The journal's writer: what is on disk after it has said so, and what a full or broken disk
 * leaves.
 */
#include "writer_world.h"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "audit/seed.h"

static size_t times_aside;

/* In the C library's place. */
int sched_yield(void)
{
    times_aside++;
    return 0;
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

static void a_large_batch_is_no_single_stretch(void **state)
{
    struct place *place = *state;
    times_aside = 0;
    write_records(place, 31);
    assert_int_equal(times_aside, 0);
    write_records(place, 500);
    assert_int_equal(times_aside, 15);
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

/* Of a file, in memory. */
static size_t count_cached(const char *path, size_t *size_out)
{
    struct stat about;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    assert_int_equal(fstat(descriptor, &about), 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = ((size_t)about.st_size + page - 1) / page;
    unsigned char *is_cached = mem_new(pages);
    void *memory = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mincore(memory, (size_t)about.st_size, is_cached), 0);
    size_t count = 0;
    for (size_t i = 0; i < pages; i++)
        count += is_cached[i] & 1;
    munmap(memory, (size_t)about.st_size);
    close(descriptor);
    mem_free(is_cached);
    *size_out = (size_t)about.st_size;
    return count * page;
}

static void what_is_on_disk_is_not_kept_in_memory(void **state)
{
    struct place *place = *state;
    struct statfs system;
    size_t size;
    assert_int_equal(statfs(place->folder, &system), 0);
    if (system.f_type == TMPFS_MAGIC)
        skip(); /* nowhere else to keep it */
    for (int i = 0; i < 16; i++)
        write_records(place, 500);
    char *path = segment_path(place->folder, 1);
    size_t cached = count_cached(path, &size);
    assert_true(size > 2 * 1024 * 1024);
    assert_in_range(cached, 1, 768 * 1024);
    free(path);
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

static void a_write_that_is_cut_is_taken_back(void **state)
{
    struct place *place = *state;
    write_records(place, 10);
    disk_fail_writes(ENOSPC, 5000);
    assert_int_equal(write_once(place, 50), ERR_SYSTEM);
    struct seen seen = look(place);
    assert_int_equal(seen.torn, 0);
    assert_int_equal(seen.count, 11);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_journal_begins_and_goes_on),
        TEST(nothing_to_write_touches_nothing),
        TEST(an_epoch_ends_after_a_thousand_records),
        TEST(a_call_takes_eight_epochs_at_the_most),
        TEST(a_large_batch_is_no_single_stretch),
        TEST(an_epoch_ends_after_a_quarter_of_an_hour),
        TEST(the_last_call_leaves_nothing_without_a_signature),
        TEST(a_full_segment_is_followed_by_another),
        TEST(a_segment_lasts_a_day),
        TEST(what_is_on_disk_is_not_kept_in_memory),
        TEST(checkpoints_go_to_the_anchor),
        TEST(an_anchor_that_fails_is_a_warning),
        TEST(pseudonyms_are_the_accounts),
        TEST(a_new_seed_begins_a_segment),
        TEST(a_full_disk_makes_a_gap),
        TEST(a_write_that_is_cut_is_taken_back),
        TEST(a_sync_that_fails_is_not_tried_again),
        TEST(many_failures_make_one_gap),
        TEST(records_that_were_given_up_are_counted),
        TEST(the_first_segment_of_all_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
