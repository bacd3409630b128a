/*
 * Happy path: what every line begins with, the record's values in the order of RECORD_FIELDS, each
 * as its level has it, and the object "event", behind whose last member the seal comes.
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
#define NONE         UINT8_MAX
#define TIME_MAX     UINT64_C(253402300799999999) /* the last microsecond of the year 9999 */

/* The values of each field, in the order in which they were added. */
struct sorted {
    uint8_t first[RECORD_FIELD_COUNT];
    uint8_t next[RECORD_VALUES_MAX];
};

struct writing {
    const struct line_place *place;
    const struct record *record;
    struct slice verb;
    struct sorted sorted;
    struct json_writer json;
    uint64_t cut;
    int status;
    char memory[REDACTION_TEXT_MAX];
};

bool line_is_success(const struct record *record)
{
    if (record->action == ACTION_SESSION_CLOSE || record->action == ACTION_STOP)
        return record->why == WHY_NONE || record->why == WHY_CLIENT_GONE ||
               record->why == WHY_SERVER_GONE || record->why == WHY_SHUTDOWN;
    return record->why == WHY_NONE;
}

static void sort_values(const struct record *record, struct sorted *sorted)
{
    memset(sorted->first, NONE, sizeof(sorted->first));
    for (size_t i = record->count; i-- > 0;) {
        enum record_field field = record->values[i].field;
        sorted->next[i] = sorted->first[field];
        sorted->first[field] = (uint8_t)i;
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

/* gmtime and strftime would take longer than all the rest of the line. */
static void write_time(struct json_writer *json, uint64_t time)
{
    char text[] = "0000-00-00T00:00:00.000000Z";
    time = time > TIME_MAX ? TIME_MAX : time;
    uint64_t second = time / 1000000 % 86400;
    write_date(time / 1000000 / 86400, text);
    write_digits(second / 3600, text + 11, 2);
    write_digits(second / 60 % 60, text + 14, 2);
    write_digits(second % 60, text + 17, 2);
    write_digits(time % 1000000, text + 20, 6);
    json_text(json, slice_of(text, sizeof(text) - 1));
}

static void write_member(struct json_writer *json, enum line_field field)
{
    json_member(json, line_field_path(field));
}

static void write_string(struct json_writer *json, enum line_field field, const char *text)
{
    write_member(json, field);
    json_text(json, slice_of_string(text));
}

static void write_value(struct writing *writing, const struct record_value *value)
{
    struct slice text;
    enum record_kind kind = record_field_kind(value->field);
    if (kind == RECORD_NUMBER)
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

/* A field's second value and those behind it, as far as they fit. */
static void write_more(struct writing *writing, uint8_t i)
{
    size_t limit = writing->json.limit;
    for (; i != NONE; i = writing->sorted.next[i]) {
        struct json_mark mark = json_mark(&writing->json);
        json_punctuation(&writing->json, ',');
        write_value(writing, &writing->record->values[i]);
        if (!json_kept(&writing->json, mark))
            writing->cut++;
    }
    writing->json.limit = LINE_CAPACITY;
    json_punctuation(&writing->json, ']');
    writing->json.limit = limit;
}

static uint64_t count_values(const struct sorted *sorted, uint8_t i)
{
    uint64_t count = 0;
    for (; i != NONE; i = sorted->next[i])
        count++;
    return count;
}

static void write_field(struct writing *writing, enum record_field field)
{
    uint8_t first = writing->sorted.first[field];
    if (first == NONE)
        return;
    const struct record_value *value = &writing->record->values[first];
    bool is_list = writing->sorted.next[first] != NONE;
    struct json_mark mark = json_mark(&writing->json);
    if (!redaction_shows(writing->place->level, writing->verb, field))
        return;
    json_member(&writing->json, record_field_path(field));
    if (is_list)
        json_punctuation(&writing->json, '[');
    write_value(writing, value);
    if (!json_kept(&writing->json, mark))
        writing->cut += count_values(&writing->sorted, first);
    else if (is_list)
        write_more(writing, writing->sorted.next[first]);
}

static void write_head(struct writing *writing)
{
    struct json_writer *json = &writing->json;
    write_member(json, LINE_TIME);
    write_time(json, writing->record->time);
    write_string(json, LINE_ECS, LINE_ECS_VERSION);
    write_string(json, LINE_SERVICE_NAME, "ecluse");
    write_string(json, LINE_SERVICE_VERSION, writing->place->service_version);
    if (writing->place->service_id != NULL)
        write_string(json, LINE_SERVICE_ID, writing->place->service_id);
}

/* A list of what is separated by spaces. */
static void write_words(struct json_writer *json, enum line_field field, const char *words)
{
    struct slice rest = slice_of_string(words), word;
    write_member(json, field);
    json_punctuation(json, '[');
    while (slice_next_word(&rest, ' ', &word)) {
        json_text(json, word);
        if (rest.size > 0)
            json_punctuation(json, ',');
    }
    json_punctuation(json, ']');
}

static void write_event(struct writing *writing)
{
    struct json_writer *json = &writing->json;
    const struct record *record = writing->record;
    write_string(json, LINE_KIND, "event");
    write_string(json, LINE_DATASET, "ecluse.audit");
    write_words(json, LINE_CATEGORY, record_action_categories(record->action));
    write_words(json, LINE_TYPE, record_action_types(record->action));
    write_string(json, LINE_ACTION, record_action_name(record->action));
    write_string(json, LINE_OUTCOME, line_is_success(record) ? "success" : "failure");
    if (record->why != WHY_NONE)
        write_string(json, LINE_CODE, why_name(record->why));
#define X(name, path, kind, meaning) write_field(writing, name);
    RECORD_EVENT_FIELDS(X)
#undef X
}

static void write_tail(struct writing *writing, uint64_t sequence, uint64_t epoch)
{
    struct json_writer *json = &writing->json;
    json->limit = LINE_CAPACITY;
    if (writing->cut > 0) {
        write_member(json, LINE_CUT);
        json_number(json, writing->cut);
    }
    write_string(json, LINE_LEVEL, audit_level_name(writing->place->level));
    write_member(json, LINE_EPOCH);
    json_number(json, epoch);
    write_event(writing);
    write_member(json, LINE_SEQUENCE);
    json_number(json, sequence);
}

int line_write(const struct line_place *place, uint64_t sequence, uint64_t epoch,
               const struct record *record, struct line *line_out)
{
    struct writing writing = {.place = place, .record = record};
    const struct record_value *verb = record_find(record, FIELD_VERB);
    ENSURE(place->level > AUDIT_OFF && place->level < AUDIT_LEVEL_COUNT);
    ENSURE(record->count <= RECORD_VALUES_MAX);
    writing.verb = verb == NULL ? SLICE_NONE : verb->text;
    sort_values(record, &writing.sorted);
    json_begin(&writing.json, line_out->text, VALUES_LIMIT);
    write_head(&writing);
#define X(name, path, kind, meaning) write_field(&writing, name);
    RECORD_BODY_FIELDS(X)
#undef X
    write_tail(&writing, sequence, epoch);
    line_out->size = writing.json.size;
    return writing.status;
}
