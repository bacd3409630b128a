/*
 * What a server says after the login, through the capability filter: two octets say where it is
 * cut. However it is cut, the same comes out; and never more than went in.
 */
#include <stddef.h>
#include <stdint.h>

#include "mail/passage_imap.h"

#define OUTPUT_MAX (1024u * 1024)

static void append(void *owner, struct slice bytes)
{
    ENSURE(bytes.size > 0 && buf_append(owner, bytes) == 0);
}

/* In pieces of `first` octets, then `step` at a time; 0: all that is left. */
static void run(struct slice input, size_t first, size_t step, struct buf *out)
{
    struct capability_filter filter;
    capability_filter_init(&filter, &passage_imap_capabilities);
    for (size_t size = first; input.size > 0; size = step) {
        size = size == 0 || size > input.size ? input.size : size;
        capability_filter_feed(&filter, slice_take(input, size), append, out);
        ENSURE(buf_size(&filter.held) <= CAPABILITY_LINE_MAX);
        input = slice_skip(input, size);
    }
    struct slice rest = capability_filter_rest(&filter);
    if (rest.size > 0)
        append(out, rest);
    capability_filter_fini(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, cut, single;
    if (size < 2)
        return 0;
    struct slice input = slice_of(data + 2, size - 2);
    buf_init(&whole, OUTPUT_MAX);
    buf_init(&cut, OUTPUT_MAX);
    buf_init(&single, OUTPUT_MAX);
    run(input, 0, 0, &whole);
    run(input, ((size_t)data[0] << 8 | data[1]) + 1, 0, &cut);
    run(input, 1, 1, &single);
    ENSURE(slice_equal(buf_bytes(&whole), buf_bytes(&cut)));
    ENSURE(slice_equal(buf_bytes(&whole), buf_bytes(&single)));
    ENSURE(buf_size(&whole) <= input.size);
    buf_fini(&whole);
    buf_fini(&cut);
    buf_fini(&single);
    return 0;
}
