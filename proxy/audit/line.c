/*
 * Happy path: what every line begins with, the record's values in the order of RECORD_FIELDS, each
 * as its level has it, and the object "event", behind whose last member the seal comes. What other
 * lines had too is copied from the form, which has it from the first of them.
 *
 * Failures: a value for which the line has no room is left out and counted. Room for all that comes
 * behind the values is kept free from the start, so that a line always ends well.
 */
#include "audit/line.h"

#include <string.h>

#include "audit/escape.h"
#include "audit/json_writer.h"
#include "audit/line_terms.h"
#include "audit/redaction.h"
#include "base/err.h"

/* Behind the values: the longest reason, and what every line ends with. */
#define TAIL_ROOM    (RECORD_TEXT_MAX * ESCAPE_GROWTH + 1024u)
#define VALUES_LIMIT (LINE_CAPACITY - TAIL_ROOM)
#define TIME_AT      (sizeof("\"@timestamp\":\"") - 1) /* in the head */
#define TIME_MAX     UINT64_C(253402300799999999)      /* the last microsecond of the year 9999 */

/* Of the object "event" is this field, and those behind it. */
#define EVENT_FIELDS FIELD_REASON

struct writing {
    struct line_form *form;
    const struct line_place *place;
    const struct record *record;
    struct slice verb;
    struct json_writer json;
    uint64_t cut;
    int status;
    uint8_t order[RECORD_VALUES_MAX]; /* of the values: by field, then as they were added */
    char memory[REDACTION_TEXT_MAX];
};

bool line_is_success(const struct record *record)
{
    if (record->action == ACTION_SESSION_CLOSE || record->action == ACTION_STOP)
        return record->why == WHY_NONE || record->why == WHY_CLIENT_GONE ||
               record->why == WHY_SERVER_GONE || record->why == WHY_SHUTDOWN;
    return record->why == WHY_NONE;
}

/* They mostly are in order already. */
static void sort_values(struct writing *writing)
{
    const struct record_value *values = writing->record->values;
    for (size_t i = 0; i < writing->record->count; i++) {
        size_t at = i;
        for (; at > 0 && values[writing->order[at - 1]].field > values[i].field; at--)
            writing->order[at] = writing->order[at - 1];
        writing->order[at] = (uint8_t)i;
    }
}

static void write_digits(uint64_t number, char *text, size_t width)
{
    for (size_t i = width; i-- > 0; number /= 10)
        text[i] = (char)('0' + number % 10);
}

/* Days since 1970 as year, month and day of the Gregorian calendar, counted in years that begin
 * with March, so that a leap day is the last one. */
static void write_date(uint64_t days, char *text)
{
    uint64_t since = days + 719468; /* 1 March of the year 0 */
    uint64_t era = since / 146097, day = since % 146097;
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; /* 0: March */
    bool is_next_year = month >= 10;
    write_digits(era * 400 + year + is_next_year, text, 4);
    write_digits(is_next_year ? month - 9 : month + 3, text + 5, 2);
    write_digits(day_of_year - (153 * month + 2) / 5 + 1, text + 8, 2);
}

/* To the second. gmtime and strftime would take longer than all the rest of the line. */
static void write_second(uint64_t second, char *text)
{
    static const char form[] = "0000-00-00T00:00:00.";
    memcpy(text, form, sizeof(form) - 1);
    write_date(second / 86400, text);
    write_digits(second % 86400 / 3600, text + 11, 2);
    write_digits(second / 60 % 60, text + 14, 2);
    write_digits(second % 60, text + 17, 2);
}

static void write_member(struct writing *writing, enum line_field field)
{
    json_member(&writing->json, line_field_path(field),
                &writing->form->names[RECORD_FIELD_COUNT + field]);
}

static void write_string(struct writing *writing, enum line_field field, const char *text)
{
    write_member(writing, field);
    json_text(&writing->json, slice_of_string(text));
}

