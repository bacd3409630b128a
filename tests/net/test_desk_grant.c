/*
 * The desk from the approval on: what a grant allows, tokens, and all that ends a session early.
 */
#include "desk_world.h"

/* ---- what a grant allows ---- */

static void assert_policy(const char *text)
{
    assert_string_equal(assert_refused(7, WHY_POLICY)->text, text);
    turn();
    assert_int_equal(script.started, 0);
}

static void test_grant_for_another_protocol(void **state)
{
    struct secret password = {0};
    (void)state;
    add_narrow_grant((struct vault_grant){.protocols = (char[]){"smtp,pop3"}}, &password);
    log_in_at(GATE, 7, 0, USER, secret_bytes(&password));
    assert_policy("this password is not for imap");
    secret_wipe(&password);
}

static void test_grant_for_this_protocol(void **state)
{
    struct secret password = {0};
    (void)state;
    add_narrow_grant((struct vault_grant){.protocols = (char[]){"smtp,imap"}}, &password);
    log_in_at(GATE, 7, 0, USER, secret_bytes(&password));
    secret_wipe(&password);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    assert_granted(7);
}

/* What it does not allow is for the gate to deny. */
static void test_a_narrow_grant_says_so(void **state)
{
    struct secret password = {0};
    (void)state;
    add_narrow_grant((struct vault_grant){.read_only = true, .from = (char[]){"a@x b@x"}},
                     &password);
    log_in_at(GATE, 7, 0, USER, secret_bytes(&password));
    secret_wipe(&password);
    turn();
    answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    const struct message_granted *granted = assert_granted(7);
    assert_true(granted->is_read_only);
    assert_string_equal(granted->senders, "a@x b@x");
}

static void test_listener_of_another_account(void **state)
{
    (void)state;
    log_in_at(GATE, 7, AT_BOB, USER, secret_bytes(&test.password));
    assert_policy("this port is for another account");
}

static void test_sessions_of_an_account_are_counted(void **state)
{
    (void)state;
    get_granted(1);
    get_granted(2);
    log_in_rightly(3);
    assert_refused(3, WHY_LIMIT);
    assert_int_equal(say_plain(MESSAGE_FORGET, 1), 0);
    get_granted(3);
}

/* ---- tokens ---- */

static void test_broker_failure_is_passed_on(void **state)
{
    (void)state;
    log_in_rightly(7);
    turn();
    answer_status(400, "{\"error\":\"invalid_grant\"}", 0);
    assert_non_null(
        strstr(assert_refused(7, WHY_TOKEN_NEEDS_USER)->text, "sign in: ecluse login work"));
    assert_true(list_is_empty(&lookups));
    log_in_rightly(8);
    turn();
    assert_refused(8, WHY_TOKEN_NEEDS_USER);
    assert_int_equal(script.started, 1);
}

static void test_failed_lookup(void **state)
{
    (void)state;
    log_in_rightly(7);
    turn();
    answer_lookup(ERR_UNAVAILABLE);
    assert_refused(7, WHY_UNREACHABLE);
    answer_token("token-1", 3600, NULL);
    turn();
    assert_nothing_sent();
}

static void test_again_gets_another_token(void **state)
{
    (void)state;
    uint64_t generation = get_granted(7);
    assert_int_equal(say_again(GATE, 7, generation), 0);
    turn();
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
    assert_int_equal(script.started, 2);
    answer_token("token-2", 3600, NULL);
    answer_lookup(0);
    const struct message_granted *granted = assert_granted(7);
    assert_true(granted->generation > generation);
    assert_true(slice_is(secret_bytes(&granted->token), "token-2"));
    assert_int_equal(say_again(GATE, 7, granted->generation), ERR_SYNTAX);
}

static void test_again_that_fails(void **state)
{
    (void)state;
    uint64_t generation = get_granted(7);
    assert_int_equal(say_again(GATE, 7, generation), 0);
    turn();
    answer_status(503, "", 0);
    assert_refused(7, WHY_UNREACHABLE);
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
}

static void test_again_out_of_turn(void **state)
{
    (void)state;
    assert_int_equal(say_again(GATE, 7, 1), ERR_SYNTAX);
    log_in_rightly(7);
    assert_int_equal(say_again(GATE, 7, 1), ERR_SYNTAX);
    assert_int_equal(say_plain(MESSAGE_FORGET, 7), 0);
    uint64_t generation = get_granted(8);
    assert_int_equal(say_again(GATE, 8, generation + 1), ERR_SYNTAX);
}

