/*
 * The login upstream: connect, learn what the server can do, send the token in the mechanism
 * chosen, absorb the error challenge, and try once more with a new token when this one is refused.
 *
 * Fails by: no connection, no mechanism in common, a token that must not be sent, a server that
 * closes, babbles or refuses twice. The client is told by engine_fail.
 */
#include <stdio.h>
#include <string.h>

#include "mail/engine_internal.h"

/* Our answers to an error challenge are empty or one octet. */
#define SENT_ANSWER_MAX 64

void engine_reset_upstream(struct engine *engine)
{
    struct unit_reader *reader = &engine->readers[SIDE_UPSTREAM];
    buf_clear(&reader->bytes);
    buf_clear(&engine->capabilities);
    buf_clear(&engine->first_message);
    engine->reply_total = 0;
    engine->first_message_is_due = false;
    engine->challenges = 0;
    engine->upstream_is_connected = false;
    engine->upstream_is_stale = false;
    engine->upstream_is_reused = false;
}

static void dial(struct engine *engine)
{
    engine_reset_upstream(engine);
    engine_queue(engine, &(struct deed){.kind = DEED_DIAL}, NULL);
    engine_enter(engine, PHASE_DIALING);
}

void engine_tell_granted(struct engine *engine, const char *mechanisms)
{
    if (engine->phase != PHASE_ASKED)
        return;
    mem_free(engine->mechanism_order);
    engine->mechanism_order = mem_copy_string(mechanisms);
    if (!engine->upstream_is_connected || engine->upstream_is_stale) {
        dial(engine);
        return;
    }
    engine->upstream_is_reused = true;
    engine->reply_total = 0;
    engine_enter_authenticate(engine);
}

void engine_tell_connected(struct engine *engine)
{
    if (engine->phase != PHASE_DIALING)
        return;
    engine->upstream_is_connected = true;
    engine_enter(engine, PHASE_GREETING);
}

void engine_upstream_lost(struct engine *engine, enum why why, const char *text)
{
    switch (engine->phase) {
    case PHASE_ASKED:
        engine->upstream_is_stale = true;
        return;
    case PHASE_AUTHENTICATE:
        /* It refused the first token, then closed while we wrote the second: that one was not seen.
         */
        if (engine->upstream_is_reused && engine->reply_total == 0) {
            dial(engine);
            return;
        }
        break;
    case PHASE_DIALING:
    case PHASE_GREETING:
    case PHASE_CAPABILITY:
    case PHASE_CONFIRM:
        break;
    case PHASE_COMMAND:
    case PHASE_EXCHANGE:
    case PHASE_RELAY:
    case PHASE_OVER:
    case PHASE_SAME:
        return;
    }
    engine_fail(engine, why, text);
}

const char *engine_upstream_tag(const struct engine *engine)
{
    return engine->upstream_tag;
}

const char *engine_next_upstream_tag(struct engine *engine)
{
    snprintf(engine->upstream_tag, sizeof(engine->upstream_tag), "e%u", ++engine->upstream_command);
    return engine->upstream_tag;
}

/* ---- capabilities and mechanism ---- */

void engine_set_capabilities(struct engine *engine, struct slice words)
{
    buf_clear(&engine->capabilities);
    ENSURE(buf_append(&engine->capabilities, words) == 0);
    engine->capabilities_are_new = true;
}

bool engine_has_new_capabilities(const struct engine *engine)
{
    return engine->capabilities_are_new;
}

struct slice engine_capabilities(const struct engine *engine)
{
    return buf_bytes(&engine->capabilities);
}

bool engine_has_capability(const struct engine *engine, const char *word)
{
    struct slice rest = engine_capabilities(engine), capability;
    while (slice_next_word(&rest, ' ', &capability))
        if (slice_is_ignoring_case(capability, word))
            return true;
    return false;
}

static bool offers(const struct engine *engine, struct slice mechanism)
{
    char word[MECHANISM_MAX + 8];
    if (mechanism.size >= MECHANISM_MAX)
        return false;
    snprintf(word, sizeof(word), "AUTH=%.*s", SLICE_PRINT(mechanism));
    return engine_has_capability(engine, word);
}

/* The first of the order that the server offers. Of an order that the configuration gives the first
 * one is taken even if none is offered: some servers take XOAUTH2 without saying so. */
