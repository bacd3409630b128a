/*
 * The engine, and behind it the passage of its protocol, against a hostile client, a hostile server
 * and any facts. An input is a sequence of steps (make-seeds describes them); it is played in one
 * piece for each step, octet by octet, and in pieces of seven. Each way must give the same record.
 *
 * Also: at most one END or PASS and nothing behind it, nothing to a server that is not connected,
 * no login on either side before its TLS, the end when octets come before a handshake, none of the
 * client's password to the server before PASS, none of the token to the client ever, messages that
 * the keeper can read, memory that stays within maxima, and a server whose octets are always taken.
 *
 * One target for each protocol includes this.
 */
#ifndef ECLUSE_TESTS_ENGINE_FUZZ_H
#define ECLUSE_TESTS_ENGINE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine_fuzz_sasl.h"
#include "mail/engine_internal.h"
#include "steps.h"

#define INPUT_MAX     65536u
#define REPEATED_MAX  (128u * 1024)
#define RECORD_MAX    (16u * 1024 * 1024)
#define KEPT_MAX      (256u * 1024)
#define PASSAGE_MAX   (64u * 1024) /* what a passage may keep */
#define MESSAGE_MAX   (16u * 1024) /* what the keeper takes of SASL */
#define FACT_TEXT_MAX 480u

struct play {
    enum protocol protocol;
    struct engine *engine; /* NULL: the passage has taken over */
    struct passage *passage;
    size_t heap_before; /* the passage */
    bool rejects_bare_newline;
    bool is_read_only, has_senders; /* the grant */
    struct buf record;
    char record_kind; /* of the sends at its end; 0: something else stands there */
    struct buf held[2];
    size_t fed, sent, repeated;
    bool is_token_checked;
    bool is_dialing, is_connected, client_has_ended;
    enum tls_mode client_tls;
    bool is_secure[2], is_securing[2]; /* by side */
    bool is_over;
    struct mock sasl;
};

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

static void check_for_client(const struct play *play, struct slice bytes)
{
    for (size_t i = 0; play->is_token_checked && i < LENGTH_OF(token_marks); i++)
        ENSURE(!contains(bytes, token_marks[i]));
}

static void check_for_upstream(const struct play *play, struct slice bytes)
{
    ENSURE(play->is_connected);
    for (size_t i = 0; i < LENGTH_OF(password_marks); i++)
        ENSURE(!contains(bytes, password_marks[i]));
    if (play->is_secure[SIDE_UPSTREAM])
        return;
    ENSURE(!play->is_securing[SIDE_UPSTREAM] && !contains(bytes, "AUTH"));
    for (size_t i = 0; i < LENGTH_OF(token_marks); i++)
        ENSURE(!contains(bytes, token_marks[i]));
}

static void check_send(struct play *play, const struct deed *deed)
{
    ENSURE(deed->bytes.size > 0);
    play->sent += deed->bytes.size;
    if (deed->side == SIDE_UPSTREAM)
        check_for_upstream(play, deed->bytes);
    else
        check_for_client(play, deed->bytes);
}

static void hang_up(struct play *play)
{
    play->is_connected = false;
    play->is_dialing = false;
    play->is_secure[SIDE_UPSTREAM] = play->is_securing[SIDE_UPSTREAM] = false;
    buf_clear(&play->held[SIDE_UPSTREAM]);
}

/* ---- the relay ---- */

/* Without what the record and the owner keep. */
static size_t heap_of_others(const struct play *play)
{
    return allocated() - play->record.capacity - play->held[SIDE_CLIENT].capacity -
           play->held[SIDE_UPSTREAM].capacity;
}

static void start_relay(struct play *play)
{
    struct slice already = engine_said_already(play->engine);
    struct buf held = play->held[SIDE_CLIENT];
    buf_init(&play->held[SIDE_CLIENT], RECORD_MAX);
    ENSURE(buf_append(&play->held[SIDE_CLIENT], already) == 0);
    ENSURE(buf_append(&play->held[SIDE_CLIENT], buf_bytes(&held)) == 0);
    buf_fini(&held);
    play->heap_before = heap_of_others(play);
    play->passage = engine_passage(
        play->engine,
        &(struct passage_settings){.rejects_bare_newline = play->rejects_bare_newline,
                                   .is_read_only = play->is_read_only,
                                   .senders = play->has_senders ? "alice@example.test" : ""});
}

