/*
 * Gate processes: started, told, watched, replaced, drained, ended. This program is its own gate.
 */
#include "gates_world.h"

#define TWO_WORKERS "workers = 2\n" OBEDIENT

/* ---- starting ---- */

static void test_gate_is_told_and_given_what_it_needs(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    assert_int_equal(gates_count(test.gates), 1);
    assert_int_equal(gates_first(test.gates), 1);
    tell(1, "report");
    WAIT_UNTIL(test.note_count == 1);
    assert_int_equal(test.notes[0].gate, 1);
    assert_string_equal(test.notes[0].detail,
                        "gate 1 listeners 1 mechanisms PLAIN LOGIN capabilities  authorities 1 "
                        "descriptors 5 variables 0 leader 1 input /dev/null");
}

#define ENDPOINTS                                                                                  \
    "authorization_endpoint = https://id.example.test/auth\n"                                      \
    "token_endpoint = https://id.example.test/token\n"
#define OTHER_ACCOUNT                                                                              \
    "[account home]\naddress = bob@example.test\nprovider = other\nclient_id = test-client\n"      \
    "[provider other]\npop3 = tls://pop.example.test:995\n"                                        \
    "imap = tls://mail.example.test:993\nsmtp = starttls://mail.example.test:587\n" ENDPOINTS      \
    "[provider unused]\nimap = tls://mail.example.test:1993\n" ENDPOINTS

static void test_ports_are_those_of_the_accounts(void **state)
{
    (void)state;
    open_gates(OBEDIENT OTHER_ACCOUNT);
    tell(1, "ports");
    WAIT_UNTIL(test.note_count == 1);
    assert_string_equal(test.notes[0].detail, "ports 993 995 587");
}

static void test_ready_is_said_once_for_all_workers(void **state)
{
    (void)state;
    open_gates(TWO_WORKERS);
    assert_int_equal(gates_count(test.gates), 2);
    tell(1, "x");
    tell(2, "x");
    WAIT_UNTIL(test.note_count == 2);
    assert_int_equal(test.ready, 1);
    int processes[4];
    assert_int_equal(gates_processes(test.gates, processes, 4), 2);
    assert_int_equal(gates_processes(test.gates, processes, 1), 1);
    assert_true(processes[0] != processes[1]);
}

static void test_gate_serves_clients(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    int client = connect_to("socket");
    assert_true(client >= 0);
    tell(1, "accept");
    assert_served_by(client, 1);
}

static void test_program_that_is_not_there(void **state)
{
    struct err err;
    (void)state;
    test.settings.program = "/nonexistent/program";
    set_config(OBEDIENT);
    assert_int_equal(try_open(&err), ERR_SYSTEM);
    assert_null(test.gates);
    assert_false(exists("socket"));
}

static void test_bundle_that_is_not_there(void **state)
{
    struct err err;
    (void)state;
    set_config("ca_file = @/other.pem\n[listen imap]\naddress = unix:@/socket\n" ACCOUNT);
    assert_int_not_equal(try_open(&err), 0);
    assert_non_null(strstr(err.text, "other.pem"));
    assert_false(exists("socket"));
}

static void test_bundle_without_a_certificate(void **state)
{
    struct err err;
    (void)state;
    write_file("ca.pem", "nothing\n");
    set_config(OBEDIENT);
    assert_int_not_equal(try_open(&err), 0);
    assert_non_null(strstr(err.text, "ca.pem"));
}

/* ---- dying ---- */

static void test_gate_that_ends_is_replaced(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    tell(1, "end");
    WAIT_UNTIL(test.gone_count == 1);
    assert_int_equal(test.gone[0], 1);
    int client = connect_to("socket");
    assert_true(client >= 0);
    WAIT_UNTIL(gates_count(test.gates) == 1);
    assert_int_equal(gates_restarts(test.gates), 1);
    assert_int_equal(gates_first(test.gates), 1);
    tell(2, "accept");
    assert_served_by(client, 2);
    tell(2, "x");
    WAIT_UNTIL(test.note_count == 1);
    assert_int_equal(test.ready, 1);
}

static void test_last_words_are_heard(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    tell(1, "say and end");
    WAIT_UNTIL(test.gone_count == 1);
    assert_int_equal(test.note_count, 1);
    assert_string_equal(test.notes[0].detail, "last words");
}

