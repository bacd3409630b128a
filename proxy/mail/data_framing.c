/*
 * Happy path: lines are found by memchr, and the piece is passed on as it is, in one.
 *
 *   nothing but whole lines   1 KiB at a time, without finding any of them
 *   a bare CR or LF           CRLF in its place; short runs between such are passed together
 *   a dot, or a CR, last      held back (`place` says which) until it is known what follows
 *   cut anywhere              the same output
 */
#include "mail/data_framing.h"

#include <string.h>

#define GATHERED_MAX 4096u
#define BLOCK_SIZE   1024u

/* Who writes short pieces pays for each of them: a message of bare LFs would be two a line. */
struct outlet {
    void (*pass)(void *owner, struct slice bytes);
    void *owner;
    size_t size; /* of what is gathered */
    uint8_t gathered[GATHERED_MAX];
};

static void flush(struct outlet *outlet)
{
    if (outlet->size > 0)
        outlet->pass(outlet->owner, slice_of(outlet->gathered, outlet->size));
    outlet->size = 0;
}

static void put(struct outlet *outlet, struct slice bytes)
{
    if (bytes.size > sizeof(outlet->gathered) - outlet->size)
        flush(outlet);
    if (bytes.size > sizeof(outlet->gathered)) {
        outlet->pass(outlet->owner, bytes);
    } else if (bytes.size > 0) {
        memcpy(outlet->gathered + outlet->size, bytes.data, bytes.size);
        outlet->size += bytes.size;
    }
}

/* A piece on its way: input from run_start to the octet in hand is yet to be passed. */
struct piece {
    struct slice input;
    size_t run_start;
    size_t line_feed; /* the first one that was not come to yet: each octet is looked at once */
    size_t strange;   /* before here something is that has to be looked at line by line */
    struct outlet *outlet;
};

static void put_run(struct piece *piece, size_t end)
{
    put(piece->outlet, slice_skip(slice_take(piece->input, end), piece->run_start));
    piece->run_start = end;
}

/* A newline that is none of SMTP's stands at `at`: a lone dot before it would look like the end, so
 * that it gets another one. Goes on behind it. */
static size_t mend(struct data_framing *framing, struct piece *piece, size_t at, bool is_behind_dot)
{
    put_run(piece, at);
    /* Who refuses such a message drops all from here on, wherever the pieces were cut. */
    if (!framing->has_bare_newline)
        flush(piece->outlet);
    framing->has_bare_newline = true;
    put(piece->outlet, slice_of_string(is_behind_dot ? ".\r\n" : "\r\n"));
    piece->run_start = at + 1;
    framing->place = DATA_MENDED_START;
    return at + 1;
}

/* Each of these looks at the octet at `at` and returns where to go on. */
static size_t begin_line(struct data_framing *framing, struct piece *piece, size_t at)
{
    bool is_dot = piece->input.data[at] == '.';
    bool is_true = framing->place == DATA_LINE_START;
    framing->place = is_dot && is_true ? DATA_DOT : DATA_WITHIN_LINE;
    if (is_dot && !is_true) {
        put_run(piece, at);
        put(piece->outlet, SLICE_LITERAL("."));
    }
    return is_dot ? at + 1 : at;
}

static size_t go_on_in_line(struct data_framing *framing, struct piece *piece, size_t at)
{
    struct slice rest = slice_skip(piece->input, at);
    if (piece->line_feed < at)
        piece->line_feed = at + slice_find(rest, '\n');
    size_t end = at + slice_find(slice_take(rest, piece->line_feed - at), '\r');
    if (end == piece->input.size)
        return end;
    if (piece->input.data[end] == '\n')
        return mend(framing, piece, end, false);
    framing->place = DATA_CR;
    return end + 1;
}

static size_t go_on_behind_dot(struct data_framing *framing, struct piece *piece, size_t at)
{
    uint8_t byte = piece->input.data[at];
    if (byte == '\n')
        return mend(framing, piece, at, true);
    framing->place = byte == '\r' ? DATA_DOT_CR : DATA_WITHIN_LINE;
    return byte == '\r' ? at + 1 : at;
}

static size_t go_on_behind_cr(struct data_framing *framing, struct piece *piece, size_t at)
{
    bool is_behind_dot = framing->place == DATA_DOT_CR;
    if (piece->input.data[at] != '\n')
        return mend(framing, piece, at - 1, is_behind_dot);
    framing->place = is_behind_dot ? DATA_OVER : DATA_LINE_START;
    return at + 1;
}

