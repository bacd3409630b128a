/*
 * The login upstream: connect, bring TLS up where that is still due, learn what the server can do,
 * send the token in the mechanism chosen, absorb the error challenge, and try once more with a new
 * token when this one is refused.
 *
 * Fails by: no connection, no TLS, no mechanism in common, a token that must not be sent, a server
 * that closes, babbles, refuses twice or says yes without proving itself. The client is told by
 * engine_fail.
 */
#include <stdio.h>
#include <string.h>

#include "mail/engine_internal.h"

/* In base64: a password, or what SCRAM answers to a nonce that filled its line. */
#define SENT_ANSWER_MAX (16ul * 1024)

static void forget_what_was_said(struct engine *engine)
{
    buf_clear(&engine->readers[SIDE_UPSTREAM].bytes);
    buf_clear(&engine->capabilities);
    buf_clear(&engine->mechanisms);
    buf_clear(&engine->reply_text);
    buf_clear(&engine->first_message);
    engine->first_message_is_due = false;
    engine->allows_initial_response = false;
}

void engine_reset_upstream(struct engine *engine)
{
    forget_what_was_said(engine);
    engine->reply_total = 0;
    engine->challenges = 0;
    engine->upstream_is_connected = false;
    engine->upstream_is_secure = false;
    engine->upstream_is_stale = false;
    engine->upstream_is_reused = false;
}

static void enter_authenticate(struct engine *engine);

static void dial(struct engine *engine)
{
    engine_reset_upstream(engine);
    engine_queue(engine, &(struct deed){.kind = DEED_DIAL}, NULL);
    engine_enter(engine, PHASE_DIALING);
}

void engine_tell_granted(struct engine *engine, const char *mechanisms, bool is_password)
{
    if (engine->phase != PHASE_ASKED)
        return;
    mem_free(engine->mechanism_order);
    engine->mechanism_order = mem_copy_string(mechanisms);
    engine->has_password = is_password;
    if (!engine->upstream_is_connected || engine->upstream_is_stale) {
        dial(engine);
        return;
    }
    engine->upstream_is_reused = true;
    engine->reply_total = 0;
    enter_authenticate(engine);
}

void engine_skip_client(struct engine *engine)
{
    ENSURE(engine->phase == PHASE_COMMAND);
    engine_enter(engine, PHASE_ASKED);
}

void engine_tell_connected(struct engine *engine, bool is_secure)
{
    if (engine->phase != PHASE_DIALING)
        return;
    engine->upstream_is_connected = true;
    engine->upstream_is_secure = is_secure;
    engine_enter(engine, PHASE_GREETING);
}

/* ---- STARTTLS ---- */

static void ask_for_tls(struct engine *engine)
{
    engine->dialect->ask_tls(engine);
    engine_enter(engine, PHASE_UPGRADE);
}

bool engine_upstream_greeted(struct engine *engine)
{
    /* SMTP wants to be introduced to first. */
    if (!engine->upstream_is_secure && !engine->dialect->asks_capabilities_for_tls) {
        ask_for_tls(engine);
        return false;
    }
    engine->dialect->ask_capabilities(engine);
    engine_enter(engine, PHASE_CAPABILITY);
    return false;
}

bool engine_upstream_is_secure(const struct engine *engine)
{
    return engine->upstream_is_secure;
}

bool engine_upstream_agreed_to_tls(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_queue(engine, &(struct deed){.kind = DEED_START_TLS, .side = SIDE_UPSTREAM}, NULL);
    engine_enter(engine, PHASE_SECURING);
    return false;
}

bool engine_upstream_refused_tls(struct engine *engine, const struct unit *unit)
{
    engine_fail_quoting(engine, WHY_UPSTREAM_TLS, "the mail server refuses TLS",
                        wire_trim_line_end(unit->bytes));
    return false;
}

