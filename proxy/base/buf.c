#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_FIRST_CAPACITY 256

void buf_init(struct buf *buf, size_t maximum)
{
    *buf = (struct buf){.maximum = maximum < UINT32_MAX ? (uint32_t)maximum : UINT32_MAX};
}

void buf_fini(struct buf *buf)
{
    buf_clear(buf);
}

/* Moves the bytes to the start of memory that is large enough for `more`. A fresh block and a wipe
 * of the old one, not realloc, which would leave a copy behind. */
static void make_room(struct buf *buf, size_t more)
{
    size_t used = buf_size(buf);
    if (buf->start > 0 && used + more <= buf->capacity) {
        memmove(buf->memory, buf->memory + buf->start, used);
        mem_wipe(buf->memory + used, buf->end - used);
    } else {
        size_t capacity = buf->capacity == 0 ? BUF_FIRST_CAPACITY : buf->capacity;
        while (capacity < used + more)
            capacity *= 2;
        if (capacity > buf->maximum)
            capacity = buf->maximum;
        uint8_t *memory = mem_new(capacity);
        if (used > 0)
            memcpy(memory, buf->memory + buf->start, used);
        mem_wipe(buf->memory, buf->capacity);
        mem_free(buf->memory);
        buf->memory = memory;
        buf->capacity = (uint32_t)capacity;
    }
    buf->start = 0;
    buf->end = (uint32_t)used;
}

int buf_append_growing(struct buf *buf, struct slice bytes)
{
    if (bytes.size > buf_room(buf))
        return ERR_FULL;
    make_room(buf, bytes.size);
    memcpy(buf->memory + buf->end, bytes.data, bytes.size);
    buf->end += (uint32_t)bytes.size;
    return 0;
}

int buf_append_string(struct buf *buf, const char *string)
{
    return buf_append(buf, slice_of_string(string));
}

int buf_append_format(struct buf *buf, const char *format, ...)
{
    char text[1025];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ENSURE(size >= 0 && (size_t)size < sizeof(text));
    int status = buf_append(buf, slice_of(text, (size_t)size));
    mem_wipe(text, (size_t)size);
    return status;
}

void buf_consume(struct buf *buf, size_t count)
{
    ENSURE(count <= buf_size(buf));
    buf->start += (uint32_t)count;
    if (buf->start == buf->end)
        buf_clear(buf);
}

void buf_clear(struct buf *buf)
{
    if (buf->memory != NULL) {
        mem_wipe(buf->memory, buf->capacity);
        mem_free(buf->memory);
    }
    *buf = (struct buf){.maximum = buf->maximum};
}

void buf_rewind(struct buf *buf, size_t keep)
{
    if (buf->capacity > keep)
        buf_clear(buf);
    buf->start = buf->end = 0;
}