static size_t go_on(struct data_framing *framing, struct piece *piece, size_t at)
{
    switch (framing->place) {
    case DATA_LINE_START:
    case DATA_MENDED_START:
        return begin_line(framing, piece, at);
    case DATA_WITHIN_LINE:
        return go_on_in_line(framing, piece, at);
    case DATA_DOT:
        return go_on_behind_dot(framing, piece, at);
    case DATA_DOT_CR:
    case DATA_CR:
        return go_on_behind_cr(framing, piece, at);
    case DATA_OVER:
        break;
    }
    return piece->input.size;
}

/* True: in these BLOCK_SIZE octets and the next one CR and LF come together alone, and no line
 * starts with a dot. Without a branch, so that the compiler makes it a loop over vectors. */
static bool is_plain(const uint8_t *octets)
{
    uint8_t strange = 0;
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        uint8_t is_cr = octets[i] == '\r', is_before_lf = octets[i + 1] == '\n';
        uint8_t is_lf = octets[i] == '\n', is_before_dot = octets[i + 1] == '.';
        strange |= (uint8_t)((is_cr ^ is_before_lf) | (is_lf & is_before_dot));
    }
    return strange == 0;
}

/* Passes over what needs no look; returns where to go on. */
static size_t skip_plain(struct data_framing *framing, struct piece *piece, size_t at)
{
    bool is_start = framing->place == DATA_LINE_START;
    const uint8_t *octets = piece->input.data;
    if (at < piece->strange || (!is_start && framing->place != DATA_WITHIN_LINE))
        return at;
    while (piece->input.size - at > BLOCK_SIZE) {
        if (octets[at] == '\n' || (is_start && octets[at] == '.') || !is_plain(octets + at)) {
            piece->strange = at + BLOCK_SIZE;
            return at;
        }
        at += BLOCK_SIZE;
        is_start = octets[at - 1] == '\n';
        framing->place = is_start                 ? DATA_LINE_START
                         : octets[at - 1] == '\r' ? DATA_CR
                                                  : DATA_WITHIN_LINE;
        if (framing->place == DATA_CR)
            break;
    }
    return at;
}

static struct slice held_in(enum data_place place)
{
    switch (place) {
    case DATA_DOT:
        return SLICE_LITERAL(".");
    case DATA_DOT_CR:
        return SLICE_LITERAL(".\r");
    case DATA_CR:
        return SLICE_LITERAL("\r");
    case DATA_LINE_START:
    case DATA_WITHIN_LINE:
    case DATA_MENDED_START:
    case DATA_OVER:
        break;
    }
    return SLICE_NONE;
}

static size_t feed_piece(struct data_framing *framing, struct piece *piece)
{
    size_t at = 0;
    piece->line_feed = slice_find(piece->input, '\n');
    while (at < piece->input.size && framing->place != DATA_OVER)
        at = go_on(framing, piece, skip_plain(framing, piece, at));
    put_run(piece, at - held_in(framing->place).size);
    return at;
}

/* What is held back is decided by the very next octet. */
static void feed_behind_held(struct data_framing *framing, struct piece *piece, uint8_t byte)
{
    uint8_t joint[4];
    struct slice held = held_in(framing->place);
    memcpy(joint, held.data, held.size);
    joint[held.size] = byte;
    framing->place = DATA_LINE_START; /* which makes a difference to a dot alone */
    piece->input = slice_of(joint, held.size + 1);
    (void)feed_piece(framing, piece);
    piece->input = SLICE_NONE; /* `joint` ends here */
}

size_t data_framing_feed(struct data_framing *framing, struct slice bytes,
                         void (*pass)(void *owner, struct slice bytes), void *owner)
{
    struct outlet outlet = {.pass = pass, .owner = owner};
    size_t consumed = 0;
    while (consumed < bytes.size && framing->place != DATA_OVER) {
        struct piece piece = {.input = slice_skip(bytes, consumed), .outlet = &outlet};
        if (held_in(framing->place).size > 0) {
            feed_behind_held(framing, &piece, bytes.data[consumed]);
            consumed++;
        } else {
            consumed += feed_piece(framing, &piece);
        }
    }
    flush(&outlet);
    return consumed;
}
