/*
 * Happy path: a status line, and after some commands the lines of a body to the one with the dot
 * alone, are passed on as they come.
 *
 *   a list of capabilities       line by line, less those that are hidden
 *   a body without end           passes as it is; no answer of ours comes any more
 *   words that nobody asked for  pass as they are
 */
#include "mail/passage_pop3.h"

#include <stdio.h>
#include <string.h>

#include "mail/dot_end.h"
#include "mail/passage_lines.h"
#include "mail/policy.h"
#include "mail/wire.h"

enum answer { ANSWER_LINE = 1, ANSWER_BODY, ANSWER_CAPABILITIES };

enum own_answer {
    OWN_LOGGED_IN = PASSAGE_OWN_ANSWER,
    OWN_NO_TLS,
    OWN_CONTROL,
    OWN_NO_COMMAND,
    OWN_READ_ONLY
};

static const char *const own_answers[] = {
    "-ERR you are logged in already\r\n",
    "-ERR STLS is not available here\r\n",
    "-ERR control characters in a command\r\n",
    "-ERR a command is expected\r\n",
    "-ERR [SYS/PERM] this password is read-only\r\n",
};

enum reading { READING_STATUS, READING_BODY, READING_CAPABILITIES };

struct pop3_passage {
    struct passage passage;
    struct passage_lines lines;
    enum reading reading;
    bool is_ok; /* of the status line in hand */
    bool is_read_only;
    struct dot_end end;   /* of the body in hand */
    struct buf held_line; /* of a list of capabilities */
};

/* ---- commands ---- */

/* Servers do not take blanks for an argument. */
static uint8_t judge_listing(struct passage_lines *lines, struct slice arguments)
{
    (void)lines;
    while (slice_starts_with(arguments, " "))
        arguments = slice_skip(arguments, 1);
    return arguments.size == 0 ? ANSWER_BODY : ANSWER_LINE;
}

static struct pop3_passage *self_of_lines(struct passage_lines *lines)
{
    return CONTAINER_OF(lines, struct pop3_passage, lines);
}

static uint8_t judge_change(struct passage_lines *lines, struct slice arguments)
{
    (void)arguments;
    return self_of_lines(lines)->is_read_only ? OWN_READ_ONLY : ANSWER_LINE;
}

static const char *rule_of(uint8_t answer)
{
    return answer == OWN_READ_ONLY ? POLICY_READ_ONLY : NULL;
}

/* A line that begins with a blank has the empty verb, which is none of these. */
static const struct passage_command commands[] = {
    {"RETR", ANSWER_BODY, NULL, NULL},   {"TOP", ANSWER_BODY, NULL, NULL},
    {"DELE", 0, judge_change, NULL},     {"STAT", ANSWER_LINE, NULL, NULL},
    {"NOOP", ANSWER_LINE, NULL, NULL},   {"RSET", ANSWER_LINE, NULL, NULL},
    {"QUIT", ANSWER_LINE, NULL, NULL},   {"UTF8", ANSWER_LINE, NULL, NULL},
    {"LIST", 0, judge_listing, NULL},    {"UIDL", 0, judge_listing, NULL},
    {"LANG", 0, judge_listing, NULL},    {"CAPA", ANSWER_CAPABILITIES, NULL, NULL},
    {"AUTH", OWN_LOGGED_IN, NULL, NULL}, {"USER", OWN_LOGGED_IN, NULL, NULL},
    {"PASS", OWN_LOGGED_IN, NULL, NULL}, {"APOP", OWN_LOGGED_IN, NULL, NULL},
    {"STLS", OWN_NO_TLS, NULL, NULL},    {NULL, OWN_NO_COMMAND, NULL, NULL},
};

static const struct passage_lines_kind lines_kind = {.commands = commands,
                                                     .login_answer = OWN_LOGGED_IN,
                                                     .control_answer = OWN_CONTROL,
                                                     .length_answer =
                                                         "-ERR a command is too long\r\n",
                                                     .own_answers = own_answers,
                                                     .rule = rule_of};

bool pop3_expects_lines(struct slice line)
{
    const struct passage_command *command = commands;
    struct slice verb = wire_take_word(&line);
    while (command->verb != NULL && !slice_is_ignoring_case(verb, command->verb))
        command++;
    if (command->judge == judge_listing)
        return judge_listing(NULL, line) == ANSWER_BODY;
    return command->answer == ANSWER_BODY || command->answer == ANSWER_CAPABILITIES;
}

/* ---- answers ---- */

static bool is_hidden(struct slice line)
{
    static const char *const words[] = {"STLS", "SASL", "SASL-IR", "USER", "APOP"};
    struct slice word = wire_take_word(&line);
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is_ignoring_case(word, words[i]))
            return true;
    return false;
}

static void end_status(struct pop3_passage *self, const struct passage_sink *sink)
{
    uint8_t answer = passage_lines_expected(&self->lines);
    self->lines.is_within_reply = false;
    if (self->is_ok && answer == ANSWER_BODY) {
        self->reading = READING_BODY;
        dot_end_start(&self->end);
    } else if (self->is_ok && answer == ANSWER_CAPABILITIES) {
        self->reading = READING_CAPABILITIES;
    } else {
        passage_lines_answered(&self->lines, sink);
    }
}

