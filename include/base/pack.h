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

struct pack_writer pack_writer(struct buf *buf);
void pack_u8(struct pack_writer *writer, uint8_t value);
void pack_u16(struct pack_writer *writer, uint16_t value);
void pack_u32(struct pack_writer *writer, uint32_t value);
void pack_u64(struct pack_writer *writer, uint64_t value);
void pack_bytes(struct pack_writer *writer, struct slice bytes);
void pack_string(struct pack_writer *writer, const char *string);

struct pack_reader pack_reader(struct slice bytes);
/* After a failure all of these give zero, empty and NULL. */
uint8_t unpack_u8(struct pack_reader *reader);
uint16_t unpack_u16(struct pack_reader *reader);
uint32_t unpack_u32(struct pack_reader *reader);
uint64_t unpack_u64(struct pack_reader *reader);
/* Borrowed from what is read. */
struct slice unpack_bytes(struct pack_reader *reader);
/* A copy for mem_free; fails on a NUL inside. NULL after a failure. */
char *unpack_string(struct pack_reader *reader);
/* 0 when everything was read and nothing failed, else ERR_SYNTAX. */
MUST_CHECK int unpack_end(struct pack_reader *reader);

#endif
