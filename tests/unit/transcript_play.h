/*
 * Plays a transcript: an engine and, behind it, the passage of its protocol, with an owner like the
 * gate's session. What happens is written into a record.
 */
#ifndef ECLUSE_TESTS_TRANSCRIPT_PLAY_H
#define ECLUSE_TESTS_TRANSCRIPT_PLAY_H

#include "transcript_script.h"

#define CUT_NOWHERE    SIZE_MAX
#define CUT_EVERYWHERE (SIZE_MAX - 1)

/* ---- playing ---- */

struct play {
    struct engine *engine;
    struct login login;
    struct record record;
    struct buf held[2];      /* what was not consumed */
    struct passage *passage; /* once it is relaying */
    bool is_relaying, is_over;
    unsigned ends;
};

static void pass(void *owner, enum side to, struct slice bytes)
{
    struct play *play = owner;
    assert_true(bytes.size > 0);
    record_bytes(&play->record, to == SIDE_CLIENT ? ">C " : ">S ", bytes);
}

static bool deny(void *owner, const char *rule, struct slice verb)
{
    struct play *play = owner;
    char line[200];
    snprintf(line, sizeof(line), "=denied %s %.*s", rule, SLICE_PRINT(verb));
    record_line(&play->record, line);
    return true;
}

static struct passage_sink sink_of(struct play *play)
{
    return (struct passage_sink){.pass = pass, .deny = deny, .owner = play};
}

static void note_passage_end(struct play *play)
{
    char line[200];
    if (play->is_over || !play->passage->is_over)
        return;
    play->is_over = true;
    snprintf(line, sizeof(line), "=over %s %s", why_name(play->passage->why), play->passage->text);
    record_line(&play->record, line);
}

static bool relay_side(struct play *play, enum side side)
{
    struct passage_sink sink = sink_of(play);
    struct buf *held = &play->held[side];
    if (buf_size(held) == 0)
        return false;
    size_t consumed = passage_feed(play->passage, side, buf_bytes(held), &sink);
    buf_consume(held, consumed);
    note_passage_end(play);
    return consumed > 0;
}

static void relay(struct play *play)
{
    while (relay_side(play, SIDE_CLIENT) || relay_side(play, SIDE_UPSTREAM))
        continue;
}

static void start_relay(struct play *play)
{
    struct slice already = engine_said_already(play->engine);
    struct buf held = play->held[SIDE_CLIENT];
    play->is_relaying = true;
    play->passage = engine_passage(
        play->engine,
        &(struct passage_settings){.rejects_bare_newline = play->login.script->rejects_bare_newline,
                                   .is_read_only = play->login.script->is_read_only,
                                   .senders = play->login.script->senders});
    buf_init(&play->held[SIDE_CLIENT], RECORD_MAX);
    assert_int_equal(buf_append(&play->held[SIDE_CLIENT], already), 0);
    assert_int_equal(buf_append(&play->held[SIDE_CLIENT], buf_bytes(&held)), 0);
    buf_fini(&held);
}

/* "=learned SIZE 1000|DSN|" */
static void record_learned(struct play *play, struct slice lines)
{
    char line[2000];
    snprintf(line, sizeof(line), "=learned %.*s", SLICE_PRINT(lines));
    for (char *end = strchr(line, '\n'); end != NULL; end = strchr(end, '\n'))
        *end = '|';
    record_line(&play->record, line);
}

