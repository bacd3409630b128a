/*
 * What the server says.
 *
 * Happy path: untagged responses are looked at where they tell of messages, their literals skipped;
 * a tagged one answers the command of that tag.
 *
 *   a tag that is not known            passed over: its command was not followed
 *   a refusal of a literal             what the client says next is a command
 *   one that came too late for that    the tap is off: nobody knows what the server made of it
 *   COMPRESS that is agreed to         the tap is off
 *   what is no response                the tap is off
 */
#include <string.h>

#include "mail/tap_imap.h"
#include "mail/wire.h"

struct tap_imap_seen *tap_imap_see(struct imap_tap *self)
{
    if (self->seen == NULL)
        self->seen = mem_new(sizeof(*self->seen));
    return self->seen;
}

/* ---- untagged ---- */

/* Takes "FLAGS (…) " and "MODSEQ (…) " off, which often stand before the UID. */
static bool skip_item(struct slice *items)
{
    static const char *const names[] = {"FLAGS (", "MODSEQ ("};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        if (slice_starts_with_ignoring_case(*items, names[i])) {
            *items = slice_skip(*items, slice_find(*items, ')') + 1);
            if (slice_starts_with(*items, " "))
                *items = slice_skip(*items, 1);
            return true;
        }
    return false;
}

static bool read_uid(struct slice items, uint64_t *uid_out)
{
    if (slice_starts_with(items, "("))
        items = slice_skip(items, 1);
    while (skip_item(&items))
        ;
    return slice_is_ignoring_case(wire_take_word(&items), "UID") &&
           slice_read_number(wire_take_word(&items), UINT32_MAX, uid_out);
}

static bool has_content(struct slice items)
{
    static const char *const names[] = {"BODY[", "RFC822", "BINARY["};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        if (memmem(items.data, items.size, names[i], strlen(names[i])) != NULL)
            return true;
    return false;
}

static void take_fetch(struct imap_tap *self, struct slice items)
{
    uint64_t uid;
    self->response_is_fetch = items.size > 0 && has_content(items);
    if (!self->response_is_fetch)
        return;
    struct tap_imap_seen *seen = tap_imap_see(self);
    seen->fetched_count++;
    if (read_uid(items, &uid))
        tap_ranges_add(&seen->fetched, uid);
}

static void take_vanished(struct imap_tap *self, struct slice uids)
{
    struct tap_imap_seen *seen = tap_imap_see(self);
    if (slice_starts_with(uids, "(")) /* EARLIER: before this session */
        return;
    size_t size = uids.size, comma = seen->vanished_size > 0;
    if (seen->vanished_size + comma + size > sizeof(seen->vanished) || size == 0)
        return;
    if (comma > 0)
        seen->vanished[seen->vanished_size++] = ',';
    memcpy(seen->vanished + seen->vanished_size, uids.data, size);
    seen->vanished_size += size;
}

static void take_untagged(struct imap_tap *self, struct slice line, bool has_literal)
{
    struct slice rest = slice_skip(line, 2), first = wire_take_word(&rest);
    struct slice second = wire_take_word(&rest);
    self->response_is_fetch = false;
    if (has_literal && slice_is_ignoring_case(second, "FETCH"))
        take_fetch(self, rest);
    else if (slice_is_ignoring_case(second, "EXPUNGE"))
        tap_imap_see(self)->expunged_count++;
    else if (slice_is_ignoring_case(first, "VANISHED"))
        take_vanished(self, second);
}

/* ---- tagged ---- */

static struct tap_command *find_command(struct imap_tap *self, struct slice tag)
{
    LIST_FOREACH (node, &self->tap.commands) {
        struct tap_command *command = CONTAINER_OF(node, struct tap_command, node);
        if (slice_equal(slice_of(command->tag, command->tag_size), tag))
            return command;
    }
    return NULL;
}

/* The command in hand is answered before it has come whole. */
static void end_current(struct imap_tap *self)
{
    self->current = NULL;
    if (!self->waits_for_go_ahead)
        return;
    self->waits_for_go_ahead = false;
    self->is_within_command = false;
    self->client_literal = 0;
}

