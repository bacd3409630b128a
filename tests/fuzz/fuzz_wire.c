/*
 * The wire's small words over any bytes. What they take must agree with what they say about it:
 * base64 comes back, an astring is as long as it says, a tag holds nothing that could end it.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mail/wire.h"

#define INPUT_MAX 65536u

static struct buf new_buf(void)
{
    struct buf buf;
    buf_init(&buf, 2 * INPUT_MAX);
    return buf;
}

/* Encoding gives four letters for three octets, and decoding gives the octets back. */
static void check_encoding(struct slice bytes)
{
    struct buf text = new_buf(), back = new_buf();
    ENSURE(wire_base64_encode(bytes, &text) == 0);
    ENSURE(buf_size(&text) == (bytes.size + 2) / 3 * 4);
    ENSURE(wire_base64_decode(buf_bytes(&text), &back) == 0);
    ENSURE(slice_equal(buf_bytes(&back), bytes));
    buf_fini(&text);
    buf_fini(&back);
}

/* What decodes is its own encoding, but for the bits that the last letter does not need. */
static void check_decoding(struct slice text)
{
    struct buf bytes = new_buf(), again = new_buf();
    int status = wire_base64_decode(text, &bytes);
    ENSURE(status == 0 || (status == ERR_SYNTAX && buf_size(&bytes) == 0));
    if (status == 0) {
        ENSURE(wire_base64_encode(buf_bytes(&bytes), &again) == 0);
        ENSURE(buf_size(&again) == text.size);
        size_t whole = text.size < 4 ? 0 : text.size - 4;
        ENSURE(slice_equal(slice_take(buf_bytes(&again), whole), slice_take(text, whole)));
    }
    buf_fini(&bytes);
    buf_fini(&again);
}

static void check_tag(struct slice tag)
{
    if (!wire_is_imap_tag(tag))
        return;
    ENSURE(tag.size >= 1 && tag.size <= 32 && !slice_has_control(tag));
    for (const char *special = " (){%*\"\\+"; *special != '\0'; special++)
        ENSURE(slice_find(tag, (uint8_t)*special) == tag.size);
}

static void check_literal(struct slice line)
{
    struct wire_literal literal;
    enum wire_status status = wire_imap_literal(line, &literal);
    struct slice content = wire_trim_line_end(line);
    ENSURE(content.size <= line.size && line.size - content.size <= 2);
    ENSURE(status == WIRE_MORE || content.data[content.size - 1] == '}');
    ENSURE(status != WIRE_DONE || literal.size <= INT64_MAX);
}

static void check_astrings(struct slice rest)
{
    enum wire_status status = WIRE_DONE;
    while (rest.size > 0 && status == WIRE_DONE) {
        struct buf value = new_buf();
        struct slice before = rest;
        status = wire_imap_astring(&rest, &value);
        ENSURE(status == WIRE_DONE || status == WIRE_BAD);
        if (status == WIRE_DONE) {
            size_t taken = before.size - rest.size;
            ENSURE(rest.size < before.size && buf_size(&value) <= taken);
            ENSURE(rest.size == 0 || rest.data == before.data + taken);
            /* Only a literal may hold what could end a line. */
            ENSURE(before.data[0] == '{' || !slice_has_control(buf_bytes(&value)));
            rest = slice_skip(rest, 1);
        }
        buf_fini(&value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    check_encoding(input);
    check_decoding(input);
    check_tag(input);
    check_literal(input);
    check_astrings(input);
    return 0;
}