static void record_deed(struct play *play, const struct deed *deed)
{
    static const char *const notes[] = {[ENGINE_NOTE_CROSS_PROTOCOL] = "cross-protocol",
                                        [ENGINE_NOTE_UPSTREAM_AUTH] = "upstream-auth"};
    char line[20000] = "";
    struct buf text;
    buf_init(&text, RECORD_MAX);
    assert_int_equal(wire_base64_encode(deed->bytes, &text), 0);
    assert_int_equal(buf_append(&text, SLICE_LITERAL("\0")), 0);
    const char *base64 = (const char *)buf_bytes(&text).data;
    switch (deed->kind) {
    case DEED_SEND:
        record_bytes(&play->record, deed->side == SIDE_CLIENT ? "<C " : "<S ", deed->bytes);
        break;
    case DEED_ASK:
        snprintf(line, sizeof(line), "=ask %s %s", deed->mechanism, deed->has_bytes ? base64 : "-");
        break;
    case DEED_ANSWER:
        snprintf(line, sizeof(line), "=answer %s", base64);
        break;
    case DEED_AGAIN:
        snprintf(line, sizeof(line), "=again");
        break;
    case DEED_DIAL:
        snprintf(line, sizeof(line), "=dial");
        break;
    case DEED_HANG_UP:
        snprintf(line, sizeof(line), "=hang-up");
        break;
    case DEED_START_TLS:
        snprintf(line, sizeof(line), "=start-tls %s",
                 deed->side == SIDE_CLIENT ? "client" : "upstream");
        break;
    case DEED_LEARNED:
        record_learned(play, deed->bytes);
        break;
    case DEED_NOTE:
        snprintf(line, sizeof(line), "=note %s %s %s", notes[deed->note], why_name(deed->why),
                 deed->text);
        break;
    case DEED_PASS:
        snprintf(line, sizeof(line), "=pass");
        break;
    case DEED_END:
        snprintf(line, sizeof(line), "=end %s", why_name(deed->why));
        break;
    }
    if (line[0] != '\0')
        record_line(&play->record, line);
    buf_fini(&text);
}

static void do_deeds(struct play *play)
{
    struct deed deed;
    while (engine_next(play->engine, &deed)) {
        record_deed(play, &deed);
        if (deed.kind == DEED_PASS)
            start_relay(play);
        play->ends += deed.kind == DEED_END || deed.kind == DEED_PASS;
    }
}

/* Feeds what is held until nothing moves any more, as the owner of an engine does. */
static void feed(struct play *play)
{
    bool has_moved = true;
    do_deeds(play);
    while (has_moved && !play->is_relaying) {
        has_moved = false;
        for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM && !play->is_relaying; side++) {
            if (buf_size(&play->held[side]) == 0)
                continue;
            size_t consumed =
                engine_feed(play->engine, (enum side)side, buf_bytes(&play->held[side]));
            buf_consume(&play->held[side], consumed);
            has_moved = has_moved || consumed > 0;
            do_deeds(play);
        }
    }
    if (play->is_relaying)
        relay(play);
}

static void play_input(struct play *play, enum side side, struct slice bytes)
{
    assert_int_equal(buf_append(&play->held[side], bytes), 0);
    feed(play);
}

static void play_fact(struct play *play, const char *text)
{
    char name[32] = "", first[64] = "", rest[400] = "";
    struct passage_sink sink = sink_of(play);
    struct fact fact = {0};
    struct buf bytes;
    buf_init(&bytes, RECORD_MAX);
    sscanf(text, "%31s %63s %399[^\n]", name, first, rest);
    fact.text = rest;
    if (strcmp(name, "challenge") == 0) {
        fact.kind = FACT_CHALLENGE;
        assert_int_equal(wire_base64_decode(slice_of_string(first), &bytes), 0);
        fact.bytes = buf_bytes(&bytes);
    } else if (strncmp(name, "granted", 7) == 0) {
        fact.kind = FACT_GRANTED;
        fact.is_password = strcmp(name, "granted-password") == 0;
        play->login.is_password = fact.is_password;
        fact.text = text[strlen(name)] == ' ' ? text + strlen(name) + 1 : "";
    } else if (strcmp(name, "refused") == 0 || strcmp(name, "failed") == 0) {
        fact.kind = name[0] == 'r' ? FACT_REFUSED : FACT_FAILED;
        fact.why = find_why(first);
    } else if (strcmp(name, "connected") == 0) {
        fact.kind = FACT_CONNECTED;
        fact.is_secure = strcmp(first, "plain") != 0;
    } else if (strcmp(name, "tls-up") == 0) {
        fact.kind = FACT_TLS_UP;
        fact.side = strcmp(first, "client") == 0 ? SIDE_CLIENT : SIDE_UPSTREAM;
    } else if (strcmp(name, "eof") == 0) {
        fact.kind = FACT_EOF;
        fact.side = strcmp(first, "client") == 0 ? SIDE_CLIENT : SIDE_UPSTREAM;
    } else if (strcmp(name, "tick") == 0) {
        fact.kind = FACT_TICK;
    } else if (strcmp(name, "dismissed") == 0) {
        fact.kind = FACT_DISMISSED;
        fact.why = find_why(first);
    } else if (strcmp(name, "released") == 0) {
        passage_release(play->passage, &sink);
        feed(play);
        return;
    } else
        fail_msg("no such fact: %s", text);
    if (play->is_relaying && fact.kind == FACT_EOF)
        passage_finish(play->passage, &sink);
    else if (play->is_relaying && fact.kind == FACT_DISMISSED)
        passage_say_bye(play->passage, fact.why, fact.text, &sink);
    else
        engine_tell(play->engine, &fact);
    buf_fini(&bytes);
    feed(play);
}

