/*
 * Commands that print a secret, run by the real shell.
 */
/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch_folder.h"
#include "auth/credential.h"
#include "keeper/secret_command.h"

#define PATIENT 60000 /* longer than any of them takes */

static struct {
    struct loop loop;
    char *folder;
    unsigned answers;
    int status;
    struct secret output;
    char reason[200];
} test;

static int set_up(void **state)
{
    struct err err;
    (void)state;
    memset(&test, 0, sizeof(test));
    assert_int_equal(loop_init(&test.loop, &err), 0);
    test.folder = scratch_folder_new();
    return 0;
}

/* loop_fini insists that every handle is closed: the command is reaped. */
static int tear_down(void **state)
{
    (void)state;
    loop_run(&test.loop);
    loop_fini(&test.loop);
    secret_wipe(&test.output);
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
}

static struct secret_command *start(const char *text, int64_t milliseconds)
{
    struct secret_command *command =
        secret_command_start(&test.loop, text, milliseconds, on_done, &test);
    assert_int_equal(test.answers, 0);
    return command;
}

static void run(const char *text)
{
    test.answers = 0;
    start(text, PATIENT);
    loop_run(&test.loop);
    assert_int_equal(test.answers, 1);
}

static void assert_printed(const char *text, const char *expected)
{
    run(text);
    if (test.status != 0)
        fail_msg("%s: %s", text, test.reason);
    if (!slice_is(secret_bytes(&test.output), expected))
        fail_msg("%s: printed %.*s", text, SLICE_PRINT(secret_bytes(&test.output)));
}

static void assert_fails(const char *text, int status, const char *reason)
{
    run(text);
    assert_int_equal(test.status, status);
    assert_string_equal(test.reason, reason);
}

static void test_line_is_the_secret(void **state)
{
    (void)state;
    assert_printed("echo secret", "secret");
    assert_printed("printf secret", "secret");
    assert_printed("printf 'secret\\r\\n'", "secret");
    assert_printed("printf ' p\\303\\244ss\\377 \\t\\n'", " p\303\244ss\377 \t");
    assert_printed("printf sec; sleep 0.05; printf ret; sleep 0.05; echo", "secret");
    assert_printed("exec printf secret", "secret");
    assert_printed("printf secret >/dev/stdout", "secret");
}

static void test_longest_line(void **state)
{
    (void)state;
    char expected[CREDENTIAL_PASSWORD_MAX + 1];
    memset(expected, 'x', CREDENTIAL_PASSWORD_MAX);
    expected[CREDENTIAL_PASSWORD_MAX] = '\0';
    assert_printed("printf '%1024s' '' | tr ' ' x", expected);
    assert_printed("printf '%1024s\\r\\n' '' | tr ' ' x", expected);
}

static void test_outputs_that_are_no_secret(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"true", "printed nothing"},
        {"echo", "printed nothing"},
        {"printf '\\r\\n'", "printed nothing"},
        {"exec >&-", "printed nothing"},
        {"printf 'a\\nb'", "printed more than one line"},
        {"printf 'a\\nb\\n'", "printed more than one line"},
        {"printf 'a\\n\\n'", "printed more than one line"},
        {"printf '\\na'", "printed more than one line"},
        {"printf 'a\\000b'", "printed a NUL or a carriage return"},
        {"printf 'a\\rb'", "printed a NUL or a carriage return"},
        {"printf 'a\\r'", "printed a NUL or a carriage return"},
        {"printf '%1025s'", "printed more than 1024 octets"},
        {"printf '%1026s\\n'", "printed more than 1024 octets"},
        {"printf '%1027s\\n'", "printed more than 1024 octets"},
        {"cat /dev/zero", "printed more than 1024 octets"},
        {"while :; do echo secret; done", "printed more than 1024 octets"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        assert_fails(cases[i].text, ERR_SYNTAX, cases[i].reason);
}

static void test_bad_ends(void **state)
{
    (void)state;
    assert_fails("exit 1", ERR_UNAVAILABLE, "ended with status 1");
    assert_fails("echo secret; exit 3", ERR_UNAVAILABLE, "ended with status 3");
    assert_fails("printf 'a\\nb'; exit 1", ERR_UNAVAILABLE, "ended with status 1");
    assert_fails("/no/such/program", ERR_UNAVAILABLE, "ended with status 127");
    assert_fails("echo secret; kill -TERM $$", ERR_UNAVAILABLE, "was ended by signal 15");
}

