/*
 * The size of a block is asked of malloc itself (malloc_usable_size), so that blocks need no head
 * of their own and may be freed by either side.
 */
#include "auth/wiping_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void *wiping_malloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *wiping_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void *wiping_realloc(void *memory, size_t size)
{
    void *moved = wiping_malloc(size);
    if (moved == NULL || memory == NULL)
        return moved;
    size_t old_size = malloc_usable_size(memory);
    memcpy(moved, memory, old_size < size ? old_size : size);
    wiping_free(memory);
    return moved;
}

void wiping_free(void *memory)
{
    if (memory == NULL)
        return;
    mem_wipe(memory, malloc_usable_size(memory));
    free(memory);
}
