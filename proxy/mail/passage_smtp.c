/*
 * Happy path: commands up to DATA are passed, their replies come back; DATA makes the client wait
 * for 354; its message is passed as it is, and its reply ends it.
 *
 *   DATA refused               what follows are commands again
 *   a message that is refused  swallowed to its end and never ended upstream, so that the server
 *   for its newlines           drops it; the client is told, and the session ends
 *   BDAT                       the client is told, and the session ends: its chunk is no command
 *   a reply that is none       ends the session: from there nobody knows which reply is to what
 *   354 that is to no DATA     likewise: what the client sends then could not be followed
 */
#include "mail/passage_smtp.h"

#include <stdio.h>
#include <string.h>

#include "mail/data_framing.h"
#include "mail/passage_lines.h"
#include "mail/policy.h"
#include "mail/smtp_words.h"
#include "mail/wire.h"

#define REPLY_MAX 8192u /* of one to EHLO, all lines */

enum answer { ANSWER_REPLY = 1, ANSWER_EHLO, ANSWER_DATA, ANSWER_VERDICT };

enum own_answer {
    OWN_LOGGED_IN = PASSAGE_OWN_ANSWER,
    OWN_NOT_AVAILABLE,
    OWN_CONTROL,
    OWN_UNKNOWN,
    OWN_TOO_LARGE,
    OWN_BDAT,
    OWN_READ_ONLY,
    OWN_SENDER
};

static const char *const own_answers[] = {
    "503 5.5.1 you are logged in already\r\n",
    "502 5.5.1 not available here\r\n",
    "501 5.5.2 control characters in a command\r\n",
    "500 5.5.2 unknown command\r\n",
    "552 5.3.4 the message is larger than the mail server takes\r\n",
    "502 5.5.1 BDAT is not offered\r\n",
    "550 5.7.1 this password is read-only\r\n",
    "550 5.7.1 this password is for other senders\r\n",
};

static const char newline_refused[] = "550 5.6.11 a bare CR or LF stands in the message\r\n";

struct smtp_passage {
    struct passage passage;
    struct passage_lines lines;
    struct data_framing framing;
    enum { CLIENT_COMMANDS, CLIENT_MESSAGE, CLIENT_SWALLOWED } client;
    bool rejects_bare_newline;
    bool is_read_only;
    char *senders;     /* "": anybody */
    uint64_t size_max; /* of a message; 0: not said */
    uint8_t head[5];   /* the first octets of the reply line in hand */
    uint8_t head_size;
    unsigned reply_code;   /* of its lines before */
    struct buf ehlo_reply; /* collected until it is whole */
};

static struct smtp_passage *self_of(struct passage *passage)
{
    return CONTAINER_OF(passage, struct smtp_passage, passage);
}

static struct smtp_passage *self_of_lines(struct passage_lines *lines)
{
    return CONTAINER_OF(lines, struct smtp_passage, lines);
}

/* ---- commands ---- */

static uint8_t judge_data(struct passage_lines *lines, struct slice arguments)
{
    (void)arguments;
    lines->waits = true;
    return ANSWER_DATA;
}

static uint8_t judge_bdat(struct passage_lines *lines, struct slice arguments)
{
    (void)arguments;
    self_of_lines(lines)->client = CLIENT_SWALLOWED;
    lines->waits = true;
    return OWN_BDAT;
}

static uint8_t judge_mail(struct passage_lines *lines, struct slice arguments)
{
    static const char prefix[] = "SIZE=";
    const struct smtp_passage *self = self_of_lines(lines);
    struct slice word;
    uint64_t size;
    if (self->is_read_only)
        return OWN_READ_ONLY;
    if (*self->senders != '\0' && !policy_allows_sender(self->senders, arguments))
        return OWN_SENDER;
    while (slice_next_word(&arguments, ' ', &word))
        if (slice_starts_with_ignoring_case(word, prefix) && self->size_max > 0 &&
            slice_read_number(slice_skip(word, sizeof(prefix) - 1), INT64_MAX, &size) &&
            size > self->size_max)
            return OWN_TOO_LARGE;
    return ANSWER_REPLY;
}