static void write_value(struct writing *writing, const struct record_value *value)
{
    struct slice text;
    enum record_kind kind = record_field_kind(value->field);
    if (kind == RECORD_TEXT) /* at every level */
        json_text(&writing->json, value->text);
    else if (kind == RECORD_NUMBER)
        json_number(&writing->json, value->number);
    else if (kind == RECORD_FLAG)
        json_flag(&writing->json, value->number != 0);
    else {
        int status = redaction_apply(writing->place->level, writing->place->pseudonym_key,
                                     writing->verb, value, writing->memory, &text);
        writing->status = writing->status == 0 ? status : writing->status;
        json_text(&writing->json, text);
    }
}

static const struct record_value *value_at(const struct writing *writing, size_t i)
{
    return &writing->record->values[writing->order[i]];
}

/* A field's values but the first, as far as they fit. */
static void write_more(struct writing *writing, size_t from, size_t end)
{
    size_t limit = writing->json.limit;
    for (size_t i = from; i < end; i++) {
        struct json_mark mark = json_mark(&writing->json);
        json_punctuation(&writing->json, ',');
        write_value(writing, value_at(writing, i));
        if (!json_kept(&writing->json, mark))
            writing->cut++;
    }
    writing->json.limit = LINE_CAPACITY;
    json_punctuation(&writing->json, ']');
    writing->json.limit = limit;
}

/* Its values stand in the order from `from` to before `end`. */
static void write_field(struct writing *writing, size_t from, size_t end)
{
    const struct record_value *value = value_at(writing, from);
    bool is_list = end - from > 1;
    if (!redaction_shows(writing->place->level, writing->verb, value->field))
        return;
    struct json_mark mark = json_mark(&writing->json);
    json_member(&writing->json, record_field_path(value->field),
                &writing->form->names[value->field]);
    if (is_list)
        json_punctuation(&writing->json, '[');
    write_value(writing, value);
    if (!json_kept(&writing->json, mark))
        writing->cut += end - from;
    else if (is_list)
        write_more(writing, from + 1, end);
}

/* Those that come before field `limit`; where they end. */
static size_t write_fields(struct writing *writing, size_t from, enum record_field limit)
{
    size_t count = writing->record->count, end;
    for (; from < count && value_at(writing, from)->field < limit; from = end) {
        enum record_field field = value_at(writing, from)->field;
        for (end = from + 1; end < count && value_at(writing, end)->field == field;)
            end++;
        write_field(writing, from, end);
    }
    return from;
}

/* ---- what lines have in common ---- */

/* Into the piece is written, from here on, what would come next. */
static void begin_piece(struct writing *writing, struct line_piece *piece)
{
    writing->json.text = piece->text;
    writing->json.size = 0;
    writing->json.limit = LINE_PIECE_MAX;
    writing->json.is_full = false;
}

/* `line` is what was written before. */
static void end_piece(struct writing *writing, struct line_piece *piece,
                      const struct json_writer *line)
{
    ENSURE(!writing->json.is_full);
    piece->size = writing->json.size;
    piece->last = writing->json.path;
    writing->json = *line;
}

static void copy_piece(struct writing *writing, const struct line_piece *piece)
{
    json_again(&writing->json, slice_of(piece->text, piece->size), piece->last);
}

/* With another time. */
static void make_head(struct writing *writing)
{
    struct line_form *form = writing->form;
    const struct json_writer line = writing->json;
    begin_piece(writing, &form->head);
    write_string(writing, LINE_TIME, "0000-00-00T00:00:00.000000Z");
    write_string(writing, LINE_ECS, LINE_ECS_VERSION);
    write_string(writing, LINE_SERVICE_NAME, "ecluse");
    write_string(writing, LINE_SERVICE_VERSION, writing->place->service_version);
    if (writing->place->service_id != NULL)
        write_string(writing, LINE_SERVICE_ID, writing->place->service_id);
    end_piece(writing, &form->head, &line);
    form->service_version = writing->place->service_version;
    form->service_id = writing->place->service_id;
    form->second = UINT64_MAX;
}

