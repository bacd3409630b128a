#include "base/mem.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIDE_MIN 16 /* fewer hold too little for a walk over the whole heap */

void mem_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "ecluse: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}

static void *not_null(void *memory)
{
    if (memory == NULL) {
        fputs("ecluse: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *mem_new(size_t size)
{
    return not_null(calloc(1, size == 0 ? 1 : size));
}

void *mem_new_array(size_t count, size_t size)
{
    return not_null(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_resize(void *memory, size_t size)
{
    return not_null(realloc(memory, size == 0 ? 1 : size));
}

void mem_free(void *memory)
{
    free(memory);
}

void mem_share_one_heap(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
}

void mem_tide_note(struct mem_tide *tide, size_t count)
{
    if (count > tide->peak)
        tide->peak = count;
    if (tide->peak < TIDE_MIN || count > tide->peak / 2)
        return;
    tide->peak = count;
    (void)malloc_trim(0);
}

char *mem_copy_string(const char *string)
{
    return mem_copy_bytes_as_string(string, strlen(string));
}

char *mem_copy_bytes_as_string(const void *bytes, size_t size)
{
    char *copy = not_null(malloc(size + 1));
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

void mem_wipe(void *memory, size_t size)
{
    if (memory != NULL)
        OPENSSL_cleanse(memory, size);
}

void mem_free_wiped_string(char *string)
{
    if (string == NULL)
        return;
    mem_wipe(string, strlen(string));
    mem_free(string);
}