static bool choose_mechanism(struct engine *engine)
{
    bool is_configured = engine->mechanism_order[0] != '\0';
    const char *order = is_configured ? engine->mechanism_order : engine->dialect->preference;
    struct slice rest = slice_of_string(order), word, chosen = SLICE_NONE;
    while (chosen.size == 0 && slice_next_word(&rest, ' ', &word))
        if (offers(engine, word))
            chosen = word;
    if (chosen.size == 0 && is_configured) {
        rest = slice_of_string(order);
        if (slice_next_word(&rest, ' ', &word))
            chosen = word;
    }
    if (chosen.size == 0 || chosen.size >= MECHANISM_MAX)
        return false;
    memcpy(engine->mechanism, chosen.data, chosen.size);
    engine->mechanism[chosen.size] = '\0';
    return true;
}

void engine_enter_authenticate(struct engine *engine)
{
    struct slice message;
    engine_enter(engine, PHASE_AUTHENTICATE);
    if (!choose_mechanism(engine)) {
        engine_fail(engine, WHY_UPSTREAM_PROTOCOL,
                    "the mail server offers no mechanism that takes a token");
        return;
    }
    const struct engine_sasl *sasl = &engine->settings.sasl;
    buf_clear(&engine->first_message);
    engine->challenges = 0;
    engine->capabilities_are_new = false;
    if (sasl->start(sasl->owner, engine->mechanism, &message) != 0 ||
        wire_base64_encode(message, &engine->first_message) != 0) {
        engine_fail(engine, WHY_INTERNAL, "the user name or token cannot be sent");
        return;
    }
    struct slice initial = buf_bytes(&engine->first_message);
    bool in_one_step =
        engine->dialect->initial_max >= initial.size && engine_has_capability(engine, "SASL-IR");
    engine->first_message_is_due = !in_one_step;
    engine->dialect->authenticate(engine, engine->mechanism, in_one_step ? &initial : NULL);
    if (in_one_step)
        buf_clear(&engine->first_message);
}

/* ---- what the server answers ---- */

static void send_first_message(struct engine *engine)
{
    engine->first_message_is_due = false;
    engine_send(engine, SIDE_UPSTREAM, buf_bytes(&engine->first_message));
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("\r\n"));
    buf_clear(&engine->first_message);
}

bool engine_upstream_challenge(struct engine *engine, const struct unit *unit)
{
    if (engine->first_message_is_due) {
        send_first_message(engine);
        return false;
    }
    if (++engine->challenges > CHALLENGES_MAX)
        return engine_upstream_nonsense(engine, unit);

    /* The server's reason (JSON) is for programs; the client never asked for it and does not see
     * it. One that is no base64 is answered just the same: the tagged reply is what counts. */
    struct buf challenge;
    struct slice answer;
    const struct engine_sasl *sasl = &engine->settings.sasl;
    buf_init(&challenge, engine->dialect->reply_line_max);
    if (wire_base64_decode(unit->arguments, &challenge) != 0)
        buf_clear(&challenge);
    if (sasl->step(sasl->owner, buf_bytes(&challenge), &answer) != 0) {
        engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("*\r\n"));
    } else {
        struct buf text;
        buf_init(&text, SENT_ANSWER_MAX);
        ENSURE(wire_base64_encode(answer, &text) == 0);
        engine_send(engine, SIDE_UPSTREAM, buf_bytes(&text));
        engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("\r\n"));
        buf_fini(&text);
    }
    buf_fini(&challenge);
    return false;
}

void engine_token_refused(struct engine *engine, struct slice reason)
{
    char words[200];
    slice_escape(reason, words, sizeof(words));
    engine_queue(engine,
                 &(struct deed){.kind = DEED_NOTE,
                                .note = ENGINE_NOTE_UPSTREAM_AUTH,
                                .why = WHY_TOKEN_REJECTED},
                 words);
    if (engine->token_was_refused) {
        engine_fail_quoting(engine, WHY_TOKEN_REJECTED, "the provider refused the access token",
                            reason);
        return;
    }
    engine->token_was_refused = true;
    engine_queue(engine, &(struct deed){.kind = DEED_AGAIN}, NULL);
    engine_enter(engine, PHASE_ASKED);
}

bool engine_upstream_nonsense(struct engine *engine, const struct unit *unit)
{
    engine_fail_quoting(engine, WHY_UPSTREAM_PROTOCOL,
                        "the mail server does not speak as it should",
                        wire_trim_line_end(unit->bytes));
    return false;
}

void engine_pass(struct engine *engine)
{
    engine_queue(
        engine,
        &(struct deed){.kind = DEED_NOTE, .note = ENGINE_NOTE_UPSTREAM_AUTH, .why = WHY_NONE},
        engine->mechanism);
    engine->dialect->say_ready(engine);
    engine_queue(engine, &(struct deed){.kind = DEED_PASS}, NULL);
    engine_enter(engine, PHASE_RELAY);
}
