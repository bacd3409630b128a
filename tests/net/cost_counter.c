/*
 * Stands before the C library: each function here counts, if the loop runs, and does what it is
 * named after. The C library's own declarations are not included: the hardened ones are inline and
 * would collide with these.
 */
#include "cost_counter.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/types.h>

static struct costs costs;

bool costs_are_counted(void)
{
#ifdef __SANITIZE_ADDRESS__
    return false;
#else
    return true;
#endif
}

struct costs costs_now(void)
{
    return costs;
}

#ifndef __SANITIZE_ADDRESS__
long syscall(long number, ...);

static bool is_running;

/* So that the shared libraries find these too. */
#pragma GCC visibility push(default)

/* ---- the loop ---- */

int uv_run(void *loop, int mode);

int uv_run(void *loop, int mode)
{
    static int (*real)(void *, int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "uv_run");
    is_running = true;
    int result = real(loop, mode);
    is_running = false;
    return result;
}

/* ---- system calls ---- */

struct iovec_like {
    void *base;
    size_t size;
};

ssize_t read(int descriptor, void *out, size_t size);
ssize_t recv(int descriptor, void *out, size_t size, int flags);
ssize_t write(int descriptor, const void *bytes, size_t size);
ssize_t writev(int descriptor, const struct iovec_like *parts, int count);
ssize_t send(int descriptor, const void *bytes, size_t size, int flags);
int epoll_ctl(int epoll, int operation, int descriptor, void *event);
int setsockopt(int descriptor, int level, int name, const void *value, unsigned size);
int getsockopt(int descriptor, int level, int name, void *value, unsigned *size);
int getsockname(int descriptor, void *address, unsigned *size);
int getpeername(int descriptor, void *address, unsigned *size);
int ioctl(int descriptor, unsigned long request, ...);
int shutdown(int descriptor, int how);
int close(int descriptor);
int socket(int family, int type, int protocol);
int connect(int descriptor, const void *address, unsigned size);
int accept4(int descriptor, void *address, unsigned *size, int flags);

static ssize_t count_read(ssize_t size)
{
    costs.reads += is_running;
    return size;
}

static ssize_t count_write(ssize_t size)
{
    costs.writes += is_running;
    if (is_running && size > 0)
        costs.octets_written += (size_t)size;
    return size;
}

static int count_other(long result)
{
    costs.other_calls += is_running;
    return (int)result;
}

ssize_t read(int descriptor, void *out, size_t size)
{
    return count_read(syscall(SYS_read, descriptor, out, size));
}

ssize_t recv(int descriptor, void *out, size_t size, int flags)
{
    return count_read(syscall(SYS_recvfrom, descriptor, out, size, flags, NULL, NULL));
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    return count_write(syscall(SYS_write, descriptor, bytes, size));
}

ssize_t writev(int descriptor, const struct iovec_like *parts, int count)
{
    return count_write(syscall(SYS_writev, descriptor, parts, count));
}

ssize_t send(int descriptor, const void *bytes, size_t size, int flags)
{
    return count_write(syscall(SYS_sendto, descriptor, bytes, size, flags, NULL, 0));
}

int epoll_ctl(int epoll, int operation, int descriptor, void *event)
{
    return count_other(syscall(SYS_epoll_ctl, epoll, operation, descriptor, event));
}

int setsockopt(int descriptor, int level, int name, const void *value, unsigned size)
{
    return count_other(syscall(SYS_setsockopt, descriptor, level, name, value, size));
}

int getsockopt(int descriptor, int level, int name, void *value, unsigned *size)
{
    return count_other(syscall(SYS_getsockopt, descriptor, level, name, value, size));
}

int getsockname(int descriptor, void *address, unsigned *size)
{
    return count_other(syscall(SYS_getsockname, descriptor, address, size));
}

int getpeername(int descriptor, void *address, unsigned *size)
{
    return count_other(syscall(SYS_getpeername, descriptor, address, size));
}

int ioctl(int descriptor, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return count_other(syscall(SYS_ioctl, descriptor, request, argument));
}

int shutdown(int descriptor, int how)
{
    return count_other(syscall(SYS_shutdown, descriptor, how));
}

int close(int descriptor)
{
    return count_other(syscall(SYS_close, descriptor));
}

int socket(int family, int type, int protocol)
{
    return count_other(syscall(SYS_socket, family, type, protocol));
}

int connect(int descriptor, const void *address, unsigned size)
{
    return count_other(syscall(SYS_connect, descriptor, address, size));
}

int accept4(int descriptor, void *address, unsigned *size, int flags)
{
    return count_other(syscall(SYS_accept4, descriptor, address, size, flags));
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);

static void count_allocation(size_t size)
{
    if (!is_running)
        return;
    costs.allocations++;
    costs.octets_allocated += size;
}

void *malloc(size_t size)
{
    count_allocation(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_allocation(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    count_allocation(size);
    return __libc_realloc(memory, size);
}

#pragma GCC visibility pop
#endif
