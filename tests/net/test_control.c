#include "offline_keeper.h"

#include <errno.h>
#include <poll.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "keeper/control.h"

#define ACCOUNTS    "{\"command\":\"accounts\"}"
#define CONNECTIONS 16 /* what control.c admits at once */
#define PATIENCE    10000

/* Waits for a token endpoint that says nothing. */
#define SIGN_IN_FOR_EVER "{\"command\":\"login\",\"account\":\"other\",\"refresh_token\":\"t\"}\n"

struct bench {
    struct offline_keeper offline;
    struct log log;
    char folder[80];
    struct control *control;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    offline_keeper_open(&bench->offline);
    log_init(&bench->log, LOG_LEVEL_ERROR, "test");
    snprintf(bench->folder, sizeof(bench->folder), "%s/run", bench->offline.folder);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    if (bench->control != NULL)
        control_close(bench->control);
    offline_keeper_close(&bench->offline);
    free(bench);
    return 0;
}

static int open_control(struct bench *bench, struct control **control_out, struct err *err)
{
    return control_open(&bench->offline.loop, bench->offline.keeper, bench->folder, &bench->log,
                        control_out, err);
}

static void start(struct bench *bench)
{
    struct err err = {0};
    if (open_control(bench, &bench->control, &err) != 0)
        fail_msg("%s", err.text);
}

static void socket_path(const struct bench *bench, struct sockaddr_un *address_out)
{
    *address_out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int size =
        snprintf(address_out->sun_path, sizeof(address_out->sun_path), "%s/control", bench->folder);
    assert_true((size_t)size < sizeof(address_out->sun_path));
}

static int client_open(const struct bench *bench)
{
    struct sockaddr_un address;
    socket_path(bench, &address);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    return client;
}

static void turn(struct bench *bench)
{
    uv_run(&bench->offline.loop.uv, UV_RUN_NOWAIT);
}

/* Everything that has been sent is read: accepting and reading are two turns, each with its turn of
 * deferred work. */
static void settle(struct bench *bench)
{
    for (unsigned i = 0; i < 4; i++)
        turn(bench);
}

