/*
 * The keeper as a whole: opened, run, reloaded, stopped. Its gates are this program
 * (scripted_gate.h).
 */
#include "config_file.h"

#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../lib/certificate.h"
#include "keeper/desk.h"
#include "keeper/gates.h"
#include "keeper/keeper.h"
#include "scripted_gate.h"

#define ACCOUNT_WITHOUT_ENDPOINT                                                                   \
    "[account work]\n"                                                                             \
    "address = alice@example.test\n"                                                               \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "authorization_endpoint = https://id.example.test/auth\n"
#define ACCOUNT ACCOUNT_WITHOUT_ENDPOINT "token_endpoint = https://id.example.test/token\n"
#define LISTENER(kind, address)                                                                    \
    "ca_file = @/ca.pem\n"                                                                         \
    "log = error\n"                                                                                \
    "[listen " kind "]\n"                                                                          \
    "address = " address "\n"
#define OBEDIENT LISTENER("obedient", "unix:@/socket") ACCOUNT

static struct {
    char *folder;
    struct loop loop;
    struct keeper *keeper;
    int notify;         /* what the service manager would hear */
    uv_check_t watcher; /* after each turn of the loop: is it time for the next step? */
    void (*step)(void);
    char heard[400];
    unsigned steps; /* taken so far */
} test;

/* ---- a service manager ---- */

static void open_notify(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = scratch_path(test.folder, "notify");
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    setenv("NOTIFY_SOCKET", path, 1);
    free(path);
    test.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(test.notify, (struct sockaddr *)&address, sizeof(address)), 0);
}

/* All that was said since, first lines only, each followed by a blank. */
static const char *listen_to_notify(void)
{
    char words[200];
    ssize_t size;
    while ((size = recv(test.notify, words, sizeof(words) - 1, 0)) > 0) {
        words[size] = '\0';
        words[strcspn(words, "\n")] = '\0';
        strncat(test.heard, words, sizeof(test.heard) - strlen(test.heard) - 2);
        strcat(test.heard, " ");
    }
    return test.heard;
}

/* ---- set up ---- */

static void write_bundle(void)
{
    const struct certificate_wish wish = {.common_name = "Test root", .is_authority = true};
    struct certificate *root = certificate_new(&wish, NULL);
    char *text = certificate_text(root), *path = scratch_path(test.folder, "ca.pem");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    free(path);
    mem_free(text);
    certificate_free(root);
}

static int set_up(void **state)
{
    struct err err;
    (void)state;
    memset(&test, 0, sizeof(test));
    test.folder = scratch_folder_new();
    assert_int_equal(loop_init(&test.loop, &err), 0);
    write_bundle();
    open_notify();
    return 0;
}

/* No handle is open, no gate is left. */
static int tear_down(void **state)
{
    (void)state;
    if (test.keeper != NULL)
        keeper_free(test.keeper);
    loop_fini(&test.loop);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    unsetenv("NOTIFY_SOCKET");
    close(test.notify);
    scratch_folder_remove(test.folder);
    return 0;
}

static int try_open(const char *text, struct err *err)
{
    struct config *config = config_from_text(test.folder, text);
    return keeper_open(&test.loop, config, KEEPER_DAEMON, &test.keeper, err);
}

