/*
 * The filter of system calls (seccomp(2), by libseccomp).
 *
 * Happy path: what happens to all calls that no rule names, the rules of the role, and it is
 * loaded for all threads.
 *
 * Failures: no filters in the kernel, which says so itself: left out. A name that this machine's
 * libseccomp or processor does not know: that rule is left out. Anything else: ERR_SYSTEM. Where
 * memory is short, libseccomp can go round in circles: that is the end of the process.
 *
 * The end of a process by a filter looks like the signal SIGSYS, and the kernel's log names the
 * call.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/confine_parts.h"

#define CALL_NAME_MAX    32u
#define MAKE_SECONDS_MAX 2 /* it takes milliseconds */

/* ---- the lists: words ---- */

static const char gate_calls[] =
    /* sockets and the loop */
    "read readv recvfrom recvmsg write writev sendto sendmsg accept4 connect shutdown close "
    "getsockname getpeername getsockopt setsockopt epoll_ctl epoll_wait epoll_pwait poll "
    "ppoll eventfd2 "
    /* the tables of peers, where there is no netlink */
    "lseek pread64 "
    /* files: Landlock says which; of the rest of a file system a gate needs nothing */
    "openat open "
    /* memory, time, chance */
    "brk munmap mremap madvise futex getrandom clock_gettime clock_getres clock_nanosleep "
    "nanosleep gettimeofday time "
    /* a process's own business */
    "getpid gettid getuid geteuid getgid getegid sched_yield rt_sigaction rt_sigprocmask "
    "rt_sigreturn sigaltstack restart_syscall exit exit_group";

/* Libraries try these (the time zone, the size of the machine) and go on without. */
static const char gate_probes[] =
    "access faccessat faccessat2 newfstatat fstat stat lstat statx readlink readlinkat "
    "getcwd prctl prlimit64 getrlimit sysinfo uname sched_getaffinity clone3 io_uring_setup "
    "getrusage";

#ifdef CONFINE_SANITIZED
static const char sanitizer_calls[] =
    "newfstatat fstat stat lstat statx readlink readlinkat getcwd access getdents getdents64 clone "
    "wait4 ptrace prctl prlimit64 getrlimit sysinfo uname sched_getaffinity set_robust_list "
    "rseq kill tkill process_vm_readv personality dup dup2 pipe2 getppid mincore arch_prctl";
#endif

static const char keeper_calls[] =
    /* files */
    "open openat openat2 creat stat lstat fstat newfstatat statx access faccessat faccessat2 "
    "readlink readlinkat getcwd getdents64 mkdir mkdirat rmdir rename renameat renameat2 "
    "unlink unlinkat link linkat chmod fchmod fchmodat fchmodat2 fchown utimensat truncate "
    "ftruncate fallocate fadvise64 fsync fdatasync sync_file_range flock lseek pread64 "
    "pwrite64 preadv pwritev preadv2 pwritev2 copy_file_range sendfile splice statfs fstatfs "
    "umask chdir fchdir "
    /* descriptors and the loop */
    "dup dup2 dup3 pipe pipe2 eventfd2 epoll_create1 timerfd_create timerfd_settime "
    "timerfd_gettime signalfd4 inotify_init1 inotify_add_watch inotify_rm_watch select "
    "pselect6 close_range fcntl ioctl pidfd_open pidfd_send_signal "
    /* sockets */
    "socketpair bind listen accept sendmmsg recvmmsg "
    /* memory; libraries are loaded late, as those of name look-ups */
    "mmap mprotect mlock mlock2 munlock msync membarrier mincore "
    /* threads and processes; whichever, since gates that are started later have this filter, too */
    "clone clone3 fork vfork execve wait4 waitid kill tkill tgkill set_tid_address "
    "set_robust_list get_robust_list rseq arch_prctl prctl setsid setpgid getpgid getpgrp getppid "
    "getsid "
    "sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max "
    "sched_get_priority_min getpriority prlimit64 getrlimit setrlimit getrusage getgroups "
    "getresuid getresgid getcpu capget rt_sigpending rt_sigsuspend rt_sigtimedwait pause "
    "alarm setitimer getitimer "
    /* the machine */
    "uname sysinfo times "
    /* the gates' own confinement */
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self";