static const char *rule_of(uint8_t answer)
{
    if (answer == OWN_READ_ONLY)
        return POLICY_READ_ONLY;
    return answer == OWN_SENDER ? POLICY_FROM : NULL;
}

/* A line that begins with a blank has the empty verb, which is none of these: some servers look for
 * one behind it. */
static const struct passage_command commands[] = {
    {"MAIL", 0, judge_mail, NULL},
    {"RCPT", ANSWER_REPLY, NULL, NULL},
    {"DATA", 0, judge_data, NULL},
    {"EHLO", ANSWER_EHLO, NULL, SMTP_EHLO},
    {"HELO", ANSWER_REPLY, NULL, SMTP_HELO},
    {"RSET", ANSWER_REPLY, NULL, NULL},
    {"NOOP", ANSWER_REPLY, NULL, NULL},
    {"QUIT", ANSWER_REPLY, NULL, NULL},
    {"VRFY", ANSWER_REPLY, NULL, NULL},
    {"EXPN", ANSWER_REPLY, NULL, NULL},
    {"HELP", ANSWER_REPLY, NULL, NULL},
    {"ETRN", ANSWER_REPLY, NULL, NULL},
    {"BDAT", 0, judge_bdat, NULL},
    {"AUTH", OWN_LOGGED_IN, NULL, NULL},
    {"X-EXPS", OWN_LOGGED_IN, NULL, NULL},
    {"STARTTLS", OWN_NOT_AVAILABLE, NULL, NULL},
    {"LHLO", OWN_NOT_AVAILABLE, NULL, NULL},
    {"BURL", OWN_NOT_AVAILABLE, NULL, NULL},
    {"XCLIENT", OWN_NOT_AVAILABLE, NULL, NULL},
    {"XFORWARD", OWN_NOT_AVAILABLE, NULL, NULL},
    {NULL, OWN_UNKNOWN, NULL, NULL},
};

static const struct passage_lines_kind lines_kind = {.commands = commands,
                                                     .login_answer = OWN_LOGGED_IN,
                                                     .control_answer = OWN_CONTROL,
                                                     .length_answer =
                                                         "500 5.5.2 a command is too long\r\n",
                                                     .own_answers = own_answers,
                                                     .rule = rule_of};

/* ---- the message ---- */

struct message_sink {
    const struct smtp_passage *self;
    const struct passage_sink *sink;
};

static void pass_message(void *owner, struct slice bytes)
{
    const struct message_sink *to = owner;
    bool is_refused = to->self->rejects_bare_newline && to->self->framing.has_bare_newline;
    if (!is_refused)
        to->sink->pass(to->sink->owner, SIDE_UPSTREAM, bytes);
}

static size_t feed_message(struct smtp_passage *self, struct slice bytes,
                           const struct passage_sink *sink)
{
    struct message_sink to = {self, sink};
    size_t consumed = data_framing_feed(&self->framing, bytes, pass_message, &to);
    if (self->framing.place != DATA_OVER)
        return consumed;
    self->client = CLIENT_COMMANDS;
    self->passage.content_is_due = false;
    if (!self->rejects_bare_newline || !self->framing.has_bare_newline) {
        passage_lines_expect(&self->lines, ANSWER_VERDICT);
        self->passage.verdict_is_due = true;
        return consumed;
    }
    sink->pass(sink->owner, SIDE_CLIENT, slice_of_string(newline_refused));
    passage_end(&self->passage, WHY_CLIENT_PROTOCOL, "a bare CR or LF in a message");
    return consumed;
}

/* Once what was asked before it is answered. */
static void end_if_swallowed(struct smtp_passage *self)
{
    if (self->client == CLIENT_SWALLOWED && passage_lines_expected(&self->lines) == 0)
        passage_end(&self->passage, WHY_CLIENT_PROTOCOL, "BDAT, which was not offered");
}

