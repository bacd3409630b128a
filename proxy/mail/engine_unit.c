/*
 * Reading units: bytes are collected until a whole command or reply is there, then the rule of its
 * phase, side and verb acts. A command may go over several lines when its dialect has literals.
 *
 * Fails by: a line or a reply over its limit, a literal over its limit, a browser's or a TLS
 * client's first octets: the connection ends.
 */
#include "mail/engine_internal.h"

#include <string.h>

#define TLS_HANDSHAKE_RECORD 0x16

static void unit_reader_clear(struct unit_reader *reader)
{
    buf_clear(&reader->bytes);
    reader->line_start = 0;
    reader->literal_left = 0;
    reader->literal_total = 0;
}

/* A method of HTTP at the start, or its version at the end: fetch() from a web page can reach a
 * local port and send a body of mail commands (security: cross-protocol requests). */
static bool is_http(struct slice line)
{
    static const char *const methods[] = {"GET ",    "POST ",  "PUT ",   "HEAD ",    "OPTIONS ",
                                          "DELETE ", "PATCH ", "TRACE ", "CONNECT ", "PRI "};
    for (size_t i = 0; i < LENGTH_OF(methods); i++)
        if (slice_starts_with_ignoring_case(line, methods[i]))
            return true;
    size_t version = sizeof(" HTTP/1.1") - 1;
    return line.size >= version &&
           slice_starts_with_ignoring_case(slice_skip(line, line.size - version), " HTTP/");
}

static bool is_header(struct slice line)
{
    size_t i = 0;
    while (i < line.size &&
           (line.data[i] == '-' || ((line.data[i] | 0x20) >= 'a' && (line.data[i] | 0x20) <= 'z')))
        i++;
    return i > 0 && i < line.size && line.data[i] == ':';
}

static void end_foreign(struct engine *engine, const char *what)
{
    engine_queue(engine,
                 &(struct deed){.kind = DEED_NOTE,
                                .note = ENGINE_NOTE_CROSS_PROTOCOL,
                                .why = WHY_CLIENT_PROTOCOL},
                 what);
    engine_end(engine, WHY_CLIENT_PROTOCOL, what);
}

static bool ends_as_foreign(struct engine *engine, struct slice line)
{
    if (!is_http(line) && !(engine->dialect->refuses_headers && is_header(line)))
        return false;
    struct slice word = slice_take(wire_take_word(&line), sizeof(engine->foreign_word));
    engine->foreign_word_size = word.size;
    if (word.size > 0)
        memcpy(engine->foreign_word, word.data, word.size);
    end_foreign(engine, "this is not an HTTP server");
    return true;
}

static const struct rule *find_rule(const struct engine *engine, enum side side, struct slice verb)
{
    const struct rule *otherwise = NULL;
    for (size_t i = 0; i < engine->dialect->rule_count; i++) {
        const struct rule *rule = &engine->dialect->rules[i];
        if (rule->phase != engine->phase || rule->side != side)
            continue;
        if (rule->verb == NULL)
            otherwise = rule;
        else if (slice_is_ignoring_case(verb, rule->verb))
            return rule;
    }
    ENSURE(otherwise != NULL);
    return otherwise;
}

static void act_on_unit(struct engine *engine, enum side side)
{
    struct unit_reader *reader = &engine->readers[side];
    struct slice bytes = buf_bytes(&reader->bytes);
    struct unit unit = {.bytes = bytes, .arguments = wire_trim_line_end(bytes)};
    bool is_cut = side == SIDE_UPSTREAM ? engine->dialect->split_reply(engine, bytes, &unit)
                  : engine->phase == PHASE_COMMAND ? engine->dialect->split_command(bytes, &unit)
                                                   : true;
    if (!is_cut)
        unit.verb = SLICE_NONE;
    const struct rule *rule = find_rule(engine, side, unit.verb);
    if (rule->action(engine, &unit) && rule->next != PHASE_SAME)
        engine_enter(engine, rule->next);
    unit_reader_clear(reader);
}

/* The line in hand announces a literal: get ready for it, or refuse. */
static void expect_literal(struct engine *engine, const struct wire_literal *literal)
{
    struct unit_reader *reader = &engine->readers[SIDE_CLIENT];
    bool fits = literal->size <= engine->dialect->literal_max - reader->literal_total;
    if (!fits && !literal->is_synchronizing) {
        engine_end(engine, WHY_CLIENT_PROTOCOL, "literal too long");
        return;
    }
    if (!fits) {
        struct unit unit = {0};
        bool is_cut = engine->dialect->split_command(buf_bytes(&reader->bytes), &unit);
        engine_set_tag(engine, is_cut ? unit.tag : SLICE_NONE);
        engine_bad_command(engine, "literal too long");
        unit_reader_clear(reader);
        return;
    }
    reader->literal_total += literal->size;
    reader->literal_left = literal->size;
    reader->line_start = buf_size(&reader->bytes) + (size_t)literal->size;
    if (literal->is_synchronizing) {
        engine_send(engine, SIDE_CLIENT, slice_of_string(engine->dialect->continuation));
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("OK\r\n"));
    }
}

