/*
 * For the tests of confinement: files and listeners, some of them given, and a child for each
 * attempt, so that nothing of the test's own process is given up.
 */
#ifndef ECLUSE_TESTS_NET_CONFINE_GROUND_H
#define ECLUSE_TESTS_NET_CONFINE_GROUND_H

/* cmocka.h wants these four before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

static struct {
    char *folder;
    char inside[512], outside[512]; /* files: in a folder that is given, and beside it */
    int listeners[2];               /* the port of the first is given */
    uint16_t ports[2];
    int landlock;  /* version; 0: none */
    pid_t process; /* a gate may not ask for its parent */
} test;

/* ---- attempts: 0 it was done, else errno; or the process ends ---- */

static inline int result(bool done)
{
    return done ? 0 : errno;
}

static inline int open_file(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC, 0600);
    return result(descriptor >= 0);
}

static inline int read_passwords(void)
{
    return open_file("/etc/passwd", O_RDONLY);
}

static inline int write_outside(void)
{
    return open_file(test.outside, O_WRONLY | O_APPEND);
}

static inline int read_chance(void)
{
    return open_file("/dev/urandom", O_RDONLY);
}

static inline int connect_to(uint16_t port)
{
    const struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return errno;
    return result(connect(descriptor, (const struct sockaddr *)&there, sizeof(there)) == 0);
}

static inline int connect_given(void)
{
    return connect_to(test.ports[0]);
}

static inline int connect_foreign(void)
{
    return connect_to(test.ports[1]);
}

/* ---- children ---- */

struct outcome {
    int error;  /* -1: it was ended */
    int signal; /* by this one */
};

/* `give_up` confines the child, or ends it with status 200. */
static inline struct outcome attempt(void (*give_up)(void), int (*what)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        give_up();
        _exit(what());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return (struct outcome){-1, WTERMSIG(status)};
    assert_int_not_equal(WEXITSTATUS(status), 200);
    return (struct outcome){WEXITSTATUS(status), 0};
}

static inline void assert_done(void (*give_up)(void), int (*what)(void))
{
    struct outcome outcome = attempt(give_up, what);
    assert_int_equal(outcome.signal, 0);
    assert_int_equal(outcome.error, 0);
}

static inline void assert_error(void (*give_up)(void), int (*what)(void), int error)
{
    struct outcome outcome = attempt(give_up, what);
    assert_int_equal(outcome.signal, 0);
    assert_int_equal(outcome.error, error);
}

static inline void assert_ended(void (*give_up)(void), int (*what)(void))
{
    assert_int_equal(attempt(give_up, what).signal, SIGSYS);
}

/* What only Landlock can refuse. */
static inline void assert_refused(void (*give_up)(void), int (*what)(void))
{
    if (test.landlock > 0)
        assert_error(give_up, what, EACCES);
}

/* What sanitizers may do all the same. */
static inline void assert_ended_strictly(void (*give_up)(void), int (*what)(void))
{
    if (!IS_SANITIZED)
        assert_ended(give_up, what);
}

static inline void assert_refused_strictly(void (*give_up)(void), int (*what)(void))
{
    if (!IS_SANITIZED)
        assert_refused(give_up, what);
}

/* ---- the ground ---- */

static inline int set_up_listener(uint16_t *port_out)
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

static inline void make_file(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", test.folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("text\n", file);
    assert_int_equal(fclose(file), 0);
}

static inline int set_up(void **state)
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
    test.process = getpid();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(test.listeners); i++)
        close(test.listeners[i]);
    scratch_folder_remove(test.folder);
    return 0;
}

#endif
