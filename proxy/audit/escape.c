#include "audit/escape.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

#define EACH(octet) ((octet)*UINT64_C(0x0101010101010101))

/* Not zero: one of the eight octets is zero. */
static uint64_t has_zero(uint64_t octets)
{
    return (octets - EACH(1)) & ~octets & EACH(0x80);
}

/* All eight octets are plain. */
static bool are_plain(const uint8_t *data)
{
    uint64_t octets;
    memcpy(&octets, data, sizeof(octets));
    uint64_t below = (octets - EACH(0x20)) & ~octets & EACH(0x80);
    return (below | (octets & EACH(0x80)) | has_zero(octets ^ EACH('"')) |
            has_zero(octets ^ EACH('\\')) | has_zero(octets ^ EACH(0x7f))) == 0;
}

size_t escape_plain(struct slice bytes)
{
    size_t i = 0;
    while (bytes.size - i >= 8 && are_plain(bytes.data + i))
        i += 8;
    while (i < bytes.size && bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f &&
           bytes.data[i] != '"' && bytes.data[i] != '\\')
        i++;
    return i;
}

/* Length of the UTF-8 sequence (RFC 3629) at the start and its code point; 0: there is none. */
static size_t decode(struct slice bytes, uint32_t *code_out)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = bytes.data[0];
    size_t length = lead < 0x80       ? 1
                    : lead >> 5 == 6  ? 2
                    : lead >> 4 == 14 ? 3
                    : lead >> 3 == 30 ? 4
                                      : 0;
    if (length == 0 || length > bytes.size)
        return 0;
    uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (bytes.data[i] >> 6 != 2)
            return 0;
        code = code << 6 | (bytes.data[i] & 0x3fu);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *code_out = code;
    return length;
}

/* Controls, what is not seen, what turns the direction of writing, what is no character. */
static bool is_hidden(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
        {0x115f, 0x1160}, {0x180b, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},
        {0x2060, 0x206f}, {0x3164, 0x3164}, {0xe000, 0xf8ff}, {0xfdd0, 0xfdef},
        {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < LENGTH_OF(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return (code & 0xfffe) == 0xfffe;
}

/* \uNNNN; above the first 65,536 a pair of surrogates. */
static size_t write_code(uint32_t code, char *out)
{
    char text[16];
    int size;
    if (code > 0xffff)
        size = snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                        0xdc00 + ((code - 0x10000) & 0x3ff));
    else
        size = snprintf(text, sizeof(text), "\\u%04x", code);
    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

/* One character, or one octet that is none. */
static size_t write_one(struct slice *text, char *out)
{
    uint32_t code = 0;
    size_t length = decode(*text, &code), size = length;
    if (code == '"' || code == '\\') {
        out[0] = '\\';
        out[1] = (char)code;
        size = 2;
    } else if (length == 0) {
        char octet[8];
        size = (size_t)snprintf(octet, sizeof(octet), "\\\\x%02x", text->data[0]);
        memcpy(out, octet, size);
    } else if (is_hidden(code)) {
        size = write_code(code, out);
    } else {
        memcpy(out, text->data, length);
    }
    *text = slice_skip(*text, length == 0 ? 1 : length);
    return size;
}

size_t escape_write(struct slice text, char *out)
{
    size_t size = 0;
    while (text.size > 0) {
        size_t plain = escape_plain(text);
        if (plain > 0)
            memcpy(out + size, text.data, plain);
        size += plain;
        text = slice_skip(text, plain);
        if (text.size > 0)
            size += write_one(&text, out + size);
    }
    return size;
}

/* Four hexadecimal digits of either case. */
static bool read_digits(struct slice digits, uint32_t *code_out)
{
    *code_out = 0;
    if (digits.size < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        uint8_t digit = digits.data[i], letter = digit | 0x20;
        uint32_t value = digit >= '0' && digit <= '9'     ? digit - 48u
                         : letter >= 'a' && letter <= 'f' ? letter - 87u
                                                          : 16u;
        if (value > 15)
            return false;
        *code_out = *code_out << 4 | value;
    }
    return true;
}

static size_t encode(uint32_t code, char *out)
{
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(length == 1 ? code : (0xf00u >> length & 0xffu) | code);
    return length;
}

/* Behind "\u"; moves on over what it took. */
static bool read_unicode(struct slice *rest, char *out, size_t *size)
{
    uint32_t code, low;
    if (!read_digits(*rest, &code))
        return false;
    *rest = slice_skip(*rest, 4);
    if (code >= 0xd800 && code < 0xdc00) {
        if (!slice_starts_with(*rest, "\\u") || !read_digits(slice_skip(*rest, 2), &low) ||
            low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *rest = slice_skip(*rest, 6);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return false;
    }
    *size += encode(code, out + *size);
    return true;
}

static bool read_escape(struct slice *rest, char *out, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (rest->size < 2)
        return false;
    uint8_t letter = rest->data[1];
    *rest = slice_skip(*rest, 2);
    if (letter == 'u')
        return read_unicode(rest, out, size);
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found == NULL)
        return false;
    out[(*size)++] = meanings[found - letters];
    return true;
}

int escape_read(struct slice escaped, char *out, size_t *size_out)
{
    size_t size = 0;
    while (escaped.size > 0) {
        uint32_t code;
        size_t length = escape_plain(escaped);
        if (length == 0 && escaped.data[0] == '\\') {
            if (!read_escape(&escaped, out, &size))
                return ERR_SYNTAX;
            continue;
        }
        if (length == 0) {
            length = decode(escaped, &code);
            if (length == 0 || code < 0x20 || code == '"')
                return ERR_SYNTAX;
        }
        memcpy(out + size, escaped.data, length);
        size += length;
        escaped = slice_skip(escaped, length);
    }
    *size_out = size;
    return 0;
}