static void pass(void *owner, enum side to, struct slice bytes)
{
    struct play *play = owner;
    ENSURE(bytes.size > 0 && !play->is_over);
    play->sent += bytes.size;
    if (to == SIDE_CLIENT)
        check_for_client(play, bytes);
    record(play, to == SIDE_CLIENT ? '<' : '>', bytes);
}

static bool deny(void *owner, const char *rule, struct slice verb)
{
    struct play *play = owner;
    ENSURE(!play->is_over && (play->is_read_only || play->has_senders));
    record(play, 'p', slice_of_string(rule));
    record(play, 'p', verb);
    return true;
}

static struct passage_sink sink_of(struct play *play)
{
    return (struct passage_sink){.pass = pass, .deny = deny, .owner = play};
}

static bool relay_side(struct play *play, enum side side)
{
    struct passage_sink sink = sink_of(play);
    struct buf *held = &play->held[side];
    if (buf_size(held) == 0 || play->is_over)
        return false;
    struct slice bytes = buf_bytes(held);
    /* A client that waits for an answer goes on behind it, also when the server says more at once:
     * what comes first may not hang on the pieces. */
    if (side == SIDE_UPSTREAM && buf_size(&play->held[SIDE_CLIENT]) > 0)
        bytes = slice_take(bytes, slice_find(bytes, '\n') + 1);
    size_t consumed = passage_feed(play->passage, side, bytes, &sink);
    ENSURE(side == SIDE_CLIENT || consumed == bytes.size);
    buf_consume(held, consumed);
    ENSURE(heap_of_others(play) <= play->heap_before + PASSAGE_MAX);
    if (play->passage->is_over) {
        record(play, 'o', slice_of_string(play->passage->text));
        play->is_over = true;
    }
    return consumed > 0;
}

/* What a fact is to a session that is relayed: the server's end, or ours. */
static void end_relay(struct play *play, const struct fact *fact)
{
    struct passage_sink sink = sink_of(play);
    if (fact->kind == FACT_DISMISSED)
        passage_say_bye(play->passage, fact->why, fact->text, &sink);
    else if (fact->kind == FACT_EOF && fact->side == SIDE_UPSTREAM)
        passage_finish(play->passage, &sink);
    else
        return;
    play->is_over = true;
}

/* ---- the engine's deeds ---- */

static void start_tls(struct play *play, enum side side)
{
    ENSURE(!play->is_securing[side] && !play->is_secure[side]);
    if (side == SIDE_CLIENT)
        ENSURE(play->client_tls != TLS_MODE_OFF);
    else
        ENSURE(play->is_connected);
    play->is_securing[side] = true;
}

static void check_ask(struct play *play, const struct deed *deed)
{
    ENSURE(deed->bytes.size <= MESSAGE_MAX && (deed->has_bytes || deed->bytes.size == 0));
    ENSURE(play->client_tls == TLS_MODE_OFF || play->is_secure[SIDE_CLIENT]);
    record(play, 'm', slice_of_string(deed->mechanism));
    record(play, 'b', deed->bytes);
}

