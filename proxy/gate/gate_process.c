/*
 * Happy path: a loop, a gate on it, run until it has ended.
 *
 *   started by hand                no socket is descriptor 3: said, exit 70
 *   it cannot be opened            likewise
 */
#include "gate/gate.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_DESCRIPTOR  3
#define LISTENER_DESCRIPTOR 4
#define EXIT_INTERNAL       70 /* sysexits EX_SOFTWARE */

/* The keeper decides when a gate ends; a Ctrl-C reaches the whole process group. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < LENGTH_OF(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool is_socket(int descriptor)
{
    int type;
    socklen_t size = sizeof(type);
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* Nothing of it is left on the loop, which therefore ends. */
static void on_over(void *owner)
{
    (void)owner;
}

static int run(const struct log *log)
{
    struct loop loop;
    struct err err;
    if (loop_init(&loop, &err) != 0) {
        log_error(log, "%s", err.text);
        return EXIT_INTERNAL;
    }
    struct gate_settings settings = {.channel = CHANNEL_DESCRIPTOR,
                                     .listeners = LISTENER_DESCRIPTOR,
                                     .is_process = true,
                                     .on_over = on_over};
    gate_set_patience(&settings);
    /* The keeper ends a gate whose channel is closed: not before it has said why. */
    int held = fcntl(CHANNEL_DESCRIPTOR, F_DUPFD_CLOEXEC, 0);
    int status = gate_open(&loop, &settings, &err);
    if (status != 0)
        log_error(log, "%s", err.text);
    if (held >= 0)
        close(held);
    loop_run(&loop);
    loop_fini(&loop);
    return status == 0 ? 0 : EXIT_INTERNAL;
}

int gate_main(void)
{
    struct log log;
    log_init(&log, LOG_LEVEL_INFO, "gate");
    /* Before anything else takes that number. */
    if (!is_socket(CHANNEL_DESCRIPTOR)) {
        log_error(&log, "a gate is started by `ecluse run` alone");
        return EXIT_INTERNAL;
    }
    ignore_signals();
    raise_descriptor_limit();
    return run(&log);
}
