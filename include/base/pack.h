/*
 * Fields in sequence: what frames and sealed records are made of. Integers are big-endian, byte
 * runs carry a 32-bit length. The writer fails into its buffer's limit, the reader on anything that
 * is short or left over; both keep the first failure, so that the caller checks once at the end.
 */
#ifndef ECLUSE_BASE_PACK_H
#define ECLUSE_BASE_PACK_H

#include "base/buf.h"

struct pack_writer {
    struct buf *buf;
    int status; /* 0 or ERR_FULL */
};

struct pack_reader {
    struct slice rest;
    int status; /* 0 or ERR_SYNTAX */
};

static inline struct pack_writer pack_writer(struct buf *buf)
{
    return (struct pack_writer){.buf = buf};
}
/* Of the journal's records there are many: what a number costs, counts. */
static inline void pack_number(struct pack_writer *writer, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    if (writer->status == 0)
        writer->status = buf_append(writer->buf, slice_of(bytes, width));
}
static inline void pack_u8(struct pack_writer *writer, uint8_t value)
{
    pack_number(writer, value, 1);
}
static inline void pack_u16(struct pack_writer *writer, uint16_t value)
{
    pack_number(writer, value, 2);
}
static inline void pack_u32(struct pack_writer *writer, uint32_t value)
{
    pack_number(writer, value, 4);
}
static inline void pack_u64(struct pack_writer *writer, uint64_t value)
{
    pack_number(writer, value, 8);
}
void pack_bytes(struct pack_writer *writer, struct slice bytes);
void pack_string(struct pack_writer *writer, const char *string);

static inline struct pack_reader pack_reader(struct slice bytes)
{
    return (struct pack_reader){.rest = bytes};
}
/* After a failure all of these give zero, empty and NULL. */
static inline uint64_t unpack_number(struct pack_reader *reader, size_t width)
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
static inline uint8_t unpack_u8(struct pack_reader *reader)
{
    return (uint8_t)unpack_number(reader, 1);
}
static inline uint16_t unpack_u16(struct pack_reader *reader)
{
    return (uint16_t)unpack_number(reader, 2);
}
static inline uint32_t unpack_u32(struct pack_reader *reader)
{
    return (uint32_t)unpack_number(reader, 4);
}
static inline uint64_t unpack_u64(struct pack_reader *reader)
{
    return unpack_number(reader, 8);
}
/* Borrowed from what is read. */
struct slice unpack_bytes(struct pack_reader *reader);
/* A copy for mem_free; fails on a NUL inside. NULL after a failure. */
char *unpack_string(struct pack_reader *reader);
/* 0 when everything was read and nothing failed, else ERR_SYNTAX. */
MUST_CHECK int unpack_end(struct pack_reader *reader);

#endif
