/*
 * The C library's allocator, of which the k-th call of one process fails, or a few calls from the
 * k-th on. Linked into the program in its place; what is to fail stands in the file `control`
 * beside the program, mapped and shared, so that a test can set it while the program runs, also in
 * a process that can open no file. It may be a link to where a process that is confined may look.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* See tests/e2e/starving.py. */
struct control {
    _Atomic int process;   /* whose calls count; 0: nobody's */
    _Atomic int countdown; /* the call at which it becomes 0 fails */
    _Atomic int burst;     /* so many calls fail in a row, from that on */
    _Atomic int struck;    /* so many calls have failed */
    _Atomic int awaited;   /* enum role: the next process of that role becomes `process` */
    _Atomic int gate;      /* the gate that was started last */
    _Atomic int watched;   /* whose blocks are counted; 0: nobody's */
    _Atomic int blocks;    /* that it has taken, less those that it has given back */
    _Atomic int is_shown;  /* where it fails is written to stderr */
};

enum role { ROLE_NONE, ROLE_KEEPER, ROLE_GATE };

#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t count, size_t size);
EXPORTED void *realloc(void *memory, size_t size);
EXPORTED int posix_memalign(void **memory_out, size_t alignment, size_t size);
EXPORTED void *aligned_alloc(size_t alignment, size_t size);
EXPORTED void free(void *memory);

static struct control *control;

static void show_stack(void)
{
    void *places[40];
    backtrace_symbols_fd(places, backtrace(places, 40), STDERR_FILENO);
}

static void on_crash(int signal_number)
{
    show_stack();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* Also where the stack is full. */
static void watch_crashes(void)
{
    static char memory[1 << 16];
    const stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    (void)sigaltstack(&stack, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGABRT, &action, NULL);
}

static enum role role_of(int count, char **arguments)
{
    if (count < 2)
        return ROLE_NONE;
    if (strcmp(arguments[1], "gate") == 0)
        return ROLE_GATE;
    return strcmp(arguments[1], "run") == 0 ? ROLE_KEEPER : ROLE_NONE;
}

/* The C library gives a constructor what it gives main. */
__attribute__((constructor)) static void open_control(int count, char **arguments)
{
    char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - sizeof("control"));
    if (size <= 0)
        return;
    path[size] = '\0';
    char *name = strrchr(path, '/') + 1;
    memcpy(name, "control", sizeof("control"));
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *memory = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return;
    void *place;
    (void)backtrace(&place, 1); /* what it loads, it loads now */
    watch_crashes();
    control = memory;
    enum role role = role_of(count, arguments);
    if (role == ROLE_GATE)
        control->gate = getpid();
    int awaited = (int)role;
    if (role != ROLE_NONE && atomic_compare_exchange_strong(&control->awaited, &awaited, ROLE_NONE))
        control->process = getpid();
}

static bool fails(void)
{
    if (control == NULL || control->process == 0 || control->process != getpid())
        return false;
    int left = atomic_fetch_sub(&control->countdown, 1);
    if (left > 1 || left <= 1 - control->burst)
        return false;
    control->struck++;
    if (control->is_shown)
        show_stack();
    errno = ENOMEM;
    return true;
}

static void count(int blocks)
{
    if (control != NULL && control->watched != 0 && control->watched == getpid())
        control->blocks += blocks;
}

static void *taken(void *memory)
{
    if (memory != NULL)
        count(1);
    return memory;
}

void *malloc(size_t size)
{
    return fails() ? NULL : taken(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
    return fails() ? NULL : taken(__libc_calloc(number, size));
}

void *realloc(void *memory, size_t size)
{
    if (fails())
        return NULL;
    void *moved = __libc_realloc(memory, size);
    if (memory == NULL)
        return taken(moved);
    if (size == 0)
        count(-1);
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : taken(__libc_memalign(alignment, size));
}

int posix_memalign(void **memory_out, size_t alignment, size_t size)
{
    void *memory = fails() ? NULL : taken(__libc_memalign(alignment, size));
    if (memory == NULL)
        return ENOMEM;
    *memory_out = memory;
    return 0;
}

void free(void *memory)
{
    if (memory != NULL)
        count(-1);
    __libc_free(memory);
}
