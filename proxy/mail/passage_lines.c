/*
 * Happy path: a piece of whole, ordinary commands is passed on as it is.
 *
 *   a command that comes in pieces     kept until it is whole
 *   one that ends in a bare LF         passed on with CRLF
 *   one that is rewritten or ours      what came before it goes first
 *   another login                      answered here, and what may be its exchange with it
 *   a line that is too long            ends the passage
 *   too many commands unanswered       the client waits
 *   one that a narrow grant denies     the client waits until it may be told so
 */
#include "mail/passage_lines.h"

#include "mail/wire.h"

/* Lines of an exchange that a client can send unasked: a name and a password. */
#define EXCHANGE_LINES 2

void passage_lines_init(struct passage_lines *lines, struct passage *passage,
                        const struct passage_lines_kind *kind)
{
    *lines = (struct passage_lines){.passage = passage, .kind = kind};
    buf_init(&lines->line, PASSAGE_LINE_MAX);
    buf_init(&lines->answers, PASSAGE_ANSWERS_MAX);
}

void passage_lines_fini(struct passage_lines *lines)
{
    buf_fini(&lines->line);
    buf_fini(&lines->answers);
}

/* ---- answers ---- */

uint8_t passage_lines_expected(const struct passage_lines *lines)
{
    struct slice answers = buf_bytes(&lines->answers);
    return answers.size == 0 ? 0 : answers.data[0];
}

static void say_own_answers(struct passage_lines *lines, const struct passage_sink *sink)
{
    while (passage_lines_expected(lines) >= PASSAGE_OWN_ANSWER) {
        uint8_t number = passage_lines_expected(lines);
        buf_consume(&lines->answers, 1);
        sink->pass(sink->owner, SIDE_CLIENT,
                   slice_of_string(lines->kind->own_answers[number - PASSAGE_OWN_ANSWER]));
    }
}

void passage_lines_expect(struct passage_lines *lines, uint8_t answer)
{
    ENSURE(buf_append(&lines->answers, slice_of(&answer, 1)) == 0);
}

void passage_lines_answered(struct passage_lines *lines, const struct passage_sink *sink)
{
    lines->is_within_reply = false;
    /* Words that nobody asked for answer none of ours. */
    if (buf_size(&lines->answers) > 0 && passage_lines_expected(lines) < PASSAGE_OWN_ANSWER)
        buf_consume(&lines->answers, 1);
    say_own_answers(lines, sink);
}

/* ---- commands ---- */

static const struct passage_command *find_command(const struct passage_lines *lines,
                                                  struct slice verb)
{
    const struct passage_command *command = lines->kind->commands;
    while (command->verb != NULL && !slice_is_ignoring_case(verb, command->verb))
        command++;
    return command;
}

static void pass_on(struct slice run, const struct passage_sink *sink)
{
    if (run.size > 0)
        sink->pass(sink->owner, SIDE_UPSTREAM, run);
}

static void expect_own_answer(struct passage_lines *lines, uint8_t answer,
                              const struct passage_sink *sink)
{
    passage_lines_expect(lines, answer);
    if (!lines->is_within_reply)
        say_own_answers(lines, sink);
}

void passage_lines_release(struct passage_lines *lines, const struct passage_sink *sink)
{
    uint8_t answer = lines->denied;
    lines->denied = 0;
    lines->waits = false;
    lines->passage->awaits_release = false;
    expect_own_answer(lines, answer, sink);
}

static void answer_ourselves(struct passage_lines *lines, uint8_t answer, struct slice verb,
                             const struct passage_sink *sink)
{
    const char *rule = lines->kind->rule(answer);
    if (rule == NULL || !sink->deny(sink->owner, rule, verb)) {
        expect_own_answer(lines, answer, sink);
        return;
    }
    lines->denied = answer;
    lines->waits = true;
    lines->passage->awaits_release = true;
}

/* UTF-8 or ISO 8859-1. */
static bool is_text(struct slice octets)
{
    bool is_printable = true;
    for (size_t i = 0; i < octets.size; i++)
        is_printable = is_printable && (octets.data[i] & 0x7f) >= 0x20;
    return !slice_has_control(octets) && (is_printable || slice_is_utf8(octets));
}

/* What is a command's word may as well be three octets in base64. */
static bool may_be_response(struct slice content)
{
    struct buf octets;
    buf_init(&octets, 3);
    while (content.size > 0 && content.data[content.size - 1] == ' ')
        content = slice_take(content, content.size - 1);
    bool is_response = wire_base64_decode(content, &octets) == 0 && buf_size(&octets) > 0 &&
                       is_text(buf_bytes(&octets));
    buf_fini(&octets);
    return is_response;
}

