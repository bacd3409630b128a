/*
 * What a confined process can still do, tried in a child for each attempt: nothing of this test's
 * own process is given up.
 */
#include "confine_ground.h"

#include <linux/netlink.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#define VERSION_TRUNCATE 3
#define VERSION_SCOPES   6
#define PLACES_MAX       10

/* ---- attempts: 0 it was done, else errno; or the process ends ---- */

static int read_inside(void)
{
    return open_file(test.inside, O_RDONLY);
}

static int read_outside(void)
{
    return open_file(test.outside, O_RDONLY);
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

static int truncate_outside(void)
{
    return result(truncate(test.outside, 0) == 0);
}

static int remove_outside(void)
{
    return result(unlink(test.outside) == 0);
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

/* And nothing else that a gate may not, as waiting for it. */
static int split_process(void)
{
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0)
        _exit(0);
    return result(child > 0);
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
    return result(ptrace(PTRACE_SEIZE, test.process, NULL, NULL) == 0);
}

static int read_memory_of_parent(void)
{
    return result(syscall(SYS_process_vm_readv, test.process, NULL, 0, NULL, 0, 0) == 0);
}

static int write_memory_of_parent(void)
{
    return result(syscall(SYS_process_vm_writev, test.process, NULL, 0, NULL, 0, 0) == 0);
}

static int signal_parent(void)
{
    return result(kill(test.process, 0) == 0);
}

static int signal_thread_of_parent(void)
{
    return result(syscall(SYS_tgkill, test.process, test.process, 0) == 0);
}

/* With F_SETSIG and O_ASYNC it is any signal, whenever the socket has something to say. */
static int signal_parent_by_socket(void)
{
    return result(fcntl(test.listeners[0], F_SETOWN, test.process) == 0);
}

static int choose_signal_of_socket(void)
{
    return result(fcntl(test.listeners[0], F_SETSIG, SIGKILL) == 0);
}

static int signal_itself(void)
{
    return result(raise(0) == 0);
}

static int make_nonblocking(void)
{
    int flags = fcntl(test.listeners[0], F_GETFL);
    return result(flags >= 0 && fcntl(test.listeners[0], F_SETFL, flags | O_NONBLOCK) == 0 &&
                  fcntl(test.listeners[0], F_SETFD, fcntl(test.listeners[0], F_GETFD)) == 0);
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

static void end_unless(int status, const struct err *err, bool is_whole)
{
    if (status != 0)
        fprintf(stderr, "%s\n", err->text);
    if (status != 0 || !is_whole)
        _exit(200);
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
    end_unless(status, &err, result.has_filter && result.landlock == test.landlock);
}

static void as_gate(void)
{
    confine_as(CONFINE_GATE);
}

static void as_keeper(void)
{
    confine_as(CONFINE_KEEPER);
}

/* Each of the two that hold a gate, so that neither hides that the other does not. */
static void as_gate_by_landlock_alone(void)
{
    struct confine_place places[PLACES_MAX];
    struct confine_result result = {0};
    struct err err;
    const struct confinement confinement = confinement_of(CONFINE_GATE, places, "");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(200);
    int status = confine_files(&confinement, &result, &err);
    end_unless(status, &err, result.landlock == test.landlock);
}

static void as_gate_by_filter_alone(void)
{
    struct confine_result result = {0};
    struct err err;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(200);
    int status = confine_calls(CONFINE_GATE, &result, &err);
    end_unless(status, &err, result.has_filter);
}

/* ---- a gate ---- */

static void test_gate_does_its_work(void **state)
{
    (void)state;
    assert_done(as_gate, connect_given);
    assert_done(as_gate, read_chance);
    assert_done(as_gate, take_memory);
}

static void test_gate_opens_no_file(void **state)
{
    (void)state;
    assert_refused(as_gate, write_outside);
    assert_refused(as_gate, make_outside);
    assert_refused_strictly(as_gate, read_outside);
    assert_refused_strictly(as_gate, read_inside);
    assert_refused_strictly(as_gate, read_passwords);
    assert_ended(as_gate, remove_outside);
}

static void test_gate_talks_to_its_ports_alone(void **state)
{
    (void)state;
    if (test.landlock >= VERSION_PORTS)
        assert_refused(as_gate, connect_foreign);
    assert_ended(as_gate, bind_port);
    assert_ended(as_gate, make_udp);
    assert_ended(as_gate, make_multipath);
    assert_ended(as_gate, make_unix);
    assert_ended(as_gate, make_netlink);
    assert_ended(as_gate, make_packet);
}

static void test_gate_starts_nothing(void **state)
{
    (void)state;
    assert_ended(as_gate, execute_true);
    assert_ended(as_gate, execute_by_descriptor);
    assert_ended_strictly(as_gate, run_data);
    assert_ended_strictly(as_gate, make_data_run);
    assert_ended_strictly(as_gate, split_process);
    assert_ended_strictly(as_gate, start_thread);
}

static void test_gate_reaches_no_other_process(void **state)
{
    (void)state;
    if (IS_SANITIZED && test.landlock > 0)
        assert_error(as_gate, trace_parent, EPERM);
    assert_ended_strictly(as_gate, trace_parent);
    assert_ended_strictly(as_gate, read_memory_of_parent);
    assert_ended_strictly(as_gate, write_memory_of_parent);
    assert_ended_strictly(as_gate, signal_parent);
    assert_ended(as_gate, new_name_space);
    assert_ended(as_gate, load_program_into_kernel);
}

/* Landlock's scopes come with Linux 6.12; the filter holds without them. */
static void test_gate_signals_itself_alone(void **state)
{
    (void)state;
    if (test.landlock >= VERSION_SCOPES) {
        assert_error(as_gate_by_landlock_alone, signal_parent, EPERM);
        assert_error(as_gate_by_landlock_alone, signal_thread_of_parent, EPERM);
    }
    assert_ended(as_gate_by_filter_alone, signal_thread_of_parent);
    assert_ended(as_gate_by_filter_alone, signal_parent_by_socket);
    assert_ended(as_gate_by_filter_alone, choose_signal_of_socket);
    assert_done(as_gate, signal_itself);
    assert_done(as_gate, make_nonblocking);
}

static void test_calls_that_a_tracer_makes_fail(void **state)
{
    (void)state;
    assert_error(as_gate, call_nothing, ENOSYS);
    assert_error(as_keeper, call_nothing, ENOSYS);
}

/* ---- the keeper ---- */

static void test_keeper_does_its_work(void **state)
{
    (void)state;
    assert_done(as_keeper, has_no_new_privileges);
    assert_done(as_keeper, read_inside);
    assert_done(as_keeper, write_inside);
    assert_done(as_keeper, make_inside);
    assert_done(as_keeper, connect_given);
    assert_done(as_keeper, connect_foreign);
    assert_done(as_keeper, bind_port);
    assert_done(as_keeper, make_udp);
    assert_done(as_keeper, make_unix);
    assert_done(as_keeper, make_netlink);
    assert_done(as_keeper, start_process);
    assert_done(as_keeper, start_thread);
    assert_done(as_keeper, execute_true);
    assert_done(as_keeper, look_up_name);
    assert_done(as_keeper, take_memory);
}

static void test_keeper_stays_in_its_folders(void **state)
{
    (void)state;
    assert_refused(as_keeper, write_outside);
    assert_refused(as_keeper, make_outside);
    assert_refused(as_keeper, remove_outside);
    if (test.landlock >= VERSION_TRUNCATE)
        assert_refused(as_keeper, truncate_outside);
    assert_refused_strictly(as_keeper, read_outside);
    assert_refused_strictly(as_keeper, read_passwords);
}

static void test_keeper_attacks_nobody(void **state)
{
    (void)state;
    assert_ended(as_keeper, new_name_space);
    assert_ended(as_keeper, load_program_into_kernel);
    assert_ended(as_keeper, execute_by_descriptor);
    assert_ended_strictly(as_keeper, trace_parent);
    assert_ended_strictly(as_keeper, read_memory_of_parent);
    assert_ended_strictly(as_keeper, write_memory_of_parent);
    assert_error(as_keeper, make_packet, ENOSYS);
    assert_error(as_keeper, ask_io_uring, ENOSYS);
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
    as_gate();
    return connect_given();
}

static void test_gate_of_a_confined_keeper(void **state)
{
    (void)state;
    assert_done(as_keeper, confine_again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_does_its_work),
        cmocka_unit_test(test_gate_opens_no_file),
        cmocka_unit_test(test_gate_talks_to_its_ports_alone),
        cmocka_unit_test(test_gate_starts_nothing),
        cmocka_unit_test(test_gate_reaches_no_other_process),
        cmocka_unit_test(test_gate_signals_itself_alone),
        cmocka_unit_test(test_calls_that_a_tracer_makes_fail),
        cmocka_unit_test(test_keeper_does_its_work),
        cmocka_unit_test(test_keeper_stays_in_its_folders),
        cmocka_unit_test(test_keeper_attacks_nobody),
        cmocka_unit_test(test_threads_would_escape),
        cmocka_unit_test(test_gate_of_a_confined_keeper),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