static void do_deed(struct play *play, const struct deed *deed)
{
    char line[DEED_TEXT_MAX + 100];
    ENSURE(!play->is_over && play->passage == NULL);
    snprintf(line, sizeof(line), "%d %d %d %d %s", (int)deed->kind, (int)deed->why, (int)deed->note,
             deed->has_bytes, deed->text);
    switch (deed->kind) {
    case DEED_SEND:
        check_send(play, deed);
        record(play, deed->side == SIDE_CLIENT ? '<' : '>', deed->bytes);
        return;
    case DEED_ASK:
    case DEED_ANSWER:
        check_ask(play, deed);
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
        ENSURE(play->is_connected && play->is_secure[SIDE_UPSTREAM]);
        ENSURE(play->sasl.state == MOCK_COMPLETE);
        start_relay(play);
        break;
    case DEED_END:
        play->is_over = true;
        break;
    case DEED_AGAIN:
        ENSURE(play->is_connected);
        break;
    case DEED_START_TLS:
        start_tls(play, deed->side);
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

/* As the gate does: the passage outlives the engine. */
static void drop_engine(struct play *play)
{
    size_t before = heap_of_others(play);
    engine_free(play->engine);
    play->engine = NULL;
    /* From here on that is no longer there. */
    play->heap_before -= before - heap_of_others(play);
}

static bool feed_held(struct play *play, enum side side)
{
    struct buf *held = &play->held[side];
    if (play->passage != NULL)
        return relay_side(play, side);
    if (buf_size(held) == 0)
        return false;
    size_t consumed = engine_feed(play->engine, side, buf_bytes(held));
    buf_consume(held, consumed);
    do_deeds(play);
    return consumed > 0;
}

static void pump(struct play *play)
{
    if (play->engine != NULL)
        do_deeds(play);
    while (feed_held(play, SIDE_CLIENT) || feed_held(play, SIDE_UPSTREAM))
        continue;
    if (play->passage != NULL && play->engine != NULL)
        drop_engine(play);
    if (play->client_has_ended && buf_size(&play->held[SIDE_CLIENT]) == 0 && play->engine != NULL) {
        engine_tell(play->engine,
                    &(struct fact){.kind = FACT_EOF, .side = SIDE_CLIENT, .text = ""});
        do_deeds(play);
    }
}

static void tell(struct play *play, const struct fact *fact)
{
    if (play->engine != NULL)
        engine_tell(play->engine, fact);
    else if (!play->is_over)
        end_relay(play, fact);
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
        bool was_securing = play->is_securing[side];
        ENSURE(buf_append(&play->held[side], part) == 0);
        pump(play);
        /* Before a handshake nobody may say anything. */
        bool is_securing = play->is_securing[side] && buf_size(&play->held[side]) > 0;
        ENSURE(play->is_over || !(was_securing || is_securing));
    }
}

/* ---- steps ---- */

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
    play->sasl.has_password = false;
    tell(play, &(struct fact){.kind = FACT_GRANTED, .text = orders[octet % LENGTH_OF(orders)]});
}

static void tell_granted_password(struct play *play, uint8_t octet)
{
    static const char *const orders[] = {"", "PLAIN", "LOGIN", "SCRAM-SHA-256", "XOAUTH2 LOGIN"};
    play->sasl.has_password = true;
    tell(play, &(struct fact){.kind = FACT_GRANTED,
                              .is_password = true,
                              .text = orders[octet % LENGTH_OF(orders)]});
}

static void tell_secured(struct play *play, enum side side)
{
    if (!play->is_securing[side])
        return;
    play->is_securing[side] = false;
    play->is_secure[side] = true;
    tell(play, &(struct fact){.kind = FACT_TLS_UP, .side = side, .text = ""});
}

static void tell_connected(struct play *play, bool is_secure)
{
    if (!play->is_dialing)
        return;
    play->is_dialing = false;
    play->is_connected = true;
    play->is_secure[SIDE_UPSTREAM] = is_secure;
    tell(play, &(struct fact){.kind = FACT_CONNECTED, .is_secure = is_secure, .text = ""});
}

static void tell_end(struct play *play, enum side side)
{
    if (side == SIDE_CLIENT) {
        play->client_has_ended = true;
        pump(play);
    } else if (play->is_connected) {
        tell(play, &(struct fact){.kind = FACT_EOF, .side = side, .text = ""});
    }
}