/* Sends while the loop runs; stops early when the other side is gone. */
static void client_send(struct bench *bench, int client, const char *bytes, size_t size)
{
    int64_t deadline = clock_steady_milliseconds() + PATIENCE;
    while (size > 0) {
        ssize_t count = send(client, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        turn(bench);
        if (count < 0 && errno != EAGAIN)
            return;
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
        assert_true(clock_steady_milliseconds() < deadline);
    }
}

/* Runs the loop until the client has `lines` lines, or the end, in `out`; what came, as text. */
static size_t client_receive(struct bench *bench, int client, unsigned lines, char *out,
                             size_t capacity)
{
    int64_t deadline = clock_steady_milliseconds() + PATIENCE;
    size_t size = 0;
    while (lines > 0) {
        turn(bench);
        struct pollfd watched = {.fd = client, .events = POLLIN};
        if (poll(&watched, 1, 1) <= 0) {
            assert_true(clock_steady_milliseconds() < deadline);
            continue;
        }
        ssize_t count = recv(client, out + size, 1, 0);
        if (count <= 0)
            break;
        assert_true(size + 2 < capacity);
        lines -= out[size] == '\n' ? 1 : 0;
        size++;
    }
    out[size] = '\0';
    return size;
}

static void expect_line(struct bench *bench, int client, const char *part)
{
    char line[4096];
    client_receive(bench, client, 1, line, sizeof(line));
    if (strstr(line, part) == NULL)
        fail_msg("no %s in: %s", part, line);
}

static void expect_end(struct bench *bench, int client)
{
    char rest[256];
    assert_int_equal(client_receive(bench, client, 1, rest, sizeof(rest)), 0);
    close(client);
}

/* A fresh client is served as if nothing had been. */
static void expect_served(struct bench *bench)
{
    int client = client_open(bench);
    client_send(bench, client, ACCOUNTS "\n", sizeof(ACCOUNTS));
    expect_line(bench, client, "alice@example.test");
    close(client);
    settle(bench);
}

/* ---- the socket and its folder ---- */

static void the_folder_and_the_socket_are_private(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address;
    struct stat about;
    start(bench);
    assert_int_equal(stat(bench->folder, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);
    socket_path(bench, &address);
    assert_int_equal(lstat(address.sun_path, &about), 0);
    assert_true(S_ISSOCK(about.st_mode));
    assert_int_equal(about.st_mode & 07777, 0600);
    expect_served(bench);
}

static void a_folder_that_others_can_enter_is_refused(void **state)
{
    struct bench *bench = *state;
    struct err err;
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    assert_int_equal(chmod(bench->folder, 0710), 0);
    assert_int_equal(open_control(bench, &bench->control, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "chmod 700 "));
    assert_null(bench->control);
    assert_int_equal(chmod(bench->folder, 0700), 0);
}

static void a_link_to_a_folder_is_refused(void **state)
{
    struct bench *bench = *state;
    struct err err;
    assert_int_equal(symlink(bench->offline.folder, bench->folder), 0);
    assert_int_equal(open_control(bench, &bench->control, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "link"));
}

static void a_folder_of_another_user_is_refused(void **state)
{
    struct bench *bench = *state;
    struct err err;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    assert_int_equal(chown(bench->folder, 65534, 65534), 0);
    assert_int_equal(open_control(bench, &bench->control, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "65534"));
}

static void a_file_in_its_place_is_left_alone(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address;
    struct err err;
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    socket_path(bench, &address);
    int file = open(address.sun_path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(open_control(bench, &bench->control, &err), ERR_EXISTS);
    assert_int_equal(access(address.sun_path, F_OK), 0);
}

static void a_dead_socket_is_replaced(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address;
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    socket_path(bench, &address);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(dead, 1), 0);
    close(dead);
    start(bench);
    expect_served(bench);
}

static void a_second_daemon_is_turned_away(void **state)
{
    struct bench *bench = *state;
    struct control *second = NULL;
    struct err err;
    start(bench);
    assert_int_equal(open_control(bench, &second, &err), ERR_BUSY);
    assert_null(second);
    expect_served(bench);
}

static void closing_removes_its_own_socket_only(void **state)
{
    struct bench *bench = *state;
    struct sockaddr_un address;
    socket_path(bench, &address);
    start(bench);
    control_close(bench->control);
    bench->control = NULL;
    assert_int_equal(access(address.sun_path, F_OK), -1);

    start(bench);
    assert_int_equal(unlink(address.sun_path), 0);
    int other = open(address.sun_path, O_CREAT | O_WRONLY, 0600);
    assert_true(other >= 0);
    close(other);
    control_close(bench->control);
    bench->control = NULL;
    assert_int_equal(access(address.sun_path, F_OK), 0);
}

/* ---- requests ---- */

static void requests_are_answered_in_turn(void **state)
{
    struct bench *bench = *state;
    static const char both[] = "{\"command\":\"grants\"}\n" ACCOUNTS "\n";
    char answers[4096];
    start(bench);
    int client = client_open(bench);
    client_send(bench, client, both, sizeof(both) - 1);
    client_receive(bench, client, 2, answers, sizeof(answers));
    const char *second = strchr(answers, '\n') + 1;
    assert_non_null(strstr(answers, "\"grants\":[]"));
    assert_true(strstr(answers, "\"grants\":[]") < second);
    assert_non_null(strstr(second, "\"accounts\":["));
    client_send(bench, client, ACCOUNTS "\n", sizeof(ACCOUNTS));
    expect_line(bench, client, "\"status\":0");
    close(client);
}

static void a_request_may_come_in_pieces(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int client = client_open(bench);
    for (size_t i = 0; i < sizeof(ACCOUNTS) - 1; i++)
        client_send(bench, client, &ACCOUNTS[i], 1);
    client_send(bench, client, "\n", 1);
    expect_line(bench, client, "\"status\":0");
    close(client);
}

static void a_client_that_has_said_all_gets_its_answer(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int client = client_open(bench);
    client_send(bench, client, ACCOUNTS "\n", sizeof(ACCOUNTS));
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_line(bench, client, "\"status\":0");
    expect_end(bench, client);
}

static void a_wrong_command_does_not_end_the_connection(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int client = client_open(bench);
    client_send(bench, client, "{\"command\":\"x\"}\n", 16);
    expect_line(bench, client, "\"status\":64");
    client_send(bench, client, ACCOUNTS "\n", sizeof(ACCOUNTS));
    expect_line(bench, client, "\"status\":0");
    close(client);
}

static void garbage_is_answered_once_and_closed(void **state)
{
    struct bench *bench = *state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                          "\n",
                                          "\x16\x03\x01",
                                          " {}\n",
                                          "[1]\n",
                                          "\xff\xfe"};
    start(bench);
    for (size_t i = 0; i < LENGTH_OF(garbage); i++) {
        int client = client_open(bench);
        client_send(bench, client, garbage[i], strlen(garbage[i]));
        expect_line(bench, client, "{\"status\":64,");
        expect_end(bench, client);
    }
    expect_served(bench);
}

static void a_line_without_end_is_cut_off(void **state)
{
    struct bench *bench = *state;
    size_t size = COMMAND_REQUEST_MAX + 1;
    char *line = calloc(1, size + 1);
    memset(line, 'a', size);
    line[0] = '{';
    start(bench);
    /* The longest line that is read is one octet shorter. */
    line[size - 1] = '\n';
    int client = client_open(bench);
    client_send(bench, client, line, size);
    expect_line(bench, client, "no JSON");
    close(client);
    line[size - 1] = 'a';
    client = client_open(bench);
    client_send(bench, client, line, size);
    client_send(bench, client, "\n", 1);
    expect_line(bench, client, "too long");
    close(client);
    free(line);
    expect_served(bench);
}

/* ---- floods ---- */

static void the_connection_that_waited_longest_makes_room(void **state)
{
    struct bench *bench = *state;
    int clients[CONNECTIONS];
    start(bench);
    for (size_t i = 0; i < CONNECTIONS; i++)
        clients[i] = client_open(bench);
    client_send(bench, clients[0], SIGN_IN_FOR_EVER, sizeof(SIGN_IN_FOR_EVER) - 1);
    client_send(bench, clients[1], "{\"comm", 7);
    settle(bench);
    expect_served(bench);
    expect_end(bench, clients[1]);
    for (size_t i = 2; i < CONNECTIONS; i++) {
        client_send(bench, clients[i], ACCOUNTS "\n", sizeof(ACCOUNTS));
        expect_line(bench, clients[i], "\"status\":0");
        close(clients[i]);
    }
    close(clients[0]);
}

static void when_commands_run_on_all_a_new_one_is_told_so(void **state)
{
    struct bench *bench = *state;
    int clients[CONNECTIONS];
    start(bench);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        clients[i] = client_open(bench);
        client_send(bench, clients[i], SIGN_IN_FOR_EVER, sizeof(SIGN_IN_FOR_EVER) - 1);
        settle(bench);
    }
    int extra = client_open(bench);
    expect_line(bench, extra, "{\"status\":75,");
    expect_end(bench, extra);
    for (size_t i = 0; i < CONNECTIONS; i++)
        close(clients[i]);
    expect_served(bench);
}