static void write_head(struct writing *writing)
{
    struct line_form *form = writing->form;
    char *time_text = form->head.text + TIME_AT;
    uint64_t time = writing->record->time > TIME_MAX ? TIME_MAX : writing->record->time;
    if (form->head.size == 0 || form->service_version != writing->place->service_version ||
        form->service_id != writing->place->service_id)
        make_head(writing);
    if (form->second != time / 1000000)
        write_second(time / 1000000, time_text);
    form->second = time / 1000000;
    write_digits(time % 1000000, time_text + 20, 6);
    copy_piece(writing, &form->head);
}

/* A list of what is separated by spaces. */
static void write_words(struct writing *writing, enum line_field field, const char *words)
{
    struct json_writer *json = &writing->json;
    struct slice rest = slice_of_string(words), word;
    write_member(writing, field);
    json_punctuation(json, '[');
    while (slice_next_word(&rest, ' ', &word)) {
        json_text(json, word);
        if (rest.size > 0)
            json_punctuation(json, ',');
    }
    json_punctuation(json, ']');
}

static void make_event(struct writing *writing, bool is_success, struct line_piece *event)
{
    const struct json_writer line = writing->json;
    enum record_action action = writing->record->action;
    begin_piece(writing, event);
    write_string(writing, LINE_KIND, "event");
    write_string(writing, LINE_DATASET, "ecluse.audit");
    write_words(writing, LINE_CATEGORY, record_action_categories(action));
    write_words(writing, LINE_TYPE, record_action_types(action));
    write_string(writing, LINE_ACTION, record_action_name(action));
    write_string(writing, LINE_OUTCOME, is_success ? "success" : "failure");
    end_piece(writing, event, &line);
}

/* It always comes behind the epoch. */
static void write_event(struct writing *writing)
{
    const struct record *record = writing->record;
    bool is_success = line_is_success(record);
    struct line_piece *event = &writing->form->events[record->action][is_success];
    if (event->size == 0)
        make_event(writing, is_success, event);
    copy_piece(writing, event);
    if (record->why != WHY_NONE)
        write_string(writing, LINE_CODE, why_name(record->why));
}

static void write_tail(struct writing *writing, uint64_t sequence, uint64_t epoch, size_t from)
{
    struct json_writer *json = &writing->json;
    json->limit = LINE_CAPACITY;
    if (writing->cut > 0) {
        write_member(writing, LINE_CUT);
        json_number(json, writing->cut);
    }
    write_string(writing, LINE_LEVEL, audit_level_name(writing->place->level));
    write_member(writing, LINE_EPOCH);
    json_number(json, epoch);
    write_event(writing);
    (void)write_fields(writing, from, RECORD_FIELD_COUNT);
    write_member(writing, LINE_SEQUENCE);
    json_number(json, sequence);
}

int line_write(struct line_form *form, const struct line_place *place, uint64_t sequence,
               uint64_t epoch, const struct record *record, struct line *line_out)
{
    struct writing writing FILLED_LATER;
    const struct record_value *verb = record_find(record, FIELD_VERB);
    ENSURE(place->level > AUDIT_OFF && place->level < AUDIT_LEVEL_COUNT);
    ENSURE(record->count <= RECORD_VALUES_MAX);
    writing.form = form;
    writing.place = place;
    writing.record = record;
    writing.verb = verb == NULL ? SLICE_NONE : verb->text;
    writing.cut = 0;
    writing.status = 0;
    sort_values(&writing);
    json_begin(&writing.json, line_out->text, VALUES_LIMIT);
    write_head(&writing);
    size_t from = write_fields(&writing, 0, EVENT_FIELDS);
    write_tail(&writing, sequence, epoch, from);
    line_out->size = writing.json.size;
    return writing.status;
}