static void test_killed_gate_leaves_the_others_alone(void **state)
{
    int processes[2];
    (void)state;
    open_gates(TWO_WORKERS);
    assert_int_equal(gates_processes(test.gates, processes, 2), 2);
    assert_int_equal(kill(processes[0], SIGKILL), 0);
    WAIT_UNTIL(test.gone_count == 1 && gates_count(test.gates) == 2);
    assert_int_equal(test.gone[0], 1);
    tell(2, "x");
    tell(3, "x");
    WAIT_UNTIL(test.note_count == 2);
}

/* By its own fault; then another one is there. */
static void assert_replaced_after(const char *word)
{
    open_gates(OBEDIENT);
    tell(1, word);
    WAIT_UNTIL(test.gone_count == 1 && gates_count(test.gates) == 1);
    assert_int_equal(test.gone[0], 1);
    test.on_message_status = 0;
    tell(2, "x");
    WAIT_UNTIL(test.notes[test.note_count > 0 ? test.note_count - 1 : 0].gate == 2);
}

static void drop_signal(int number)
{
    (void)number;
}

static void test_gate_whose_end_was_not_signalled(void **state)
{
    const struct sigaction dropping = {.sa_handler = drop_signal};
    struct sigaction usual;
    siginfo_t ended = {0};
    int process;
    (void)state;
    open_gates(OBEDIENT);
    assert_int_equal(gates_processes(test.gates, &process, 1), 1);
    assert_int_equal(sigaction(SIGCHLD, &dropping, &usual), 0);
    assert_int_equal(kill(process, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)process, &ended, WEXITED | WNOWAIT), 0);
    assert_int_equal(ended.si_pid, process);
    assert_int_equal(sigaction(SIGCHLD, &usual, NULL), 0);
    WAIT_UNTIL(test.gone_count == 1 && gates_count(test.gates) == 1);
    assert_int_equal(gates_restarts(test.gates), 1);
}

static void test_gate_that_sends_garbage(void **state)
{
    (void)state;
    assert_replaced_after("garbage");
}

static void test_gate_that_says_ready_twice(void **state)
{
    (void)state;
    assert_replaced_after("ready again");
}

static void test_gate_that_closes_its_channel(void **state)
{
    (void)state;
    assert_replaced_after("close");
}

static void test_gate_whose_message_is_refused(void **state)
{
    (void)state;
    test.on_message_status = ERR_SYNTAX;
    assert_replaced_after("x");
}

static void test_gate_that_does_not_read(void **state)
{
    struct buf message;
    uint8_t bytes[60000] = {0};
    int status = 0;
    (void)state;
    open_gates(OBEDIENT);
    tell(1, "close");
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_bytes(&message, MESSAGE_CHALLENGE, 1, slice_of(bytes, 12000)),
                     0);
    for (unsigned i = 0; i < 10000 && status == 0; i++)
        status = gates_send(test.gates, 1, buf_bytes(&message));
    assert_int_equal(status, ERR_CLOSED);
    assert_int_equal(gates_send(test.gates, 99, buf_bytes(&message)), ERR_CLOSED);
    buf_fini(&message);
    WAIT_UNTIL(test.gone_count == 1 && gates_count(test.gates) == 1);
}

/* At once, then after 100 and 200 ms: the third restart cannot have come sooner. */
static void test_gates_that_die_at_once_are_started_ever_later(void **state)
{
    struct err err;
    (void)state;
    set_config(LISTENER("dies", "unix:@/socket"));
    uint64_t started = uv_hrtime();
    assert_int_equal(try_open(&err), 0);
    WAIT_UNTIL(test.gone_count == 4);
    assert_true(uv_hrtime() - started >= 300 * 1000000ull);
    assert_int_equal(gates_restarts(test.gates), 3);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(test.gone[i], i + 1);
    assert_int_equal(test.ready, 0);
}

/* ---- reloading ---- */

