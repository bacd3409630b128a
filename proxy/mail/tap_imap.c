/*
 * The tap of IMAP (RFC 9051, RFC 3501): what the client says.
 *
 * Happy path: a line, or lines with literals between them, is a command; it is begun with its first
 * line, since the server may answer before the rest has come.
 *
 *   a literal that waits for "+"       goes on when the server says so; a refusal ends the command
 *   lines behind "+" of IDLE and of    belong to that command, and nothing of them is kept
 *   AUTHENTICATE
 *   a line that is no command          told of as one of no known name
 *   more commands than are followed    told of at once, without an answer
 *   a literal that cannot be read      the tap is off
 */
#include "mail/tap_imap.h"

#include <string.h>

#include "mail/wire.h"

#define NAME_LITERAL_MAX 256u /* a mailbox that is sent as a literal */

static const struct tap_verb verbs[] = {
    TAP_KIND("FETCH", TAP_IMAP_FETCH),
    TAP_PLAIN("NOOP"),
    TAP_KIND("IDLE", TAP_IMAP_IDLE),
    TAP_KEPT("STORE", TAP_IMAP_STORE),
    TAP_KEPT("SELECT", TAP_IMAP_SELECT),
    TAP_KEPT("EXAMINE", TAP_IMAP_SELECT),
    TAP_PLAIN("STATUS"),
    TAP_PLAIN("LIST"),
    TAP_PLAIN("LSUB"),
    TAP_PLAIN("SEARCH"),
    TAP_KEPT("APPEND", TAP_IMAP_APPEND),
    TAP_KEPT("COPY", TAP_IMAP_COPY),
    TAP_KEPT("MOVE", TAP_IMAP_MOVE),
    TAP_KEPT("EXPUNGE", TAP_IMAP_EXPUNGE),
    TAP_KIND("CLOSE", TAP_IMAP_CLOSE),
    TAP_KIND("UNSELECT", TAP_IMAP_UNSELECT),
    TAP_PLAIN("CHECK"),
    TAP_PLAIN("CAPABILITY"),
    TAP_PLAIN("ENABLE"),
    TAP_PLAIN("ID"),
    TAP_PLAIN("NAMESPACE"),
    TAP_PLAIN("CREATE"),
    TAP_PLAIN("DELETE"),
    TAP_PLAIN("RENAME"),
    TAP_PLAIN("SUBSCRIBE"),
    TAP_PLAIN("UNSUBSCRIBE"),
    TAP_PLAIN("LOGOUT"),
    TAP_PLAIN("SORT"),
    TAP_PLAIN("THREAD"),
    TAP_PLAIN("GETQUOTA"),
    TAP_PLAIN("GETQUOTAROOT"),
    TAP_PLAIN("SETQUOTA"),
    TAP_PLAIN("GETACL"),
    TAP_PLAIN("MYRIGHTS"),
    TAP_PLAIN("LISTRIGHTS"),
    TAP_PLAIN("SETACL"),
    TAP_PLAIN("DELETEACL"),
    TAP_PLAIN("GETMETADATA"),
    TAP_PLAIN("SETMETADATA"),
    TAP_PLAIN("NOTIFY"),
    TAP_PLAIN("ESEARCH"),
    TAP_KIND("COMPRESS", TAP_IMAP_COMPRESS),
    TAP_PLAIN("STARTTLS"),
    TAP_SECRET("LOGIN", 0),
    TAP_SECRET("AUTHENTICATE", TAP_IMAP_AUTHENTICATE),
    TAP_OTHERS,
};

/* Behind UID. */
static const struct tap_verb uid_verbs[] = {
    {"FETCH", "UID FETCH", TAP_IMAP_FETCH, false, false},
    {"STORE", "UID STORE", TAP_IMAP_STORE, false, true},
    {"SEARCH", "UID SEARCH", 0, false, false},
    {"COPY", "UID COPY", TAP_IMAP_COPY, false, true},
    {"MOVE", "UID MOVE", TAP_IMAP_MOVE, false, true},
    {"EXPUNGE", "UID EXPUNGE", TAP_IMAP_EXPUNGE, false, true},
    {"SORT", "UID SORT", 0, false, false},
    {"THREAD", "UID THREAD", 0, false, false},
    TAP_OTHERS,
};

struct imap_tap *tap_imap_self(struct tap *tap)
{
    return CONTAINER_OF(tap, struct imap_tap, tap);
}

static struct tap_command *last_command(struct imap_tap *self)
{
    struct list *commands = &self->tap.commands;
    return list_is_empty(commands) ? NULL
                                   : CONTAINER_OF(commands->previous, struct tap_command, node);
}

/* ---- the end of a line ---- */

/* Is the literal that was just announced the name of a mailbox, and not a message? */
static bool is_of_a_name(const struct tap_command *command, const struct wire_literal *literal)
{
    uint8_t kind = command->verb->kind;
    bool is_first = command->text.size > 0 && command->text.data[0] == '{';
    return command->literals == 0 && literal->size <= NAME_LITERAL_MAX &&
           (kind == TAP_IMAP_COPY || kind == TAP_IMAP_MOVE ||
            ((kind == TAP_IMAP_SELECT || kind == TAP_IMAP_APPEND) && is_first));
}

static void begin_literal(struct imap_tap *self, const struct wire_literal *literal)
{
    struct tap_command *command = self->current;
    self->is_within_command = true;
    self->client_literal = literal->size;
    self->waits_for_go_ahead = literal->is_synchronizing && command != NULL;
    self->client_literal_is_kept = false;
    if (command == NULL)
        return;
    self->client_literal_is_kept = is_of_a_name(command, literal);
    if (self->client_literal_is_kept)
        tap_add_text(command, SLICE_LITERAL("\r\n"));
    command->literals++;
    command->literal_bytes += literal->size;
    if (self->client_literal_is_kept)
        command->name_bytes = literal->size;
}

