/*
 * The machine: phases, facts, deeds.
 *
 *   COMMAND ⇄ EXCHANGE → ASKED → DIALING → GREETING → CAPABILITY → AUTHENTICATE → CONFIRM → RELAY
 *       ⇅                                       ↘         ↓ ↑
 *   CLIENT_TLS                                     UPGRADE → SECURING
 *
 * CAPABILITY is left out when the greeting brought the list, CONFIRM when the login's reply did or
 * the protocol has no need of it. UPGRADE and SECURING are there when the connection is not secure
 * yet: nothing is authenticated before. CLIENT_TLS is where TLS towards the client begins.
 * A failure anywhere between ASKED and RELAY says no to the client and goes back to COMMAND; the
 * fifth one ends the connection. A refused token goes from AUTHENTICATE to ASKED once, and from
 * there to AUTHENTICATE on the same connection or, if the server has closed it, to DIALING.
 *
 * Fails by: the client leaving or timing out (END), its nonsense (BAD, then END), the keeper
 * refusing, the upstream being unreachable, silent, closing or not speaking its protocol (NO).
 */
#include "mail/engine_internal.h"

#include <stdio.h>
#include <string.h>

#define SENT_MAX (64ul * 1024)

static void copy_settings(struct engine *engine, const struct engine_settings *settings)
{
    engine->settings = *settings;
    engine->local_mechanisms = mem_copy_string(settings->mechanisms);
    if (settings->capabilities != NULL)
        engine->local_capabilities = mem_copy_string(settings->capabilities);
    if (settings->timestamp != NULL)
        engine->timestamp = mem_copy_string(settings->timestamp);
    if (settings->refusal != NULL)
        engine->refusal = mem_copy_string(settings->refusal);
}

static void greet_or_refuse(struct engine *engine)
{
    if (engine->refusal == NULL)
        engine->dialect->greet(engine);
    else
        engine_end(engine, engine->settings.refusal_why, engine->refusal);
}

struct engine *engine_new(const struct engine_settings *settings)
{
    const struct dialect *dialect = settings->dialect;
    struct engine *engine = mem_new(sizeof(*engine));
    engine->dialect = dialect;
    engine->phase = PHASE_COMMAND;
    copy_settings(engine, settings);
    buf_init(&engine->readers[SIDE_CLIENT].bytes, dialect->sasl_max + dialect->literal_max);
    buf_init(&engine->readers[SIDE_UPSTREAM].bytes, dialect->reply_line_max);
    buf_init(&engine->out[SIDE_CLIENT], SENT_MAX);
    buf_init(&engine->out[SIDE_UPSTREAM], SENT_MAX);
    buf_init(&engine->asked, dialect->sasl_max + dialect->command_max);
    buf_init(&engine->user, dialect->command_max);
    buf_init(&engine->said_already, dialect->command_max + sizeof("\r\n"));
    buf_init(&engine->capabilities, dialect->reply_line_max);
    buf_init(&engine->mechanisms, dialect->reply_line_max);
    buf_init(&engine->reply_text, REPLY_TEXT_MAX);
    buf_init(&engine->learned, dialect->reply_line_max);
    buf_init(&engine->first_message, SENT_MAX);
    if (settings->client_tls == TLS_MODE_ON)
        (void)engine_begin_client_tls(engine);
    else
        greet_or_refuse(engine);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine == NULL)
        return;
    for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++) {
        buf_fini(&engine->readers[side].bytes);
        buf_fini(&engine->out[side]);
    }
    struct buf *const buffers[] = {
        &engine->asked,      &engine->user,       &engine->said_already, &engine->capabilities,
        &engine->mechanisms, &engine->reply_text, &engine->learned,      &engine->first_message};
    for (size_t i = 0; i < LENGTH_OF(buffers); i++)
        buf_fini(buffers[i]);
    mem_free(engine->local_mechanisms);
    mem_free(engine->local_capabilities);
    mem_free(engine->timestamp);
    mem_free(engine->refusal);
    mem_free(engine->mechanism_order);
    mem_free(engine);
}

const char *engine_phase_name(const struct engine *engine)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        PHASES(X)
#undef X
    };
    return names[engine->phase];
}

/* The one place where the phase changes. */
void engine_enter(struct engine *engine, enum phase phase)
{
    ENSURE(phase != PHASE_SAME && engine->phase != PHASE_OVER);
    engine->phase = phase;
}

