/*
 * Happy path: a command is begun, counted, answered; its record is told and it is forgotten.
 *
 *   more commands than can be followed   told of without an answer, or the tap is off
 *   more text than is kept               the arguments are left out
 *   the session ends                     what is unanswered is told of as it is
 *   a stream that cannot be followed     the same, then a record that the tap is off
 */
#include "mail/tap_internal.h"

#include <stdio.h>
#include <string.h>

struct tap *tap_open(const struct tap_settings *settings)
{
    static struct tap *(*const openers[])(const struct tap_settings *) = {
        [PROTOCOL_IMAP] = tap_imap_open,
        [PROTOCOL_POP3] = tap_pop3_open,
        [PROTOCOL_SMTP] = tap_smtp_open};
    ENSURE(settings->protocol < LENGTH_OF(openers));
    return openers[settings->protocol](settings);
}

void tap_init(struct tap *tap, const struct tap_kind *kind, const struct tap_settings *settings)
{
    tap->kind = kind;
    tap->settings = *settings;
    list_init(&tap->commands);
    tap_line_init(&tap->client_line);
    tap_line_init(&tap->server_line);
}

void tap_close(struct tap *tap)
{
    if (tap == NULL)
        return;
    while (!list_is_empty(&tap->commands))
        tap_forget(tap, tap_first(tap));
    tap_line_fini(&tap->client_line);
    tap_line_fini(&tap->server_line);
    tap->kind->free(tap);
}

bool tap_is_awaited(const struct tap *tap)
{
    return tap->is_awaited;
}

bool tap_is_off(const struct tap *tap)
{
    return tap->is_off;
}

uint64_t tap_count(const struct tap *tap)
{
    return tap->number;
}

size_t tap_feed(struct tap *tap, enum side from, struct slice bytes, struct tap_time now,
                const struct tap_sink *sink)
{
    struct slice rest = bytes;
    tap->now = now;
    tap->sink = sink;
    tap->is_awaited = false;
    if (!tap->is_off && from == SIDE_CLIENT)
        tap->kind->feed_client(tap, &rest);
    else if (!tap->is_off)
        tap->kind->feed_upstream(tap, &rest);
    return tap->is_awaited ? bytes.size - rest.size : bytes.size;
}

static void abandon_all(struct tap *tap, enum why why)
{
    while (!list_is_empty(&tap->commands))
        tap_abandon(tap, tap_first(tap), why);
}

void tap_finish(struct tap *tap, enum why why, struct tap_time now, const struct tap_sink *sink)
{
    tap->now = now;
    tap->sink = sink;
    abandon_all(tap, why);
    tap->is_off = true;
}

/* ---- commands ---- */

const struct tap_verb *tap_find_verb(const struct tap_verb *verbs, struct slice word)
{
    while (verbs->word != NULL && !slice_is_ignoring_case(word, verbs->word))
        verbs++;
    return verbs;
}

struct tap_command *tap_first(const struct tap *tap)
{
    return list_is_empty(&tap->commands)
               ? NULL
               : CONTAINER_OF(tap->commands.next, struct tap_command, node);
}

struct tap_command *tap_begin(struct tap *tap, const struct tap_verb *verb, struct slice arguments,
                              bool goes_on)
{
    bool wants_text = verb->keeps_text ||
                      (tap->settings.wants_arguments && !verb->is_secret && verb->word != NULL);
    size_t room = goes_on ? RECORD_TEXT_MAX : slice_take(arguments, RECORD_TEXT_MAX).size;
    tap->number++;
    if (tap->command_count >= TAP_COMMANDS_MAX)
        return NULL;
    if (!wants_text || tap->text_size + room > TAP_TEXT_MAX)
        room = 0;
    struct tap_command *command = mem_new(sizeof(*command) + room);
    command->verb = verb;
    command->number = tap->number;
    command->began = tap->now.steady;
    command->text = slice_of(command + 1, 0);
    command->text_size = room;
    tap->text_size += room;
    tap->command_count++;
    list_init(&command->node);
    list_append(&tap->commands, &command->node);
    tap_add_text(command, arguments);
    return command;
}

void tap_add_text(struct tap_command *command, struct slice more)
{
    more = slice_take(more, command->text_size - command->text.size);
    if (more.size > 0)
        memcpy((uint8_t *)(command + 1) + command->text.size, more.data, more.size);
    command->text.size += more.size;
}

void tap_forget(struct tap *tap, struct tap_command *command)
{
    list_remove(&command->node);
    tap->command_count--;
    tap->text_size -= command->text_size;
    mem_free(command);
}