static void play_run(struct play *play, const struct item *item, size_t cut)
{
    struct slice bytes = buf_bytes(&item->bytes);
    record_line(&play->record, item->side == SIDE_CLIENT ? "C:" : "S:");
    if (cut == CUT_EVERYWHERE) {
        for (size_t i = 0; i < bytes.size; i++)
            play_input(play, item->side, slice_take(slice_skip(bytes, i), 1));
    } else if (cut == CUT_NOWHERE) {
        play_input(play, item->side, bytes);
    } else {
        play_input(play, item->side, slice_take(bytes, cut));
        play_input(play, item->side, slice_skip(bytes, cut));
    }
}

static void play_begin(struct play *play, const struct script *script,
                       const struct dialect *dialect)
{
    *play = (struct play){.login = {.script = script}};
    bool has_apop = slice_has_word(slice_of_string(script->offer), ' ', SLICE_LITERAL("APOP"));
    struct engine_settings settings = {.dialect = dialect,
                                       .mechanisms = script->offer,
                                       .capabilities = script->capabilities,
                                       .timestamp = has_apop ? "<1.2@localhost>" : NULL,
                                       .client_tls = script->client_tls,
                                       .needs_no_login = script->needs_no_login,
                                       .refusal =
                                           script->refusal[0] == '\0' ? NULL : script->refusal,
                                       .refusal_why = script->refusal_why,
                                       .sasl = {.start = login_start,
                                                .step = login_step,
                                                .is_complete = login_is_complete,
                                                .owner = &play->login}};
    record_init(&play->record);
    buf_init(&play->held[SIDE_CLIENT], RECORD_MAX);
    buf_init(&play->held[SIDE_UPSTREAM], RECORD_MAX);
    play->engine = engine_new(&settings);
    do_deeds(play);
}

/* With item `cut_item`, or every one, cut at `cut`. */
static void play_items(struct play *play, size_t cut_item, size_t cut)
{
    const struct script *script = play->login.script;
    for (size_t i = 0; i < script->item_count; i++) {
        const struct item *item = &script->items[i];
        bool is_cut = cut == CUT_EVERYWHERE || i == cut_item;
        if (item->kind == ITEM_INPUT)
            play_run(play, item, is_cut ? cut : CUT_NOWHERE);
        if (item->kind == ITEM_FACT) {
            char line[600];
            snprintf(line, sizeof(line), "!%s", item->fact);
            record_line(&play->record, line);
            play_fact(play, item->fact);
        }
    }
}

static void play_end(struct play *play)
{
    passage_close(play->passage);
    engine_free(play->engine);
    sasl_initiator_free(play->login.initiator);
    record_fini(&play->record);
    buf_fini(&play->held[SIDE_CLIENT]);
    buf_fini(&play->held[SIDE_UPSTREAM]);
}

#endif
