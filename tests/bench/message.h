/*
 * The message that the benchmark's two ends send each other: 1 MiB of lines like those of an
 * encoded attachment, the same at both ends, so that what arrives is compared octet by octet with
 * what must. None of its lines begins with a dot.
 */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_SIZE (1024ul * 1024)

const uint8_t *message_bytes(void);
/* The program ends when `bytes` are not what the message has at `offset`. */
void message_compare(const uint8_t *bytes, size_t offset, size_t size);

#endif