static void open_keeper(const char *text)
{
    struct err err;
    if (try_open(text, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_turn(uv_check_t *watcher)
{
    (void)watcher;
    test.step();
}

/* Runs until the keeper has stopped; `step` is called after every turn. */
static void run(void (*step)(void))
{
    test.step = step;
    assert_int_equal(uv_check_init(&test.loop.uv, &test.watcher), 0);
    assert_int_equal(uv_check_start(&test.watcher, on_turn), 0);
    keeper_run(test.keeper);
    uv_close((uv_handle_t *)&test.watcher, NULL);
}

static bool exists(const char *name)
{
    char *path = scratch_path(test.folder, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static void write_config(const char *text)
{
    config_write(test.folder, text);
}

static bool is_ready(unsigned times)
{
    const char *place = listen_to_notify();
    unsigned count = 0;
    while ((place = strstr(place, "READY=1 ")) != NULL) {
        count++;
        place++;
    }
    return count >= times;
}

/* ---- running and stopping ---- */

static void stop_when_ready(void)
{
    if (is_ready(1) && gates_count(keeper_gates(test.keeper)) == 1)
        keeper_stop(test.keeper);
}

static void test_ready_and_stopped(void **state)
{
    (void)state;
    open_keeper(OBEDIENT);
    assert_true(exists("socket"));
    assert_true(exists("run/control"));
    assert_true(exists("state/vault.db"));
    run(stop_when_ready);
    assert_string_equal(listen_to_notify(), "READY=1 STOPPING=1 ");
    keeper_free(test.keeper);
    test.keeper = NULL;
    assert_false(exists("socket"));
    assert_false(exists("run/control"));
}

static void terminate_once(void)
{
    if (is_ready(1) && test.steps == 0) {
        test.steps++;
        raise(SIGTERM);
    }
}

static void test_sigterm_stops(void **state)
{
    (void)state;
    open_keeper(OBEDIENT);
    run(terminate_once);
    assert_string_equal(listen_to_notify(), "READY=1 STOPPING=1 ");
}

static void terminate_twice(void)
{
    terminate_once();
    if (test.steps == 1 && strstr(listen_to_notify(), "STOPPING=1") != NULL) {
        test.steps++;
        raise(SIGTERM);
    }
}

static void test_second_stop_is_at_once(void **state)
{
    (void)state;
    open_keeper("drain = 3600\n" LISTENER("stubborn", "unix:@/socket") ACCOUNT);
    run(terminate_twice);
    assert_int_equal(test.steps, 2);
}

static void stop_at_the_first_turn(void)
{
    keeper_stop(test.keeper);
}

static void test_stop_without_time(void **state)
{
    (void)state;
    open_keeper("drain = 0\n" OBEDIENT);
    run(stop_at_the_first_turn);
}

static void test_free_without_run(void **state)
{
    (void)state;
    open_keeper(OBEDIENT);
}

static void test_parts_are_there(void **state)
{
    (void)state;
    open_keeper(OBEDIENT);
    assert_non_null(keeper_vault(test.keeper));
    assert_non_null(keeper_broker(test.keeper));
    assert_non_null(keeper_grants(test.keeper));
    assert_non_null(keeper_desk(test.keeper));
    assert_non_null(keeper_gates(test.keeper));
    assert_ptr_equal(keeper_loop(test.keeper), &test.loop);
    assert_int_equal(keeper_config(test.keeper)->listener_count, 1);
    assert_true(keeper_started(test.keeper) > 0);
}

/* ---- a token endpoint that takes its time ---- */

static struct {
    int listening, connection;
    char config[1200];
    unsigned answers;
    enum why why;
} endpoint;

static void open_endpoint(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    memset(&endpoint, 0, sizeof(endpoint));
    endpoint.connection = -1;
    endpoint.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(endpoint.listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(endpoint.listening, 1), 0);
    assert_int_equal(getsockname(endpoint.listening, (struct sockaddr *)&address, &size), 0);
    snprintf(endpoint.config, sizeof(endpoint.config),
             "drain = 3600\n" LISTENER("obedient", "unix:@/socket") ACCOUNT_WITHOUT_ENDPOINT
             "token_endpoint = https://127.0.0.1:%u/token\n",
             (unsigned)ntohs(address.sin_port));
}

static void sign_in(void)
{
    struct secret token = {0};
    struct err err;
    const char *issuer = keeper_config(test.keeper)->accounts[0]->provider_row->token_endpoint;
    secret_set(&token, SLICE_LITERAL("refresh-1"));
    assert_int_equal(vault_token_store(keeper_vault(test.keeper), "work", issuer, &token, 1, &err),
                     0);
    secret_wipe(&token);
}

static void on_token(void *owner, enum why why, const struct broker_token *token, const char *text)
{
    (void)owner;
    (void)token;
    (void)text;
    endpoint.answers++;
    endpoint.why = why;
}

/* Ready: ask. Asked: stop. No gate left: only then the endpoint hangs up. */
static void stop_during_a_request(void)
{
    if (test.steps == 0 && is_ready(1)) {
        test.steps++;
        assert_non_null(broker_ask(keeper_broker(test.keeper), "work", 0, on_token, NULL));
    } else if (test.steps == 1) {
        endpoint.connection = accept(endpoint.listening, NULL, NULL);
        if (endpoint.connection < 0)
            return;
        test.steps++;
        keeper_stop(test.keeper);
    } else if (test.steps == 2 && gates_count(keeper_gates(test.keeper)) == 0) {
        test.steps++;
        close(endpoint.connection);
    }
}

static void test_stop_waits_for_the_request_under_way(void **state)
{
    (void)state;
    open_endpoint();
    open_keeper(endpoint.config);
    sign_in();
    run(stop_during_a_request);
    assert_int_equal(test.steps, 3);
    assert_int_equal(endpoint.answers, 1);
    assert_int_equal(endpoint.why, WHY_UNREACHABLE);
    close(endpoint.listening);
}

static void stop_twice_during_a_request(void)
{
    if (test.steps < 2)
        stop_during_a_request();
    else if (test.steps == 2) {
        test.steps++;
        keeper_stop(test.keeper);
    }
}

static void test_second_stop_cuts_the_request_off(void **state)
{
    (void)state;
    open_endpoint();
    open_keeper(endpoint.config);
    sign_in();
    run(stop_twice_during_a_request);
    assert_int_equal(endpoint.answers, 0);
    close(endpoint.connection);
    close(endpoint.listening);
}

/* ---- reloading ---- */

static void reload_then_stop(void)
{
    if (test.steps == 0 && is_ready(1)) {
        test.steps++;
        write_config("workers = 2\n" LISTENER("obedient", "unix:@/socket unix:@/second") ACCOUNT);
        raise(SIGHUP);
    } else if (test.steps == 1 && is_ready(2) && gates_count(keeper_gates(test.keeper)) == 2) {
        test.steps++;
        assert_true(exists("second"));
        assert_int_equal(keeper_config(test.keeper)->workers, 2);
        keeper_stop(test.keeper);
    }
}

static void test_sighup_reloads(void **state)
{
    (void)state;
    open_keeper(OBEDIENT);
    run(reload_then_stop);
    assert_int_equal(test.steps, 2);
    assert_string_equal(listen_to_notify(), "READY=1 RELOADING=1 READY=1 STOPPING=1 ");
}

static void test_reload_of_a_wrong_file_changes_nothing(void **state)
{
    struct err err;
    (void)state;
    open_keeper(OBEDIENT);
    const struct config *before = keeper_config(test.keeper);
    write_config("nonsense = 1\n" OBEDIENT);
    assert_int_equal(keeper_reload(test.keeper, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "ecluse.ini:4: "));
    assert_ptr_equal(keeper_config(test.keeper), before);
    assert_string_equal(listen_to_notify(), "RELOADING=1 READY=1 ");
}

static void test_reload_with_a_taken_address_changes_nothing(void **state)
{
    struct err err;
    (void)state;
    open_keeper(OBEDIENT);
    const struct config *before = keeper_config(test.keeper);
    write_config(LISTENER("obedient", "unix:@/socket unix:@/ca.pem") ACCOUNT);
    assert_int_equal(keeper_reload(test.keeper, &err), ERR_UNAVAILABLE);
    assert_ptr_equal(keeper_config(test.keeper), before);
    run(stop_when_ready);
}

static void test_reload_while_stopping(void **state)
{
    struct err err;
    (void)state;
    open_keeper(OBEDIENT);
    keeper_stop(test.keeper);
    assert_int_equal(keeper_reload(test.keeper, &err), ERR_CLOSED);
}

/* ---- what cannot be opened ---- */

static void test_second_keeper_of_one_vault(void **state)
{
    struct keeper *second = NULL;
    struct err err;
    (void)state;
    open_keeper(OBEDIENT);
    struct config *config = config_from_text(test.folder, OBEDIENT);
    struct loop loop;
    assert_int_equal(loop_init(&loop, &err), 0);
    assert_int_equal(keeper_open(&loop, config, KEEPER_DAEMON, &second, &err), ERR_BUSY);
    assert_null(second);
    loop_fini(&loop);
}

static void test_taken_address(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(try_open(LISTENER("obedient", "unix:@/ca.pem") ACCOUNT, &err),
                     ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "ca.pem"));
    assert_null(test.keeper);
    assert_false(exists("run/control"));
    open_keeper(OBEDIENT);
}

static void test_loose_state_folder(void **state)
{
    struct err err;
    char *path = scratch_path(test.folder, "state");
    (void)state;
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0755), 0);
    free(path);
    assert_int_equal(try_open(OBEDIENT, &err), ERR_DENIED);
    assert_null(test.keeper);
}

static void test_offline_has_no_daemon(void **state)
{
    struct err err;
    struct config *config = config_from_text(test.folder, OBEDIENT);
    (void)state;
    assert_int_equal(keeper_open(&test.loop, config, KEEPER_OFFLINE, &test.keeper, &err), 0);
    assert_null(keeper_gates(test.keeper));
    assert_null(keeper_desk(test.keeper));
    assert_non_null(keeper_broker(test.keeper));
    assert_false(exists("socket"));
    assert_false(exists("run/control"));
    assert_int_equal(keeper_reload(test.keeper, &err), ERR_CLOSED);
    keeper_stop(test.keeper);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready_and_stopped),
        TEST(test_sigterm_stops),
        TEST(test_second_stop_is_at_once),
        TEST(test_stop_without_time),
        TEST(test_free_without_run),
        TEST(test_parts_are_there),
        TEST(test_stop_waits_for_the_request_under_way),
        TEST(test_second_stop_cuts_the_request_off),
        TEST(test_sighup_reloads),
        TEST(test_reload_of_a_wrong_file_changes_nothing),
        TEST(test_reload_with_a_taken_address_changes_nothing),
        TEST(test_reload_while_stopping),
        TEST(test_second_keeper_of_one_vault),
        TEST(test_taken_address),
        TEST(test_loose_state_folder),
        TEST(test_offline_has_no_daemon),
    };
    if (count > 1 && strcmp(arguments[1], "gate") == 0)
        scripted_gate();
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