enum engine_patience engine_patience(const struct engine *engine)
{
    switch (engine->phase) {
    case PHASE_CLIENT_TLS:
    case PHASE_COMMAND:
    case PHASE_EXCHANGE:
        return PATIENCE_CLIENT;
    case PHASE_ASKED:
        return PATIENCE_KEEPER;
    case PHASE_DIALING:
    case PHASE_GREETING:
    case PHASE_UPGRADE:
    case PHASE_SECURING:
    case PHASE_CAPABILITY:
    case PHASE_AUTHENTICATE:
    case PHASE_CONFIRM:
        return PATIENCE_UPSTREAM;
    case PHASE_RELAY:
    case PHASE_OVER:
    case PHASE_SAME:
        break;
    }
    return PATIENCE_NONE;
}

/* ---- deeds ---- */

static void give_back_what_was_lent(struct engine *engine)
{
    for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++)
        if (engine->out_is_lent[side]) {
            buf_clear(&engine->out[side]);
            engine->out_is_lent[side] = false;
        }
    if (engine->lent.deed.kind == DEED_ASK || engine->lent.deed.kind == DEED_ANSWER)
        buf_clear(&engine->asked);
    engine->lent.deed = (struct deed){0};
}

void engine_queue(struct engine *engine, const struct deed *deed, const char *text)
{
    ENSURE(engine->queue_count < QUEUE_MAX);
    size_t slot = (engine->queue_start + engine->queue_count++) % QUEUE_MAX;
    engine->queue[slot].deed = *deed;
    snprintf(engine->queue[slot].text, DEED_TEXT_MAX, "%s", text == NULL ? "" : text);
}

static bool send_is_queued(const struct engine *engine, enum side side)
{
    for (size_t i = 0; i < engine->queue_count; i++) {
        const struct deed *deed = &engine->queue[(engine->queue_start + i) % QUEUE_MAX].deed;
        if (deed->kind == DEED_SEND && deed->side == side)
            return true;
    }
    return false;
}

void engine_send(struct engine *engine, enum side side, struct slice bytes)
{
    ENSURE(!engine->out_is_lent[side]);
    ENSURE(buf_append(&engine->out[side], bytes) == 0);
    if (!send_is_queued(engine, side))
        engine_queue(engine, &(struct deed){.kind = DEED_SEND, .side = side}, NULL);
}

bool engine_next(struct engine *engine, struct deed *deed_out)
{
    give_back_what_was_lent(engine);
    if (engine->queue_count == 0)
        return false;
    engine->lent = engine->queue[engine->queue_start];
    engine->queue_start = (engine->queue_start + 1) % QUEUE_MAX;
    engine->queue_count--;

    struct deed *deed = &engine->lent.deed;
    deed->text = engine->lent.text;
    if (deed->kind == DEED_SEND) {
        deed->bytes = buf_bytes(&engine->out[deed->side]);
        engine->out_is_lent[deed->side] = true;
    } else if (deed->kind == DEED_ASK || deed->kind == DEED_ANSWER) {
        deed->bytes = buf_bytes(&engine->asked);
        deed->mechanism = engine->asked_mechanism;
    } else if (deed->kind == DEED_LEARNED) {
        deed->bytes = buf_bytes(&engine->learned);
    } else if (deed->kind == DEED_NOTE) {
        deed->bytes = slice_of(engine->foreign_word, engine->foreign_word_size);
        deed->mechanism = engine->mechanism;
    }
    *deed_out = *deed;
    return true;
}

/* ---- what the relay gets ---- */

struct passage *engine_passage(const struct engine *engine, struct passage_settings *settings)
{
    ENSURE(engine->phase == PHASE_RELAY);
    settings->capabilities = buf_bytes(&engine->capabilities);
    return engine->dialect->passage->open(settings);
}

struct slice engine_said_already(const struct engine *engine)
{
    return buf_bytes(&engine->said_already);
}

/* ---- bytes ---- */

static bool reads_from(const struct engine *engine, enum side side)
{
    switch (engine->phase) {
    case PHASE_CLIENT_TLS:
    case PHASE_COMMAND:
    case PHASE_EXCHANGE:
        return side == SIDE_CLIENT;
    case PHASE_ASKED:
        return side == SIDE_UPSTREAM && engine->upstream_is_connected;
    case PHASE_GREETING:
    case PHASE_UPGRADE:
    case PHASE_SECURING:
    case PHASE_CAPABILITY:
    case PHASE_AUTHENTICATE:
    case PHASE_CONFIRM:
        return side == SIDE_UPSTREAM;
    case PHASE_OVER:
        return true;
    case PHASE_DIALING:
    case PHASE_RELAY:
    case PHASE_SAME:
        break;
    }
    return false;
}

