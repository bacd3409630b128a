/*
 * What a command did, once it is answered.
 *
 * Happy path: its arguments are read as far as they say which mailbox and which messages, the
 * server's words where they say UIDs, and one record is made of what happened to messages.
 *
 *   arguments that were cut or cannot be read   the record is without what they would have said
 *   the server says no                          nothing happened, but what was fetched before it
 */
#include <string.h>

#include "mail/tap_imap.h"
#include "mail/wire.h"

/* ---- words ---- */

/* "1:3,7" is 4; false where that cannot be known. */
static bool count_of_set(struct slice set, uint64_t *count_out)
{
    struct slice part;
    uint64_t count = 0;
    while (slice_next_word(&set, ',', &part)) {
        struct slice first;
        uint64_t from, to;
        (void)slice_next_word(&part, ':', &first);
        if (!slice_read_number(first, UINT32_MAX, &from))
            return false;
        to = from;
        if (part.size > 0 && !slice_read_number(part, UINT32_MAX, &to))
            return false;
        count += (to > from ? to - from : from - to) + 1;
    }
    *count_out = count;
    return true;
}

static void add_set(struct record *record, struct slice set, bool is_uid)
{
    uint64_t count;
    if (is_uid)
        record_add_text(record, FIELD_MESSAGE_UIDS, set);
    if (count_of_set(set, &count))
        record_add_number(record, FIELD_MESSAGE_COUNT, count);
}

/* Takes the name of a mailbox; added when it can be read. */
static void add_mailbox(struct record *record, struct slice *arguments, struct buf *name)
{
    buf_init(name, RECORD_TEXT_MAX);
    if (wire_imap_astring(arguments, name) == WIRE_DONE)
        record_add_text(record, FIELD_MAILBOX, buf_bytes(name));
}

/* The arguments of a response code, "[APPENDUID 38505 3955]". */
static bool find_code(struct slice words, const char *name, struct slice *arguments_out)
{
    if (!slice_starts_with(words, "["))
        return false;
    struct slice inside = slice_skip(slice_take(words, slice_find(words, ']')), 1);
    if (!slice_is_ignoring_case(wire_take_word(&inside), name))
        return false;
    *arguments_out = inside;
    return true;
}

/* ---- messages ---- */

static void begin(const struct imap_tap *self, struct record *record, enum record_action action,
                  const struct tap_command *command)
{
    tap_record_init(&self->tap, record, action, command, true);
}

static void tell_fetched(struct imap_tap *self, const struct tap_command *command)
{
    struct record record;
    if (self->seen == NULL || self->seen->fetched_count == 0)
        return;
    begin(self, &record, ACTION_MESSAGE_FETCH, command);
    record_add_text(&record, FIELD_MAILBOX, buf_bytes(&self->mailbox));
    uint64_t named = self->seen->fetched.count;
    tap_ranges_tell(&self->seen->fetched, &record);
    if (named == 0)
        record_add_number(&record, FIELD_MESSAGE_COUNT, self->seen->fetched_count);
    record_add_number(&record, FIELD_MESSAGE_BYTES, self->seen->fetched_bytes);
    tap_tell(&self->tap, &record);
}

/* `uids` may be empty. */
static void tell_deleted(struct imap_tap *self, const struct tap_command *command,
                         struct slice uids)
{
    struct record record;
    const struct tap_imap_seen *seen = self->seen;
    uint64_t count = seen == NULL ? 0 : seen->expunged_count;
    begin(self, &record, ACTION_MESSAGE_DELETE, command);
    record_add_text(&record, FIELD_MAILBOX, buf_bytes(&self->mailbox));
    if (seen != NULL && seen->vanished_size > 0) {
        add_set(&record, slice_of(seen->vanished, seen->vanished_size), true);
    } else {
        record_add_text(&record, FIELD_MESSAGE_UIDS, uids);
        if (count > 0)
            record_add_number(&record, FIELD_MESSAGE_COUNT, count);
    }
    tap_tell(&self->tap, &record);
}

static bool has_vanished(const struct imap_tap *self)
{
    return self->seen != NULL && (self->seen->expunged_count > 0 || self->seen->vanished_size > 0);
}

static void tell_appended(struct imap_tap *self, const struct tap_command *command,
                          struct slice words)
{
    struct record record;
    struct buf name;
    struct slice arguments = command->text, uids;
    uint64_t messages = command->literals - (command->name_bytes > 0);
    begin(self, &record, ACTION_MESSAGE_APPEND, command);
    add_mailbox(&record, &arguments, &name);
    if (find_code(words, "APPENDUID", &uids)) {
        (void)wire_take_word(&uids);
        record_add_text(&record, FIELD_MESSAGE_UIDS, uids);
    }
    record_add_number(&record, FIELD_MESSAGE_COUNT, messages);
    record_add_number(&record, FIELD_MESSAGE_BYTES, command->literal_bytes - command->name_bytes);
    tap_tell(&self->tap, &record);
    buf_fini(&name);
}