static void forget_seen(struct imap_tap *self)
{
    mem_free(self->seen);
    self->seen = NULL;
}

static void take_tagged(struct imap_tap *self, struct slice line)
{
    struct slice rest = line, tag = wire_take_word(&rest), status = wire_take_word(&rest);
    bool is_ok = slice_is_ignoring_case(status, "OK");
    if (!is_ok && !slice_is_ignoring_case(status, "NO") && !slice_is_ignoring_case(status, "BAD")) {
        tap_turn_off(&self->tap, WHY_UPSTREAM_PROTOCOL, "the mail server sent no IMAP response");
        return;
    }
    struct tap_command *command = find_command(self, tag);
    if (command == NULL)
        return;
    if (command == self->current)
        end_current(self);
    bool is_lost = command->is_hasty && !is_ok;
    bool is_compressed = is_ok && command->verb->kind == TAP_IMAP_COMPRESS;
    if (command->node.next == &self->tap.commands)
        self->is_in_exchange = false;
    tap_imap_tell(self, command, status, rest);
    forget_seen(self);
    tap_answer(&self->tap, command,
               slice_of_string(is_ok                                  ? "OK"
                               : slice_is_ignoring_case(status, "NO") ? "NO"
                                                                      : "BAD"),
               is_ok);
    if (is_lost)
        tap_turn_off(&self->tap, WHY_CLIENT_PROTOCOL,
                     "a literal that was refused came all the same");
    if (is_compressed)
        tap_turn_off(&self->tap, WHY_UPSTREAM_PROTOCOL, "the connection is compressed from here");
}

/* "+": to a literal, or to the command that was said last. */
static void take_go_ahead(struct imap_tap *self)
{
    struct list *commands = &self->tap.commands;
    if (self->waits_for_go_ahead) {
        self->waits_for_go_ahead = false;
        return;
    }
    if (list_is_empty(commands))
        return;
    const struct tap_command *last = CONTAINER_OF(commands->previous, struct tap_command, node);
    self->is_in_exchange =
        last->verb->kind == TAP_IMAP_IDLE || last->verb->kind == TAP_IMAP_AUTHENTICATE;
}

/* ---- lines and literals ---- */

static bool is_response(struct slice line)
{
    return line.size == 0 || (line.data[0] > 0x20 && line.data[0] < 0x7f);
}

static void take_line(struct imap_tap *self, const struct tap_line_view *line)
{
    struct wire_literal literal;
    bool has_literal = wire_imap_literal(line->tail, &literal) == WIRE_DONE;
    if (!self->is_within_response) {
        bool is_untagged = slice_starts_with(line->head, "* ");
        if (!is_response(line->head)) {
            tap_turn_off(&self->tap, WHY_UPSTREAM_PROTOCOL,
                         "the mail server sent no IMAP response");
            return;
        }
        if (is_untagged)
            take_untagged(self, line->head, has_literal);
        else if (slice_starts_with(line->head, "+"))
            take_go_ahead(self);
        else if (line->head.size > 0)
            take_tagged(self, line->head);
        /* Only data have literals; the words of a status may end in braces. */
        has_literal = has_literal && is_untagged;
    }
    self->is_within_response = has_literal;
    self->server_literal = has_literal ? literal.size : 0;
    if (has_literal && self->response_is_fetch)
        tap_imap_see(self)->fetched_bytes += literal.size;
}

void tap_imap_feed_server(struct tap *tap, struct slice *rest)
{
    struct imap_tap *self = tap_imap_self(tap);
    struct tap_line_view line;
    while (rest->size > 0 && !tap->is_awaited && !tap->is_off) {
        size_t before = rest->size;
        bool is_whole = false;
        if (self->server_literal > 0) {
            struct slice piece = slice_take(*rest, self->server_literal);
            self->server_literal -= piece.size;
            *rest = slice_skip(*rest, piece.size);
        } else {
            is_whole = tap_line_feed(&tap->server_line, rest, &line);
        }
        tap->server_bytes += before - rest->size;
        if (is_whole)
            take_line(self, &line);
    }
}