/* ---- FORGET in every phase ---- */

static void forget_and_see_nothing(uint64_t session)
{
    assert_int_equal(say_plain(MESSAGE_FORGET, session), 0);
    assert_true(list_is_empty(&lookups));
    while (!list_is_empty(&script.open))
        answer_token("token-1", 3600, NULL);
    turn();
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
    assert_int_equal(desk_session_count(test.desk, "work"), 0);
}

static void test_forget_during_sasl(void **state)
{
    (void)state;
    assert_int_equal(say_ask(GATE, 7, 0, "LOGIN", NULL), 0);
    assert_challenged(7);
    forget_and_see_nothing(7);
}

static void test_forget_during_a_derivation(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    log_in(7, USER, "correct horse");
    forget_and_see_nothing(7);
}

static void test_forget_during_the_delay(void **state)
{
    (void)state;
    log_in(7, USER, "wrong");
    forget_and_see_nothing(7);
}

static void test_forget_before_anything_came(void **state)
{
    (void)state;
    log_in_rightly(7);
    forget_and_see_nothing(7);
    assert_int_equal(script.started, 0);
}

static void test_forget_during_the_request(void **state)
{
    (void)state;
    log_in_rightly(7);
    turn();
    answer_lookup(0);
    assert_int_equal(script.started, 1);
    forget_and_see_nothing(7);
}

static void test_forget_during_the_lookup(void **state)
{
    (void)state;
    log_in_rightly(7);
    turn();
    answer_token("token-1", 3600, NULL);
    forget_and_see_nothing(7);
}

static void test_forget_when_granted(void **state)
{
    (void)state;
    get_granted(7);
    forget_and_see_nothing(7);
}

static void test_forget_of_nothing(void **state)
{
    (void)state;
    forget_and_see_nothing(7);
}

static void test_thousands_of_aborted_exchanges(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        test.sent_count = test.looked_at = 0;
        assert_int_equal(say_ask(GATE, i, 0, "LOGIN", NULL), 0);
        assert_challenged(i);
        assert_int_equal(say_plain(MESSAGE_FORGET, i), 0);
    }
}

static void test_a_gate_that_dies(void **state)
{
    (void)state;
    get_granted(1);
    log_in(2, USER, "wrong");
    assert_int_equal(say_ask(GATE, 3, 0, "LOGIN", NULL), 0);
    assert_challenged(3);
    log_in_at(GATE + 1, 1, 0, USER, secret_bytes(&test.password));
    desk_forget_gate(test.desk, GATE, WHY_INTERNAL);
    assert_int_equal(desk_session_count(test.desk, NULL), 0);
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS);
    assert_nothing_sent();
    turn();
    answer_lookup(0);
    assert_int_equal(next_sent()->gate, GATE + 1);
}

static void test_close_with_everything_open(void **state)
{
    (void)state;
    add_chosen_grant("correct horse");
    get_granted(1);
    log_in(2, USER, "wrong");
    log_in_rightly(3);
    assert_int_equal(say_ask(GATE, 4, 0, "LOGIN", NULL), 0);
    assert_challenged(4);
    log_in(5, "nobody@example.test", "wrong");
}

/* ---- nonsense ---- */

static void test_messages_that_make_no_sense(void **state)
{
    const struct slice empty = SLICE_NONE, nonsense = SLICE_LITERAL("\xff\xff\xff");
    (void)state;
    assert_int_equal(desk_take(test.desk, GATE, empty), ERR_SYNTAX);
    assert_int_equal(desk_take(test.desk, GATE, nonsense), ERR_SYNTAX);
    assert_int_equal(say_plain(MESSAGE_READY, 0), ERR_SYNTAX);
    assert_int_equal(say_number(GATE, MESSAGE_DRAIN, 0, 0), ERR_SYNTAX);
    assert_int_equal(say_number(GATE, MESSAGE_END_GRANT, 0, 1), ERR_SYNTAX);
    assert_int_equal(say_answer(7, SLICE_LITERAL("x")), ERR_SYNTAX);
    assert_int_equal(say_ask(GATE, 7, NOWHERE, "PLAIN", NULL), ERR_SYNTAX);
    log_in_rightly(8);
    assert_int_equal(say_answer(8, SLICE_LITERAL("x")), ERR_SYNTAX);
    assert_nothing_sent();
}

/* ---- grants and configurations that go ---- */

