/*
 * A borrowed run of bytes. Not NUL-terminated, valid as long as whoever lent it says.
 */
#ifndef ECLUSE_BASE_SLICE_H
#define ECLUSE_BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE_NONE ((struct slice){0})
/* Of a string literal only. */
#define SLICE_LITERAL(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})
/* printf("%.*s", SLICE_PRINT(s)); only for bytes that are known to be printable. */
#define SLICE_PRINT(slice) (int)(slice).size, (const char *)(slice).data

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){(const uint8_t *)data, size};
}
struct slice slice_of_string(const char *string);

bool slice_equal(struct slice a, struct slice b);
/* ASCII only, whatever the locale. */
bool slice_equal_ignoring_case(struct slice a, struct slice b);
bool slice_is(struct slice slice, const char *string);
bool slice_is_ignoring_case(struct slice slice, const char *string);
bool slice_starts_with(struct slice slice, const char *prefix);
bool slice_starts_with_ignoring_case(struct slice slice, const char *prefix);

/* Without its first `count` bytes (all of them when there are fewer). */
static inline struct slice slice_skip(struct slice slice, size_t count)
{
    return count >= slice.size ? SLICE_NONE : slice_of(slice.data + count, slice.size - count);
}
/* At most its first `count` bytes. */
static inline struct slice slice_take(struct slice slice, size_t count)
{
    return slice_of(slice.data, count < slice.size ? count : slice.size);
}
/* Index of the first `byte`, or slice.size. */
size_t slice_find(struct slice slice, uint8_t byte);
/* Splits off what stands before the first `separator` and moves *rest behind it. False when *rest
 * is empty. "a b" gives "a", "b"; separators that follow one another give empty words. */
bool slice_next_word(struct slice *rest, uint8_t separator, struct slice *word_out);

/* True when `word` stands in the list between separators. */
bool slice_has_word(struct slice list, uint8_t separator, struct slice word);

/* True, with its value, when it is a decimal number from 0 to `maximum`: digits alone. */
bool slice_read_number(struct slice digits, uint64_t maximum, uint64_t *number_out);

/* True if a byte of 0x00-0x1f or 0x7f stands in it. */
bool slice_has_control(struct slice slice);

/* The UTF-8 of RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF. */
bool slice_is_utf8(struct slice slice);

/* Copies as printable ASCII, \xNN for all else; always terminated; cut when `capacity` is short.
 * For logs and terminals: nothing that a peer sent reaches them otherwise. */
void slice_escape(struct slice slice, char *out, size_t capacity);

#endif