static size_t feed_client(struct smtp_passage *self, struct slice bytes,
                          const struct passage_sink *sink)
{
    size_t consumed = 0, more = 1;
    while (consumed < bytes.size && more > 0 && !self->passage.is_over) {
        struct slice rest = slice_skip(bytes, consumed);
        if (self->client == CLIENT_MESSAGE)
            more = feed_message(self, rest, sink);
        else if (self->client == CLIENT_SWALLOWED)
            more = rest.size;
        else
            more = passage_lines_feed(&self->lines, rest, sink);
        consumed += more;
    }
    end_if_swallowed(self);
    return self->passage.is_over ? bytes.size : consumed;
}

/* ---- replies ---- */

static void put_extension(struct buf *out, struct slice text, bool is_last)
{
    ENSURE(buf_append_string(out, is_last ? "250 " : "250-") == 0);
    ENSURE(buf_append(out, text) == 0);
    ENSURE(buf_append_string(out, "\r\n") == 0);
}

static void learn_size(struct smtp_passage *self, struct slice text)
{
    uint64_t size;
    if (!slice_is_ignoring_case(wire_take_word(&text), "SIZE"))
        return;
    self->size_max = slice_read_number(text, INT64_MAX, &size) ? size : 0;
}

/* Each line goes when the next one is known, so that whichever is the last looks like it. */
static void pass_ehlo_reply(struct smtp_passage *self, const struct passage_sink *sink)
{
    struct slice rest = buf_bytes(&self->ehlo_reply), line, text, before = SLICE_NONE;
    struct buf out;
    unsigned code;
    bool is_last, is_first = true;
    self->size_max = 0;
    buf_init(&out, 2 * REPLY_MAX);
    while (slice_next_word(&rest, '\n', &line)) {
        ENSURE(smtp_read_reply(wire_trim_line_end(line), &code, &is_last, &text));
        if (!is_first && smtp_hides_extension(text))
            continue;
        if (!is_first) {
            put_extension(&out, before, false);
            learn_size(self, text);
        }
        before = text;
        is_first = false;
    }
    put_extension(&out, before, true);
    sink->pass(sink->owner, SIDE_CLIENT, buf_bytes(&out));
    buf_fini(&out);
    buf_clear(&self->ehlo_reply);
}

static void begin_message(struct smtp_passage *self)
{
    self->client = CLIENT_MESSAGE;
    self->framing = (struct data_framing){0};
    self->passage.content_is_due = true;
}

static void end_reply(struct smtp_passage *self, unsigned code, const struct passage_sink *sink)
{
    uint8_t answer = passage_lines_expected(&self->lines);
    if (code == 354 && answer != ANSWER_DATA) {
        passage_end(&self->passage, WHY_UPSTREAM_PROTOCOL,
                    "the mail server wants a message that nobody offered");
        return;
    }
    if (answer == ANSWER_EHLO && code == 250)
        pass_ehlo_reply(self, sink);
    if (answer == ANSWER_VERDICT)
        self->passage.verdict_is_due = false;
    if (answer == ANSWER_DATA) {
        self->lines.waits = false;
        if (code == 354)
            begin_message(self);
    }
    self->reply_code = 0;
    passage_lines_answered(&self->lines, sink);
    end_if_swallowed(self);
}

static void end_by_nonsense(struct smtp_passage *self)
{
    passage_end(&self->passage, WHY_UPSTREAM_PROTOCOL, "the mail server sent no SMTP reply");
}

/* A whole line, or the end of one whose start was passed. */
static void end_line(struct smtp_passage *self, const struct passage_sink *sink)
{
    unsigned code;
    bool is_last;
    struct slice text, head = wire_trim_line_end(slice_of(self->head, self->head_size));
    self->head_size = 0;
    bool is_reply = smtp_read_reply(slice_take(head, 4), &code, &is_last, &text) &&
                    (self->reply_code == 0 || self->reply_code == code);
    if (!is_reply) {
        end_by_nonsense(self);
        return;
    }
    self->reply_code = code;
    if (is_last)
        end_reply(self, code, sink);
}

