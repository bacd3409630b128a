/*
 * A session that its tap looks on: an octet of options (1: the level full, 2: every answer is
 * awaited, 4: the session ends), then steps
 *
 *   C size16 bytes, S size16 bytes    the client or the server says them
 *
 * Whole, in pieces of some octets and octet by octet the records must be the same, and what is kept
 * within its maxima.
 */
#ifndef ECLUSE_TESTS_TAP_FUZZ_H
#define ECLUSE_TESTS_TAP_FUZZ_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "mail/tap_internal.h"

#define RECORDS_MAX (64ul * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void write_value(struct buf *out, const struct record_value *value)
{
    ENSURE(value->field < RECORD_FIELD_COUNT && value->text.size <= RECORD_TEXT_MAX);
    ENSURE(buf_append(out, slice_of(&value->field, sizeof(value->field))) == 0);
    ENSURE(buf_append(out, slice_of(&value->number, sizeof(value->number))) == 0);
    ENSURE(buf_append(out, value->text) == 0);
}

static inline void write_record(void *owner, const struct record *record, bool is_awaited)
{
    struct buf *out = owner;
    const int head[] = {(int)record->action, (int)record->why, is_awaited, (int)record->count};
    ENSURE(buf_append(out, slice_of(head, sizeof(head))) == 0);
    for (size_t i = 0; i < record->count; i++)
        write_value(out, &record->values[i]);
}

static inline void feed_tap(struct tap *tap, enum side side, struct slice bytes,
                            const struct tap_sink *sink)
{
    while (bytes.size > 0) {
        size_t consumed = tap_feed(tap, side, bytes, (struct tap_time){1, 1}, sink);
        ENSURE(consumed > 0 && consumed <= bytes.size);
        ENSURE(side == SIDE_UPSTREAM || consumed == bytes.size);
        ENSURE(tap->command_count <= TAP_COMMANDS_MAX && tap->text_size <= TAP_TEXT_MAX);
        bytes = slice_skip(bytes, consumed);
    }
}

/* `piece` 0: each step whole. */
static inline void play_tap(const struct tap_settings *settings, bool ends, struct slice steps,
                            size_t piece, struct buf *records)
{
    struct tap *tap = tap_open(settings);
    const struct tap_sink sink = {.record = write_record, .owner = records};
    buf_init(records, RECORDS_MAX);
    while (steps.size >= 3) {
        enum side side = steps.data[0] == 'C' ? SIDE_CLIENT : SIDE_UPSTREAM;
        size_t size = (size_t)steps.data[1] << 8 | steps.data[2];
        struct slice bytes = slice_take(slice_skip(steps, 3), size);
        steps = slice_skip(steps, 3 + bytes.size);
        for (struct slice part; bytes.size > 0; bytes = slice_skip(bytes, part.size)) {
            part = piece == 0 ? bytes : slice_take(bytes, piece);
            feed_tap(tap, side, part, &sink);
        }
    }
    if (ends)
        tap_finish(tap, WHY_CLIENT_GONE, (struct tap_time){1, 1}, &sink);
    tap_close(tap);
}

static inline int fuzz_tap(enum protocol protocol, const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 7};
    struct buf whole, cut;
    if (size == 0)
        return 0;
    const struct tap_settings settings = {.protocol = protocol,
                                          .wants_arguments = (data[0] & 1) != 0,
                                          .awaits_each = (data[0] & 2) != 0};
    bool ends = (data[0] & 4) != 0;
    struct slice steps = slice_of(data + 1, size - 1);
    play_tap(&settings, ends, steps, 0, &whole);
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        play_tap(&settings, ends, steps, pieces[i], &cut);
        ENSURE(slice_equal(buf_bytes(&whole), buf_bytes(&cut)));
        buf_fini(&cut);
    }
    buf_fini(&whole);
    return 0;
}

#endif
