/*
 * The tap of SMTP (RFC 5321).
 *
 * Happy path: MAIL, RCPT and DATA are followed to their replies, which make the envelope; after 354
 * the content is counted to its dot, and the reply to it is a message sent, which the client hears
 * of when the record is on disk.
 *
 *   a reply that nobody asked for     passed over: 421 may come at any time
 *   a reply that is none              the tap is off (and the passage ends the session)
 *   the session ends behind the dot   the message is told of: nobody knows whether it was taken
 */
#include <stdio.h>

#include "mail/dot_end.h"
#include "mail/smtp_words.h"
#include "mail/tap_internal.h"
#include "mail/wire.h"

#define NAMED_MAX     40u             /* recipients of one message */
#define RECIPIENT_MAX RECORD_TEXT_MAX /* octets of an address */
#define NAMES_MAX     8192u           /* of all of them */

enum kind { KIND_MAIL = 1, KIND_RECIPIENT, KIND_DATA, KIND_RESET, KIND_CONTENT };

static const struct tap_verb verbs[] = {
    TAP_KEPT("RCPT", KIND_RECIPIENT),
    TAP_KEPT("MAIL", KIND_MAIL),
    TAP_KIND("DATA", KIND_DATA),
    TAP_KIND("RSET", KIND_RESET),
    TAP_PLAIN("QUIT"),
    TAP_PLAIN("NOOP"),
    TAP_KIND("EHLO", KIND_RESET),
    TAP_KIND("HELO", KIND_RESET),
    TAP_PLAIN("VRFY"),
    TAP_PLAIN("EXPN"),
    TAP_PLAIN("HELP"),
    TAP_PLAIN("ETRN"),
    TAP_SECRET("AUTH", 0),
    TAP_OTHERS,
};

static const struct tap_verb content = TAP_KIND("content", KIND_CONTENT);

struct smtp_tap {
    struct tap tap;
    bool is_in_content; /* the client's bytes are a message */
    struct dot_end end;
    uint64_t content_bytes;
    uint64_t size;       /* of the message that waits for its reply */
    unsigned reply_code; /* of the lines before, or 0 */

    /* the envelope */
    struct buf sender, recipients; /* each with a line end behind it */
    uint64_t recipient_count;
};

static struct smtp_tap *self_of(struct tap *tap)
{
    return CONTAINER_OF(tap, struct smtp_tap, tap);
}

/* ---- the envelope ---- */

static void clear_envelope(struct smtp_tap *self)
{
    buf_clear(&self->sender);
    buf_clear(&self->recipients);
    self->recipient_count = 0;
}

/* What stands in the angle brackets of "FROM:<a@b> SIZE=1", where quotes may hold brackets too;
 * with them when it is empty. Without brackets, the first word behind the colon. */
static struct slice address_in(struct slice text)
{
    size_t open = slice_find(text, '<');
    if (open == text.size) {
        struct slice rest = slice_skip(text, slice_find(text, ':') + 1);
        return wire_take_word(&rest);
    }
    bool is_quoted = false;
    size_t at = open + 1;
    while (at < text.size && (is_quoted || text.data[at] != '>')) {
        if (text.data[at] == '"')
            is_quoted = !is_quoted;
        if (text.data[at] == '\\')
            at++;
        at++;
    }
    struct slice inside = slice_skip(slice_take(text, at), open + 1);
    return inside.size > 0 ? slice_take(inside, RECIPIENT_MAX) : SLICE_LITERAL("<>");
}

static void set_sender(struct smtp_tap *self, struct slice text)
{
    clear_envelope(self);
    (void)!buf_append(&self->sender, address_in(text));
}

static void add_recipient(struct smtp_tap *self, struct slice text)
{
    struct slice address = address_in(text);
    self->recipient_count++;
    if (self->recipient_count > NAMED_MAX || address.size + 1 > buf_room(&self->recipients))
        return;
    ENSURE(buf_append(&self->recipients, address) == 0);
    ENSURE(buf_append(&self->recipients, SLICE_LITERAL("\n")) == 0);
}

/* ---- records ---- */

static void describe_message(struct smtp_tap *self, struct record *record)
{
    struct slice rest = buf_bytes(&self->recipients), recipient;
    record_add_text(record, FIELD_MAIL_FROM, buf_bytes(&self->sender));
    while (slice_next_word(&rest, '\n', &recipient))
        record_add_text(record, FIELD_RECIPIENT, recipient);
    record_add_number(record, FIELD_RECIPIENT_COUNT, self->recipient_count);
    record_add_number(record, FIELD_SMTP_SIZE, self->size);
}

static void tell_sent(struct smtp_tap *self, struct tap_command *command, struct slice status,
                      struct slice words, bool is_success)
{
    struct record record;
    tap_record_init(&self->tap, &record, ACTION_MESSAGE_SEND, command, is_success);
    describe_message(self, &record);
    record_add_text(&record, FIELD_STATUS, status);
    record_add_text(&record, FIELD_QUEUE_REPLY, words);
    if (self->tap.now.steady > command->began)
        record_add_number(&record, FIELD_DURATION, self->tap.now.steady - command->began);
    self->tap.server_bytes = 0;
    tap_tell_last(&self->tap, &record, true);
    tap_forget(&self->tap, command);
    clear_envelope(self);
}