static void test_reload_starts_others_and_drains_the_old(void **state)
{
    struct err err;
    (void)state;
    open_gates(OBEDIENT);
    set_config(TWO_WORKERS);
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    assert_int_equal(gates_first(test.gates), 2);
    assert_int_equal(gates_count(test.gates), 3);
    WAIT_UNTIL(test.gone_count == 1 && test.ready == 2);
    assert_int_equal(test.gone[0], 1);
    assert_string_equal(test.notes[0].detail, "draining");
    assert_int_equal(test.notes[0].number, 0);
    assert_int_equal(gates_count(test.gates), 2);
    assert_int_equal(gates_restarts(test.gates), 0);
    int client = connect_to("socket");
    tell(3, "accept");
    assert_served_by(client, 3);
}

static ino_t inode_of(const char *name)
{
    struct stat about;
    char *path = scratch_path(test.folder, name);
    assert_int_equal(stat(path, &about), 0);
    free(path);
    return about.st_ino;
}

static void test_reload_keeps_and_drops_sockets(void **state)
{
    struct err err;
    (void)state;
    open_gates(LISTENER("obedient", "unix:@/socket unix:@/goes"));
    ino_t inode = inode_of("socket");
    set_config(LISTENER("obedient", "unix:@/comes unix:@/socket"));
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    assert_int_equal(inode_of("socket"), inode);
    assert_false(exists("goes"));
    assert_true(exists("comes"));
    WAIT_UNTIL(test.ready == 2 && test.gone_count == 1);
    tell(2, "accept");
    assert_served_by(connect_to("comes"), 2);
}

static void test_reload_that_fails_changes_nothing(void **state)
{
    struct err err;
    (void)state;
    open_gates(OBEDIENT);
    write_file("taken", "");
    set_config(LISTENER("obedient", "unix:@/socket unix:@/comes unix:@/taken"));
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "taken"));
    assert_false(exists("comes"));
    assert_true(exists("socket"));
    assert_int_equal(gates_count(test.gates), 1);
    assert_int_equal(gates_first(test.gates), 1);
    int client = connect_to("socket");
    tell(1, "accept");
    assert_served_by(client, 1);
    assert_int_equal(test.gone_count, 0);
}

/* ---- offers ---- */

static void offer(const char *mechanisms, const char *capabilities)
{
    set_offer(0, mechanisms, capabilities);
    gates_offer(test.gates, test.offers);
}

