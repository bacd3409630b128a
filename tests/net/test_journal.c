/*
 * The journal in its loop: who is told when, what happens when the disk fails, how much waits.
 */
#include "journal_world.h"

#include "base/clock.h"
#include "config_file.h"
#include "keeper/journal.h"
#include "keeper/vault_key.h"

#define PATIENCE_MILLISECONDS 20000

struct place {
    char *folder;
    struct config *config;
    struct loop loop;
    struct state_folder *state;
    struct vault *vault;
    struct log log;
    struct journal *journal;
    unsigned told, refused; /* tickets */
    uint64_t receipts[64];
    size_t receipt_count;
    unsigned congested, relieved, failing, mended;
    bool in_call; /* nobody may be told while this is set */
    uint64_t numbers;
    char padding[401]; /* of records */
};

/* ---- what the journal says ---- */

static void on_congested(void *owner, bool is_congested)
{
    struct place *place = owner;
    place->congested += is_congested;
    place->relieved += !is_congested;
}

static void on_failing(void *owner, bool is_failing)
{
    struct place *place = owner;
    assert_false(place->in_call);
    place->failing += is_failing;
    place->mended += !is_failing;
}

static void on_receipt(void *owner, unsigned gate, uint64_t receipt)
{
    struct place *place = owner;
    assert_false(place->in_call);
    assert_int_equal(gate, 1);
    assert_true(place->receipt_count < LENGTH_OF(place->receipts));
    place->receipts[place->receipt_count++] = receipt;
}

static void on_durable(void *owner, int status)
{
    struct place *place = owner;
    assert_false(place->in_call);
    place->told += status == 0;
    place->refused += status != 0;
}

static const struct journal_ops ops = {on_congested, on_failing, on_receipt};

/* ---- the place ---- */

#define CONFIGURATION "[listen imap]\naddress = 127.0.0.1:1143\n"

static void open_journal(struct place *place)
{
    const struct journal_parts parts = {.loop = &place->loop,
                                        .vault = place->vault,
                                        .state = place->state,
                                        .log = &place->log,
                                        .disk = &faulty_disk,
                                        .ops = &ops,
                                        .owner = place};
    struct err err;
    int status = journal_open(&parts, place->config, &place->journal, &err);
    if (status != 0)
        print_error("%s\n", err.text);
    assert_int_equal(status, 0);
}

static void close_journal(struct place *place)
{
    journal_close(place->journal);
    place->journal = NULL;
    loop_run(&place->loop);
}

static struct config *configuration(const struct place *place, const char *options)
{
    char text[400];
    snprintf(text, sizeof(text), "audit_anchor = none\n%s" CONFIGURATION, options);
    return config_from_text(place->folder, text);
}

static struct place *set_up_with(const char *options)
{
    struct place *place = mem_new(sizeof(*place));
    struct secret key = {0};
    struct err err;
    memset(&disk, 0, sizeof(disk));
    place->folder = scratch_folder_new();
    place->config = configuration(place, options);
    assert_int_equal(loop_init(&place->loop, &err), 0);
    assert_int_equal(state_folder_open(place->folder, &place->state, &err), 0);
    assert_int_equal(vault_key_from_file(place->state, &key, &err), 0);
    assert_int_equal(vault_open(place->state, &key, &place->vault, &err), 0);
    secret_wipe(&key);
    log_init(&place->log, LOG_LEVEL_DEBUG, "test");
    place->log.descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC);
    open_journal(place);
    return place;
}

static void tear_down(struct place *place)
{
    close_journal(place);
    loop_fini(&place->loop);
    vault_close(place->vault);
    state_folder_close(place->state);
    config_free(place->config);
    close(place->log.descriptor);
    scratch_folder_remove(place->folder);
    mem_free(place);
}

static void reload(struct place *place, const char *options)
{
    struct config *config = configuration(place, options);
    struct err err;
    assert_int_equal(journal_set_config(place->journal, config, &err), 0);
    config_free(place->config);
    place->config = config;
}

static void give_up(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("it does not happen");
}

/* Turns the loop until `is_so`. */
#define wait_until(place, is_so)                                                                   \
    do {                                                                                           \
        uv_timer_t patience;                                                                       \
        uv_timer_init(&(place)->loop.uv, &patience);                                               \
        uv_timer_start(&patience, give_up, PATIENCE_MILLISECONDS, 0);                              \
        while (!(is_so))                                                                           \
            uv_run(&(place)->loop.uv, UV_RUN_ONCE);                                                \
        uv_close((uv_handle_t *)&patience, NULL);                                                  \
        uv_run(&(place)->loop.uv, UV_RUN_NOWAIT);                                                  \
    } while (false)

static void turn(struct place *place)
{
    for (int i = 0; i < 5; i++)
        uv_run(&place->loop.uv, UV_RUN_NOWAIT);
}

static void write_action(struct place *place, enum record_action action, enum why why)
{
    struct record record;
    const struct journal_place at = {
        .gate = 1, .session = 7, .listener = "imap", .protocol = "imap", .account = "work"};
    record_init(&record, action, why, (uint64_t)clock_wall_microseconds());
    record_add_number(&record, FIELD_COMMAND_NUMBER, ++place->numbers);
    record_add_string(&record, FIELD_LOGIN, "alice@example.test");
    record_add_string(&record, FIELD_QUEUE_REPLY, place->padding);
    place->in_call = true;
    journal_write(place->journal, &at, &record);
    place->in_call = false;
}

static void write_command(struct place *place)
{
    write_action(place, ACTION_COMMAND, WHY_NONE);
}

static struct journal_ticket *ask(struct place *place)
{
    place->in_call = true;
    struct journal_ticket *ticket = journal_when_durable(place->journal, on_durable, place);
    place->in_call = false;
    return ticket;
}

static uint64_t queued(const struct place *place)
{
    return journal_status(place->journal).queued;
}

static bool is_failing(const struct place *place)
{
    return journal_status(place->journal).is_failing;
}

/* Numbers from 1 to the last are there once, in order. */
static void assert_complete(const struct seen *seen, uint64_t last)
{
    uint64_t next = 1;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->lines[i].number > 0)
            assert_int_equal(seen->lines[i].number, next++);
    assert_int_equal(next, last + 1);
}

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
        cmocka_unit_test(records_are_on_disk_soon),
        cmocka_unit_test(records_are_written_in_groups),
        cmocka_unit_test(what_must_be_there_first_is_waited_for),
        cmocka_unit_test(strictly_logins_are_waited_for),
        cmocka_unit_test(receipts_come_in_order),
        cmocka_unit_test(off_costs_nothing_and_keeps_nobody_waiting),
        cmocka_unit_test(a_restart_goes_on),
        cmocka_unit_test(records_say_where_they_happened),
        cmocka_unit_test(erased_pseudonyms_do_not_come_back),
        cmocka_unit_test(a_fingerprint_tells_tokens_apart),
        cmocka_unit_test(a_seed_seals_from_a_segment_on),
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
