#include "base/slice.h"

#include <stdio.h>
#include <string.h>

struct slice slice_of_string(const char *string)
{
    return slice_of(string, strlen(string));
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool slice_equal_ignoring_case(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool slice_is(struct slice slice, const char *string)
{
    return slice_equal(slice, slice_of_string(string));
}

bool slice_is_ignoring_case(struct slice slice, const char *string)
{
    return slice_equal_ignoring_case(slice, slice_of_string(string));
}

bool slice_starts_with(struct slice slice, const char *prefix)
{
    size_t size = strlen(prefix);
    return slice.size >= size && slice_is(slice_take(slice, size), prefix);
}

bool slice_starts_with_ignoring_case(struct slice slice, const char *prefix)
{
    size_t size = strlen(prefix);
    return slice.size >= size && slice_is_ignoring_case(slice_take(slice, size), prefix);
}

size_t slice_find(struct slice slice, uint8_t byte)
{
    if (slice.size == 0)
        return 0;
    const uint8_t *found = memchr(slice.data, byte, slice.size);
    return found == NULL ? slice.size : (size_t)(found - slice.data);
}

bool slice_next_word(struct slice *rest, uint8_t separator, struct slice *word_out)
{
    if (rest->size == 0)
        return false;
    size_t end = slice_find(*rest, separator);
    *word_out = slice_take(*rest, end);
    *rest = slice_skip(*rest, end + 1);
    return true;
}

bool slice_has_word(struct slice list, uint8_t separator, struct slice word)
{
    struct slice next;
    while (slice_next_word(&list, separator, &next))
        if (slice_equal(next, word))
            return true;
    return false;
}

bool slice_read_number(struct slice digits, uint64_t maximum, uint64_t *number_out)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t digit = (uint8_t)(digits.data[i] - '0');
        if (digit > 9 || digit > maximum || number > (maximum - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *number_out = number;
    return digits.size > 0;
}

bool slice_has_control(struct slice slice)
{
    for (size_t i = 0; i < slice.size; i++)
        if (slice.data[i] < 0x20 || slice.data[i] == 0x7f)
            return true;
    return false;
}

/* Octets of the UTF-8 sequence that starts `slice`; 0 when it is none. */
static size_t utf8_sequence(struct slice slice)
{
    uint8_t first = slice.data[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || slice.size < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((slice.data[i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = slice.data[1];
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : size;
}

bool slice_is_utf8(struct slice slice)
{
    while (slice.size > 0) {
        size_t size = utf8_sequence(slice);
        if (size == 0)
            return false;
        slice = slice_skip(slice, size);
    }
    return true;
}

void slice_escape(struct slice slice, char *out, size_t capacity)
{
    size_t used = 0;
    ENSURE(capacity > 0);
    for (size_t i = 0; i < slice.size; i++) {
        uint8_t byte = slice.data[i];
        bool printable = byte >= 0x20 && byte < 0x7f && byte != '\\';
        if (used + (printable ? 1u : 4u) >= capacity)
            break;
        if (printable)
            out[used++] = (char)byte;
        else
            used += (size_t)snprintf(out + used, capacity - used, "\\x%02x", byte);
    }
    out[used] = '\0';
}
