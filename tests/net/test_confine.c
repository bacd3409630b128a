/*
 * What a confined process can still do, tried in a child for each attempt: nothing of this test's
 * own process is given up.
 */
/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../include/net/confine_parts.h"
#include "../lib/scratch_folder.h"
#include "base/mem.h"

#define VERSION_PORTS 4
#ifdef CONFINE_SANITIZED
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif
#define PLACES_MAX 10

static struct {
    char *folder;
    char inside[512], outside[512]; /* files: in a folder that is given, and beside it */
    char program[64];
    int listeners[2]; /* the port of the first is given */
    uint16_t ports[2];
    int landlock;
} test;

/* ---- attempts: 0 it was done, else errno; or the process ends ---- */

static int result(bool done)
{
    return done ? 0 : errno;
}

static int open_file(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC, 0600);
    return result(descriptor >= 0);
}

static int read_inside(void)
{
    return open_file(test.inside, O_RDONLY);
}

static int read_outside(void)
{
    return open_file(test.outside, O_RDONLY);
}

static int read_passwords(void)
{
    return open_file("/etc/passwd", O_RDONLY);
}

static int write_outside(void)
{
    return open_file(test.outside, O_WRONLY | O_APPEND);
}

static int write_inside(void)
{
    return open_file(test.inside, O_WRONLY | O_TRUNC);
}

static int make_inside(void)
{
    char path[600];
    snprintf(path, sizeof(path), "%s.new", test.inside);
    int status = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
    return status != 0 ? status : result(rename(path, test.inside) == 0);
}

static int make_outside(void)
{
    char path[600];
    snprintf(path, sizeof(path), "%s.new", test.outside);
    return open_file(path, O_WRONLY | O_CREAT | O_EXCL);
}

static int remove_outside(void)
{
    return result(unlink(test.outside) == 0);
}

static int read_chance(void)
{
    return open_file("/dev/urandom", O_RDONLY);
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return errno;
    return result(connect(descriptor, (const struct sockaddr *)&there, sizeof(there)) == 0);
}

static int connect_given(void)
{
    return connect_to(test.ports[0]);
}

static int connect_foreign(void)
{
    return connect_to(test.ports[1]);
}

static int make_socket(int family, int type, int protocol)
{
    return result(socket(family, type | SOCK_CLOEXEC, protocol) >= 0);
}

static int make_udp(void)
{
    return make_socket(AF_INET, SOCK_DGRAM, 0);
}

static int make_multipath(void)
{
    return make_socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
}

static int make_unix(void)
{
    return make_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_netlink(void)
{
    return make_socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
}

static int make_packet(void)
{
    return make_socket(AF_PACKET, SOCK_DGRAM, 0);
}

static int bind_port(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result(bind(descriptor, (const struct sockaddr *)&any, sizeof(any)) == 0);
}

static int execute(const char *program)
{
    char *arguments[] = {(char[]){"true"}, NULL};
    char *environment[] = {NULL};
    execve(program, arguments, environment);
    return errno;
}

static int execute_true(void)
{
    return execute("/bin/true");
}

static int execute_by_descriptor(void)
{
    return (int)syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
}

static int start_process(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return result(child > 0 && waitpid(child, NULL, 0) == child);
}

static void *do_nothing(void *argument)
{
    return argument;
}

static int start_thread(void)
{
    pthread_t thread;
    int status = pthread_create(&thread, NULL, do_nothing, NULL);
    return status != 0 ? status : pthread_join(thread, NULL);
}

static int trace_parent(void)
{
    return result(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0);
}

static int read_memory_of_parent(void)
{
    return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) == 0);
}

static int signal_parent(void)
{
    return result(kill(getppid(), 0) == 0);
}

static int run_data(void)
{
    void *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(memory != MAP_FAILED);
}

static int make_data_run(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int new_name_space(void)
{
    return result(syscall(SYS_unshare, 0) == 0);
}

static int load_program_into_kernel(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0) == 0);
}

static int ask_io_uring(void)
{
    return result(syscall(SYS_io_uring_setup, 0, NULL) == 0);
}

/* A tracer that makes calls fail does it by this number. */
static int call_nothing(void)
{
    return result(syscall(-1) == 0);
}

static int look_up_name(void)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = getaddrinfo("localhost", "993", &hints, &found);
    if (status == 0)
        freeaddrinfo(found);
    return status;
}

static int take_memory(void)
{
    size_t size = 16u << 20;
    void *memory = mem_new(size);
    memset(memory, 1, size);
    mem_free(memory);
    return 0;
}

static int has_no_new_privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : EPERM;
}

/* ---- children ---- */

struct outcome {
    int error;  /* -1: it was ended */
    int signal; /* by this one */
};