size_t engine_feed(struct engine *engine, enum side side, struct slice bytes)
{
    size_t consumed = 0;
    give_back_what_was_lent(engine);
    while (consumed < bytes.size && reads_from(engine, side)) {
        if (engine->phase == PHASE_OVER)
            return bytes.size;
        if (engine->phase == PHASE_ASKED) {
            /* A server that speaks between a refusal and our next try is not waited for. */
            engine->upstream_is_stale = true;
            return bytes.size;
        }
        /* The answers to many commands in one piece would need room without a bound. */
        if (engine->queue_count > 0)
            break;
        if (engine->phase == PHASE_CLIENT_TLS || engine->phase == PHASE_SECURING) {
            engine_end_injected(engine, side);
            return bytes.size;
        }
        consumed += engine_read_unit(engine, side, slice_skip(bytes, consumed));
    }
    return consumed;
}

/* ---- facts ---- */

static void tell_refused(struct engine *engine, const struct fact *fact)
{
    if (engine->phase != PHASE_ASKED)
        return;
    if (fact->why == WHY_CLIENT_PROTOCOL && !engine->token_was_refused) {
        engine_cancel(engine, fact->text);
        return;
    }
    engine_fail(engine, fact->why, fact->text);
}

static void tell_challenge(struct engine *engine, struct slice bytes)
{
    if (engine->phase != PHASE_ASKED || engine->token_was_refused)
        return;
    engine_send(engine, SIDE_CLIENT, slice_of_string(engine->dialect->continuation));
    ENSURE(wire_base64_encode(bytes, &engine->out[SIDE_CLIENT]) == 0);
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("\r\n"));
    engine_enter(engine, PHASE_EXCHANGE);
}

static void tell_tick(struct engine *engine)
{
    switch (engine_patience(engine)) {
    case PATIENCE_CLIENT:
        engine_end(engine, WHY_TIMEOUT, "the time to log in is over");
        return;
    case PATIENCE_KEEPER:
        /* Its answer may come yet, and must not be taken for that to another question. */
        engine_fail(engine, WHY_TIMEOUT, "no access token in time, try again");
        engine_end(engine, WHY_TIMEOUT, "log in again on a new connection");
        return;
    case PATIENCE_UPSTREAM:
        engine_fail(engine, WHY_TIMEOUT, "the mail server did not answer in time");
        return;
    case PATIENCE_NONE:
        return;
    }
}

void engine_tell_client_secured(struct engine *engine)
{
    if (engine->phase != PHASE_CLIENT_TLS)
        return;
    engine->client_is_secure = true;
    engine_enter(engine, PHASE_COMMAND);
    /* RFC 3207 section 4.2, RFC 2595 section 4: only a session that begins with TLS is greeted. */
    if (engine->settings.client_tls == TLS_MODE_ON)
        greet_or_refuse(engine);
}

void engine_tell(struct engine *engine, const struct fact *fact)
{
    give_back_what_was_lent(engine);
    if (engine->phase == PHASE_OVER || engine->phase == PHASE_RELAY)
        return;
    switch (fact->kind) {
    case FACT_CHALLENGE:
        tell_challenge(engine, fact->bytes);
        return;
    case FACT_GRANTED:
        engine_tell_granted(engine, fact->text, fact->is_password);
        return;
    case FACT_REFUSED:
        tell_refused(engine, fact);
        return;
    case FACT_CONNECTED:
        engine_tell_connected(engine, fact->is_secure);
        return;
    case FACT_TLS_UP:
        if (fact->side == SIDE_UPSTREAM)
            engine_tell_secured(engine);
        else
            engine_tell_client_secured(engine);
        return;
    case FACT_FAILED:
        engine_upstream_lost(engine, fact->why, fact->text);
        return;
    case FACT_EOF:
        if (fact->side == SIDE_CLIENT)
            engine_end(engine, WHY_CLIENT_GONE, "the client closed the connection");
        else
            engine_upstream_lost(engine, WHY_UNREACHABLE,
                                 "the mail server closed the connection during the login");
        return;
    case FACT_TICK:
        tell_tick(engine);
        return;
    case FACT_DISMISSED:
        engine_end(engine, fact->why, fact->text);
        return;
    }
}
