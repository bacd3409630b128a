/*
 * The engine with the IMAP dialect against a hostile client, a hostile server and any facts. An
 * input is a sequence of steps (make-seeds describes them); it is played in one piece for each
 * step, octet by octet, and in pieces of seven. Each way must give the same record.
 *
 * Also: at most one END or PASS and nothing behind it, nothing to a server that is not connected,
 * none of the client's password to the server, none of the token to the client, messages that the
 * keeper can read, and memory that stays within the engine's own maxima.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mail/engine_internal.h"

#define INPUT_MAX     65536u
#define REPEATED_MAX  (128u * 1024)
#define RECORD_MAX    (16u * 1024 * 1024)
#define KEPT_MAX      (256u * 1024)
#define MESSAGE_MAX   (16u * 1024) /* what the keeper takes of SASL */
#define LONG_TOKEN    16384u
#define FACT_TEXT_MAX 480u

/* Passwords in the seeds hold this, and a server that is sent any of it got a password. The other
 * forms are its base64 at the three places where it can stand in a group. */
static const char *const password_marks[] = {"M4RK3R", "TTRSSzNS", "00UkszU", "NNFJLM1"};
static const char *const token_marks[] = {"t0Ken", "dDBLZW", "QwS2Vu", "0MEtlb"};

struct play {
    struct engine *engine;
    struct buf record;
    char record_kind; /* of the sends at its end; 0: something else stands there */
    struct buf held[2];
    size_t fed, sent, repeated;
    bool is_token_checked, is_long_token;
    unsigned steps_of_sasl;
    bool is_dialing, is_connected, client_has_ended;
    bool is_relaying, is_over;
    char token[LONG_TOKEN + 100];
};

/* ---- a SASL mechanism like those of OAuth ---- */

static int sasl_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct play *play = owner;
    int head = snprintf(play->token, sizeof(play->token), "user=a\1auth=%s t0Ken", mechanism);
    size_t size = (size_t)head;
    if (strcmp(mechanism, "XOAUTH2") != 0 && strcmp(mechanism, "OAUTHBEARER") != 0)
        return ERR_NOT_FOUND;
    while (play->is_long_token && size < LONG_TOKEN)
        play->token[size++] = 'k';
    play->steps_of_sasl = 0;
    *response_out = slice_of(play->token, size);
    return 0;
}

static int sasl_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct play *play = owner;
    (void)challenge;
    *response_out = SLICE_LITERAL("\1");
    return play->steps_of_sasl++ == 0 ? 0 : ERR_SYNTAX;
}

/* ---- the record ---- */

static void record(struct play *play, char kind, struct slice bytes)
{
    char head[3] = {'\n', kind, ' '};
    bool is_send = kind == '<' || kind == '>';
    if (!is_send || play->record_kind != kind)
        ENSURE(buf_append(&play->record, slice_of(head, sizeof(head))) == 0);
    ENSURE(buf_append(&play->record, bytes) == 0);
    play->record_kind = is_send ? kind : 0;
}

static bool contains(struct slice bytes, const char *mark)
{
    return bytes.size > 0 && memmem(bytes.data, bytes.size, mark, strlen(mark)) != NULL;
}

static void check_send(struct play *play, const struct deed *deed)
{
    ENSURE(deed->bytes.size > 0);
    play->sent += deed->bytes.size;
    if (deed->side == SIDE_UPSTREAM) {
        ENSURE(play->is_connected);
        for (size_t i = 0; i < LENGTH_OF(password_marks); i++)
            ENSURE(!contains(deed->bytes, password_marks[i]));
        return;
    }
    for (size_t i = 0; play->is_token_checked && i < LENGTH_OF(token_marks); i++)
        ENSURE(!contains(deed->bytes, token_marks[i]));
}

static void hang_up(struct play *play)
{
    play->is_connected = false;
    play->is_dialing = false;
    buf_clear(&play->held[SIDE_UPSTREAM]);
}

static void do_deed(struct play *play, const struct deed *deed)
{
    char line[DEED_TEXT_MAX + 100];
    ENSURE(!play->is_over && !play->is_relaying);
    snprintf(line, sizeof(line), "%d %d %d %d %s", (int)deed->kind, (int)deed->why, (int)deed->note,
             deed->has_bytes, deed->text);
    switch (deed->kind) {
    case DEED_SEND:
        check_send(play, deed);
        record(play, deed->side == SIDE_CLIENT ? '<' : '>', deed->bytes);
        return;
    case DEED_ASK:
    case DEED_ANSWER:
        ENSURE(deed->bytes.size <= MESSAGE_MAX && (deed->has_bytes || deed->bytes.size == 0));
        record(play, 'm', slice_of_string(deed->mechanism));
        record(play, 'b', deed->bytes);
        break;
    case DEED_DIAL:
        hang_up(play);
        play->is_dialing = true;
        break;
    case DEED_HANG_UP:
        ENSURE(play->is_dialing || play->is_connected);
        hang_up(play);
        break;
    case DEED_PASS:
        ENSURE(play->is_connected);
        play->is_relaying = true;
        break;
    case DEED_END:
        play->is_over = true;
        break;
    case DEED_AGAIN:
        ENSURE(play->is_connected);
        break;
    case DEED_START_TLS:
        ENSURE(deed->side == SIDE_CLIENT || play->is_connected);
        break;
    case DEED_LEARNED:
        record(play, 'l', deed->bytes);
        break;
    case DEED_NOTE:
        break;
    }
    record(play, '=', slice_of_string(line));
}

