/*
 * The client's login: its SASL bytes go to the keeper, its failures are counted and said.
 *
 * Fails by: base64 that is none, "*", a mechanism that is not offered, the keeper's refusal,
 * anything upstream. All of it ends in engine_fail or engine_cancel, and the client may try again.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mail/engine_internal.h"

void engine_send_format(struct engine *engine, enum side side, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ENSURE(size >= 0 && (size_t)size < sizeof(text));
    engine_send(engine, side, slice_of(text, (size_t)size));
}

void engine_set_tag(struct engine *engine, struct slice tag)
{
    ENSURE(tag.size < sizeof(engine->tag));
    if (tag.size > 0)
        memcpy(engine->tag, tag.data, tag.size);
    engine->tag[tag.size] = '\0';
}

const char *engine_tag(const struct engine *engine)
{
    return engine->tag;
}

const char *engine_local_mechanisms(const struct engine *engine)
{
    return engine->local_mechanisms;
}

struct slice engine_local_capabilities(const struct engine *engine)
{
    return slice_of_string(engine->local_capabilities == NULL ? "" : engine->local_capabilities);
}

const char *engine_timestamp(const struct engine *engine)
{
    return engine->timestamp;
}

bool engine_offers_tls(const struct engine *engine)
{
    return engine->settings.client_tls == TLS_MODE_STARTTLS && !engine->client_is_secure;
}

bool engine_needs_no_login(const struct engine *engine)
{
    return engine->settings.needs_no_login;
}

/* ---- failures ---- */

void engine_end(struct engine *engine, enum why why, const char *text)
{
    if (engine->phase == PHASE_OVER)
        return;
    /* During its handshake a client hears nothing but TLS. */
    if (why != WHY_CLIENT_GONE && engine->phase != PHASE_CLIENT_TLS)
        engine->dialect->say_bye(engine, why, text);
    engine_queue(engine, &(struct deed){.kind = DEED_END, .why = why}, text);
    engine_enter(engine, PHASE_OVER);
}

static void count_failure(struct engine *engine)
{
    if (++engine->failures >= FAILURES_MAX)
        engine_end(engine, WHY_LIMIT, "too many failed logins");
    else
        engine_enter(engine, PHASE_COMMAND);
}

void engine_cancel(struct engine *engine, const char *text)
{
    engine->dialect->say_bad(engine, text);
    count_failure(engine);
}

void engine_fail(struct engine *engine, enum why why, const char *text)
{
    bool is_connecting = engine_patience(engine) == PATIENCE_UPSTREAM;
    if (is_connecting || engine->upstream_is_connected)
        engine_queue(engine, &(struct deed){.kind = DEED_HANG_UP, .why = why}, text);
    engine_reset_upstream(engine);
    buf_clear(&engine->said_already);
    engine->token_was_refused = false;
    if (why == WHY_LIMIT || why == WHY_SHUTDOWN) {
        engine_end(engine, why, text);
        return;
    }
    engine->dialect->say_no(engine, why, text);
    count_failure(engine);
}

void engine_fail_quoting(struct engine *engine, enum why why, const char *text,
                         struct slice server_words)
{
    char words[200], sentence[DEED_TEXT_MAX];
    /* Before TLS they may be anybody's, and are not brought before the user. */
    slice_escape(engine->upstream_is_secure ? server_words : SLICE_NONE, words, sizeof(words));
    snprintf(sentence, sizeof(sentence), "%s: %s", text, words);
    engine_fail(engine, why, words[0] == '\0' ? text : sentence);
}

void engine_bad_command(struct engine *engine, const char *text)
{
    engine->dialect->say_bad(engine, text);
    engine_count_bad_command(engine);
}

void engine_count_bad_command(struct engine *engine)
{
    if (++engine->bad_commands >= engine->dialect->bad_commands)
        engine_end(engine, WHY_CLIENT_PROTOCOL, "too many bad commands");
}

/* ---- TLS towards the client ---- */

bool engine_begin_client_tls(struct engine *engine)
{
    /* What was said in plaintext does not count (RFC 3207 section 4.2). */
    buf_clear(&engine->user);
    engine_queue(engine, &(struct deed){.kind = DEED_START_TLS, .side = SIDE_CLIENT}, NULL);
    engine_enter(engine, PHASE_CLIENT_TLS);
    return false;
}

void engine_end_injected(struct engine *engine, enum side side)
{
    if (side == SIDE_CLIENT) {
        engine_end(engine, WHY_CLIENT_PROTOCOL, "octets behind STARTTLS");
        return;
    }
    engine_fail(engine, WHY_UPSTREAM_TLS,
                "somebody put words behind the server's reply to STARTTLS");
    engine_end(engine, WHY_UPSTREAM_TLS, "the connection to the mail server is not to be trusted");
}