static void test_errors_are_not_taken_for_output(void **state)
{
    (void)state;
    assert_printed("echo noise >&2; echo secret", "secret");
}

static void test_who_stays_behind_is_not_waited_for(void **state)
{
    (void)state;
    run("sleep 1000 & echo $!");
    assert_int_equal(test.status, 0);
    long process = strtol((const char *)secret_bytes(&test.output).data, NULL, 10);
    assert_true(process > 1);
    assert_int_equal(kill((pid_t)process, SIGKILL), 0);
}

/* ---- time ---- */

/* The end of a FIFO that the commands hold; end of file comes when all of them are gone. */
static int open_fifo(char command[300], const char *format)
{
    char *path = scratch_path(test.folder, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(descriptor >= 0);
    snprintf(command, 300, "exec 9>%s; %s", path, format);
    free(path);
    return descriptor;
}

static void assert_nobody_holds(int descriptor)
{
    char octets[16];
    ssize_t count;
    struct pollfd fifo = {.fd = descriptor, .events = POLLIN};
    do {
        /* POLLHUP alone is told without being asked for. */
        assert_int_equal(poll(&fifo, 1, PATIENT), 1);
        count = read(descriptor, octets, sizeof(octets));
    } while (count > 0);
    assert_int_equal(count, 0);
    close(descriptor);
}

static void test_hanging_command_is_killed_with_its_group(void **state)
{
    (void)state;
    char command[300];
    int fifo = open_fifo(command, "echo x >&9; trap '' TERM; echo secret; sleep 1000 & sleep 1000");
    start(command, 300);
    loop_run(&test.loop);
    assert_int_equal(test.answers, 1);
    assert_int_equal(test.status, ERR_TIMEOUT);
    assert_string_equal(test.reason, "took longer than 1 s");
    /* It had not even begun if the machine is that slow. */
    char octet;
    if (read(fifo, &octet, 1) == 1)
        assert_nobody_holds(fifo);
    else
        close(fifo);
}

static void test_cancelled_command_is_killed_with_its_group(void **state)
{
    (void)state;
    char command[300];
    int fifo = open_fifo(command, "sleep 1000 & echo x >&9; exec sleep 1000");
    struct secret_command *under_way = start(command, PATIENT);
    struct pollfd begun = {.fd = fifo, .events = POLLIN};
    while ((begun.revents & POLLIN) == 0)
        assert_true(poll(&begun, 1, PATIENT) == 1);
    secret_command_cancel(under_way);
    loop_run(&test.loop);
    assert_int_equal(test.answers, 0);
    assert_nobody_holds(fifo);
}

static void test_cancelled_before_its_answer(void **state)
{
    (void)state;
    secret_command_cancel(start("echo secret", PATIENT));
    secret_command_cancel(start("exit 1", PATIENT));
    loop_run(&test.loop);
    assert_int_equal(test.answers, 0);
}

static void test_several_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        start("echo secret", PATIENT);
    loop_run(&test.loop);
    assert_int_equal(test.answers, 5);
    assert_int_equal(test.status, 0);
}