static uint8_t judge(struct passage_lines *lines, const struct passage_command *command,
                     struct slice content, struct slice arguments)
{
    bool is_ours = command->answer >= PASSAGE_OWN_ANSWER;
    if (slice_has_control(content))
        return lines->kind->control_answer;
    if (lines->exchange > 0 && !is_ours && may_be_response(content))
        return lines->kind->login_answer;
    return command->judge == NULL ? command->answer : command->judge(lines, arguments);
}

static void follow_exchange(struct passage_lines *lines, const struct passage_command *command,
                            uint8_t answer)
{
    if (command->answer == lines->kind->login_answer)
        lines->exchange = EXCHANGE_LINES;
    else if (answer < PASSAGE_OWN_ANSWER)
        lines->exchange = 0;
    else if (lines->exchange > 0)
        lines->exchange--;
}

/* A line that is more than to be passed on as it is. */
static void take_line(struct passage_lines *lines, struct slice line,
                      const struct passage_sink *sink)
{
    struct slice content = wire_trim_line_end(line), rest = content;
    struct slice verb = wire_take_word(&rest);
    const struct passage_command *command = find_command(lines, verb);
    uint8_t answer = judge(lines, command, content, rest);
    if (lines->passage->is_over)
        return;
    follow_exchange(lines, command, answer);
    if (answer >= PASSAGE_OWN_ANSWER) {
        answer_ourselves(lines, answer, verb, sink);
        return;
    }
    passage_lines_expect(lines, answer);
    if (command->rewritten != NULL) {
        pass_on(slice_of_string(command->rewritten), sink);
        return;
    }
    pass_on(content, sink);
    pass_on(SLICE_LITERAL("\r\n"), sink);
}

static bool is_ordinary(const struct passage_lines *lines, struct slice line)
{
    struct slice content = wire_trim_line_end(line), rest = content;
    const struct passage_command *command = find_command(lines, wire_take_word(&rest));
    return line.size == content.size + 2 && !slice_has_control(content) && command->judge == NULL &&
           command->rewritten == NULL && command->answer < PASSAGE_OWN_ANSWER;
}

/* How much of `bytes` is whole, ordinary commands, as many as may be unanswered. */
static size_t take_ordinary(struct passage_lines *lines, struct slice bytes)
{
    size_t at = 0;
    while (buf_room(&lines->answers) > 0 && lines->exchange == 0) {
        struct slice rest = slice_skip(bytes, at);
        size_t end = slice_find(rest, '\n');
        struct slice line = slice_take(rest, end + 1);
        if (end == rest.size || line.size > PASSAGE_LINE_MAX || !is_ordinary(lines, line))
            break;
        struct slice content = wire_trim_line_end(line);
        passage_lines_expect(lines, find_command(lines, wire_take_word(&content))->answer);
        at += line.size;
    }
    return at;
}

/* One line, or the piece of one that is there. Returns its octets, or 0: it was too long. */
static size_t collect(struct passage_lines *lines, struct slice bytes,
                      const struct passage_sink *sink)
{
    size_t end = slice_find(bytes, '\n');
    struct slice piece = slice_take(bytes, end < bytes.size ? end + 1 : end);
    if (buf_append(&lines->line, piece) != 0) {
        /* It is told where it does not have to wait for its turn. */
        if (buf_size(&lines->answers) == 0 && !lines->is_within_reply)
            sink->pass(sink->owner, SIDE_CLIENT, slice_of_string(lines->kind->length_answer));
        passage_end(lines->passage, WHY_CLIENT_PROTOCOL, "a command is too long");
        return 0;
    }
    if (end < bytes.size) {
        take_line(lines, buf_bytes(&lines->line), sink);
        buf_clear(&lines->line);
    }
    return piece.size;
}

size_t passage_lines_feed(struct passage_lines *lines, struct slice bytes,
                          const struct passage_sink *sink)
{
    size_t consumed = 0;
    while (consumed < bytes.size && !lines->waits && buf_room(&lines->answers) > 0) {
        struct slice rest = slice_skip(bytes, consumed);
        size_t size = buf_size(&lines->line) == 0 ? take_ordinary(lines, rest) : 0;
        pass_on(slice_take(rest, size), sink);
        if (size == 0)
            size = collect(lines, rest, sink);
        if (lines->passage->is_over)
            return bytes.size;
        consumed += size;
    }
    return consumed;
}
