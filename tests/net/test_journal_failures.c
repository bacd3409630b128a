/*
 * The journal in its loop, when the disk fails or cannot follow: who is told what, and how much
 * waits.
 */
#include "journal_place.h"

/* ---- failures ---- */

static void closed_it_refuses_and_keeps_what_happened(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    write_command(place);
    wait_until(place, queued(place) == 0);
    disk_fail_writes(ENOSPC, 0);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    ask(place);
    wait_until(place, place->refused == 1);
    assert_int_equal(place->failing, 1);
    assert_true(journal_refuses(place->journal));
    ask(place);
    wait_until(place, place->refused == 2);
    write_command(place);
    wait_until(place, journal_status(place->journal).failures >= 3);
    assert_int_equal(place->failing, 1);
    assert_int_equal(place->mended, 0);
    disk_mend();
    wait_until(place, queued(place) == 0);
    assert_int_equal(place->mended, 1);
    assert_false(journal_refuses(place->journal));
    assert_int_equal(journal_status(place->journal).lost, 0);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_complete(&seen, 3);
    assert_int_equal(seen_find(&seen, ACTION_AUDIT_GAP)->count, 0);
    seen_free(&seen);
    tear_down(place);
}

static void blocked_it_holds_everything(void **state)
{
    struct place *place = set_up_with("audit_failure = block\n");
    (void)state;
    disk_fail_syncs(EIO);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    journal_want_receipt(place->journal, 1, 5);
    ask(place);
    wait_until(place, journal_status(place->journal).failures >= 2);
    assert_int_equal(place->congested, 1);
    assert_int_equal(place->failing, 0);
    assert_false(journal_refuses(place->journal));
    assert_int_equal(place->told + place->refused, 0);
    assert_int_equal(place->receipt_count, 0);
    disk_mend();
    wait_until(place, place->told == 1 && place->receipt_count == 1);
    assert_int_equal(place->relieved, 1);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    seen_free(&seen);
    tear_down(place);
}

static void warned_it_goes_on_and_counts_what_is_missing(void **state)
{
    struct place *place = set_up_with("audit_failure = warn\n");
    (void)state;
    write_command(place);
    wait_until(place, queued(place) == 0);
    disk_fail_writes(EIO, 0);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    journal_want_receipt(place->journal, 1, 5);
    ask(place);
    wait_until(place, place->told == 1 && place->receipt_count == 1);
    for (int i = 0; i < 10; i++)
        write_command(place);
    assert_true(journal_is_durable(place->journal));
    assert_int_equal(place->congested, 0);
    assert_int_equal(place->failing, 0);
    disk_mend();
    wait_until(place, !is_failing(place));
    write_command(place);
    wait_until(place, queued(place) == 0);
    assert_int_equal(journal_status(place->journal).lost, 11);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_int_equal(seen_find(&seen, ACTION_AUDIT_GAP)->count, 11);
    assert_int_equal(seen.lines[seen.count - 1].number, 13);
    seen_free(&seen);
    tear_down(place);
}

static void a_policy_that_changes_holds_at_once(void **state)
{
    struct place *place = set_up_with("audit_failure = block\n");
    (void)state;
    disk_fail_syncs(EIO);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    ask(place);
    wait_until(place, is_failing(place) && place->congested == 1);
    reload(place, "audit_failure = close\n");
    wait_until(place, place->refused == 1);
    assert_int_equal(place->failing, 1);
    assert_int_equal(place->relieved, 1);
    reload(place, "audit_failure = warn\n");
    wait_until(place, place->mended == 1);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    ask(place);
    wait_until(place, place->told == 1);
    disk_mend();
    tear_down(place);
}

/* It is tried once more, and what then cannot be written is lost, but nobody hangs. */
static void closing_a_failing_journal_ends(void **state)
{
    struct place *place = set_up_with("audit_failure = block\n");
    (void)state;
    disk_fail_syncs(EIO);
    write_command(place);
    wait_until(place, is_failing(place));
    close_journal(place);
    disk_mend();
    open_journal(place);
    write_command(place);
    wait_until(place, queued(place) == 0);
    tear_down(place);
}

static void closing_with_tickets_calls_nobody(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    disk.is_stalled = true;
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    journal_want_receipt(place->journal, 1, 5);
    ask(place);
    turn(place);
    journal_close(place->journal);
    place->journal = NULL;
    disk.is_stalled = false;
    loop_run(&place->loop);
    assert_int_equal(place->told + place->refused, 0);
    assert_int_equal(place->receipt_count, 0);
    struct seen seen = see(place->folder, place->state);
    assert_complete(&seen, 1);
    assert_true(seen.lines[seen.count - 1].is_signed);
    seen_free(&seen);
    tear_down(place);
}

/* ---- limits ---- */

static void a_full_queue_lets_no_more_in_and_drops_nothing(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    disk.is_stalled = true;
    memset(place->padding, 'x', sizeof(place->padding) - 1);
    while (place->congested == 0) {
        write_command(place);
        assert_true(place->numbers < LINES_MAX - 200);
        if (place->numbers % 1000 == 0)
            turn(place);
    }
    /* The rest of a frame: it takes the queue beyond what a message may be. */
    for (int i = 0; i < 5000; i++)
        write_command(place);
    uint64_t count = place->numbers;
    assert_true(count > 10000);
    disk.is_stalled = false;
    wait_until(place, queued(place) == 0);
    assert_int_equal(place->relieved, 1);
    assert_int_equal(place->congested, 1);
    assert_int_equal(journal_status(place->journal).lost, 0);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_complete(&seen, count);
    seen_free(&seen);
    tear_down(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_it_refuses_and_keeps_what_happened),
        cmocka_unit_test(blocked_it_holds_everything),
        cmocka_unit_test(warned_it_goes_on_and_counts_what_is_missing),
        cmocka_unit_test(a_policy_that_changes_holds_at_once),
        cmocka_unit_test(closing_a_failing_journal_ends),
        cmocka_unit_test(closing_with_tickets_calls_nobody),
        cmocka_unit_test(a_full_queue_lets_no_more_in_and_drops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