/* ---- an owner like the gate's session ---- */

static void check_memory(const struct engine *engine)
{
    size_t kept = engine->readers[0].bytes.capacity + engine->readers[1].bytes.capacity +
                  engine->out[0].capacity + engine->out[1].capacity + engine->asked.capacity +
                  engine->capabilities.capacity + engine->mechanisms.capacity +
                  engine->user.capacity + engine->said_already.capacity +
                  engine->reply_text.capacity + engine->learned.capacity +
                  engine->first_message.capacity;
    ENSURE(kept <= KEPT_MAX);
}

static void do_deeds(struct play *play)
{
    struct deed deed;
    check_memory(play->engine);
    while (engine_next(play->engine, &deed))
        do_deed(play, &deed);
}

static bool feed_held(struct play *play, enum side side)
{
    struct buf *held = &play->held[side];
    if (buf_size(held) == 0 || play->is_relaying)
        return false;
    size_t consumed = engine_feed(play->engine, side, buf_bytes(held));
    buf_consume(held, consumed);
    do_deeds(play);
    return consumed > 0;
}

static void pump(struct play *play)
{
    do_deeds(play);
    while (feed_held(play, SIDE_CLIENT) || feed_held(play, SIDE_UPSTREAM))
        continue;
    if (play->client_has_ended && buf_size(&play->held[SIDE_CLIENT]) == 0 && !play->is_relaying) {
        engine_tell(play->engine,
                    &(struct fact){.kind = FACT_EOF, .side = SIDE_CLIENT, .text = ""});
        do_deeds(play);
    }
    for (int side = SIDE_CLIENT; play->is_relaying && side <= SIDE_UPSTREAM; side++)
        if (buf_size(&play->held[side]) > 0) {
            record(play, side == SIDE_CLIENT ? '>' : '<', buf_bytes(&play->held[side]));
            buf_clear(&play->held[side]);
        }
}

static void tell(struct play *play, const struct fact *fact)
{
    engine_tell(play->engine, fact);
    pump(play);
}

/* Octets from a side, as long as there is somebody to send them. */
static void say(struct play *play, enum side side, struct slice bytes, size_t piece)
{
    record(play, side == SIDE_CLIENT ? 'C' : 'S', SLICE_NONE);
    while (bytes.size > 0) {
        bool is_there = side == SIDE_CLIENT ? !play->client_has_ended : play->is_connected;
        if (!is_there || play->is_over)
            return;
        struct slice part = slice_take(bytes, piece);
        bytes = slice_skip(bytes, part.size);
        play->fed += part.size;
        ENSURE(buf_append(&play->held[side], part) == 0);
        pump(play);
    }
}

/* ---- steps ---- */

static uint8_t take_octet(struct slice *input)
{
    uint8_t octet = input->size > 0 ? input->data[0] : 0;
    *input = slice_skip(*input, 1);
    return octet;
}

static size_t take_size(struct slice *input)
{
    size_t high = take_octet(input);
    return high << 8 | take_octet(input);
}

static struct slice take_bytes(struct slice *input, size_t size)
{
    struct slice bytes = slice_take(*input, size);
    *input = slice_skip(*input, size);
    return bytes;
}

static void say_repeated(struct play *play, enum side side, struct slice *input, size_t piece)
{
    static uint8_t letters[65536];
    size_t size = take_size(input);
    memset(letters, take_octet(input), size);
    /* Larger pieces: octets that are all the same are soon told, and there are many. */
    play->repeated += size;
    if (play->repeated <= REPEATED_MAX)
        say(play, side, slice_of(letters, size), piece == SIZE_MAX ? piece : piece * 101);
}

static void tell_why(struct play *play, enum fact_kind kind, uint8_t octet)
{
    char text[FACT_TEXT_MAX + 1];
    size_t size = octet < 128 ? 20 : FACT_TEXT_MAX;
    memset(text, '.', size);
    text[size] = '\0';
    tell(play, &(struct fact){.kind = kind, .why = (enum why)(octet % WHY_COUNT), .text = text});
}

