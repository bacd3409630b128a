/*
 * Long input out of a short one.
 */
#ifndef ECLUSE_TESTS_REPEAT_H
#define ECLUSE_TESTS_REPEAT_H

#include <string.h>

#include "base/slice.h"

/* `unit` as often as it fits into `size` octets; the caller's, by free_slice. */
static struct slice repeat(const char *unit, size_t size)
{
    size_t length = strlen(unit), count = size / length;
    char *bytes = mem_new(count * length);
    for (size_t i = 0; i < count; i++)
        memcpy(bytes + i * length, unit, length);
    return slice_of(bytes, count * length);
}

static void free_slice(struct slice bytes)
{
    mem_free((void *)(uintptr_t)bytes.data);
}

#endif
