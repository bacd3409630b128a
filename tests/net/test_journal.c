/*
 * The journal in its loop, when all is well: who is told when, and what is written.
 */
#include "journal_place.h"

/* ---- when all is well ---- */

static void records_are_on_disk_soon(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    for (int i = 0; i < 10; i++)
        write_command(place);
    assert_int_equal(queued(place), 10);
    wait_until(place, queued(place) == 0);
    assert_int_equal(journal_status(place->journal).sequence, 11);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_complete(&seen, 10);
    seen_free(&seen);
    tear_down(place);
}

/* One sync for all that came together. */
static void records_are_written_in_groups(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    write_command(place);
    wait_until(place, queued(place) == 0);
    unsigned before = disk.syncs;
    for (int i = 0; i < 200; i++)
        write_command(place);
    wait_until(place, queued(place) == 0);
    assert_int_equal(disk.syncs, before + 1);
    tear_down(place);
}

static void what_must_be_there_first_is_waited_for(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    disk.is_stalled = true;
    write_command(place);
    assert_true(journal_is_durable(place->journal));
    ask(place);
    turn(place);
    assert_int_equal(place->told, 1);
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    assert_false(journal_is_durable(place->journal));
    ask(place);
    struct journal_ticket *ticket = ask(place);
    turn(place);
    journal_cancel(ticket);
    assert_int_equal(place->told, 1);
    disk.is_stalled = false;
    wait_until(place, place->told == 2);
    assert_true(journal_is_durable(place->journal));
    struct seen seen = see(place->folder, place->state);
    assert_int_equal(seen_find(&seen, ACTION_CLIENT_AUTH)->number, 2);
    seen_free(&seen);
    tear_down(place);
}

static void strictly_logins_are_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        enum record_action action;
        enum why why;
        bool is_urgent;
    } cases[] = {
        {"", ACTION_CLIENT_AUTH, WHY_NONE, false},
        {"", ACTION_CLIENT_AUTH, WHY_POLICY, true},
        {"audit_sync = strict\n", ACTION_CLIENT_AUTH, WHY_NONE, true},
        {"audit_sync = strict\n", ACTION_COMMAND, WHY_NONE, false},
        {"", ACTION_TOKEN_REFRESH, WHY_NONE, true},
        {"", ACTION_GRANT_CREATE, WHY_NONE, true},
        {"", ACTION_SESSION_OPEN, WHY_NONE, false},
        {"audit = off\n", ACTION_CLIENT_AUTH, WHY_POLICY, false},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct place *place = set_up_with(cases[i].options);
        write_action(place, cases[i].action, cases[i].why);
        assert_int_equal(journal_is_durable(place->journal), !cases[i].is_urgent);
        tear_down(place);
    }
}

static void receipts_come_in_order(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    disk.is_stalled = true;
    for (uint64_t i = 1; i <= 3; i++) {
        write_command(place);
        journal_want_receipt(place->journal, 1, i * 10);
    }
    turn(place);
    assert_int_equal(place->receipt_count, 0);
    disk.is_stalled = false;
    wait_until(place, place->receipt_count == 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(place->receipts[i], (i + 1) * 10);
    disk.is_stalled = true;
    write_command(place);
    journal_want_receipt(place->journal, 1, 40);
    journal_forget_gate(place->journal, 1);
    disk.is_stalled = false;
    wait_until(place, queued(place) == 0);
    assert_int_equal(place->receipt_count, 3);
    tear_down(place);
}

/* Those that come while the disk is at work, the last of them counts. */
static void checkpoints_go_where_the_newest_configuration_says(void **state)
{
    char options[200];
    size_t size;
    struct place *place = set_up_with("");
    (void)state;
    write_command(place);
    wait_until(place, queued(place) == 0);
    disk.is_stalled = true;
    write_command(place);
    ask(place);
    turn(place);
    for (int i = 0; i < 3; i++) {
        snprintf(options, sizeof(options), "audit_anchor = %s/anchor%d\n", place->folder, i % 2);
        reload(place, options);
    }
    disk.is_stalled = false;
    wait_until(place, queued(place) == 0);
    close_journal(place);
    char *unused = scratch_path(place->folder, "anchor1");
    char *anchor = scratch_path(place->folder, "anchor0");
    assert_int_equal(access(unused, F_OK), -1);
    char *text = read_whole(anchor, &size);
    assert_non_null(strstr(text, "audit-checkpoint"));
    free(text);
    free(anchor);
    free(unused);
    tear_down(place);
}

static void off_costs_nothing_and_keeps_nobody_waiting(void **state)
{
    struct place *place = set_up_with("audit = off\n");
    (void)state;
    write_action(place, ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED);
    journal_want_receipt(place->journal, 1, 1);
    ask(place);
    wait_until(place, place->told == 1 && place->receipt_count == 1);
    char *path = scratch_path(place->folder, JOURNAL_FILES_FOLDER);
    assert_int_equal(access(path, F_OK), -1);
    reload(place, "");
    write_command(place);
    wait_until(place, journal_status(place->journal).sequence == 2);
    reload(place, "audit = off\n");
    write_command(place);
    assert_int_equal(queued(place), 0);
    free(path);
    tear_down(place);
}

/* Between two records of the same second a restart: the chain goes on. */
static void a_restart_goes_on(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 1000; k++)
            write_command(place);
        close_journal(place);
        open_journal(place);
    }
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_complete(&seen, 3000);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_RECOVERED), 0);
    assert_true(seen.lines[seen.count - 1].is_signed);
    seen_free(&seen);
    tear_down(place);
}

