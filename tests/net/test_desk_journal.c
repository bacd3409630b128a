/*
 * The desk and a journal that is not on disk yet: nobody hears of what it does not have.
 */
#include "desk_world.h"

#include "scripted_journal.h"

/* The delay of a refusal is over, and it is not said. */
static void fail_unrecorded(uint64_t session)
{
    scripted.is_behind = true;
    log_in(session, USER, "wrong");
    turn();
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    assert_int_equal(scripted_waiting(), 1);
}

static void a_refusal_waits(void **state)
{
    (void)state;
    fail_unrecorded(1);
    assert_int_equal(scripted.last.action, ACTION_CLIENT_AUTH);
    assert_int_equal(scripted.last.why, WHY_AUTH_REJECTED);
    scripted_tell(0);
    assert_string_equal(assert_refused(1, WHY_AUTH_REJECTED)->text, "wrong user name or password");
}

static void a_refusal_that_cannot_be_written_says_so(void **state)
{
    (void)state;
    fail_unrecorded(1);
    scripted_tell(ERR_UNAVAILABLE);
    assert_string_equal(assert_refused(1, WHY_UNREACHABLE)->text, JOURNAL_REFUSAL);
}

static void who_leaves_meanwhile_is_not_told(void **state)
{
    (void)state;
    fail_unrecorded(1);
    assert_int_equal(say_plain(MESSAGE_FORGET, 1), 0);
    assert_int_equal(scripted_waiting(), 0);
    assert_nothing_sent();
}

static void who_asks_anew_meanwhile_is_told_of_that_alone(void **state)
{
    (void)state;
    fail_unrecorded(1);
    scripted.is_behind = false;
    uint64_t generation = get_granted(1);
    assert_true(generation > 0);
    assert_int_equal(scripted_waiting(), 0);
}

static void a_dead_gate_and_a_reload_leave_nobody_waiting(void **state)
{
    (void)state;
    fail_unrecorded(1);
    reload(WITHOUT_WORK);
    assert_nothing_sent();
    assert_int_equal(scripted_waiting(), 1);
    /* The answer that was on its way when it was refused is no crime. */
    assert_int_equal(say_answer(1, SLICE_LITERAL("x")), 0);
    desk_forget_gate(test.desk, GATE, WHY_INTERNAL);
    assert_int_equal(scripted_waiting(), 0);
    assert_int_equal(scripted.forgotten, GATE);
}

static void an_approval_waits_for_what_came_before(void **state)
{
    (void)state;
    scripted.is_behind = true;
    log_in_rightly(1);
    turn();
    answer_token("token-1", 3600, NULL);
    assert_nothing_sent();
    answer_lookup(0);
    assert_nothing_sent();
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
    assert_int_equal(scripted_waiting(), 1);
    scripted_tell(0);
    assert_granted(1);
    assert_int_equal(desk_session_count(test.desk, NULL), 1);
}

static void an_approval_that_cannot_be_written_is_none(void **state)
{
    (void)state;
    scripted.is_behind = true;
    log_in_rightly(1);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    scripted.is_behind = false;
    scripted_tell(ERR_UNAVAILABLE);
    assert_string_equal(assert_refused(1, WHY_UNREACHABLE)->text, JOURNAL_REFUSAL);
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
}

/* Not even its password is looked at. */
static void nobody_begins_while_it_fails(void **state)
{
    (void)state;
    scripted.refuses = true;
    log_in_rightly(1);
    assert_string_equal(assert_refused(1, WHY_UNREACHABLE)->text, JOURNAL_REFUSAL);
    turn();
    assert_int_equal(script.started, 0);
    scripted.refuses = false;
    get_granted(2);
}

static void a_receipt_is_asked_for(void **state)
{
    (void)state;
    struct message_record message = {.session = 7, .receipt = 42};
    struct buf frame;
    buf_init(&frame, MESSAGE_SIZE_MAX);
    record_init(&message.record, ACTION_MESSAGE_SEND, WHY_NONE, 1);
    assert_int_equal(message_write_record(&frame, &message), 0);
    message.receipt = 0;
    assert_int_equal(message_write_record(&frame, &message), 0);
    assert_int_equal(take(GATE, &frame), 0);
    assert_int_equal(scripted.records, 2);
    assert_int_equal(scripted.receipts, 1);
    assert_int_equal(scripted.receipt, 42);
}

static void tell_record(uint64_t session, enum record_action action)
{
    struct message_record message = {.session = session};
    struct buf frame;
    buf_init(&frame, MESSAGE_SIZE_MAX);
    record_init(&message.record, action, WHY_CLIENT_GONE, 1);
    record_add_string(&message.record, FIELD_CLIENT_IP, "127.0.0.1");
    assert_int_equal(message_write_record(&frame, &message), 0);
    assert_int_equal(take(GATE, &frame), 0);
}

static void a_session_has_one_end(void **state)
{
    (void)state;
    for (uint64_t session = 1; session <= 3; session++)
        tell_record(session, ACTION_SESSION_OPEN);
    tell_record(2, ACTION_SESSION_OPEN); /* nonsense, and no second session */
    tell_record(1, ACTION_SESSION_CLOSE);
    assert_int_equal(scripted.records, 5);
    desk_forget_gate(test.desk, GATE + 1, WHY_INTERNAL);
    assert_int_equal(scripted.records, 5);
    desk_forget_gate(test.desk, GATE, WHY_SHUTDOWN);
    assert_int_equal(scripted.records, 7);
    assert_int_equal(scripted.last.action, ACTION_SESSION_CLOSE);
    assert_int_equal(scripted.last.why, WHY_SHUTDOWN);
    desk_forget_gate(test.desk, GATE, WHY_INTERNAL);
    assert_int_equal(scripted.records, 7);
    tell_record(4, ACTION_SESSION_OPEN); /* not told when the desk closes: the journal is going */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refusal_waits),
        TEST(a_refusal_that_cannot_be_written_says_so),
        TEST(who_leaves_meanwhile_is_not_told),
        TEST(who_asks_anew_meanwhile_is_told_of_that_alone),
        TEST(a_dead_gate_and_a_reload_leave_nobody_waiting),
        TEST(an_approval_waits_for_what_came_before),
        TEST(an_approval_that_cannot_be_written_is_none),
        TEST(nobody_begins_while_it_fails),
        TEST(a_receipt_is_asked_for),
        TEST(a_session_has_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