/* COPY and MOVE: what came to stand in the other mailbox. */
static void tell_copied(struct imap_tap *self, const struct tap_command *command,
                        struct slice words)
{
    struct record record;
    struct buf name;
    struct slice arguments = command->text, set = wire_take_word(&arguments), uids;
    uint64_t count;
    begin(self, &record, ACTION_MESSAGE_APPEND, command);
    add_mailbox(&record, &arguments, &name);
    if (find_code(words, "COPYUID", &uids)) {
        (void)wire_take_word(&uids);
        (void)wire_take_word(&uids);
        record_add_text(&record, FIELD_MESSAGE_UIDS, uids);
        set = uids;
    }
    if (count_of_set(set, &count))
        record_add_number(&record, FIELD_MESSAGE_COUNT, count);
    tap_tell(&self->tap, &record);
    buf_fini(&name);
}

static void tell_stored(struct imap_tap *self, const struct tap_command *command)
{
    struct record record;
    struct slice flags = command->text, set = wire_take_word(&flags);
    if (slice_starts_with(flags, "(")) { /* UNCHANGEDSINCE: RFC 7162 */
        flags = slice_skip(flags, slice_find(flags, ')') + 1);
        (void)wire_take_word(&flags);
    }
    begin(self, &record, ACTION_FLAG_CHANGE, command);
    record_add_text(&record, FIELD_MAILBOX, buf_bytes(&self->mailbox));
    add_set(&record, set, command->is_uid);
    record_add_text(&record, FIELD_MESSAGE_FLAGS, flags);
    tap_tell(&self->tap, &record);
    if (flags.size > 0 && flags.data[0] != '-' &&
        memmem(flags.data, flags.size, "\\Deleted", strlen("\\Deleted")) != NULL)
        self->has_deleted = true;
}

/* ---- the mailbox ---- */

static void leave_mailbox(struct imap_tap *self)
{
    buf_clear(&self->mailbox);
    self->is_read_only = false;
    self->has_deleted = false;
}

static void enter_mailbox(struct imap_tap *self, const struct tap_command *command,
                          struct slice words)
{
    struct slice arguments = command->text, none;
    leave_mailbox(self);
    if (wire_imap_astring(&arguments, &self->mailbox) != WIRE_DONE)
        buf_clear(&self->mailbox);
    self->is_read_only = find_code(words, "READ-ONLY", &none);
}

static void close_mailbox(struct imap_tap *self, const struct tap_command *command)
{
    if (command->verb->kind == TAP_IMAP_CLOSE && self->has_deleted && !self->is_read_only)
        tell_deleted(self, command, SLICE_NONE);
    leave_mailbox(self);
}

static void tell_done(struct imap_tap *self, const struct tap_command *command, struct slice words)
{
    struct slice arguments = command->text;
    struct slice uids = command->is_uid ? wire_take_word(&arguments) : SLICE_NONE;
    switch (command->verb->kind) {
    case TAP_IMAP_SELECT:
        enter_mailbox(self, command, words);
        break;
    case TAP_IMAP_CLOSE:
    case TAP_IMAP_UNSELECT:
        close_mailbox(self, command);
        break;
    case TAP_IMAP_APPEND:
        tell_appended(self, command, words);
        break;
    case TAP_IMAP_STORE:
        tell_stored(self, command);
        break;
    case TAP_IMAP_COPY:
    case TAP_IMAP_MOVE:
        tell_copied(self, command, words);
        if (command->verb->kind == TAP_IMAP_MOVE && has_vanished(self))
            tell_deleted(self, command, uids);
        break;
    case TAP_IMAP_EXPUNGE:
        if (has_vanished(self))
            tell_deleted(self, command, uids);
        self->has_deleted = false;
        break;
    default:
        break;
    }
}

void tap_imap_tell(struct imap_tap *self, const struct tap_command *command, struct slice status,
                   struct slice words)
{
    if (command->verb->kind == TAP_IMAP_FETCH)
        tell_fetched(self, command);
    if (slice_is_ignoring_case(status, "OK"))
        tell_done(self, command, words);
    else if (command->verb->kind == TAP_IMAP_SELECT && slice_is_ignoring_case(status, "NO"))
        leave_mailbox(self);
}
