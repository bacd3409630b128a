/*
 * Listening sockets: what is taken, what is refused, what systemd hands over.
 */
#include "gates_world.h"

#include "keeper/listen.h"

static struct listen_address unix_address(const char *name)
{
    return (struct listen_address){.path = scratch_path(test.folder, name)};
}

static int try_bind(const char *name, struct listen_socket **socket_out, struct err *err)
{
    struct listen_address address = unix_address(name);
    *socket_out = NULL;
    int status = listen_socket_bind(&address, socket_out, err);
    free(address.path);
    return status;
}

static int bind_local(const char *host, struct listen_socket **socket_out, uint16_t port,
                      struct err *err)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", host);
    const struct listen_address address = {.host = copy, .port = port};
    return listen_socket_bind(&address, socket_out, err);
}

static uint16_t port_of(int descriptor)
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof(address);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin6_port);
}

static int option(int descriptor, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    assert_int_equal(getsockopt(descriptor, level, name, &value, &size), 0);
    return value;
}

static void test_tcp(void **state)
{
    struct listen_socket *first = NULL, *second = NULL;
    struct err err;
    (void)state;
    assert_int_equal(bind_local("127.0.0.1", &first, 0, &err), 0);
    uint16_t port = port_of(first->descriptor);
    assert_int_equal(option(first->descriptor, SOL_SOCKET, SO_REUSEADDR), 1);
    assert_int_equal(option(first->descriptor, SOL_SOCKET, SO_REUSEPORT), 0);
    assert_int_equal(option(first->descriptor, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(fcntl(first->descriptor, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(first->descriptor, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(bind_local("127.0.0.1", &second, port, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
    listen_socket_free(first);
    assert_int_equal(bind_local("127.0.0.1", &second, port, &err), 0);
    listen_socket_free(second);
}

static void test_ipv6_is_ipv6_only(void **state)
{
    struct listen_socket *first = NULL, *second = NULL;
    struct err err;
    (void)state;
    if (bind_local("::1", &first, 0, &err) != 0)
        skip();
    assert_int_equal(option(first->descriptor, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    assert_int_equal(bind_local("::1", &second, port_of(first->descriptor), &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "[::1]:"));
    listen_socket_free(first);
}

static void test_address_of_another_machine(void **state)
{
    struct listen_socket *made = NULL;
    struct err err;
    (void)state;
    assert_int_equal(bind_local("192.0.2.1", &made, 0, &err), ERR_SYSTEM);
    assert_int_equal(bind_local("a name", &made, 0, &err), ERR_CONFIG);
}

static void test_unix_socket_is_private_and_goes(void **state)
{
    struct listen_socket *made;
    struct stat about;
    struct err err;
    mode_t mask = umask(0);
    (void)state;
    assert_int_equal(try_bind("mine", &made, &err), 0);
    umask(mask);
    assert_int_equal(stat(made->address.path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    listen_socket_free(made);
    assert_false(exists("mine"));
}

static void test_live_unix_socket_is_not_taken(void **state)
{
    struct listen_socket *made, *other;
    struct err err;
    (void)state;
    assert_int_equal(try_bind("mine", &made, &err), 0);
    assert_int_equal(try_bind("mine", &other, &err), ERR_UNAVAILABLE);
    assert_int_equal(close(connect_to("mine")), 0);
    listen_socket_free(made);
}

static void test_dead_unix_socket_is_replaced(void **state)
{
    struct listen_socket *made;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = scratch_path(test.folder, "mine");
    struct err err;
    (void)state;
    strcpy(address.sun_path, path);
    free(path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
    close(dead);
    assert_true(exists("mine"));
    assert_int_equal(try_bind("mine", &made, &err), 0);
    assert_int_equal(close(connect_to("mine")), 0);
    listen_socket_free(made);
}

static void test_file_is_not_replaced(void **state)
{
    struct listen_socket *made;
    struct err err;
    (void)state;
    write_file("mine", "precious");
    assert_int_equal(try_bind("mine", &made, &err), ERR_UNAVAILABLE);
    assert_true(exists("mine"));
}

static void test_folder_that_others_can_write_to(void **state)
{
    struct listen_socket *made;
    struct err err;
    (void)state;
    assert_int_equal(chmod(test.folder, 0770), 0);
    assert_int_equal(try_bind("mine", &made, &err), ERR_DENIED);
    assert_int_equal(chmod(test.folder, 0707), 0);
    assert_int_equal(try_bind("mine", &made, &err), ERR_DENIED);
    assert_int_equal(chmod(test.folder, 0755), 0);
    assert_int_equal(try_bind("mine", &made, &err), 0);
    listen_socket_free(made);
}

static void test_missing_folder_is_made(void **state)
{
    struct listen_socket *made;
    struct stat about;
    struct err err;
    (void)state;
    mode_t mask = umask(0);
    assert_int_equal(try_bind("new/mine", &made, &err), 0);
    umask(mask);
    char *folder = scratch_path(test.folder, "new");
    assert_int_equal(stat(folder, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);
    assert_int_equal(close(connect_to("new/mine")), 0);
    listen_socket_free(made);
    assert_false(exists("new/mine"));
    /* One that is there is taken as it is, or not at all. */
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(try_bind("new/mine", &made, &err), ERR_DENIED);
    free(folder);
}

static void test_only_the_last_folder_is_made(void **state)
{
    struct listen_socket *made;
    struct err err;
    (void)state;
    assert_int_equal(try_bind("a/b/mine", &made, &err), ERR_SYSTEM);
    assert_non_null(strstr(err.text, "cannot make the folder"));
    assert_false(exists("a"));
}

static void test_folder_of_another_user(void **state)
{
    struct listen_socket *made;
    struct err err;
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(test.folder, 65534, 65534), 0);
    assert_int_equal(try_bind("mine", &made, &err), ERR_DENIED);
    assert_non_null(strstr(err.text, "65534"));
}

/* ---- socket activation ---- */

static void test_environment_is_for_this_process_alone(void **state)
{
    char number[32];
    int first, count;
    (void)state;
    snprintf(number, sizeof(number), "%ld", (long)getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", "2", 1);
    listen_inherited(&first, &count);
    assert_int_equal(first, 3);
    assert_int_equal(count, 2);
    assert_null(getenv("LISTEN_FDS"));
    listen_inherited(&first, &count);
    assert_int_equal(count, 0);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "2", 1);
    listen_inherited(&first, &count);
    assert_int_equal(count, 0);
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", "-1", 1);
    listen_inherited(&first, &count);
    assert_int_equal(count, 0);
}

/* A listening socket as systemd would make it; its address is put into the configuration. */
static int activate(void)
{
    struct listen_socket *made;
    struct err err;
    assert_int_equal(try_bind("socket", &made, &err), 0);
    int descriptor = dup(made->descriptor);
    assert_true(descriptor >= 0);
    made->is_inherited = true; /* its file stays */
    listen_socket_free(made);
    test.settings.inherited_first = descriptor;
    test.settings.inherited_count = 1;
    return descriptor;
}

static void test_inherited_socket_is_used(void **state)
{
    (void)state;
    int descriptor = activate();
    assert_int_equal(fcntl(descriptor, F_GETFD), 0);
    open_gates(OBEDIENT);
    assert_int_equal(fcntl(descriptor, F_GETFD), FD_CLOEXEC);
    int client = connect_to("socket");
    tell(1, "accept");
    assert_served_by(client, 1);
    gates_close(test.gates);
    test.gates = NULL;
    assert_true(exists("socket"));
}

/* The service manager has it too, so that nobody could bind it anew. */
static void test_inherited_socket_outlives_a_reload_without_it(void **state)
{
    struct err err;
    (void)state;
    int managers = dup(activate());
    open_gates(OBEDIENT);
    set_config(LISTENER("obedient", "unix:@/other"));
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    set_config(OBEDIENT);
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    WAIT_UNTIL(test.ready == 2 && gates_count(test.gates) == 1);
    int client = connect_to("socket");
    tell(3, "accept");
    assert_served_by(client, 3);
    close(managers);
}

static void test_inherited_socket_outlives_a_reload_that_fails(void **state)
{
    struct err err;
    (void)state;
    int managers = dup(activate());
    open_gates(LISTENER("obedient", "unix:@/other"));
    write_file("taken", "");
    set_config(LISTENER("obedient", "unix:@/socket unix:@/taken"));
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), ERR_UNAVAILABLE);
    set_config(OBEDIENT);
    assert_int_equal(gates_reload(test.gates, test.config, test.offers, &err), 0);
    WAIT_UNTIL(test.ready == 2 && gates_count(test.gates) == 1);
    close(managers);
}

static void test_inherited_socket_elsewhere_is_left_alone(void **state)
{
    (void)state;
    int descriptor = activate();
    open_gates(LISTENER("obedient", "unix:@/other"));
    assert_true(exists("other"));
    assert_int_equal(fcntl(descriptor, F_GETFD), 0);
    close(descriptor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int all_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tcp),
        TEST(test_ipv6_is_ipv6_only),
        TEST(test_address_of_another_machine),
        TEST(test_unix_socket_is_private_and_goes),
        TEST(test_live_unix_socket_is_not_taken),
        TEST(test_dead_unix_socket_is_replaced),
        TEST(test_file_is_not_replaced),
        TEST(test_folder_that_others_can_write_to),
        TEST(test_missing_folder_is_made),
        TEST(test_only_the_last_folder_is_made),
        TEST(test_folder_of_another_user),
        TEST(test_environment_is_for_this_process_alone),
        TEST(test_inherited_socket_is_used),
        TEST(test_inherited_socket_outlives_a_reload_without_it),
        TEST(test_inherited_socket_outlives_a_reload_that_fails),
        TEST(test_inherited_socket_elsewhere_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int count, char **arguments)
{
    return tests_or_gate(count, arguments, all_tests);
}
