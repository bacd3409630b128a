/*
 * Commands that another process runs: the real one, in a child, behind a real channel.
 */
/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/credential.h"
#include "config_file.h"
#include "keeper/runner.h"

#define PATIENT 60000

static struct {
    char *folder, *file;
    struct loop loop;
    struct log log;
    struct runner *runner;
    pid_t process;
    int leftover; /* the other end of a socket that nobody serves; or -1 */
    unsigned answers;
    int status;
    struct secret output;
    char reason[200];
} test;

#define LISTENER "[listen imap]\naddress = 127.0.0.1:1143\n"
#define PROVIDER                                                                                   \
    "[provider p]\nimap = tls://localhost:993\n"                                                   \
    "authorization_endpoint = https://localhost/a\ntoken_endpoint = https://localhost/t\n"
#define ACCOUNT "[account none]\naddress = a@p.test\nprovider = p\nflow = none\n"

/* `text`: lines of [ecluse]. */
static void configure(const char *text)
{
    char all[2000];
    snprintf(all, sizeof(all), "%s" LISTENER PROVIDER ACCOUNT, text);
    config_write(test.folder, all);
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    memset(&test, 0, sizeof(test));
    test.leftover = -1;
    test.folder = scratch_folder_new();
    test.file = scratch_path(test.folder, "ecluse.ini");
    log_init(&test.log, LOG_LEVEL_ERROR, "test");
    assert_int_equal(loop_init(&test.loop, &err), 0);
    return 0;
}

static void connect_to(int descriptor)
{
    struct err err;
    assert_int_equal(runner_connect(&test.loop, descriptor, &test.log, &test.runner, &err), 0);
    test.loop.runner = test.runner;
}

static void start_runner(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    fflush(NULL);
    test.process = fork();
    if (test.process == 0) {
        close(pair[0]);
        int exit_code = runner_serve(pair[1], test.file);
        _exit(exit_code);
    }
    close(pair[1]);
    connect_to(pair[0]);
}

static void end_runner(void)
{
    if (test.runner != NULL)
        runner_close(test.runner);
    test.runner = test.loop.runner = NULL;
    loop_run(&test.loop);
}

/* What it runs ends with it. */
static int reap(void)
{
    int status;
    pid_t process = test.process;
    test.process = 0;
    assert_int_equal(waitpid(process, &status, 0), process);
    return status;
}

static int tear_down(void **state)
{
    (void)state;
    end_runner();
    if (test.process != 0)
        assert_int_equal(reap(), 0);
    if (test.leftover >= 0)
        close(test.leftover);
    loop_fini(&test.loop);
    secret_wipe(&test.output);
    free(test.file);
    scratch_folder_remove(test.folder);
    return 0;
}

static void on_done(void *owner, int status, struct secret *output, const char *reason)
{
    assert_ptr_equal(owner, &test);
    assert_int_equal(status == 0, output != NULL);
    test.answers++;
    test.status = status;
    if (output != NULL)
        secret_move(&test.output, output);
    snprintf(test.reason, sizeof(test.reason), "%s", reason);
    uv_stop(&test.loop.uv);
}

static struct secret_command *start(const char *text, int64_t milliseconds)
{
    struct secret_command *command =
        secret_command_start(&test.loop, text, milliseconds, on_done, &test);
    assert_int_equal(test.answers, 0);
    return command;
}

static void run_for(const char *text, int64_t milliseconds)
{
    test.answers = 0;
    start(text, milliseconds);
    while (test.answers == 0)
        loop_run(&test.loop);
    assert_int_equal(test.answers, 1);
}

static void assert_printed(const char *text, const char *expected)
{
    run_for(text, PATIENT);
    if (test.status != 0)
        fail_msg("%s: %s", text, test.reason);
    assert_true(slice_is(secret_bytes(&test.output), expected));
}

static void assert_fails(const char *text, int status, const char *reason)
{
    run_for(text, PATIENT);
    assert_int_equal(test.status, status);
    assert_string_equal(test.reason, reason);
}