static size_t read_status(struct pop3_passage *self, struct slice bytes,
                          const struct passage_sink *sink)
{
    size_t end = slice_find(bytes, '\n');
    struct slice piece = slice_take(bytes, end < bytes.size ? end + 1 : end);
    if (!self->lines.is_within_reply)
        self->is_ok = piece.data[0] == '+';
    self->lines.is_within_reply = true;
    sink->pass(sink->owner, SIDE_CLIENT, piece);
    if (end < bytes.size)
        end_status(self, sink);
    return piece.size;
}

static size_t read_body(struct pop3_passage *self, struct slice bytes,
                        const struct passage_sink *sink)
{
    size_t size = dot_end_find(&self->end, bytes);
    sink->pass(sink->owner, SIDE_CLIENT, slice_take(bytes, size));
    if (dot_end_is_there(&self->end)) {
        self->reading = READING_STATUS;
        passage_lines_answered(&self->lines, sink);
    }
    return size;
}

static size_t read_capability(struct pop3_passage *self, struct slice bytes,
                              const struct passage_sink *sink)
{
    size_t end = slice_find(bytes, '\n');
    struct slice piece = slice_take(bytes, end < bytes.size ? end + 1 : end);
    if (buf_append(&self->held_line, piece) != 0) {
        passage_end(&self->passage, WHY_UPSTREAM_PROTOCOL, "the mail server sent an endless line");
        return bytes.size;
    }
    if (end == bytes.size)
        return piece.size;
    struct slice line = buf_bytes(&self->held_line), content = wire_trim_line_end(line);
    bool is_end = slice_is(content, ".");
    if (!is_hidden(content))
        sink->pass(sink->owner, SIDE_CLIENT, line);
    buf_clear(&self->held_line);
    if (is_end) {
        self->reading = READING_STATUS;
        passage_lines_answered(&self->lines, sink);
    }
    return piece.size;
}

static size_t read_answers(struct pop3_passage *self, struct slice bytes,
                           const struct passage_sink *sink)
{
    static size_t (*const readers[])(struct pop3_passage *, struct slice,
                                     const struct passage_sink *) = {[READING_STATUS] = read_status,
                                                                     [READING_BODY] = read_body,
                                                                     [READING_CAPABILITIES] =
                                                                         read_capability};
    size_t consumed = 0;
    while (consumed < bytes.size && !self->passage.is_over)
        consumed += readers[self->reading](self, slice_skip(bytes, consumed), sink);
    return bytes.size;
}

/* ---- the passage ---- */

static struct pop3_passage *self_of(struct passage *passage)
{
    return CONTAINER_OF(passage, struct pop3_passage, passage);
}

static struct passage *open_passage(const struct passage_settings *settings)
{
    struct pop3_passage *self = mem_new(sizeof(*self));
    self->is_read_only = settings->is_read_only;
    self->passage.kind = &passage_pop3;
    passage_lines_init(&self->lines, &self->passage, &lines_kind);
    buf_init(&self->held_line, PASSAGE_LINE_MAX);
    return &self->passage;
}

static void close_passage(struct passage *passage)
{
    struct pop3_passage *self = self_of(passage);
    passage_lines_fini(&self->lines);
    buf_fini(&self->held_line);
    mem_free(self);
}

static size_t feed(struct passage *passage, enum side from, struct slice bytes,
                   const struct passage_sink *sink)
{
    struct pop3_passage *self = self_of(passage);
    return from == SIDE_CLIENT ? passage_lines_feed(&self->lines, bytes, sink)
                               : read_answers(self, bytes, sink);
}

static void finish(struct passage *passage, const struct passage_sink *sink)
{
    struct slice rest = buf_bytes(&self_of(passage)->held_line);
    if (rest.size > 0 && !is_hidden(rest))
        sink->pass(sink->owner, SIDE_CLIENT, rest);
}

const char *pop3_response_code(enum why why)
{
    switch (why) {
    case WHY_AUTH_REJECTED:
    case WHY_TOKEN_REJECTED:
    case WHY_TOKEN_NEEDS_USER:
        return "[AUTH] ";
    case WHY_LIMIT:
        return "[IN-USE] ";
    case WHY_POLICY:
        return "[SYS/PERM] ";
    case WHY_CLIENT_PROTOCOL:
        return "";
    case WHY_NONE:
    case WHY_CLIENT_GONE:
    case WHY_SERVER_GONE:
    case WHY_UNREACHABLE:
    case WHY_UPSTREAM_TLS:
    case WHY_UPSTREAM_PROTOCOL:
    case WHY_TIMEOUT:
    case WHY_SHUTDOWN:
    case WHY_INTERNAL:
    case WHY_SERVER_REFUSED:
    case WHY_COUNT:
        break;
    }
    return "[SYS/TEMP] ";
}

/* As the answer to the command in hand, or to the next one. */
static void say_bye(struct passage *passage, enum why why, const char *text,
                    const struct passage_sink *sink)
{
    const struct pop3_passage *self = self_of(passage);
    char line[400];
    if (self->reading != READING_STATUS || self->lines.is_within_reply)
        return;
    int size = snprintf(line, sizeof(line), "-ERR %s%.300s\r\n", pop3_response_code(why), text);
    sink->pass(sink->owner, SIDE_CLIENT, slice_of(line, (size_t)size));
}

static void release(struct passage *passage, const struct passage_sink *sink)
{
    passage_lines_release(&self_of(passage)->lines, sink);
}

const struct passage_kind passage_pop3 = {
    .open = open_passage,
    .close = close_passage,
    .feed = feed,
    .finish = finish,
    .say_bye = say_bye,
    .release = release,
};
