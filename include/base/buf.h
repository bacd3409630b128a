/*
 * A bounded byte queue: appended at the end, consumed from the start. The maximum is given at init
 * and never exceeded. Memory is taken at the first append and given back when it runs empty (but
 * see buf_rewind); every byte is wiped before it is given back, since what passes before login is
 * secret.
 */
#ifndef ECLUSE_BASE_BUF_H
#define ECLUSE_BASE_BUF_H

#include <string.h>

#include "base/err.h"
#include "base/slice.h"

/* Small, since every session has several that are empty. */
struct buf {
    uint8_t *memory;
    uint32_t start, end; /* the bytes in use are memory[start..end) */
    uint32_t capacity;
    uint32_t maximum;
};

/* A maximum above UINT32_MAX is that. */
void buf_init(struct buf *buf, size_t maximum);
void buf_fini(struct buf *buf);

static inline size_t buf_size(const struct buf *buf)
{
    return buf->end - buf->start;
}
/* Bytes that may still be appended. */
static inline size_t buf_room(const struct buf *buf)
{
    return buf->maximum - buf_size(buf);
}
/* Borrowed; valid until the next call that changes the buffer. */
static inline struct slice buf_bytes(const struct buf *buf)
{
    return buf->memory == NULL ? SLICE_NONE : slice_of(buf->memory + buf->start, buf_size(buf));
}

/* Of buf_append, when the memory that is there is too small. */
MUST_CHECK int buf_append_growing(struct buf *buf, struct slice bytes);
/* All or nothing: ERR_FULL leaves the buffer as it was. */
MUST_CHECK static inline int buf_append(struct buf *buf, struct slice bytes)
{
    if (bytes.size == 0)
        return 0;
    if (bytes.size > buf->capacity - buf->end)
        return buf_append_growing(buf, bytes);
    memcpy(buf->memory + buf->end, bytes.data, bytes.size);
    buf->end += (uint32_t)bytes.size;
    return 0;
}
MUST_CHECK int buf_append_string(struct buf *buf, const char *string);
/* At most 1,024 octets a call; ENSUREd. */
MUST_CHECK int buf_append_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* ENSURE: count <= buf_size. */
void buf_consume(struct buf *buf, size_t count);
/* Empties, wipes and frees; the buffer may be used again. */
void buf_clear(struct buf *buf);
/* Empties what will be filled again and holds no secret: up to `keep` octets of memory stay, not
 * wiped; more is given back as by buf_clear. */
void buf_rewind(struct buf *buf, size_t keep);

#endif