static void revoke_grant(void)
{
    int64_t number;
    assert_int_equal(vault_grant_remove(test.world.vault, "work", "mutt", &number, NULL), 0);
    assert_int_equal(number, test.grant);
    load_grants();
    desk_end_grant(test.desk, number);
}

static void test_revoked_grant_ends_sessions(void **state)
{
    (void)state;
    get_granted(1);
    get_granted(2);
    revoke_grant();
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_END_GRANT);
    assert_int_equal(sent->gate, GATE);
    assert_int_equal(sent->number, test.grant);
    assert_nothing_sent();
}

static void test_revoked_grant_ends_exchanges(void **state)
{
    (void)state;
    log_in_rightly(1);
    turn();
    revoke_grant();
    assert_refused(1, WHY_AUTH_REJECTED);
    answer_token("token-1", 3600, NULL);
    assert_nothing_sent();
}

static void test_revoked_grant_gets_no_second_token(void **state)
{
    (void)state;
    uint64_t generation = get_granted(1);
    revoke_grant();
    assert_int_equal(next_sent()->kind, MESSAGE_END_GRANT);
    assert_int_equal(say_again(GATE, 1, generation), 0);
    assert_refused(1, WHY_POLICY);
    turn();
    assert_int_equal(script.started, 1);
}

static void test_reload_refuses_what_is_not_over(void **state)
{
    (void)state;
    uint64_t generation = get_granted(1);
    log_in_rightly(2);
    reload(CONFIGURATION);
    assert_refused(2, WHY_SHUTDOWN);
    assert_int_equal(desk_session_count(test.desk, "work"), 1);
    assert_int_equal(say_answer(2, SLICE_LITERAL("late")), 0);
    log_in_rightly(3);
    assert_refused(3, WHY_SHUTDOWN);
    assert_int_equal(say_again(GATE, 1, generation), 0);
    assert_refused(1, WHY_SHUTDOWN);
    log_in_at(GATE + 1, 1, 0, USER, secret_bytes(&test.password));
    turn();
    answer_lookup(0);
    assert_granted(1);
}

static void test_reload_ends_sessions_of_accounts_that_are_gone(void **state)
{
    (void)state;
    get_granted(1);
    reload(WITHOUT_WORK);
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_END_GRANT);
    assert_int_equal(sent->number, test.grant);
    assert_nothing_sent();
}

/* ---- the journal ---- */

static void test_records_become_lines(void **state)
{
    int pair[2];
    char line[1024] = "";
    struct buf message;
    struct message_record record = {.session = 7};
    (void)state;
    record_init(&record.record, ACTION_UPSTREAM_AUTH, WHY_TOKEN_REJECTED, 0);
    record_add_string(&record.record, FIELD_REASON, "no\n\"way");
    record_add_string(&record.record, FIELD_CLIENT_IP, "::1");
    record_add_number(&record.record, FIELD_CLIENT_PORT, 40312);
    record_add_string(&record.record, FIELD_MECHANISM, "PLAIN");
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    int descriptor = test.world.log.descriptor;
    test.world.log.descriptor = pair[1];
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_record(&message, &record), 0);
    assert_int_equal(take(GATE, &message), 0);
    test.world.log.descriptor = descriptor;
    assert_true(read(pair[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "imap upstream-auth account=- peer=[::1]:40312 outcome=failure "
                                 "reason=token-rejected listener=imap session=1.7 "
                                 "detail=\"PLAIN: no\\x0a\"way\""));
    close(pair[0]);
    close(pair[1]);
}

static void tell(enum record_action action, enum why why)
{
    struct message_record record = {.session = 7};
    struct buf message;
    record_init(&record.record, action, why, 0);
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_record(&message, &record), 0);
    assert_int_equal(take(GATE, &message), 0);
}

static void tell_all_is_well(void)
{
    tell(ACTION_SESSION_OPEN, WHY_NONE);
    tell(ACTION_UPSTREAM_CONNECT, WHY_NONE);
    tell(ACTION_UPSTREAM_AUTH, WHY_NONE);
    tell(ACTION_SESSION_CLOSE, WHY_CLIENT_GONE);
    tell(ACTION_SESSION_CLOSE, WHY_SERVER_GONE);
}

static unsigned lines_of(const char *text)
{
    unsigned count = 0;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        count++;
    return count;
}