static bool abandon(struct tap *tap, const struct tap_command *command, enum why why)
{
    struct record record;
    if (command->verb->kind != KIND_CONTENT)
        return false;
    tap_record_init(tap, &record, ACTION_MESSAGE_SEND, command, true);
    record.why = why;
    describe_message(self_of(tap), &record);
    tap_tell(tap, &record);
    return true;
}

/* ---- the client ---- */

static void begin(struct smtp_tap *self, const struct tap_verb *verb, struct slice arguments)
{
    struct tap_command *command = tap_begin(&self->tap, verb, arguments, false);
    if (command == NULL)
        tap_turn_off(&self->tap, WHY_CLIENT_PROTOCOL, "too many commands wait for a reply");
    else
        command->client_bytes = self->tap.client_bytes;
    self->tap.client_bytes = 0;
}

static void take_content(struct smtp_tap *self, struct slice *rest)
{
    size_t size = dot_end_find(&self->end, *rest);
    self->content_bytes += size;
    *rest = slice_skip(*rest, size);
    if (!dot_end_is_there(&self->end))
        return;
    self->is_in_content = false;
    self->size = self->content_bytes - DOT_END_SIZE;
    self->tap.client_bytes = self->content_bytes;
    self->tap.number--; /* it is no command of its own: DATA's number is its number */
    begin(self, &content, SLICE_NONE);
}

static void feed_client(struct tap *tap, struct slice *rest)
{
    struct smtp_tap *self = self_of(tap);
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_off) {
        if (self->is_in_content) {
            take_content(self, rest);
            continue;
        }
        size_t before = rest->size;
        bool is_whole = tap_line_feed(&tap->client_line, rest, &line);
        tap->client_bytes += before - rest->size;
        if (is_whole) {
            struct slice verb = wire_take_word(&line.head);
            begin(self, tap_find_verb(verbs, verb), line.head);
        }
    }
}

/* ---- the server ---- */

static void begin_content(struct smtp_tap *self)
{
    self->is_in_content = true;
    self->content_bytes = 0;
    dot_end_start(&self->end);
}

static void end_reply(struct smtp_tap *self, unsigned code, struct slice words)
{
    struct tap_command *command = tap_first(&self->tap);
    char status[12];
    bool is_yes = code / 100 == 2;
    snprintf(status, sizeof(status), "%u", code);
    if (command == NULL) {
        self->tap.server_bytes = 0;
        return;
    }
    switch (command->verb->kind) {
    case KIND_CONTENT:
        tell_sent(self, command, slice_of_string(status), words, is_yes);
        return;
    case KIND_MAIL:
        if (is_yes)
            set_sender(self, command->text);
        break;
    case KIND_RECIPIENT:
        if (is_yes)
            add_recipient(self, command->text);
        break;
    case KIND_RESET:
        if (is_yes)
            clear_envelope(self);
        break;
    case KIND_DATA:
        if (code == 354)
            begin_content(self);
        break;
    default:
        break;
    }
    tap_answer(&self->tap, command, slice_of_string(status), code < 400);
}

static void take_reply_line(struct smtp_tap *self, struct slice line)
{
    unsigned code;
    bool is_last;
    struct slice words;
    if (!smtp_read_reply(line, &code, &is_last, &words) ||
        (self->reply_code != 0 && self->reply_code != code)) {
        tap_turn_off(&self->tap, WHY_UPSTREAM_PROTOCOL, "the mail server sent no SMTP reply");
        return;
    }
    self->reply_code = is_last ? 0 : code;
    if (is_last)
        end_reply(self, code, words);
}

static void feed_upstream(struct tap *tap, struct slice *rest)
{
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_awaited && !tap->is_off) {
        size_t before = rest->size;
        bool is_whole = tap_line_feed(&tap->server_line, rest, &line);
        tap->server_bytes += before - rest->size;
        if (is_whole)
            take_reply_line(self_of(tap), line.head);
    }
}

/* ---- the tap ---- */

static void free_tap(struct tap *tap)
{
    struct smtp_tap *self = self_of(tap);
    buf_fini(&self->sender);
    buf_fini(&self->recipients);
    mem_free(self);
}

static const struct tap_kind tap_smtp = {.feed_client = feed_client,
                                         .feed_upstream = feed_upstream,
                                         .abandon = abandon,
                                         .free = free_tap};

struct tap *tap_smtp_open(const struct tap_settings *settings)
{
    struct smtp_tap *self = mem_new(sizeof(*self));
    tap_init(&self->tap, &tap_smtp, settings);
    buf_init(&self->sender, RECIPIENT_MAX);
    buf_init(&self->recipients, NAMES_MAX);
    return &self->tap;
}