static void remember_head(struct smtp_passage *self, struct slice piece)
{
    piece = slice_take(piece, sizeof(self->head) - self->head_size);
    if (piece.size > 0)
        memcpy(self->head + self->head_size, piece.data, piece.size);
    self->head_size = (uint8_t)(self->head_size + piece.size);
}

/* The reply to EHLO is kept until it is whole, unless its code says that it has no list. */
static bool is_collected(const struct smtp_passage *self)
{
    struct slice code = slice_take(slice_of(self->head, self->head_size), 3);
    return passage_lines_expected(&self->lines) == ANSWER_EHLO &&
           (self->reply_code == 250 ||
            slice_equal(code, slice_take(SLICE_LITERAL("250"), code.size)));
}

static size_t read_reply_line(struct smtp_passage *self, struct slice bytes,
                              const struct passage_sink *sink)
{
    size_t end = slice_find(bytes, '\n');
    struct slice piece = slice_take(bytes, end < bytes.size ? end + 1 : end);
    remember_head(self, piece);
    self->lines.is_within_reply = true;
    if (is_collected(self)) {
        if (buf_append(&self->ehlo_reply, piece) != 0)
            end_by_nonsense(self);
    } else {
        if (buf_size(&self->ehlo_reply) > 0)
            sink->pass(sink->owner, SIDE_CLIENT, buf_bytes(&self->ehlo_reply));
        buf_clear(&self->ehlo_reply);
        sink->pass(sink->owner, SIDE_CLIENT, piece);
    }
    if (end < bytes.size && !self->passage.is_over)
        end_line(self, sink);
    return piece.size;
}

/* ---- the passage ---- */

static struct passage *open_passage(const struct passage_settings *settings)
{
    struct smtp_passage *self = mem_new(sizeof(*self));
    struct slice rest = settings->capabilities, line;
    self->passage.kind = &passage_smtp;
    self->rejects_bare_newline = settings->rejects_bare_newline;
    self->is_read_only = settings->is_read_only;
    self->senders = mem_copy_string(settings->senders == NULL ? "" : settings->senders);
    passage_lines_init(&self->lines, &self->passage, &lines_kind);
    buf_init(&self->ehlo_reply, REPLY_MAX);
    while (slice_next_word(&rest, '\n', &line))
        learn_size(self, line);
    return &self->passage;
}

static void close_passage(struct passage *passage)
{
    struct smtp_passage *self = self_of(passage);
    passage_lines_fini(&self->lines);
    buf_fini(&self->ehlo_reply);
    mem_free(self->senders);
    mem_free(self);
}

static size_t feed(struct passage *passage, enum side from, struct slice bytes,
                   const struct passage_sink *sink)
{
    struct smtp_passage *self = self_of(passage);
    size_t consumed = 0;
    if (from == SIDE_CLIENT)
        return feed_client(self, bytes, sink);
    while (consumed < bytes.size && !passage->is_over)
        consumed += read_reply_line(self, slice_skip(bytes, consumed), sink);
    return bytes.size;
}

/* Half a list is of no use to the client. */
static void finish(struct passage *passage, const struct passage_sink *sink)
{
    (void)passage;
    (void)sink;
}

/* RFC 5321 section 3.8: at any time, in the place of a reply. */
static void say_bye(struct passage *passage, enum why why, const char *text,
                    const struct passage_sink *sink)
{
    const struct smtp_passage *self = self_of(passage);
    char line[400];
    if (self->lines.is_within_reply && buf_size(&self->ehlo_reply) == 0)
        return;
    int size = snprintf(line, sizeof(line), "%s %.300s\r\n", smtp_bye_code(why), text);
    sink->pass(sink->owner, SIDE_CLIENT, slice_of(line, (size_t)size));
}

static void release(struct passage *passage, const struct passage_sink *sink)
{
    passage_lines_release(&self_of(passage)->lines, sink);
}

const struct passage_kind passage_smtp = {
    .open = open_passage,
    .close = close_passage,
    .feed = feed,
    .finish = finish,
    .say_bye = say_bye,
    .release = release,
};