static void release(struct play *play)
{
    struct passage_sink sink = sink_of(play);
    if (play->passage == NULL || play->is_over)
        return;
    passage_release(play->passage, &sink);
    pump(play);
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
    case 'G':
        tell_granted_password(play, take_octet(input));
        return;
    case 'k':
    case 'K':
        tell_connected(play, kind == 'k');
        return;
    case 'u':
    case 'U':
        tell_secured(play, kind == 'u' ? SIDE_CLIENT : SIDE_UPSTREAM);
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
    case 'n':
        play->is_read_only = true;
        return;
    case 'N':
        play->has_senders = true;
        return;
    case 'v':
        release(play);
        return;
    case 't':
        tell(play, &(struct fact){.kind = FACT_TICK, .text = ""});
        return;
    default:
        return;
    }
}

/* ---- playing ---- */

static struct engine *new_engine(struct play *play, uint8_t options)
{
    static const char *const offers[] = {"PLAIN LOGIN", "PLAIN", "SCRAM-SHA-256 PLAIN APOP", ""};
    static const enum tls_mode modes[] = {TLS_MODE_OFF, TLS_MODE_ON, TLS_MODE_STARTTLS,
                                          TLS_MODE_OFF};
    const char *offer = offers[options >> 1 & 3];
    bool has_apop = slice_has_word(slice_of_string(offer), ' ', SLICE_LITERAL("APOP"));
    play->sasl.is_long_token = (options & 8) != 0;
    play->client_tls = modes[options >> 4 & 3];
    play->rejects_bare_newline = (options & 128) != 0;
    return engine_new(
        &(struct engine_settings){.dialect = dialect_of(play->protocol),
                                  .mechanisms = offer,
                                  .capabilities = "SIZE 1000\nTOP\n",
                                  .timestamp = has_apop ? "<1.2@localhost>" : NULL,
                                  .client_tls = play->client_tls,
                                  .needs_no_login = (options & 64) != 0,
                                  .refusal = (options & 1) != 0 ? "too many sessions" : NULL,
                                  .refusal_why = WHY_LIMIT,
                                  .sasl = {.start = mock_start,
                                           .step = mock_step,
                                           .is_complete = mock_is_complete,
                                           .owner = &play->sasl}});
}

static struct buf play_input(enum protocol protocol, struct slice input, size_t piece)
{
    static struct play play;
    play = (struct play){.protocol = protocol, .is_token_checked = true};
    /* An input that holds the token by itself may have the server say it. */
    for (size_t i = 0; i < LENGTH_OF(token_marks); i++)
        play.is_token_checked = play.is_token_checked && !contains(input, token_marks[i]);
    buf_init(&play.record, RECORD_MAX);
    buf_init(&play.held[SIDE_CLIENT], RECORD_MAX);
    buf_init(&play.held[SIDE_UPSTREAM], RECORD_MAX);
    play.engine = new_engine(&play, take_octet(&input));
    pump(&play);
    while (input.size > 0 && !play.is_over) {
        do_step(&play, &input, piece);
        ENSURE(buf_size(&play.held[SIDE_UPSTREAM]) == 0 || play.is_connected);
    }
    /* Sixty octets for one, and a token for each login, are more than any answer has. */
    ENSURE(play.sent <= 64 * play.fed + 8 * (64u * 1024));
    if (!play.is_over) {
        tell(&play, &(struct fact){.kind = FACT_DISMISSED, .why = WHY_SHUTDOWN, .text = "bye"});
        ENSURE(play.is_over);
    }
    passage_close(play.passage);
    engine_free(play.engine);
    buf_fini(&play.held[SIDE_CLIENT]);
    buf_fini(&play.held[SIDE_UPSTREAM]);
    return play.record;
}

static int fuzz_engine(enum protocol protocol, const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 7};
    if (size > INPUT_MAX)
        return 0;
    struct slice input = slice_of(data, size);
    struct buf whole = play_input(protocol, input, SIZE_MAX);
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        struct buf cut = play_input(protocol, input, pieces[i]);
        ENSURE(slice_equal(buf_bytes(&whole), buf_bytes(&cut)));
        buf_fini(&cut);
    }
    buf_fini(&whole);
    return 0;
}

/* What libFuzzer, or the replayer, calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