static void a_thousand_connections_of_noise_change_nothing(void **state)
{
    struct bench *bench = *state;
    unsigned seed = 78;
    start(bench);
    for (unsigned round = 0; round < 1000; round++) {
        char noise[512];
        size_t size = (size_t)rand_r(&seed) % sizeof(noise);
        for (size_t i = 0; i < size; i++)
            noise[i] = (char)rand_r(&seed);
        if (round % 2 == 0)
            noise[0] = '{';
        int client = client_open(bench);
        client_send(bench, client, noise, size);
        close(client);
        turn(bench);
    }
    expect_served(bench);
}

/* ---- ends ---- */

static void a_client_may_go_while_its_command_runs(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int client = client_open(bench);
    client_send(bench, client, SIGN_IN_FOR_EVER, sizeof(SIGN_IN_FOR_EVER) - 1);
    close(client);
    expect_served(bench);
}

static void closing_cancels_what_runs(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int idle = client_open(bench);
    int half = client_open(bench);
    int busy = client_open(bench);
    client_send(bench, half, "{\"comm", 7);
    client_send(bench, busy, SIGN_IN_FOR_EVER, sizeof(SIGN_IN_FOR_EVER) - 1);
    control_close(bench->control);
    bench->control = NULL;
    expect_end(bench, idle);
    expect_end(bench, half);
    expect_end(bench, busy);
}

/* Connects with the effective uid of a stranger, but with our rights to the file. The number of
 * octets that it gets. */
static int connect_as_stranger(const struct bench *bench)
{
    struct sockaddr_un address;
    char octet;
    socket_path(bench, &address);
    if (setresuid((uid_t)-1, 65534, (uid_t)-1) != 0)
        return 100;
    setfsuid(0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address)) != 0)
        return 101;
    send(client, ACCOUNTS "\n", sizeof(ACCOUNTS), MSG_NOSIGNAL);
    return recv(client, &octet, 1, 0) == 1 ? 1 : 0;
}

static void a_stranger_gets_not_one_octet(void **state)
{
    struct bench *bench = *state;
    int status = 0;
    if (geteuid() != 0)
        skip();
    start(bench);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(connect_as_stranger(bench));
    int64_t deadline = clock_steady_milliseconds() + PATIENCE;
    while (waitpid(child, &status, WNOHANG) == 0) {
        turn(bench);
        assert_true(clock_steady_milliseconds() < deadline);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect_served(bench);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_folder_and_the_socket_are_private),
        CASE(a_folder_that_others_can_enter_is_refused),
        CASE(a_link_to_a_folder_is_refused),
        CASE(a_folder_of_another_user_is_refused),
        CASE(a_file_in_its_place_is_left_alone),
        CASE(a_dead_socket_is_replaced),
        CASE(a_second_daemon_is_turned_away),
        CASE(closing_removes_its_own_socket_only),
        CASE(requests_are_answered_in_turn),
        CASE(a_request_may_come_in_pieces),
        CASE(a_client_that_has_said_all_gets_its_answer),
        CASE(a_wrong_command_does_not_end_the_connection),
        CASE(garbage_is_answered_once_and_closed),
        CASE(a_line_without_end_is_cut_off),
        CASE(the_connection_that_waited_longest_makes_room),
        CASE(when_commands_run_on_all_a_new_one_is_told_so),
        CASE(a_thousand_connections_of_noise_change_nothing),
        CASE(a_client_may_go_while_its_command_runs),
        CASE(closing_cancels_what_runs),
        CASE(a_stranger_gets_not_one_octet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