/* With a limit of 64 descriptors of which `spare` are left. */
static void start_with_few_descriptors(int spare)
{
    int count = 0, descriptors[64];
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = LENGTH_OF(descriptors);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while ((descriptors[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    for (int i = 0; i < spare; i++)
        close(descriptors[--count]);
    start("echo secret", PATIENT);
    while (count > 0)
        close(descriptors[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_no_descriptors_to_be_had(void **state)
{
    (void)state;
    unsigned failures = 0, spare = 0;
    do {
        test.answers = 0;
        start_with_few_descriptors((int)spare++);
        loop_run(&test.loop);
        assert_int_equal(test.answers, 1);
        failures += test.status != 0;
        if (test.status != 0) {
            assert_int_equal(test.status, ERR_SYSTEM);
            assert_string_equal(test.reason, "cannot be started: too many open files");
        }
    } while (test.status != 0);
    assert_true(failures > 2);
}

/* ---- what it gets ---- */

static void test_no_descriptor_is_inherited(void **state)
{
    (void)state;
    int careless[3];
    for (size_t i = 0; i < LENGTH_OF(careless); i++)
        careless[i] = open("/dev/null", O_RDWR);
    assert_true(fcntl(careless[2], F_DUPFD, 100) == 100);
    /* 3 is the folder that ls itself has open. */
    assert_printed("echo $(ls /proc/self/fd)", "0 1 2 3");
    assert_printed("readlink /proc/self/fd/0", "/dev/null");
    assert_printed("readlink /proc/self/fd/2", "/dev/null");
    assert_printed("readlink /proc/self/fd/1 | cut -d: -f1", "pipe");
    for (size_t i = 0; i < LENGTH_OF(careless); i++)
        close(careless[i]);
    close(100);
}

static void test_environment_is_small(void **state)
{
    (void)state;
    setenv("HOME", "/home/of a user", 1);
    setenv("GNUPGHOME", "/keys", 1);
    setenv("ECLUSE_SECRET", "canary", 1);
    setenv("LD_PRELOAD_OF_SOMEBODY", "canary", 1);
    unsetenv("DISPLAY");
    assert_printed("env | grep -c canary || true", "0");
    assert_printed("echo \"$HOME $GNUPGHOME ${DISPLAY-none}\"", "/home/of a user /keys none");
    assert_printed("pwd", "/");
    /* What the shell adds by itself is left out. */
    assert_printed("env | cut -d= -f1 | grep -vxE 'PWD|OLDPWD|SHLVL|_|PATH|HOME|USER|LANG|"
                   "XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|GNUPGHOME|SSH_AUTH_SOCK|DISPLAY|"
                   "WAYLAND_DISPLAY' | grep -c . || true",
                   "0");
    char *path = mem_copy_string(getenv("PATH"));
    unsetenv("PATH");
    assert_printed("echo $PATH", "/usr/local/bin:/usr/bin:/bin");
    setenv("PATH", path, 1);
    mem_free(path);
}

static void run_with(const char *text, const struct secret_command_options *options)
{
    test.answers = 0;
    secret_command_start_with(&test.loop, text, PATIENT, options, on_done, &test);
    assert_int_equal(test.answers, 0);
    loop_run(&test.loop);
    assert_int_equal(test.answers, 1);
}

static void test_limits_of_its_own(void **state)
{
    const struct secret_command_options options = {.output_max = 4};
    (void)state;
    run_with("echo four", &options);
    assert_int_equal(test.status, 0);
    assert_true(slice_is(secret_bytes(&test.output), "four"));
    run_with("echo fives", &options);
    assert_int_equal(test.status, ERR_SYNTAX);
    assert_string_equal(test.reason, "printed more than 4 octets");
}

static void test_output_that_nobody_wants(void **state)
{
    static const char *const variables[] = {"ONE=first", "TWO=of two; `false`", NULL};
    const struct secret_command_options options = {.variables = variables};
    (void)state;
    run_with("test \"$(readlink /proc/$$/fd/1)\" = "
             "/dev/null && test \"$ONE/$TWO\" = 'first/of two; `false`'",
             &options);
    assert_int_equal(test.status, 0);
    assert_int_equal(test.output.size, 0);
    run_with("yes", &(struct secret_command_options){.output_max = 1});
    assert_int_equal(test.status, ERR_SYNTAX);
    run_with("exit 3", &options);
    assert_int_equal(test.status, ERR_UNAVAILABLE);
}

static void test_it_leads_a_session_and_takes_signals(void **state)
{
    (void)state;
    /* /proc/self/stat: pid (name) state ppid pgrp session */
    assert_printed("read pid name state parent group session rest </proc/$$/stat; "
                   "echo $((pid == $$)) $((group == pid)) $((session == pid))",
                   "1 1 1");
    /* The loop ignores SIGPIPE; a child that did so would not end with its reader. */
    assert_fails("kill -PIPE $$", ERR_UNAVAILABLE, "was ended by signal 13");
}

#define IN_A_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_LOOP(test_line_is_the_secret),
        IN_A_LOOP(test_longest_line),
        IN_A_LOOP(test_outputs_that_are_no_secret),
        IN_A_LOOP(test_bad_ends),
        IN_A_LOOP(test_errors_are_not_taken_for_output),
        IN_A_LOOP(test_who_stays_behind_is_not_waited_for),
        IN_A_LOOP(test_hanging_command_is_killed_with_its_group),
        IN_A_LOOP(test_cancelled_command_is_killed_with_its_group),
        IN_A_LOOP(test_cancelled_before_its_answer),
        IN_A_LOOP(test_several_at_once),
        IN_A_LOOP(test_no_descriptors_to_be_had),
        IN_A_LOOP(test_no_descriptor_is_inherited),
        IN_A_LOOP(test_environment_is_small),
        IN_A_LOOP(test_limits_of_its_own),
        IN_A_LOOP(test_output_that_nobody_wants),
        IN_A_LOOP(test_it_leads_a_session_and_takes_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