static struct confinement
confinement_of(enum confine_role role, struct confine_place places[PLACES_MAX], const char *folder)
{
    size_t count = 0;
    places[count++] = (struct confine_place){"/dev/urandom", CONFINE_READ};
    places[count++] = (struct confine_place){"/does/not/exist", CONFINE_CHANGE};
    if (role == CONFINE_KEEPER) {
        places[count++] = (struct confine_place){folder, CONFINE_CHANGE};
        places[count++] = (struct confine_place){"/usr", CONFINE_RUN};
        places[count++] = (struct confine_place){"/lib", CONFINE_RUN};
        places[count++] = (struct confine_place){"/lib64", CONFINE_RUN};
        /* for names */
        places[count++] = (struct confine_place){"/etc/hosts", CONFINE_READ};
        places[count++] = (struct confine_place){"/etc/nsswitch.conf", CONFINE_READ};
        places[count++] = (struct confine_place){"/etc/resolv.conf", CONFINE_READ};
    }
    return (struct confinement){role, places, count, test.ports, 1};
}

static void confine_as(enum confine_role role)
{
    struct confine_place places[PLACES_MAX];
    struct confine_result result;
    struct err err;
    char folder[512];
    snprintf(folder, sizeof(folder), "%s/given", test.folder);
    const struct confinement confinement = confinement_of(role, places, folder);
    int status = confine(&confinement, &result, &err);
    if (status != 0)
        fprintf(stderr, "%s\n", err.text);
    if (status != 0 || !result.has_filter || result.landlock != test.landlock)
        _exit(200);
}