/* Nothing that the keeper, a gate, or a library of theirs would ever do. */
static const char attacks[] =
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp execveat bpf "
    "perf_event_open userfaultfd add_key request_key keyctl init_module finit_module "
    "delete_module kexec_load kexec_file_load mount umount2 move_mount fsopen open_tree "
    "pivot_root chroot unshare setns setuid setgid setreuid setregid setresuid setresgid "
    "setfsuid setfsgid setgroups capset personality mknod mknodat reboot swapon swapoff "
    "settimeofday clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt quotactl acct "
    "syslog open_by_handle_at";

/* ---- rules ---- */

static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
               const struct scmp_arg_cmp *conditions)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int status = seccomp_rule_add_array(filter, action, number, count, conditions);
    /* Calls that this processor does not have, or a rule that says what happens anyway. */
    return status == -EDOM || status == -EEXIST || status == -EACCES ? 0 : status;
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const char *names)
{
    char name[CALL_NAME_MAX];
    int status = 0;
    for (const char *at = names; *at != '\0' && status == 0; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        ENSURE(length < sizeof(name));
        memcpy(name, at, length);
        name[length] = '\0';
        status = add(filter, action, name, 0, NULL);
        at += length;
    }
    return status;
}

/* As SCMP_A0_32 and its like, which leave a field unsaid. */
static struct scmp_arg_cmp is_equal(unsigned argument, uint32_t value)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
}

static int allow_socket(scmp_filter_ctx filter, int family, int type, int protocol)
{
    const struct scmp_arg_cmp conditions[] = {is_equal(0, (unsigned)family),
                                              SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xf, (unsigned)type),
                                              is_equal(2, (unsigned)protocol)};
    return add(filter, SCMP_ACT_ALLOW, "socket", type == 0 ? 1 : 3, conditions);
}

/* What the second argument says is to be done with a descriptor. F_SETOWN and F_SETSIG are not
 * among it: they have the kernel send a signal to any process. */
static const struct {
    const char *name;
    unsigned long command;
} gate_controls[] = {{"ioctl", FIONBIO}, {"ioctl", FIONREAD}, {"ioctl", FIOCLEX},
                     {"fcntl", F_GETFD}, {"fcntl", F_SETFD},  {"fcntl", F_GETFL},
                     {"fcntl", F_SETFL}};

/* TCP and no other protocol of streams: Landlock knows the ports of that one. Signals to itself
 * alone, which is how a process aborts. */
static int add_gate_arguments(scmp_filter_ctx filter)
{
    static const char *const mappings[] = {"mmap", "mprotect"};
    const struct scmp_arg_cmp not_to_run = SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp itself = is_equal(0, (uint32_t)getpid());
    int status = allow_socket(filter, AF_INET, SOCK_STREAM, 0);
    if (status == 0)
        status = allow_socket(filter, AF_INET6, SOCK_STREAM, 0);
    for (size_t i = 0; i < LENGTH_OF(mappings) && status == 0; i++)
        status = add(filter, SCMP_ACT_ALLOW, mappings[i], 1, &not_to_run);
    for (size_t i = 0; i < LENGTH_OF(gate_controls) && status == 0; i++) {
        const struct scmp_arg_cmp control = is_equal(1, (uint32_t)gate_controls[i].command);
        status = add(filter, SCMP_ACT_ALLOW, gate_controls[i].name, 1, &control);
    }
    if (status == 0)
        status = add(filter, SCMP_ACT_ALLOW, "tgkill", 1, &itself);
    return status;
}