/* At `info`, as it is by default, a session is one line, and what is wrong with it. */
static void test_what_goes_well_is_said_at_debug(void **state)
{
    int pair[2];
    char lines[8192] = "";
    struct log *log = &test.world.log, before = *log;
    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    log->descriptor = pair[1];
    log->level = LOG_LEVEL_INFO;
    tell_all_is_well();
    assert_true(read(pair[0], lines, sizeof(lines) - 1) < 0);
    tell(ACTION_UPSTREAM_CONNECT, WHY_UPSTREAM_TLS);
    tell(ACTION_SESSION_CLOSE, WHY_TIMEOUT);
    log->level = LOG_LEVEL_DEBUG;
    tell_all_is_well();
    *log = before;
    assert_true(read(pair[0], lines, sizeof(lines) - 1) > 0);
    assert_int_equal(lines_of(lines), 7);
    close(pair[0]);
    close(pair[1]);
}

/* What only the keeper does. */
static void test_gates_tell_of_their_own_alone(void **state)
{
    (void)state;
    for (int action = 0; action < RECORD_ACTION_COUNT; action++) {
        struct message_record record = {.session = 7};
        struct buf message;
        const char *name = record_action_name((enum record_action)action);
        bool is_of_gates = strncmp(name, "audit-", 6) != 0 && strncmp(name, "token-", 6) != 0 &&
                           strncmp(name, "grant-", 6) != 0 && strncmp(name, "config-", 7) != 0 &&
                           strcmp(name, "start") != 0 && strcmp(name, "stop") != 0 &&
                           strcmp(name, "client-auth") != 0 && strcmp(name, "key-rotate") != 0 &&
                           strcmp(name, "oauth-authorize") != 0;
        buf_init(&message, MESSAGE_SIZE_MAX);
        record_init(&record.record, (enum record_action)action, WHY_NONE, 0);
        assert_int_equal(message_write_record(&message, &record), 0);
        assert_int_equal(take(GATE, &message), is_of_gates ? 0 : ERR_SYNTAX);
    }
}

/* Who logged in, and who did not; never the name that was typed, which may be a password in the
 * wrong field. */
static void test_logins_become_lines(void **state)
{
    int pair[2];
    char lines[4096] = "";
    (void)state;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    int descriptor = test.world.log.descriptor;
    test.world.log.descriptor = pair[1];
    log_in(8, USER, "wrong");
    assert_refused_late(8);
    log_in(9, "hunter2", "wrong");
    assert_refused_late(9);
    log_in_rightly(7);
    test.world.log.descriptor = descriptor;
    assert_true(read(pair[0], lines, sizeof(lines) - 1) > 0);
    assert_non_null(strstr(lines, "imap client-auth account=work peer=127.0.0.1:40312 "
                                  "outcome=success listener=imap session=1.7 detail=\"PLAIN\""));
    assert_non_null(strstr(lines, "client-auth account=work peer=127.0.0.1:40312 outcome=failure "
                                  "reason=auth-rejected listener=imap session=1.8"));
    assert_non_null(strstr(lines, "client-auth account=- peer=127.0.0.1:40312 outcome=failure "
                                  "reason=auth-rejected listener=imap session=1.9"));
    assert_null(strstr(lines, "hunter2"));
    close(pair[0]);
    close(pair[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_grant_for_another_protocol),
        TEST(test_grant_for_this_protocol),
        TEST(test_a_narrow_grant_says_so),
        TEST(test_listener_of_another_account),
        TEST(test_sessions_of_an_account_are_counted),
        TEST(test_broker_failure_is_passed_on),
        TEST(test_failed_lookup),
        TEST(test_again_gets_another_token),
        TEST(test_again_that_fails),
        TEST(test_again_out_of_turn),
        TEST(test_forget_during_sasl),
        TEST(test_forget_during_a_derivation),
        TEST(test_forget_during_the_delay),
        TEST(test_forget_before_anything_came),
        TEST(test_forget_during_the_request),
        TEST(test_forget_during_the_lookup),
        TEST(test_forget_when_granted),
        TEST(test_forget_of_nothing),
        TEST(test_thousands_of_aborted_exchanges),
        TEST(test_a_gate_that_dies),
        TEST(test_close_with_everything_open),
        TEST(test_messages_that_make_no_sense),
        TEST(test_revoked_grant_ends_sessions),
        TEST(test_revoked_grant_ends_exchanges),
        TEST(test_revoked_grant_gets_no_second_token),
        TEST(test_reload_refuses_what_is_not_over),
        TEST(test_reload_ends_sessions_of_accounts_that_are_gone),
        TEST(test_records_become_lines),
        TEST(test_what_goes_well_is_said_at_debug),
        TEST(test_gates_tell_of_their_own_alone),
        TEST(test_logins_become_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
