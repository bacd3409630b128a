/*
 * malloc and free for libraries that keep secrets in memory of their own (libsasl2, jansson):
 * every byte is wiped before it is given back. NULL when memory is out, as those libraries expect.
 */
#ifndef ECLUSE_AUTH_WIPING_MEMORY_H
#define ECLUSE_AUTH_WIPING_MEMORY_H

#include <stddef.h>

void *wiping_malloc(size_t size);
void *wiping_calloc(size_t count, size_t size);
/* Always moves: realloc could leave a copy behind. */
void *wiping_realloc(void *memory, size_t size);
void wiping_free(void *memory);

#endif