/* ---- */

static void test_outcomes_come_back(void **state)
{
    (void)state;
    configure("notify_command = printf 'sec'; echo ret\n");
    start_runner();
    assert_printed("printf 'sec'; echo ret", "secret");
    assert_printed("printf 'sec'; echo ret", "secret");
}

static void test_failures_come_back(void **state)
{
    (void)state;
    configure("notify_command = exit 7\n");
    start_runner();
    assert_fails("exit 7", ERR_UNAVAILABLE, "ended with status 7");
    configure("notify_command = sleep 600\n");
    runner_reread(test.runner);
    run_for("sleep 600", 50);
    assert_int_equal(test.status, ERR_TIMEOUT);
}

static void test_other_commands_are_refused(void **state)
{
    (void)state;
    configure("notify_command = echo it\n");
    start_runner();
    assert_fails("echo that", ERR_SYSTEM, "does not stand in the configuration");
    assert_fails("echo it ", ERR_SYSTEM, "does not stand in the configuration");
    assert_fails("echo i", ERR_SYSTEM, "does not stand in the configuration");
    assert_fails("", ERR_SYSTEM, "does not stand in the configuration");
    assert_printed("echo it", "it");
}

static void test_commands_of_accounts_may_be_run(void **state)
{
    (void)state;
    config_write(test.folder, LISTENER PROVIDER ACCOUNT
                 "password_command = echo password\n"
                 "[account command]\naddress = b@p.test\nprovider = p\nflow = command\n"
                 "token_command = echo token\n"
                 "[account secret]\naddress = c@p.test\nprovider = p\nclient_id = c\n"
                 "client_secret_command = echo secret\n"
                 "[account key]\naddress = d@p.test\nprovider = p\nclient_id = c\n"
                 "jwt_key_file = /nowhere/key\njwt_passphrase_command = echo passphrase\n");
    start_runner();
    assert_printed("echo password", "password");
    assert_printed("echo token", "token");
    assert_printed("echo secret", "secret");
    assert_printed("echo passphrase", "passphrase");
}

static void run_with(const char *command, const char *variable)
{
    const char *const variables[] = {variable, NULL};
    const struct secret_command_options options = {.output_max = 100, .variables = variables};
    test.answers = 0;
    secret_command_start_with(&test.loop, command, PATIENT, &options, on_done, &test);
    while (test.answers == 0)
        loop_run(&test.loop);
}

static void test_variables_are_ours(void **state)
{
    (void)state;
    configure("notify_command = echo $ECLUSE_ACCOUNT\n");
    start_runner();
    run_with("echo $ECLUSE_ACCOUNT", "ECLUSE_ACCOUNT=work");
    assert_int_equal(test.status, 0);
    assert_true(slice_is(secret_bytes(&test.output), "work"));
    /* Only who has taken over the keeper says that, and does not go on. */
    run_with("echo $ECLUSE_ACCOUNT", "LD_PRELOAD=evil.so");
    assert_int_equal(test.status, ERR_SYSTEM);
    assert_int_equal(reap(), 0);
}

static void test_configuration_is_read_again(void **state)
{
    (void)state;
    configure("notify_command = echo before\n");
    start_runner();
    assert_printed("echo before", "before");
    configure("notify_command = echo after\n");
    assert_fails("echo after", ERR_SYSTEM, "does not stand in the configuration");
    runner_reread(test.runner);
    assert_printed("echo after", "after");
    assert_fails("echo before", ERR_SYSTEM, "does not stand in the configuration");
    configure("notify_command = echo broken\nunknown = x\n");
    runner_reread(test.runner);
    assert_fails("echo broken", ERR_SYSTEM, "does not stand in the configuration");
    assert_printed("echo after", "after");
}

