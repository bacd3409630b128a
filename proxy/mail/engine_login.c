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
    return engine->settings.mechanisms;
}

/* ---- failures ---- */

void engine_end(struct engine *engine, enum why why, const char *text)
{
    if (engine->phase == PHASE_OVER)
        return;
    if (why != WHY_CLIENT_GONE)
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
        engine_queue(engine, &(struct deed){.kind = DEED_HANG_UP}, NULL);
    engine_reset_upstream(engine);
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
    slice_escape(server_words, words, sizeof(words));
    snprintf(sentence, sizeof(sentence), "%s: %s", text, words);
    engine_fail(engine, why, words[0] == '\0' ? text : sentence);
}

void engine_bad_command(struct engine *engine, const char *text)
{
    engine->dialect->say_bad(engine, text);
    if (++engine->bad_commands >= engine->dialect->bad_commands)
        engine_end(engine, WHY_CLIENT_PROTOCOL, "too many bad commands");
}

/* ---- the exchange with the keeper ---- */

static bool is_offered(const struct engine *engine, struct slice mechanism)
{
    struct slice rest = slice_of_string(engine->settings.mechanisms), word;
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
    if (mechanism.size >= MECHANISM_MAX || !is_offered(engine, mechanism)) {
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

bool engine_begin_password(struct engine *engine, struct slice user, struct slice password)
{
    static const uint8_t nul[1] = {0};
    buf_clear(&engine->asked);
    if (slice_find(user, '\0') < user.size || slice_find(password, '\0') < password.size) {
        engine_cancel(engine, "NUL in a user name or password");
        return false;
    }
    if (buf_append(&engine->asked, slice_of(nul, 1)) != 0 ||
        buf_append(&engine->asked, user) != 0 ||
        buf_append(&engine->asked, slice_of(nul, 1)) != 0 ||
        buf_append(&engine->asked, password) != 0) {
        engine_cancel(engine, "user name or password too long");
        return false;
    }
    snprintf(engine->asked_mechanism, sizeof(engine->asked_mechanism), "PLAIN");
    ask(engine, DEED_ASK, true);
    return true;
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