static void records_say_where_they_happened(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    size_t size;
    write_command(place);
    wait_until(place, queued(place) == 0);
    char *path = segment_path(place->folder, 1);
    char *text = read_whole(path, &size);
    assert_non_null(strstr(text, "\"trace\":{\"id\":\"1.7\"}"));
    assert_non_null(strstr(text, "\"network\":{\"protocol\":\"imap\"}"));
    assert_non_null(strstr(text, "\"user\":{\"name\":\"work\"}"));
    assert_non_null(strstr(text, "\"listener\":\"imap\""));
    mem_free(text);
    free(path);
    tear_down(place);
}

/* ---- pseudonyms ---- */

static void erased_pseudonyms_do_not_come_back(void **state)
{
    struct place *place = set_up_with("audit = minimal\n");
    struct err err;
    (void)state;
    write_command(place);
    write_command(place);
    wait_until(place, queued(place) == 0);
    assert_int_equal(journal_erase(place->journal, "nobody", &err), ERR_NOT_FOUND);
    assert_int_equal(journal_erase(place->journal, "work", &err), 0);
    assert_false(journal_is_durable(place->journal));
    write_command(place);
    close_journal(place);
    open_journal(place);
    write_command(place);
    wait_until(place, queued(place) == 0);
    struct seen seen = see(place->folder, place->state);
    const char *logins[4];
    size_t count = 0;
    for (size_t i = 0; i < seen.count; i++)
        if (seen.lines[i].action == ACTION_COMMAND)
            logins[count++] = seen.lines[i].login;
    assert_int_equal(count, 4);
    assert_string_equal(logins[0], logins[1]);
    assert_string_not_equal(logins[1], logins[2]);
    assert_string_equal(logins[2], logins[3]);
    assert_int_equal(seen_count(&seen, ACTION_AUDIT_ERASE), 1);
    seen_free(&seen);
    tear_down(place);
}

static void a_fingerprint_tells_tokens_apart(void **state)
{
    struct place *place = set_up_with("");
    (void)state;
    char one[JOURNAL_FINGERPRINT], two[JOURNAL_FINGERPRINT], again[JOURNAL_FINGERPRINT];
    struct secret token = {0};
    secret_set(&token, SLICE_LITERAL("token-1"));
    journal_fingerprint(place->journal, &token, one);
    secret_set(&token, SLICE_LITERAL("token-2"));
    journal_fingerprint(place->journal, &token, two);
    close_journal(place);
    open_journal(place);
    secret_set(&token, SLICE_LITERAL("token-1"));
    journal_fingerprint(place->journal, &token, again);
    assert_int_equal(strlen(one), 16);
    assert_string_equal(one, again);
    assert_string_not_equal(one, two);
    secret_wipe(&token);
    tear_down(place);
}

/* ---- a new seed ---- */

static uint64_t sealed_from;

static void on_sealed(void *owner, int status, uint64_t first)
{
    struct place *place = owner;
    assert_false(place->in_call);
    assert_int_equal(status, 0);
    sealed_from = first;
}

static void a_seed_seals_from_a_segment_on(void **state)
{
    struct place *place = set_up_with("");
    struct secret seed = {0}, other = {0};
    struct err err;
    (void)state;
    sealed_from = 0;
    write_command(place);
    secret_set(&seed, SLICE_LITERAL("0123456789abcdef0123456789abcdef"));
    secret_set(&other, SLICE_LITERAL("fedcba9876543210fedcba9876543210"));
    assert_int_equal(journal_seal_anew(place->journal, &seed, on_sealed, place, &err), 0);
    assert_int_equal(journal_seal_anew(place->journal, &other, on_sealed, place, &err), ERR_BUSY);
    write_command(place);
    wait_until(place, sealed_from != 0 && queued(place) == 0);
    struct seen seen = see(place->folder, place->state);
    assert_in_order(&seen);
    assert_complete(&seen, 2);
    assert_int_equal(seen.segments, 2);
    seen_free(&seen);
    secret_wipe(&other);
    tear_down(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_on_disk_soon),
        cmocka_unit_test(records_are_written_in_groups),
        cmocka_unit_test(what_must_be_there_first_is_waited_for),
        cmocka_unit_test(strictly_logins_are_waited_for),
        cmocka_unit_test(receipts_come_in_order),
        cmocka_unit_test(checkpoints_go_where_the_newest_configuration_says),
        cmocka_unit_test(off_costs_nothing_and_keeps_nobody_waiting),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(records_say_where_they_happened),
        cmocka_unit_test(erased_pseudonyms_do_not_come_back),
        cmocka_unit_test(a_fingerprint_tells_tokens_apart),
        cmocka_unit_test(a_seed_seals_from_a_segment_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
