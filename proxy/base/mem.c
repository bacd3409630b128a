#include "base/mem.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIDE_MIN  16  /* fewer hold too little for a walk over the whole heap */
#define TIDE_HIGH 256 /* so many, and the blocks that the C library keeps are worth a look */

/* Blocks that the C library keeps for a thread that has freed them: so many of each size. */
#define KEPT_SIZES  64u
#define KEPT_BLOCKS 7u
#define SIZE_MIN    24u
#define SIZE_STEP   16u

struct mem_fillers {
    void *blocks[KEPT_SIZES * KEPT_BLOCKS];
};

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

static void take_blocks(struct mem_fillers *blocks)
{
    for (size_t i = 0; i < LENGTH_OF(blocks->blocks); i++)
        blocks->blocks[i] = not_null(malloc(i / KEPT_BLOCKS * SIZE_STEP + SIZE_MIN));
}

static void free_blocks(const struct mem_fillers *blocks)
{
    for (size_t i = 0; i < LENGTH_OF(blocks->blocks); i++)
        free(blocks->blocks[i]);
}

void mem_share_one_heap(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
}

static void take_fillers(struct mem_tide *tide)
{
    if (tide->fillers != NULL)
        return;
    struct mem_fillers kept;
    tide->fillers = mem_new(sizeof(*tide->fillers));
    take_blocks(&kept);
    take_blocks(tide->fillers);
    free_blocks(&kept);
}

/* The C library keeps the blocks that a thread has freed last for its next allocations, and does
 * not give them back: of what came and went in numbers they lie scattered, each in a page of its
 * own. The fillers, which lie together, take their places. */
static void free_scattered(const struct mem_fillers *fillers)
{
    struct mem_fillers scattered;
    take_blocks(&scattered);
    free_blocks(&scattered); /* now it keeps as many as it can */
    take_blocks(&scattered); /* and none */
    free_blocks(fillers);
    free_blocks(&scattered);
}

bool mem_tide_note(struct mem_tide *tide, size_t count)
{
    if (count > tide->peak)
        tide->peak = count;
    if (count >= TIDE_HIGH)
        take_fillers(tide);
    if (tide->peak < TIDE_MIN || count > tide->peak / 2)
        return tide->fillers != NULL && count < TIDE_MIN;
    tide->peak = count;
    (void)malloc_trim(0);
    return true;
}

void mem_tide_settle(struct mem_tide *tide)
{
    if (tide->fillers != NULL && tide->peak < TIDE_HIGH) {
        free_scattered(tide->fillers);
        mem_free(tide->fillers);
        tide->fillers = NULL;
    }
    (void)malloc_trim(0);
}

void mem_tide_fini(struct mem_tide *tide)
{
    if (tide->fillers != NULL)
        free_blocks(tide->fillers);
    mem_free(tide->fillers);
    tide->fillers = NULL;
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