void engine_tell_secured(struct engine *engine)
{
    if (engine->phase != PHASE_SECURING)
        return;
    forget_what_was_said(engine);
    engine->upstream_is_secure = true;
    engine->dialect->ask_capabilities(engine);
    engine_enter(engine, PHASE_CAPABILITY);
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
    case PHASE_UPGRADE:
    case PHASE_SECURING:
    case PHASE_CAPABILITY:
    case PHASE_CONFIRM:
        break;
    case PHASE_CLIENT_TLS:
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
    buf_clear(&engine->mechanisms);
    engine->allows_initial_response = false;
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

void engine_add_capability(struct engine *engine, struct slice line)
{
    struct buf *capabilities = &engine->capabilities;
    engine->capabilities_are_new = true;
    if (buf_room(capabilities) < line.size + 1)
        return;
    ENSURE(buf_append(capabilities, line) == 0);
    ENSURE(buf_append(capabilities, SLICE_LITERAL("\n")) == 0);
}

void engine_add_mechanism(struct engine *engine, struct slice name)
{
    struct buf *mechanisms = &engine->mechanisms;
    if (name.size == 0 || buf_room(mechanisms) < name.size + 1)
        return;
    ENSURE(buf_append(mechanisms, name) == 0);
    ENSURE(buf_append(mechanisms, SLICE_LITERAL(" ")) == 0);
}

struct slice engine_upstream_mechanisms(const struct engine *engine)
{
    return buf_bytes(&engine->mechanisms);
}

void engine_allow_initial_response(struct engine *engine)
{
    engine->allows_initial_response = true;
}

void engine_add_reply_text(struct engine *engine, struct slice text)
{
    struct buf *reply = &engine->reply_text;
    if (buf_size(reply) > 0 && buf_room(reply) > 0)
        ENSURE(buf_append(reply, SLICE_LITERAL(" ")) == 0);
    ENSURE(buf_append(reply, slice_take(text, buf_room(reply))) == 0);
}

struct slice engine_reply_text(const struct engine *engine)
{
    return buf_bytes(&engine->reply_text);
}

void engine_clear_reply_text(struct engine *engine)
{
    buf_clear(&engine->reply_text);
}

static bool offers(const struct engine *engine, struct slice mechanism)
{
    struct slice rest = buf_bytes(&engine->mechanisms), word;
    while (slice_next_word(&rest, ' ', &word))
        if (slice_equal_ignoring_case(word, mechanism))
            return true;
    return false;
}

/* The first of the order that the server offers. Of an order that the configuration gives the first
 * one is taken even if none is offered: some servers take XOAUTH2 without saying so. */
static bool choose_mechanism(struct engine *engine)
{
    bool is_configured = engine->mechanism_order[0] != '\0';
    const char *preference =
        engine->has_password ? "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN" : "OAUTHBEARER XOAUTH2";
    const char *order = is_configured ? engine->mechanism_order : preference;
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

/* Each mechanism has a blank behind it. */
static struct slice trim_blank(struct slice words)
{
    return slice_take(words, words.size == 0 ? 0 : words.size - 1);
}

static void enter_authenticate(struct engine *engine)
{
    struct slice message;
    ENSURE(engine->upstream_is_secure);
    engine_enter(engine, PHASE_AUTHENTICATE);
    if (!choose_mechanism(engine)) {
        engine_fail_quoting(engine, WHY_UPSTREAM_PROTOCOL,
                            engine->has_password
                                ? "the mail server offers no mechanism that takes a password"
                                : "the mail server offers no mechanism that takes a token",
                            trim_blank(buf_bytes(&engine->mechanisms)));
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
    bool has_first = message.data != NULL;
    if (has_first && initial.size == 0)
        initial = SLICE_LITERAL("=");
    bool in_one_step = has_first && engine->allows_initial_response &&
                       engine->dialect->initial_max >= initial.size;
    engine->first_message_is_due = has_first && !in_one_step;
    engine->dialect->authenticate(engine, engine->mechanism, in_one_step ? &initial : NULL);
    if (in_one_step)
        buf_clear(&engine->first_message);
}

void engine_upstream_known(struct engine *engine)
{
    if (engine->upstream_is_secure)
        enter_authenticate(engine);
    else
        ask_for_tls(engine);
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
    if (++engine->challenges >
        (engine->has_password ? PASSWORD_CHALLENGES_MAX : TOKEN_CHALLENGES_MAX))
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
        engine_fail_quoting(engine, WHY_TOKEN_REJECTED,
                            engine->has_password ? "the provider refused the password"
                                                 : "the provider refused the access token",
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

static void learn(struct engine *engine, bool (*is_for_later)(struct slice line))
{
    struct slice rest = engine_capabilities(engine), line;
    while (is_for_later != NULL && slice_next_word(&rest, '\n', &line))
        if (line.size > 0 && !slice_has_control(line) && is_for_later(line)) {
            ENSURE(buf_append(&engine->learned, line) == 0);
            ENSURE(buf_append(&engine->learned, SLICE_LITERAL("\n")) == 0);
        }
    if (buf_size(&engine->learned) > 0)
        engine_queue(engine, &(struct deed){.kind = DEED_LEARNED}, NULL);
}

void engine_pass(struct engine *engine, bool (*is_for_later)(struct slice line))
{
    const struct engine_sasl *sasl = &engine->settings.sasl;
    if (engine->first_message_is_due) {
        engine_fail(engine, WHY_UPSTREAM_PROTOCOL,
                    "the mail server said yes before it could know who we are");
        return;
    }
    if (sasl->is_complete != NULL && !sasl->is_complete(sasl->owner)) {
        engine_fail(engine, WHY_UPSTREAM_PROTOCOL,
                    "the mail server did not prove that it knows the password");
        return;
    }
    engine_queue(
        engine,
        &(struct deed){.kind = DEED_NOTE, .note = ENGINE_NOTE_UPSTREAM_AUTH, .why = WHY_NONE},
        engine->mechanism);
    /* A command that was kept is answered by the upstream itself. */
    if (buf_size(&engine->said_already) == 0)
        engine->dialect->say_ready(engine);
    learn(engine, is_for_later);
    engine_queue(engine, &(struct deed){.kind = DEED_PASS}, NULL);
    engine_enter(engine, PHASE_RELAY);
}
