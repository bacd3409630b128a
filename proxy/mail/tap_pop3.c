/*
 * The tap of POP3 (RFC 1939).
 *
 * Happy path: each line of the client is a command, each status line of the server, with the text
 * behind it where there is one, answers the oldest of them.
 *
 *   words that nobody asked for      passed over, as the passage does
 *   messages marked by DELE          told of when QUIT is answered: that is when they go; a session
 *                                    that ends without it deletes nothing
 */
#include "mail/dot_end.h"
#include "mail/passage_pop3.h"
#include "mail/tap_internal.h"
#include "mail/wire.h"

enum kind { KIND_FETCH = 1, KIND_DELETE, KIND_RESET, KIND_QUIT };

static const struct tap_verb verbs[] = {
    TAP_KEPT("RETR", KIND_FETCH),
    TAP_PLAIN("UIDL"),
    TAP_PLAIN("LIST"),
    TAP_KEPT("DELE", KIND_DELETE),
    TAP_KEPT("TOP", KIND_FETCH),
    TAP_PLAIN("STAT"),
    TAP_PLAIN("NOOP"),
    TAP_PLAIN("CAPA"),
    TAP_KIND("QUIT", KIND_QUIT),
    TAP_KIND("RSET", KIND_RESET),
    TAP_PLAIN("LANG"),
    TAP_PLAIN("UTF8"),
    TAP_SECRET("AUTH", 0),
    TAP_SECRET("USER", 0),
    TAP_SECRET("PASS", 0),
    TAP_SECRET("APOP", 0),
    TAP_PLAIN("STLS"),
    TAP_OTHERS,
};

struct pop3_tap {
    struct tap tap;
    bool is_in_text;
    struct dot_end end;
    uint64_t text_bytes;
    struct tap_ranges deleted;
};

static struct pop3_tap *self_of(struct tap *tap)
{
    return CONTAINER_OF(tap, struct pop3_tap, tap);
}

/* ---- the client ---- */

static void take_command(struct pop3_tap *self, struct slice line, uint64_t size)
{
    bool has_text = pop3_expects_lines(line);
    struct slice verb = wire_take_word(&line);
    struct tap_command *command = tap_begin(&self->tap, tap_find_verb(verbs, verb), line, false);
    if (command == NULL) {
        tap_turn_off(&self->tap, WHY_CLIENT_PROTOCOL, "too many commands wait for an answer");
        return;
    }
    command->client_bytes = size;
    command->has_text = has_text;
}

static void feed_client(struct tap *tap, struct slice *rest)
{
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_off) {
        size_t before = rest->size;
        bool is_whole = tap_line_feed(&tap->client_line, rest, &line);
        tap->client_bytes += before - rest->size;
        if (!is_whole)
            continue;
        take_command(self_of(tap), line.head, tap->client_bytes);
        tap->client_bytes = 0;
    }
}

/* ---- the server ---- */

/* "3" of "RETR 3", "TOP 3 0". */
static bool read_message_number(const struct tap_command *command, uint64_t *number_out)
{
    struct slice text = command->text;
    return slice_read_number(wire_take_word(&text), INT64_MAX, number_out);
}

static void tell_fetched(struct pop3_tap *self, const struct tap_command *command)
{
    struct record record;
    struct tap_ranges ranges = {0};
    uint64_t number, size = self->text_bytes;
    tap_record_init(&self->tap, &record, ACTION_MESSAGE_FETCH, command, true);
    if (read_message_number(command, &number))
        tap_ranges_add(&ranges, number);
    tap_ranges_tell(&ranges, &record);
    record_add_number(&record, FIELD_MESSAGE_BYTES, size > DOT_END_SIZE ? size - DOT_END_SIZE : 0);
    tap_tell(&self->tap, &record);
}

static void tell_deleted(struct pop3_tap *self, const struct tap_command *command)
{
    struct record record;
    if (self->deleted.count == 0)
        return;
    tap_record_init(&self->tap, &record, ACTION_MESSAGE_DELETE, command, true);
    tap_ranges_tell(&self->deleted, &record);
    tap_tell(&self->tap, &record);
    self->deleted = (struct tap_ranges){0};
}

static void end_answer(struct pop3_tap *self, struct tap_command *command, bool is_ok)
{
    uint64_t number;
    if (is_ok && command->verb->kind == KIND_FETCH)
        tell_fetched(self, command);
    if (is_ok && command->verb->kind == KIND_DELETE && read_message_number(command, &number))
        tap_ranges_add(&self->deleted, number);
    if (is_ok && command->verb->kind == KIND_RESET)
        self->deleted = (struct tap_ranges){0};
    if (is_ok && command->verb->kind == KIND_QUIT)
        tell_deleted(self, command);
    tap_answer(&self->tap, command, slice_of_string(is_ok ? "+OK" : "-ERR"), is_ok);
}

static void take_status(struct pop3_tap *self, struct slice line)
{
    struct tap_command *command = tap_first(&self->tap);
    bool is_ok = line.size > 0 && line.data[0] == '+';
    if (command == NULL) {
        self->tap.server_bytes = 0;
        return;
    }
    if (!is_ok || !command->has_text) {
        end_answer(self, command, is_ok);
        return;
    }
    self->is_in_text = true;
    self->text_bytes = 0;
    dot_end_start(&self->end);
}

static void take_text(struct pop3_tap *self, struct slice *rest)
{
    size_t size = dot_end_find(&self->end, *rest);
    self->text_bytes += size;
    self->tap.server_bytes += size;
    *rest = slice_skip(*rest, size);
    if (!dot_end_is_there(&self->end))
        return;
    self->is_in_text = false;
    end_answer(self, tap_first(&self->tap), true);
}

static void feed_upstream(struct tap *tap, struct slice *rest)
{
    struct pop3_tap *self = self_of(tap);
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_awaited) {
        if (self->is_in_text) {
            take_text(self, rest);
            continue;
        }
        size_t before = rest->size;
        bool is_whole = tap_line_feed(&tap->server_line, rest, &line);
        tap->server_bytes += before - rest->size;
        if (is_whole)
            take_status(self, line.head);
    }
}

/* ---- the tap ---- */

static void free_tap(struct tap *tap)
{
    mem_free(self_of(tap));
}

static const struct tap_kind tap_pop3 = {
    .feed_client = feed_client, .feed_upstream = feed_upstream, .free = free_tap};

struct tap *tap_pop3_open(const struct tap_settings *settings)
{
    struct pop3_tap *self = mem_new(sizeof(*self));
    tap_init(&self->tap, &tap_pop3, settings);
    return &self->tap;
}