static int add_gate(scmp_filter_ctx filter)
{
    int status = add_all(filter, SCMP_ACT_ALLOW, gate_calls);
#ifdef CONFINE_SANITIZED
    if (status == 0)
        status = add_all(filter, SCMP_ACT_ALLOW, sanitizer_calls);
#endif
    if (status == 0)
        status = add_gate_arguments(filter);
    return status != 0 ? status : add_all(filter, SCMP_ACT_ERRNO(ENOSYS), gate_probes);
}

static int add_keeper(scmp_filter_ctx filter)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    int status = add_all(filter, SCMP_ACT_ALLOW, gate_calls);
    if (status == 0)
        status = add_all(filter, SCMP_ACT_ALLOW, keeper_calls);
#ifdef CONFINE_SANITIZED
    if (status == 0)
        status = add_all(filter, SCMP_ACT_ALLOW, sanitizer_calls);
#endif
    for (size_t i = 0; i < LENGTH_OF(families) && status == 0; i++)
        status = allow_socket(filter, families[i], 0, 0);
    return status != 0 ? status : add_all(filter, SCMP_ACT_KILL_PROCESS, attacks);
}

/* ---- the filter ---- */

static int build(scmp_filter_ctx filter, enum confine_role role)
{
    int status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    /* A tree and not a list, so that the last call costs no more than the first. */
    if (status == 0)
        status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (status != 0)
        return status;
    return role == CONFINE_GATE ? add_gate(filter) : add_keeper(filter);
}

/* The number of no call is what a tracer puts in the place of one that it makes fail; the kernel
 * answers it by itself. No rule can name it. */
static const struct sock_filter prologue[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* The program behind the prologue; its length, or a negative errno. */
static int compile(scmp_filter_ctx filter, struct sock_filter program[BPF_MAXINSNS])
{
    int ends[2];
    memcpy(program, prologue, sizeof(prologue));
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    int status = seccomp_export_bpf(filter, ends[1]);
    close(ends[1]);
    size_t room = BPF_MAXINSNS * sizeof(*program) - sizeof(prologue);
    ssize_t size = status == 0 ? read(ends[0], program + LENGTH_OF(prologue), room) : 0;
    if (status == 0 && size <= 0)
        status = -EIO;
    close(ends[0]);
    return status != 0 ? status : (int)(LENGTH_OF(prologue) + (size_t)size / sizeof(*program));
}

/* As compile. */
static int make(enum confine_role role, struct sock_filter program[BPF_MAXINSNS])
{
    /* Libraries fall back where a call is not there; an unknown one must not cost the keeper. */
    scmp_filter_ctx filter =
        seccomp_init(role == CONFINE_GATE ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS));
    if (filter == NULL)
        return -ENOMEM;
    int status = build(filter, role);
    if (status == 0)
        status = compile(filter, program);
    seccomp_release(filter);
    return status;
}

static int load(struct sock_filter *program, int length)
{
    const struct sock_fprog whole = {.len = (unsigned short)length, .filter = program};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &whole) == 0
               ? 0
               : -errno;
}

/* Linux 4.14, and not switched off. */
static bool kernel_has_filters(void)
{
    const uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static void give_up(int signal_number)
{
    static const char text[] = "ecluse: error: the filter of system calls comes to no end\n";
    (void)signal_number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EX_OSERR);
}

/* By what it computes, not by the clock; 0: no more. */
static void limit_making(time_t seconds)
{
    (void)signal(SIGVTALRM, give_up);
    (void)setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_sec = seconds}, NULL);
}

int confine_calls(enum confine_role role, struct confine_result *result_out, struct err *err)
{
    if (!kernel_has_filters())
        return 0;
    struct sock_filter *program = mem_new_array(BPF_MAXINSNS, sizeof(*program));
    limit_making(MAKE_SECONDS_MAX);
    int length = make(role, program);
    limit_making(0);
    int status = length < 0 ? length : load(program, length);
    mem_free(program);
    result_out->has_filter = status == 0;
    if (status == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "the filter of system calls: %s", strerror(-status));
}