static void finish_client_line(struct engine *engine)
{
    struct unit_reader *reader = &engine->readers[SIDE_CLIENT];
    struct slice line = slice_skip(buf_bytes(&reader->bytes), reader->line_start);
    struct wire_literal literal;
    if (engine->phase != PHASE_COMMAND || engine->dialect->literal == NULL) {
        act_on_unit(engine, SIDE_CLIENT);
        return;
    }
    switch (engine->dialect->literal(line, &literal)) {
    case WIRE_DONE:
        expect_literal(engine, &literal);
        return;
    case WIRE_MORE:
    case WIRE_BAD: /* braces that announce nothing: the command's own parser says BAD */
        act_on_unit(engine, SIDE_CLIENT);
        return;
    }
}

/* How many octets the lines of a unit may have together, literals not counted. */
static size_t lines_max(const struct engine *engine, enum side side)
{
    const struct dialect *dialect = engine->dialect;
    if (side == SIDE_UPSTREAM)
        return dialect->reply_line_max;
    if (engine->phase == PHASE_EXCHANGE ||
        dialect->is_sasl_command(buf_bytes(&engine->readers[side].bytes)))
        return dialect->sasl_max;
    return dialect->command_max;
}

static enum wire_status end_too_long(struct engine *engine, enum side side)
{
    if (side == SIDE_CLIENT)
        engine_end(engine, WHY_CLIENT_PROTOCOL, "line too long");
    else
        engine_fail(engine, WHY_UPSTREAM_PROTOCOL, "the mail server sent an endless line");
    return WIRE_BAD;
}

/* Appends up to and including the line's end. DONE: it is whole; BAD: it was too long, and that was
 * said. */
static enum wire_status read_line(struct engine *engine, enum side side, struct slice bytes,
                                  size_t *taken_out)
{
    struct unit_reader *reader = &engine->readers[side];
    size_t end = slice_find(bytes, '\n');
    *taken_out = end < bytes.size ? end + 1 : end;
    if (buf_append(&reader->bytes, slice_take(bytes, *taken_out)) != 0)
        return end_too_long(engine, side);
    if (buf_size(&reader->bytes) - (size_t)reader->literal_total > lines_max(engine, side))
        return end_too_long(engine, side);
    return end < bytes.size ? WIRE_DONE : WIRE_MORE;
}

static size_t read_literal(struct unit_reader *reader, struct slice bytes)
{
    size_t taken = bytes.size < reader->literal_left ? bytes.size : (size_t)reader->literal_left;
    ENSURE(buf_append(&reader->bytes, slice_take(bytes, taken)) == 0);
    reader->literal_left -= taken;
    return taken;
}

static size_t read_from_client(struct engine *engine, struct slice bytes)
{
    struct unit_reader *reader = &engine->readers[SIDE_CLIENT];
    size_t taken;
    if (reader->literal_left > 0)
        return read_literal(reader, bytes);
    if (engine->phase == PHASE_COMMAND && buf_size(&reader->bytes) == 0 &&
        bytes.data[0] == TLS_HANDSHAKE_RECORD) {
        end_foreign(engine, "a TLS client on a plaintext port");
        return bytes.size;
    }
    if (read_line(engine, SIDE_CLIENT, bytes, &taken) != WIRE_DONE)
        return taken;
    if (engine->phase != PHASE_COMMAND || reader->line_start > 0 ||
        !ends_as_foreign(engine, wire_trim_line_end(buf_bytes(&reader->bytes))))
        finish_client_line(engine);
    return taken;
}

size_t engine_read_unit(struct engine *engine, enum side side, struct slice bytes)
{
    size_t taken;
    if (side == SIDE_CLIENT)
        return read_from_client(engine, bytes);
    /* Up to the octet that is one too many in all: so the limit that is told is the one that was
     * reached first, however the bytes are cut. */
    size_t left = engine->dialect->reply_total_max - engine->reply_total;
    enum wire_status status = read_line(engine, side, slice_take(bytes, left + 1), &taken);
    if (status == WIRE_BAD)
        return taken;
    engine->reply_total += taken;
    if (engine->reply_total > engine->dialect->reply_total_max) {
        engine_fail(engine, WHY_UPSTREAM_PROTOCOL,
                    "the mail server said too much before the login");
        return taken;
    }
    if (status == WIRE_DONE)
        act_on_unit(engine, side);
    return taken;
}