/* ---- the exchange with the keeper ---- */

bool engine_offers_mechanism(const struct engine *engine, struct slice mechanism)
{
    struct slice rest = slice_of_string(engine->local_mechanisms), word;
    if (engine_offers_tls(engine))
        return false;
    while (slice_next_word(&rest, ' ', &word))
        if (slice_equal_ignoring_case(word, mechanism))
            return true;
    return false;
}

static void ask(struct engine *engine, enum deed_kind kind, bool has_bytes)
{
    engine_queue(engine, &(struct deed){.kind = kind, .has_bytes = has_bytes}, NULL);
}

/* RFC 4422 section 3 and RFC 4959: "=" is an initial response of no octets. */
static int decode_sasl(struct engine *engine, struct slice text)
{
    buf_clear(&engine->asked);
    if (slice_is(text, "="))
        return 0;
    return wire_base64_decode(text, &engine->asked);
}

bool engine_begin_exchange(struct engine *engine, struct slice mechanism,
                           const struct slice *initial)
{
    if (mechanism.size >= MECHANISM_MAX || !engine_offers_mechanism(engine, mechanism)) {
        engine_fail(engine, WHY_AUTH_REJECTED, "this mechanism is not offered");
        return false;
    }
    for (size_t i = 0; i < mechanism.size; i++) {
        char letter = (char)mechanism.data[i];
        bool is_lower = letter >= 'a' && letter <= 'z';
        engine->asked_mechanism[i] = (char)(is_lower ? letter - 'a' + 'A' : letter);
    }
    engine->asked_mechanism[mechanism.size] = '\0';
    if (initial != NULL && decode_sasl(engine, *initial) != 0) {
        engine_cancel(engine, "invalid base64");
        return false;
    }
    ask(engine, DEED_ASK, initial != NULL);
    return true;
}

/* Three fields with NUL between them, as PLAIN has them. */
static bool begin_with_fields(struct engine *engine, const char *mechanism, struct slice first,
                              struct slice second, struct slice third)
{
    const struct slice fields[] = {first, second, third};
    bool has_room = true;
    buf_clear(&engine->asked);
    for (size_t i = 0; i < LENGTH_OF(fields); i++) {
        if (slice_find(fields[i], '\0') < fields[i].size) {
            engine_cancel(engine, "NUL in a user name or password");
            return false;
        }
        if (i > 0)
            has_room = has_room && buf_append(&engine->asked, SLICE_LITERAL("\0")) == 0;
        has_room = has_room && buf_append(&engine->asked, fields[i]) == 0;
    }
    if (!has_room) {
        engine_cancel(engine, "user name or password too long");
        return false;
    }
    snprintf(engine->asked_mechanism, sizeof(engine->asked_mechanism), "%s", mechanism);
    ask(engine, DEED_ASK, true);
    return true;
}

bool engine_begin_password(struct engine *engine, struct slice user, struct slice password)
{
    if (!engine_offers_mechanism(engine, SLICE_LITERAL("PLAIN"))) {
        engine_fail(engine, WHY_AUTH_REJECTED, "this mechanism is not offered");
        return false;
    }
    return begin_with_fields(engine, "PLAIN", SLICE_NONE, user, password);
}

bool engine_begin_digest(struct engine *engine, struct slice user, struct slice digest)
{
    return begin_with_fields(engine, "APOP", slice_of_string(engine->timestamp), user, digest);
}

bool engine_begin_without_login(struct engine *engine, const struct unit *unit)
{
    buf_clear(&engine->said_already);
    ENSURE(buf_append(&engine->said_already, wire_trim_line_end(unit->bytes)) == 0);
    ENSURE(buf_append(&engine->said_already, SLICE_LITERAL("\r\n")) == 0);
    buf_clear(&engine->asked);
    snprintf(engine->asked_mechanism, sizeof(engine->asked_mechanism), "EXTERNAL");
    ask(engine, DEED_ASK, false);
    return true;
}

void engine_keep_user(struct engine *engine, struct slice user)
{
    buf_clear(&engine->user);
    ENSURE(buf_append(&engine->user, user) == 0);
}

struct slice engine_kept_user(const struct engine *engine)
{
    return buf_bytes(&engine->user);
}

bool engine_exchange_line(struct engine *engine, const struct unit *unit)
{
    if (slice_is(unit->arguments, "*")) {
        engine_cancel(engine, "authentication cancelled");
        return false;
    }
    /* Here "=" is no empty message but bad base64: an empty line is (RFC 3501 section 6.2.2). */
    buf_clear(&engine->asked);
    if (wire_base64_decode(unit->arguments, &engine->asked) != 0) {
        engine_cancel(engine, "invalid base64");
        return false;
    }
    ask(engine, DEED_ANSWER, true);
    return true;
}
