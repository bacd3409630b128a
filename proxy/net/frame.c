/*
 * A 32-bit length, then the frame. Nothing is kept between calls: whoever has too few octets comes
 * again with more.
 *
 * Failure: a length of 0 or above the maximum is told as soon as its four octets are there, before
 * anything is stored for it.
 */
#include "net/channel.h"

/* What the header says; the bytes are at least FRAME_HEADER_SIZE. */
static size_t announced_size(struct slice bytes)
{
    size_t size = 0;
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        size = size << 8 | bytes.data[i];
    return size;
}

enum frame_status frame_read(struct slice bytes, size_t frame_max, struct slice *frame_out,
                             size_t *size_out)
{
    *frame_out = SLICE_NONE;
    *size_out = 0;
    if (bytes.size < FRAME_HEADER_SIZE)
        return FRAME_MORE;
    size_t size = announced_size(bytes);
    if (size == 0 || size > frame_max)
        return FRAME_BAD;
    struct slice rest = slice_skip(bytes, FRAME_HEADER_SIZE);
    if (rest.size < size)
        return FRAME_MORE;
    *frame_out = slice_take(rest, size);
    *size_out = FRAME_HEADER_SIZE + size;
    return FRAME_DONE;
}

size_t frame_missing(struct slice bytes)
{
    size_t whole = FRAME_HEADER_SIZE;
    if (bytes.size >= FRAME_HEADER_SIZE)
        whole += announced_size(bytes);
    ENSURE(bytes.size < whole);
    return whole - bytes.size;
}

void frame_write_header(size_t size, uint8_t header_out[FRAME_HEADER_SIZE])
{
    ENSURE(size > 0 && size <= UINT32_MAX);
    for (size_t i = 0; i < FRAME_HEADER_SIZE; i++)
        header_out[i] = (uint8_t)(size >> (8 * (FRAME_HEADER_SIZE - 1 - i)));
}
