/*
 * What the targets share whose input is a sequence of steps: its parts, and the marks by which a
 * secret is found that has got out.
 */
#ifndef ECLUSE_TESTS_STEPS_H
#define ECLUSE_TESTS_STEPS_H

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"

/* Passwords in the seeds hold this, and a server that is sent any of it got a password. The other
 * forms are its base64 at the three places where it can stand in a group. */
static const char *const password_marks[] = {"M4RK3R", "TTRSSzNS", "00UkszU", "NNFJLM1"};
static const char *const token_marks[] = {"t0Ken", "dDBLZW", "QwS2Vu", "0MEtlb"};

/* There in builds with ASan. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static inline size_t allocated(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : mallinfo2().uordblks + mallinfo2().hblkhd;
}

static inline bool contains(struct slice bytes, const char *mark)
{
    return bytes.size > 0 && memmem(bytes.data, bytes.size, mark, strlen(mark)) != NULL;
}

static inline uint8_t take_octet(struct slice *input)
{
    uint8_t octet = input->size > 0 ? input->data[0] : 0;
    *input = slice_skip(*input, 1);
    return octet;
}

static inline size_t take_size(struct slice *input)
{
    size_t high = take_octet(input);
    return high << 8 | take_octet(input);
}

static inline struct slice take_bytes(struct slice *input, size_t size)
{
    struct slice bytes = slice_take(*input, size);
    *input = slice_skip(*input, size);
    return bytes;
}

#endif