/* ---- records ---- */

void tap_record_init(const struct tap *tap, struct record *record, enum record_action action,
                     const struct tap_command *command, bool is_success)
{
    record_init(record, action, is_success ? WHY_NONE : WHY_SERVER_REFUSED, tap->now.wall);
    if (command != NULL)
        record_add_number(record, FIELD_COMMAND_NUMBER, command->number);
}

void tap_tell(struct tap *tap, const struct record *record)
{
    tap->sink->record(tap->sink->owner, record, false);
}

void tap_tell_last(struct tap *tap, const struct record *record, bool is_awaited)
{
    tap->is_awaited = is_awaited || tap->settings.awaits_each;
    tap->sink->record(tap->sink->owner, record, tap->is_awaited);
}

static void describe(const struct tap *tap, const struct tap_command *command,
                     struct record *record)
{
    record_add_string(record, FIELD_VERB, command->verb->name);
    if (tap->settings.wants_arguments && !command->verb->is_secret && command->verb->word != NULL)
        record_add_text(record, FIELD_ARGUMENTS, command->text);
    record_add_number(record, FIELD_CLIENT_BYTES, command->client_bytes);
    if (command->literals > 0)
        record_add_number(record, FIELD_LITERAL_BYTES, command->literal_bytes);
    if (tap->now.steady > command->began)
        record_add_number(record, FIELD_DURATION, tap->now.steady - command->began);
}

void tap_answer(struct tap *tap, struct tap_command *command, struct slice status, bool is_success)
{
    struct record record FILLED_LATER;
    tap_record_init(tap, &record, ACTION_COMMAND, command, is_success);
    describe(tap, command, &record);
    record_add_text(&record, FIELD_STATUS, status);
    record_add_number(&record, FIELD_SERVER_BYTES, tap->server_bytes);
    tap->server_bytes = 0;
    tap_tell_last(tap, &record, false);
    tap_forget(tap, command);
}

void tap_abandon(struct tap *tap, struct tap_command *command, enum why why)
{
    struct record record;
    if (tap->kind->abandon == NULL || !tap->kind->abandon(tap, command, why)) {
        tap_record_init(tap, &record, ACTION_COMMAND, command, true);
        record.why = why;
        describe(tap, command, &record);
        tap_tell(tap, &record);
    }
    tap_forget(tap, command);
}

void tap_tell_unfollowed(struct tap *tap, const struct tap_verb *verb, const char *reason)
{
    struct record record;
    tap_record_init(tap, &record, ACTION_COMMAND, NULL, true);
    record_add_string(&record, FIELD_REASON, reason);
    record_add_number(&record, FIELD_COMMAND_NUMBER, tap->number);
    record_add_string(&record, FIELD_VERB, verb->name);
    tap_tell(tap, &record);
}

void tap_turn_off(struct tap *tap, enum why why, const char *text)
{
    struct record record;
    if (tap->is_off)
        return;
    abandon_all(tap, why);
    tap->is_off = true;
    tap_record_init(tap, &record, ACTION_TAP_OFF, NULL, false);
    record.why = why;
    record_add_string(&record, FIELD_REASON, text);
    tap_tell(tap, &record);
}

/* ---- ranges ---- */

static void write_range(struct tap_ranges *ranges)
{
    char range[48];
    const char *separator = ranges->size == 0 ? "" : ",";
    int size =
        ranges->first == ranges->last
            ? snprintf(range, sizeof(range), "%s%llu", separator, (unsigned long long)ranges->first)
            : snprintf(range, sizeof(range), "%s%llu:%llu", separator,
                       (unsigned long long)ranges->first, (unsigned long long)ranges->last);
    if (ranges->is_cut || ranges->size + (size_t)size >= sizeof(ranges->text)) {
        ranges->is_cut = true;
        return;
    }
    memcpy(ranges->text + ranges->size, range, (size_t)size);
    ranges->size += (size_t)size;
}

void tap_ranges_add(struct tap_ranges *ranges, uint64_t number)
{
    if (ranges->count > 0 && number != ranges->last + 1) {
        write_range(ranges);
        ranges->first = number;
    }
    if (ranges->count == 0)
        ranges->first = number;
    ranges->last = number;
    ranges->count++;
}

void tap_ranges_tell(struct tap_ranges *ranges, struct record *record)
{
    if (ranges->count == 0)
        return;
    write_range(ranges);
    record_add_text(record, FIELD_MESSAGE_UIDS, slice_of(ranges->text, ranges->size));
    record_add_number(record, FIELD_MESSAGE_COUNT, ranges->count);
}
