/*
 * The content of a message, against the reference: two octets say where it is cut, the rest is
 * content. What has no end gets one. Whole, cut and octet by octet the same must come out, and a
 * strict server must read from it what the sender meant.
 */
#include <stddef.h>
#include <stdint.h>

#include "../unit/data_reference.h"
#include "mail/data_framing.h"

/* What is longer shows nothing new, and takes long octet by octet. */
#define INPUT_MAX  8192u
#define SINGLY_MAX 600u

static void append(void *owner, struct slice bytes)
{
    ENSURE(bytes.size > 0 && buf_append(owner, bytes) == 0);
}

/* In pieces of `first` octets, then `step` at a time; 0: all that is left. Returns what was
 * consumed. */
static size_t run(struct slice input, size_t first, size_t step, struct buf *out)
{
    struct data_framing framing = {0};
    size_t consumed = 0;
    buf_init(out, DATA_REFERENCE_MAX);
    for (size_t size = first; framing.place != DATA_OVER; size = step) {
        struct slice rest = slice_skip(input, consumed);
        ENSURE(rest.size > 0);
        consumed +=
            data_framing_feed(&framing, size == 0 ? rest : slice_take(rest, size), append, out);
    }
    return consumed;
}

static void check(struct slice input, struct slice content, size_t first, size_t step)
{
    struct buf actual, wire, text, received;
    buf_init(&wire, DATA_REFERENCE_MAX);
    buf_init(&text, DATA_REFERENCE_MAX);
    buf_init(&received, DATA_REFERENCE_MAX);
    data_reference_wire(content, &wire);
    data_reference_text(content, &text);
    ENSURE(run(input, first, step, &actual) == content.size + 3);
    ENSURE(slice_equal(buf_bytes(&actual), buf_bytes(&wire)));
    data_reference_receive(buf_bytes(&actual), &received);
    ENSURE(slice_equal(buf_bytes(&received), buf_bytes(&text)));
    buf_fini(&actual);
    buf_fini(&wire);
    buf_fini(&text);
    buf_fini(&received);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf input;
    size_t content_size;
    if (size < 2 || size > INPUT_MAX)
        return 0;
    buf_init(&input, DATA_REFERENCE_MAX);
    ENSURE(buf_append(&input, slice_of(data + 2, size - 2)) == 0);
    ENSURE(buf_append_string(&input, "\r\n.\r\n") == 0);
    struct slice whole = buf_bytes(&input);
    ENSURE(data_find_end(whole, &content_size));
    struct slice content = slice_take(whole, content_size);
    check(whole, content, 0, 0);
    check(whole, content, ((size_t)data[0] << 8 | data[1]) + 1, 0);
    check(whole, content, 1, size < SINGLY_MAX ? 1 : 97);
    buf_fini(&input);
    return 0;
}