/* The process that notes its own number is gone when the keeper is; nobody is told. */
static void test_cancelled_and_abandoned_commands_are_killed(void **state)
{
    char text[600], line[700];
    char *mark = scratch_path(test.folder, "mark");
    (void)state;
    snprintf(text, sizeof(text), "echo > %s; exec sleep 600", mark);
    snprintf(line, sizeof(line), "notify_command = %s\n", text);
    configure(line);
    start_runner();
    struct secret_command *first = start(text, PATIENT);
    struct secret_command *second = start(text, PATIENT);
    while (access(mark, F_OK) != 0)
        uv_run(&test.loop.uv, UV_RUN_NOWAIT);
    secret_command_cancel(first);
    secret_command_cancel(second);
    end_runner();
    assert_int_equal(reap(), 0); /* it does so when all that it ran is reaped */
    assert_int_equal(test.answers, 0);
    free(mark);
}

static void test_runner_that_died(void **state)
{
    (void)state;
    configure("notify_command = kill -9 $PPID\n");
    start_runner();
    assert_fails("kill -9 $PPID", ERR_SYSTEM, "cannot be started: ecluse has to be started again");
    int status = reap();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_fails("kill -9 $PPID", ERR_SYSTEM, "cannot be started: ecluse has to be started again");
    test.answers = 0;
    struct secret_command *command = start("true", PATIENT);
    secret_command_cancel(command);
}

static void test_runner_that_talks_nonsense(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    connect_to(pair[0]);
    test.leftover = pair[1];
    const uint8_t outcome_of_nothing[] = {0, 0, 0, 2, 4, 1};
    assert_int_equal(write(pair[1], outcome_of_nothing, sizeof(outcome_of_nothing)), 6);
    assert_fails("true", ERR_SYSTEM, "cannot be started: ecluse has to be started again");
}

static void assert_ends_the_process(const void *bytes, size_t size)
{
    int pair[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    configure("notify_command = true\n");
    fflush(NULL);
    pid_t process = fork();
    if (process == 0) {
        close(pair[0]);
        _exit(runner_serve(pair[1], test.file));
    }
    close(pair[1]);
    assert_int_equal(write(pair[0], bytes, size), size);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
    close(pair[0]);
}

static void test_keeper_that_talks_nonsense(void **state)
{
    (void)state;
    assert_ends_the_process("\0\0\0\1\0", 5);         /* a frame of no kind */
    assert_ends_the_process("\0\0\0\2\2\0", 6);       /* one that is cut */
    assert_ends_the_process("\0\0\0\2\3\0", 6);       /* one with more than belongs there */
    assert_ends_the_process("\377\377\377\377", 4);   /* one that is too long */
    assert_ends_the_process("\0\0\0\5\1\0\0\0\1", 9); /* a start of nothing */
}

static void test_no_configuration_no_runner(void **state)
{
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(runner_serve(pair[1], "/nowhere/ecluse.ini"), 70);
    close(pair[0]);
    close(pair[1]);
}

static void test_is_needed(void **state)
{
    (void)state;
    struct config *config = config_from_text(test.folder, LISTENER PROVIDER ACCOUNT);
    assert_false(runner_is_needed(config));
    config_free(config);
    config = config_from_text(test.folder, "notify_command = true\n" LISTENER PROVIDER ACCOUNT);
    assert_true(runner_is_needed(config));
    config_free(config);
}

#define WITH_PROCESS(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROCESS(test_outcomes_come_back),
        WITH_PROCESS(test_failures_come_back),
        WITH_PROCESS(test_other_commands_are_refused),
        WITH_PROCESS(test_commands_of_accounts_may_be_run),
        WITH_PROCESS(test_variables_are_ours),
        WITH_PROCESS(test_configuration_is_read_again),
        WITH_PROCESS(test_cancelled_and_abandoned_commands_are_killed),
        WITH_PROCESS(test_runner_that_died),
        WITH_PROCESS(test_runner_that_talks_nonsense),
        WITH_PROCESS(test_keeper_that_talks_nonsense),
        WITH_PROCESS(test_no_configuration_no_runner),
        WITH_PROCESS(test_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