static void tell_granted(struct play *play, uint8_t octet)
{
    static const char *const orders[] = {"",
                                         "XOAUTH2",
                                         "OAUTHBEARER XOAUTH2",
                                         "PLAIN XOAUTH2",
                                         " ",
                                         "A-MECHANISM-WITH-A-VERY-LONG-NAME XOAUTH2"};
    tell(play, &(struct fact){.kind = FACT_GRANTED, .text = orders[octet % LENGTH_OF(orders)]});
}

static void tell_connected(struct play *play)
{
    if (!play->is_dialing)
        return;
    play->is_dialing = false;
    play->is_connected = true;
    tell(play, &(struct fact){.kind = FACT_CONNECTED, .is_secure = true, .text = ""});
}

static void tell_end(struct play *play, enum side side)
{
    if (side == SIDE_CLIENT) {
        play->client_has_ended = true;
        pump(play);
    } else if (play->is_connected && !play->is_relaying) {
        tell(play, &(struct fact){.kind = FACT_EOF, .side = side, .text = ""});
    }
}

static void do_step(struct play *play, struct slice *input, size_t piece)
{
    uint8_t kind = take_octet(input);
    switch (kind) {
    case 'C':
    case 'S':
        say(play, kind == 'C' ? SIDE_CLIENT : SIDE_UPSTREAM, take_bytes(input, take_size(input)),
            piece);
        return;
    case 'c':
    case 's':
        say_repeated(play, kind == 'c' ? SIDE_CLIENT : SIDE_UPSTREAM, input, piece);
        return;
    case 'h':
        tell(play, &(struct fact){.kind = FACT_CHALLENGE,
                                  .text = "",
                                  .bytes = take_bytes(input, take_octet(input))});
        return;
    case 'g':
        tell_granted(play, take_octet(input));
        return;
    case 'k':
        tell_connected(play);
        return;
    case 'r':
        tell_why(play, FACT_REFUSED, take_octet(input));
        return;
    case 'f':
        tell_why(play, FACT_FAILED, take_octet(input));
        return;
    case 'd':
        tell_why(play, FACT_DISMISSED, take_octet(input));
        return;
    case 'x':
    case 'y':
        tell_end(play, kind == 'x' ? SIDE_CLIENT : SIDE_UPSTREAM);
        return;
    case 't':
        tell(play, &(struct fact){.kind = FACT_TICK, .text = ""});
        return;
    default:
        return;
    }
}

/* ---- playing ---- */

static struct buf play_input(struct slice input, size_t piece)
{
    static const char *const offers[] = {"PLAIN LOGIN", "PLAIN", "SCRAM-SHA-256 PLAIN", ""};
    static struct play play;
    play = (struct play){.is_token_checked = true};
    /* An input that holds the token by itself may have the server say it. */
    for (size_t i = 0; i < LENGTH_OF(token_marks); i++)
        play.is_token_checked = play.is_token_checked && !contains(input, token_marks[i]);
    buf_init(&play.record, RECORD_MAX);
    buf_init(&play.held[SIDE_CLIENT], RECORD_MAX);
    buf_init(&play.held[SIDE_UPSTREAM], RECORD_MAX);
    uint8_t options = take_octet(&input);
    play.is_long_token = (options & 8) != 0;
    play.engine = engine_new(&(struct engine_settings){
        .dialect = dialect_of(PROTOCOL_IMAP),
        .mechanisms = offers[options >> 1 & 3],
        .refusal = (options & 1) != 0 ? "too many sessions" : NULL,
        .refusal_why = WHY_LIMIT,
        .sasl = {.start = sasl_start, .step = sasl_step, .owner = &play}});
    pump(&play);
    while (input.size > 0 && !play.is_over) {
        do_step(&play, &input, piece);
        ENSURE(buf_size(&play.held[SIDE_UPSTREAM]) == 0 || play.is_connected);
    }
    /* Sixty octets for one, and a token for each login, are more than any answer has. */
    ENSURE(play.sent <= 64 * play.fed + 8 * (64u * 1024));
    if (!play.is_over && !play.is_relaying) {
        tell(&play, &(struct fact){.kind = FACT_DISMISSED, .why = WHY_SHUTDOWN, .text = "bye"});
        ENSURE(play.is_over);
    }
    engine_free(play.engine);
    buf_fini(&play.held[SIDE_CLIENT]);
    buf_fini(&play.held[SIDE_UPSTREAM]);
    return play.record;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 7};
    if (size > INPUT_MAX)
        return 0;
    struct slice input = slice_of(data, size);
    struct buf whole = play_input(input, SIZE_MAX);
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        struct buf cut = play_input(input, pieces[i]);
        ENSURE(slice_equal(buf_bytes(&whole), buf_bytes(&cut)));
        buf_fini(&cut);
    }
    buf_fini(&whole);
    return 0;
}