static void end_command(struct imap_tap *self)
{
    self->current = NULL;
    self->is_within_command = false;
}

/* ---- lines ---- */

/* The line answers a "+", or is the DONE that did not wait for it. */
static bool is_of_exchange(struct imap_tap *self, struct slice line)
{
    struct tap_command *last = last_command(self);
    bool is_idle = last != NULL && last->verb->kind == TAP_IMAP_IDLE && !last->is_ended;
    bool is_done = is_idle && slice_is_ignoring_case(line, "DONE");
    if (last == NULL || (!self->is_in_exchange && !is_done))
        return false;
    self->is_in_exchange = false;
    last->is_ended = true;
    last->client_bytes += self->tap.client_bytes;
    return true;
}

/* What comes behind IDLE ends it or is a command: only the server's answer, which is not there yet,
 * could tell. */
static bool is_within_idle(struct imap_tap *self)
{
    const struct tap_command *last = last_command(self);
    return last != NULL && last->verb->kind == TAP_IMAP_IDLE && !last->is_ended;
}

static const struct tap_verb *find_verb(struct slice *rest, bool *is_uid_out)
{
    struct slice word = wire_take_word(rest);
    *is_uid_out = slice_is_ignoring_case(word, "UID");
    if (!*is_uid_out)
        return tap_find_verb(verbs, word);
    word = wire_take_word(rest);
    return tap_find_verb(uid_verbs, word);
}

static void begin_command(struct imap_tap *self, struct slice line, bool goes_on)
{
    bool is_uid = false;
    struct slice rest = line, tag = wire_take_word(&rest);
    const struct tap_verb *verb = &verbs[LENGTH_OF(verbs) - 1];
    if (wire_is_imap_tag(tag))
        verb = find_verb(&rest, &is_uid);
    else
        tag = SLICE_NONE;
    self->is_in_exchange = false;
    self->current = NULL;
    if (tag.size == 0) {
        self->tap.number++;
        tap_tell_unfollowed(&self->tap, verb, "it has no tag by which it could be answered");
        return;
    }
    struct tap_command *command = tap_begin(&self->tap, verb, rest, goes_on);
    if (command == NULL) {
        tap_tell_unfollowed(&self->tap, verb, "its answer is not followed: too many are due");
        return;
    }
    self->current = command;
    command->is_uid = is_uid;
    command->client_bytes = self->tap.client_bytes;
    command->tag_size = (uint8_t)tag.size;
    memcpy(command->tag, tag.data, tag.size);
}

static void go_on_with_command(struct imap_tap *self, struct slice line)
{
    self->waits_for_go_ahead = false;
    if (self->current == NULL)
        return;
    self->current->client_bytes += self->tap.client_bytes;
    tap_add_text(self->current, line);
}

static void take_line(struct imap_tap *self, const struct tap_line_view *line)
{
    struct wire_literal literal;
    enum wire_status status = wire_imap_literal(line->tail, &literal);
    bool is_first = !self->is_within_command;
    if (is_first && is_of_exchange(self, line->head)) {
        self->tap.client_bytes = 0;
        return;
    }
    if (is_first && is_within_idle(self)) {
        tap_turn_off(&self->tap, WHY_CLIENT_PROTOCOL, "a command within IDLE");
        return;
    }
    if (is_first)
        begin_command(self, line->head, status == WIRE_DONE);
    else
        go_on_with_command(self, line->head);
    self->tap.client_bytes = 0;
    if (status == WIRE_DONE)
        begin_literal(self, &literal);
    else
        end_command(self);
    if (status == WIRE_BAD)
        tap_turn_off(&self->tap, WHY_CLIENT_PROTOCOL, "a literal that cannot be read");
}

static void take_literal(struct imap_tap *self, struct slice *rest)
{
    struct slice piece = slice_take(*rest, self->client_literal);
    /* A client that does not wait has decided: what it sends is the literal. */
    if (self->waits_for_go_ahead && self->current != NULL)
        self->current->is_hasty = true;
    self->waits_for_go_ahead = false;
    self->client_literal -= piece.size;
    *rest = slice_skip(*rest, piece.size);
    if (self->current == NULL)
        return;
    self->current->client_bytes += piece.size;
    if (self->client_literal_is_kept)
        tap_add_text(self->current, piece);
}

static void feed_client(struct tap *tap, struct slice *rest)
{
    struct imap_tap *self = tap_imap_self(tap);
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_off) {
        if (self->client_literal > 0) {
            take_literal(self, rest);
            continue;
        }
        size_t before = rest->size;
        bool is_whole = tap_line_feed(&tap->client_line, rest, &line);
        tap->client_bytes += before - rest->size;
        if (is_whole)
            take_line(self, &line);
    }
}

/* ---- the tap ---- */

static void free_tap(struct tap *tap)
{
    struct imap_tap *self = tap_imap_self(tap);
    buf_fini(&self->mailbox);
    mem_free(self->seen);
    mem_free(self);
}

static const struct tap_kind tap_imap = {
    .feed_client = feed_client, .feed_upstream = tap_imap_feed_server, .free = free_tap};

struct tap *tap_imap_open(const struct tap_settings *settings)
{
    struct imap_tap *self = mem_new(sizeof(*self));
    tap_init(&self->tap, &tap_imap, settings);
    buf_init(&self->mailbox, RECORD_TEXT_MAX);
    return &self->tap;
}
