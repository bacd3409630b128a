/*
 * Failures: a program that was made setuid is refused, since its environment and arguments would be
 * another user's. All else is done as far as the system allows: a kernel that will not lock memory
 * or close descriptors is no reason not to serve mail.
 */
#include "cli/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "auth/oauth.h"
#include "base/secret.h"

#define SECRET_HEAP_SIZE (1024u * 1024)
/* Name look-ups may hold half of libuv's pool; derivations and the disk need the rest. */
#define THREAD_POOL_SIZE "8"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LEAK_CHECK 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_LEAK_CHECK 1
#endif

/* Neither a core file nor ptrace by another process of this user. LeakSanitizer traces its own
 * process at the end, so a build for tests has to stay dumpable. */
static void forbid_looking_inside(void)
{
#ifndef WITH_LEAK_CHECK
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/* Otherwise the first socket or file would become stdout, and be printed to. */
static bool open_standard_descriptors(void)
{
    int descriptor;
    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor < 0)
        return false;
    close(descriptor);
    return true;
}

static bool is_setuid(void)
{
    return getuid() != geteuid() || getgid() != getegid();
}

int process_prepare(struct err *err)
{
    mem_share_one_heap();
    if (!open_standard_descriptors())
        return err_set_errno(err, "/dev/null");
    if (is_setuid())
        return err_set(err, ERR_DENIED,
                       "it is installed setuid or setgid: refused; take that bit away");
    umask(S_IRWXG | S_IRWXO);
    forbid_looking_inside();
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", THREAD_POOL_SIZE, 1);
    process_open_crypto();
    secret_heap_open(SECRET_HEAP_SIZE);
    oauth_use_wiping_allocator();
    return 0;
}

void process_end(void)
{
    uv_library_shutdown();
}
