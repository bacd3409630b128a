/*
 * Memory, assertions and the few macros that every room uses.
 *
 * Small fixed allocations abort when memory is out: there is no sensible way on. Anything that a
 * peer can make grow is a `struct buf` or a container with a maximum, which fails with ERR_FULL.
 */
#ifndef ECLUSE_BASE_MEM_H
#define ECLUSE_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NO_RETURN         __attribute__((noreturn))
#define LENGTH_OF(array)  (sizeof(array) / sizeof((array)[0]))

/* A large local that is written before it is read, where zeroing it would cost: the compiler is
 * told to zero all others. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define FILLED_LATER __attribute__((uninitialized))
#endif
#endif
#ifndef FILLED_LATER
#define FILLED_LATER
#endif

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* An invariant of our own. Always compiled in: a broken invariant ends the process, never a
 * fail-open. */
#define ENSURE(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            mem_broken(#condition, __FILE__, __LINE__);                                            \
    } while (0)

/* A place that is never come to. */
#define UNREACHABLE(text) mem_broken(text, __FILE__, __LINE__)

NO_RETURN void mem_broken(const char *condition, const char *file, int line);

/* Zero-filled, never NULL. Freed by mem_free. */
void *mem_new(size_t size);
/* As mem_new for `count` elements; aborts when the product overflows. */
void *mem_new_array(size_t count, size_t size);
/* As realloc, never NULL; new bytes are not initialised. */
void *mem_resize(void *memory, size_t size);
void mem_free(void *memory);

/* For the threads of a process, before there is a second one: each would keep what it freed in a
 * heap of its own. */
void mem_share_one_heap(void);
/* For things that come and go in numbers, such as sessions: told how many there are whenever that
 * changes, it gives what was freed back to the system when half of the most have gone. The freed
 * memory lies between what is still in use, so that the allocator would keep it. All zero at the
 * start. */
struct mem_tide {
    size_t peak;
    struct mem_fillers *fillers; /* NULL, or blocks that take the place of scattered ones */
};
/* True: mem_tide_settle is due in a while, when what the last of them left is freed too. */
MUST_CHECK bool mem_tide_note(struct mem_tide *tide, size_t count);
void mem_tide_settle(struct mem_tide *tide);
void mem_tide_fini(struct mem_tide *tide);

/* NUL-terminated copies, freed by mem_free. */
char *mem_copy_string(const char *string);
char *mem_copy_bytes_as_string(const void *bytes, size_t size);

/* Overwrites in a way that the compiler may not remove. */
void mem_wipe(void *memory, size_t size);
/* Wipes a NUL-terminated string up to its end and frees it. NULL is fine. */
void mem_free_wiped_string(char *string);

#endif
