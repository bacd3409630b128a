/*
 * The C library's allocator, of which the k-th call of one process fails. Linked into the program
 * in its place; what is to fail stands in the file `control` beside the program, mapped and shared,
 * so that a test can set it while the program runs, also in a process that can open no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
    _Atomic int process;    /* whose calls count; 0: nobody's */
    _Atomic int countdown;  /* the call at which it becomes 0 fails */
    _Atomic int has_struck; /* so many calls have failed */
};

#define EXPORTED __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t count, size_t size);
EXPORTED void *realloc(void *memory, size_t size);
EXPORTED int posix_memalign(void **memory_out, size_t alignment, size_t size);
EXPORTED void *aligned_alloc(size_t alignment, size_t size);

static struct control *control;

__attribute__((constructor)) static void open_control(void)
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
    if (memory != MAP_FAILED)
        control = memory;
}

static int fails(void)
{
    if (control == NULL || control->process == 0 || control->process != getpid() ||
        atomic_fetch_sub(&control->countdown, 1) != 1)
        return 0;
    control->has_struck++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory_out, size_t alignment, size_t size)
{
    void *memory = fails() ? NULL : __libc_memalign(alignment, size);
    if (memory == NULL)
        return ENOMEM;
    *memory_out = memory;
    return 0;
}
