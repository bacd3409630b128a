#include "base/pack.h"

#include <string.h>

struct pack_writer pack_writer(struct buf *buf)
{
    return (struct pack_writer){.buf = buf};
}

static void put(struct pack_writer *writer, struct slice bytes)
{
    if (writer->status == 0)
        writer->status = buf_append(writer->buf, bytes);
}

static inline void put_number(struct pack_writer *writer, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    put(writer, slice_of(bytes, width));
}

void pack_u8(struct pack_writer *writer, uint8_t value)
{
    put_number(writer, value, 1);
}

void pack_u16(struct pack_writer *writer, uint16_t value)
{
    put_number(writer, value, 2);
}

void pack_u32(struct pack_writer *writer, uint32_t value)
{
    put_number(writer, value, 4);
}

void pack_u64(struct pack_writer *writer, uint64_t value)
{
    put_number(writer, value, 8);
}

void pack_bytes(struct pack_writer *writer, struct slice bytes)
{
    if (bytes.size > UINT32_MAX) {
        writer->status = ERR_FULL;
        return;
    }
    pack_u32(writer, (uint32_t)bytes.size);
    put(writer, bytes);
}

void pack_string(struct pack_writer *writer, const char *string)
{
    pack_bytes(writer, slice_of_string(string));
}

struct pack_reader pack_reader(struct slice bytes)
{
    return (struct pack_reader){.rest = bytes};
}

static struct slice take(struct pack_reader *reader, size_t size)
{
    if (reader->status != 0 || reader->rest.size < size) {
        reader->status = ERR_SYNTAX;
        return SLICE_NONE;
    }
    struct slice taken = slice_take(reader->rest, size);
    reader->rest = slice_skip(reader->rest, size);
    return taken;
}

static uint64_t take_number(struct pack_reader *reader, size_t width)
{
    uint64_t value = 0;
    if (reader->status != 0 || reader->rest.size < width) {
        reader->status = ERR_SYNTAX;
        return 0;
    }
    for (size_t i = 0; i < width; i++)
        value = value << 8 | reader->rest.data[i];
    reader->rest = slice_skip(reader->rest, width);
    return value;
}

uint8_t unpack_u8(struct pack_reader *reader)
{
    return (uint8_t)take_number(reader, 1);
}

uint16_t unpack_u16(struct pack_reader *reader)
{
    return (uint16_t)take_number(reader, 2);
}

uint32_t unpack_u32(struct pack_reader *reader)
{
    return (uint32_t)take_number(reader, 4);
}

uint64_t unpack_u64(struct pack_reader *reader)
{
    return take_number(reader, 8);
}

struct slice unpack_bytes(struct pack_reader *reader)
{
    uint32_t size = unpack_u32(reader);
    return take(reader, size);
}

char *unpack_string(struct pack_reader *reader)
{
    struct slice bytes = unpack_bytes(reader);
    if (reader->status == 0 && slice_find(bytes, '\0') < bytes.size)
        reader->status = ERR_SYNTAX;
    return reader->status == 0 ? mem_copy_bytes_as_string(bytes.data, bytes.size) : NULL;
}

int unpack_end(struct pack_reader *reader)
{
    if (reader->rest.size > 0)
        reader->status = ERR_SYNTAX;
    return reader->status;
}