static void test_offer_goes_to_every_gate_and_to_those_to_come(void **state)
{
    (void)state;
    open_gates(TWO_WORKERS);
    offer("CRAM-MD5 PLAIN LOGIN", "SIZE 5\n");
    WAIT_UNTIL(test.note_count == 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(test.notes[i].detail, "offer 0 CRAM-MD5 PLAIN LOGIN, SIZE 5\\x0a");
    assert_int_not_equal(test.notes[0].gate, test.notes[1].gate);
    tell(1, "end");
    WAIT_UNTIL(test.gone_count == 1 && gates_count(test.gates) == 2);
    tell(3, "report");
    WAIT_UNTIL(test.note_count == 3);
    assert_non_null(
        strstr(test.notes[2].detail, "mechanisms CRAM-MD5 PLAIN LOGIN capabilities SIZE 5\\x0a "));
}

static void test_offer_that_is_no_news_is_not_sent(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    offer("PLAIN LOGIN", "");
    offer("PLAIN LOGIN", "TOP\n");
    offer("PLAIN LOGIN", "TOP\n");
    tell(1, "x");
    WAIT_UNTIL(test.note_count == 2);
    assert_string_equal(test.notes[0].detail, "offer 0 PLAIN LOGIN, TOP\\x0a");
    assert_string_equal(test.notes[1].detail, "echo");
}

/* Its listeners have other numbers. */
static void test_offer_is_not_for_gates_of_an_older_generation(void **state)
{
    struct err err;
    (void)state;
    open_gates(LISTENER("stubborn", "unix:@/socket"));
    set_config(OBEDIENT);
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    WAIT_UNTIL(test.ready == 2);
    offer("PLAIN", "");
    tell(1, "x");
    WAIT_UNTIL(test.note_count == 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(test.notes[i].detail,
                            test.notes[i].gate == 1 ? "echo" : "offer 0 PLAIN, ");
    assert_int_not_equal(test.notes[0].gate, test.notes[1].gate);
}

/* ---- stopping ---- */

static void test_stop_drains(void **state)
{
    (void)state;
    open_gates(TWO_WORKERS);
    gates_stop(test.gates, 4321);
    assert_int_equal(test.stopped, 0);
    WAIT_UNTIL(test.stopped == 1);
    assert_int_equal(test.note_count, 2);
    assert_int_equal(test.notes[0].number, 4321);
    assert_int_equal(test.notes[1].number, 4321);
    assert_int_equal(test.gone_count, 2);
    assert_int_equal(gates_count(test.gates), 0);
    assert_int_equal(gates_restarts(test.gates), 0);
    gates_close(test.gates);
    test.gates = NULL;
    assert_false(exists("socket"));
}

static void test_stop_ends_the_stubborn(void **state)
{
    (void)state;
    open_gates(LISTENER("stubborn", "unix:@/socket"));
    gates_stop(test.gates, 1);
    WAIT_UNTIL(test.stopped == 1);
    assert_int_equal(test.gone_count, 1);
}

static void test_stop_at_once(void **state)
{
    (void)state;
    open_gates(OBEDIENT);
    gates_stop(test.gates, 0);
    WAIT_UNTIL(test.stopped == 1);
    assert_int_equal(test.note_count, 0);
    assert_int_equal(test.gone_count, 1);
}

static void test_second_stop_does_not_wait(void **state)
{
    (void)state;
    open_gates(LISTENER("stubborn", "unix:@/socket"));
    gates_stop(test.gates, 3600 * 1000);
    gates_stop(test.gates, 0);
    WAIT_UNTIL(test.stopped == 1);
}

static void test_stop_between_two_processes(void **state)
{
    struct err err;
    (void)state;
    set_config(LISTENER("dies", "unix:@/socket"));
    assert_int_equal(try_open(&err), 0);
    WAIT_UNTIL(test.gone_count == 3);
    assert_int_equal(gates_count(test.gates), 0);
    gates_stop(test.gates, 3600 * 1000);
    WAIT_UNTIL(test.stopped == 1);
    assert_int_equal(gates_restarts(test.gates), 2);
}

static void test_close_kills(void **state)
{
    (void)state;
    open_gates(LISTENER("stubborn", "unix:@/socket"));
    gates_close(test.gates);
    test.gates = NULL;
    loop_run(&test.loop);
    assert_int_equal(test.gone_count, 0);
    assert_int_equal(test.stopped, 0);
}

static void test_close_while_starting(void **state)
{
    struct err err;
    (void)state;
    set_config(TWO_WORKERS);
    assert_int_equal(try_open(&err), 0);
    gates_close(test.gates);
    test.gates = NULL;
    loop_run(&test.loop);
    assert_int_equal(test.ready, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gate_is_told_and_given_what_it_needs),
        TEST(test_ports_are_those_of_the_accounts),
        TEST(test_ready_is_said_once_for_all_workers),
        TEST(test_gate_serves_clients),
        TEST(test_program_that_is_not_there),
        TEST(test_bundle_that_is_not_there),
        TEST(test_bundle_without_a_certificate),
        TEST(test_gate_that_ends_is_replaced),
        TEST(test_last_words_are_heard),
        TEST(test_killed_gate_leaves_the_others_alone),
        TEST(test_gate_whose_end_was_not_signalled),
        TEST(test_gate_that_sends_garbage),
        TEST(test_gate_that_says_ready_twice),
        TEST(test_gate_that_closes_its_channel),
        TEST(test_gate_whose_message_is_refused),
        TEST(test_gate_that_does_not_read),
        TEST(test_gates_that_die_at_once_are_started_ever_later),
        TEST(test_reload_starts_others_and_drains_the_old),
        TEST(test_reload_keeps_and_drops_sockets),
        TEST(test_reload_that_fails_changes_nothing),
        TEST(test_offer_goes_to_every_gate_and_to_those_to_come),
        TEST(test_offer_that_is_no_news_is_not_sent),
        TEST(test_offer_is_not_for_gates_of_an_older_generation),
        TEST(test_stop_drains),
        TEST(test_stop_ends_the_stubborn),
        TEST(test_stop_at_once),
        TEST(test_second_stop_does_not_wait),
        TEST(test_stop_between_two_processes),
        TEST(test_close_kills),
        TEST(test_close_while_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return tests_or_gate(count, arguments, all_tests);
}