static struct outcome attempt(enum confine_role role, int (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        confine_as(role);
        _exit(what());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return (struct outcome){-1, WTERMSIG(status)};
    assert_int_not_equal(WEXITSTATUS(status), 200);
    return (struct outcome){WEXITSTATUS(status), 0};
}

static void assert_done(enum confine_role role, int (*what)(void))
{
    struct outcome outcome = attempt(role, what);
    assert_int_equal(outcome.signal, 0);
    assert_int_equal(outcome.error, 0);
}

static void assert_error(enum confine_role role, int (*what)(void), int error)
{
    struct outcome outcome = attempt(role, what);
    assert_int_equal(outcome.signal, 0);
    assert_int_equal(outcome.error, error);
}

static void assert_ended(enum confine_role role, int (*what)(void))
{
    assert_int_equal(attempt(role, what).signal, SIGSYS);
}

/* What only Landlock can refuse. */
static void assert_refused(enum confine_role role, int (*what)(void))
{
    if (test.landlock > 0)
        assert_error(role, what, EACCES);
}

/* What sanitizers may do all the same. */
static void assert_ended_strictly(enum confine_role role, int (*what)(void))
{
    if (!IS_SANITIZED)
        assert_ended(role, what);
}

static void assert_refused_strictly(enum confine_role role, int (*what)(void))
{
    if (!IS_SANITIZED)
        assert_refused(role, what);
}

/* ---- the ground ---- */

static int set_up_listener(uint16_t *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(descriptor, 64), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    *port_out = ntohs(address.sin_port);
    return descriptor;
}

static void make_file(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", test.folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("text\n", file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    char folder[512];
    (void)state;
    test.folder = scratch_folder_new();
    snprintf(folder, sizeof(folder), "%s/given", test.folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    make_file(test.inside, "given/inside");
    make_file(test.outside, "outside");
    for (size_t i = 0; i < LENGTH_OF(test.listeners); i++)
        test.listeners[i] = set_up_listener(&test.ports[i]);
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    test.landlock = version < 0 ? 0 : (int)version;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(test.listeners); i++)
        close(test.listeners[i]);
    scratch_folder_remove(test.folder);
    return 0;
}

/* ---- a gate ---- */

static void test_gate_does_its_work(void **state)
{
    (void)state;
    assert_done(CONFINE_GATE, connect_given);
    assert_done(CONFINE_GATE, read_chance);
    assert_done(CONFINE_GATE, take_memory);
}

static void test_gate_opens_no_file(void **state)
{
    (void)state;
    assert_refused(CONFINE_GATE, write_outside);
    assert_refused(CONFINE_GATE, make_outside);
    assert_refused_strictly(CONFINE_GATE, read_outside);
    assert_refused_strictly(CONFINE_GATE, read_inside);
    assert_refused_strictly(CONFINE_GATE, read_passwords);
    assert_ended(CONFINE_GATE, remove_outside);
}

static void test_gate_talks_to_its_ports_alone(void **state)
{
    (void)state;
    if (test.landlock >= VERSION_PORTS)
        assert_refused(CONFINE_GATE, connect_foreign);
    assert_ended(CONFINE_GATE, bind_port);
    assert_ended(CONFINE_GATE, make_udp);
    assert_ended(CONFINE_GATE, make_multipath);
    assert_ended(CONFINE_GATE, make_unix);
    assert_ended(CONFINE_GATE, make_netlink);
    assert_ended(CONFINE_GATE, make_packet);
}

static void test_gate_starts_nothing(void **state)
{
    (void)state;
    assert_ended(CONFINE_GATE, execute_true);
    assert_ended(CONFINE_GATE, execute_by_descriptor);
    assert_ended_strictly(CONFINE_GATE, run_data);
    assert_ended_strictly(CONFINE_GATE, make_data_run);
    assert_ended_strictly(CONFINE_GATE, start_process);
    assert_ended_strictly(CONFINE_GATE, start_thread);
}

static void test_gate_reaches_no_other_process(void **state)
{
    (void)state;
    if (IS_SANITIZED && test.landlock > 0)
        assert_error(CONFINE_GATE, trace_parent, EPERM);
    assert_ended_strictly(CONFINE_GATE, trace_parent);
    assert_ended_strictly(CONFINE_GATE, read_memory_of_parent);
    assert_ended_strictly(CONFINE_GATE, signal_parent);
    assert_ended(CONFINE_GATE, new_name_space);
    assert_ended(CONFINE_GATE, load_program_into_kernel);
}

static void test_calls_that_a_tracer_makes_fail(void **state)
{
    (void)state;
    assert_error(CONFINE_GATE, call_nothing, ENOSYS);
    assert_error(CONFINE_KEEPER, call_nothing, ENOSYS);
}

/* ---- the keeper ---- */

static void test_keeper_does_its_work(void **state)
{
    (void)state;
    assert_done(CONFINE_KEEPER, has_no_new_privileges);
    assert_done(CONFINE_KEEPER, read_inside);
    assert_done(CONFINE_KEEPER, write_inside);
    assert_done(CONFINE_KEEPER, make_inside);
    assert_done(CONFINE_KEEPER, connect_given);
    assert_done(CONFINE_KEEPER, connect_foreign);
    assert_done(CONFINE_KEEPER, bind_port);
    assert_done(CONFINE_KEEPER, make_udp);
    assert_done(CONFINE_KEEPER, make_unix);
    assert_done(CONFINE_KEEPER, make_netlink);
    assert_done(CONFINE_KEEPER, start_process);
    assert_done(CONFINE_KEEPER, start_thread);
    assert_done(CONFINE_KEEPER, execute_true);
    assert_done(CONFINE_KEEPER, look_up_name);
    assert_done(CONFINE_KEEPER, take_memory);
}

static void test_keeper_stays_in_its_folders(void **state)
{
    (void)state;
    assert_refused(CONFINE_KEEPER, write_outside);
    assert_refused(CONFINE_KEEPER, make_outside);
    assert_refused(CONFINE_KEEPER, remove_outside);
    assert_refused_strictly(CONFINE_KEEPER, read_outside);
    assert_refused_strictly(CONFINE_KEEPER, read_passwords);
}

static void test_keeper_attacks_nobody(void **state)
{
    (void)state;
    assert_ended(CONFINE_KEEPER, new_name_space);
    assert_ended(CONFINE_KEEPER, load_program_into_kernel);
    assert_ended(CONFINE_KEEPER, execute_by_descriptor);
    assert_ended_strictly(CONFINE_KEEPER, trace_parent);
    assert_ended_strictly(CONFINE_KEEPER, read_memory_of_parent);
    assert_error(CONFINE_KEEPER, make_packet, ENOSYS);
    assert_error(CONFINE_KEEPER, ask_io_uring, ENOSYS);
}

/* ---- when ---- */

static void *wait_for_the_end(void *argument)
{
    pause();
    return argument;
}

static int confine_with_a_thread(void)
{
    pthread_t thread;
    struct confine_place places[PLACES_MAX];
    struct confine_result result;
    const struct confinement confinement = confinement_of(CONFINE_KEEPER, places, test.folder);
    if (pthread_create(&thread, NULL, wait_for_the_end, NULL) != 0)
        return EIO;
    return confine(&confinement, &result, NULL) == ERR_BUSY ? 0 : EINVAL;
}

static void test_threads_would_escape(void **state)
{
    int status;
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(confine_with_a_thread());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* As a gate is, whose keeper was confined before it. */
static int confine_again(void)
{
    confine_as(CONFINE_GATE);
    return connect_given();
}

static void test_gate_of_a_confined_keeper(void **state)
{
    (void)state;
    assert_done(CONFINE_KEEPER, confine_again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_does_its_work),
        cmocka_unit_test(test_gate_opens_no_file),
        cmocka_unit_test(test_gate_talks_to_its_ports_alone),
        cmocka_unit_test(test_gate_starts_nothing),
        cmocka_unit_test(test_gate_reaches_no_other_process),
        cmocka_unit_test(test_calls_that_a_tracer_makes_fail),
        cmocka_unit_test(test_keeper_does_its_work),
        cmocka_unit_test(test_keeper_stays_in_its_folders),
        cmocka_unit_test(test_keeper_attacks_nobody),
        cmocka_unit_test(test_threads_would_escape),
        cmocka_unit_test(test_gate_of_a_confined_keeper),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
