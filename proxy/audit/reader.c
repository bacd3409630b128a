/*
 * Happy path: the seal is taken off the end, where it has one length; the members before it are
 * walked once, in step with the table of all members.
 *
 * Failures: whatever is out of order, of another kind than the table has, or not there though every
 * line has it, makes the whole line none.
 */
#include "audit/reader.h"

#include <string.h>

#include "audit/escape.h"
#include "audit/json_reader.h"
#include "audit/line_terms.h"
#include "base/err.h"
#include "base/hex.h"

#define TIME_SIZE 27u /* 2026-01-31T23:59:59.123456Z */

struct walk {
    struct reading *reading;
    size_t member;  /* the one that was read last, and one more */
    uint32_t found; /* bits of enum line_field */
};

/* `text` without what stands behind `before` and has `digits` hexadecimal digits in quotes: these
 * octets go to *out. False: it does not end so. */
static bool take_off(struct slice *text, const char *before, size_t digits, uint8_t *out)
{
    size_t size = strlen(before) + digits + 1;
    if (text->size < size)
        return false;
    struct slice end = slice_of(text->data + text->size - size, size);
    if (!slice_starts_with(end, before) || end.data[size - 1] != '"' ||
        !hex_read(slice_take(slice_skip(end, strlen(before)), digits), out))
        return false;
    text->size -= size;
    return true;
}

static bool take_seal(struct slice line, struct reading *reading)
{
    if (line.size < 2 || line.size >= LINE_CAPACITY || line.data[line.size - 1] != '}' ||
        line.data[line.size - 2] != '}')
        return false;
    line.size -= 2;
    reading->is_signed =
        take_off(&line, ",\"signature\":\"", (size_t)2 * SIGNATURE_SIZE, reading->signature);
    if (!take_off(&line, ",\"hash\":\"", (size_t)2 * LINK_SIZE, reading->head))
        return false;
    reading->body = line;
    return true;
}

/* Text without escapes; those stand in `texts`. */
static bool read_text(struct reading *reading, const struct json_value *value,
                      struct slice *text_out)
{
    size_t size;
    *text_out = value->text;
    if (value->is_plain)
        return true;
    char *memory = reading->texts + reading->texts_size;
    if (escape_read(value->text, memory, &size) != 0)
        return false;
    *text_out = slice_of(memory, size);
    reading->texts_size += size;
    return true;
}

static bool read_digits(struct slice text, size_t start, size_t count, uint64_t *number_out)
{
    return slice_read_number(slice_take(slice_skip(text, start), count), UINT32_MAX, number_out);
}

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March here, so that a leap day is
 * the last of its year. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t march_year = month > 2 ? year : year - 1, march_month = (month + 9) % 12;
    return 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400 +
           (153 * march_month + 2) / 5 + day - 1 - 719468;
}

static bool read_time(struct slice text, uint64_t *time_out)
{
    static const char form[] = "0000-00-00T00:00:00.000000Z";
    uint64_t year, month, day, hour, minute, second, fraction;
    if (text.size != TIME_SIZE)
        return false;
    for (size_t i = 0; i < TIME_SIZE; i++)
        if (form[i] != '0' && text.data[i] != (uint8_t)form[i])
            return false;
    if (!read_digits(text, 0, 4, &year) || !read_digits(text, 5, 2, &month) ||
        !read_digits(text, 8, 2, &day) || !read_digits(text, 11, 2, &hour) ||
        !read_digits(text, 14, 2, &minute) || !read_digits(text, 17, 2, &second) ||
        !read_digits(text, 20, 6, &fraction))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 59)
        return false;
    int64_t days = days_since_1970((int64_t)year, (int64_t)month, (int64_t)day);
    *time_out =
        (((uint64_t)days * 24 + hour) * 60 + minute) * 60000000 + second * 1000000 + fraction;
    return true;
}

/* A word of ours, for the functions that find words by a NUL-terminated name. */
static const char *word(struct slice text, char out[32])
{
    size_t size = text.size < 31 ? text.size : 31;
    if (size > 0)
        memcpy(out, text.data, size);
    out[size] = '\0';
    return out;
}

static bool read_line_field(struct reading *reading, enum line_field field,
                            const struct json_value *value)
{
    char name[32];
    switch (field) {
    case LINE_TIME:
        return read_time(value->text, &reading->record.time);
    case LINE_LEVEL:
        return audit_level_find(word(value->text, name), &reading->level) == 0;
    case LINE_EPOCH:
        reading->epoch = value->number;
        return true;
    case LINE_ACTION:
        reading->action_name = value->text;
        if (record_action_find(word(value->text, name), &reading->record.action) != 0)
            reading->record.action = RECORD_ACTION_COUNT;
        return true;
    case LINE_OUTCOME:
        reading->is_success = slice_is(value->text, "success");
        return true;
    case LINE_CODE:
        if (why_find(word(value->text, name), &reading->record.why) != 0)
            reading->record.why = WHY_INTERNAL;
        return true;
    case LINE_SEQUENCE:
        reading->sequence = value->number;
        return reading->sequence > 0;
    default:
        return true;
    }
}

static bool read_record_field(struct reading *reading, enum record_field field,
                              const struct json_value *value)
{
    struct record *record = &reading->record;
    struct slice text = SLICE_NONE;
    if (record->count == RECORD_VALUES_MAX)
        return false;
    if (value->kind == JSON_TEXT && !read_text(reading, value, &text))
        return false;
    record->values[record->count++] = (struct record_value){
        .field = field, .text = text, .number = value->kind == JSON_TEXT ? 0 : value->number};
    return true;
}

static bool is_of_kind(enum record_kind kind, enum json_kind json)
{
    return kind == RECORD_NUMBER ? json == JSON_NUMBER
           : kind == RECORD_FLAG ? json == JSON_FLAG
                                 : json == JSON_TEXT;
}

static bool is_member(size_t i, struct slice path)
{
    const struct line_member *member = line_member(i);
    return member->path_size == path.size && memcmp(member->path, path.data, path.size) == 0;
}

/* The member of that path from the last one on; the number of members when it is not known. */
static size_t find_member(size_t last, struct slice path)
{
    size_t i = last;
    while (i < line_member_count() && !is_member(i, path))
        i++;
    return i;
}

static bool was_passed(size_t last, struct slice path)
{
    for (size_t i = 0; i < last; i++)
        if (is_member(i, path))
            return true;
    return false;
}

static bool read_value(struct walk *walk, const struct json_value *value, bool is_repeated)
{
    size_t last = is_repeated && walk->member > 0 ? walk->member - 1 : walk->member;
    size_t i = find_member(last, value->path);
    if (i == line_member_count())
        return !was_passed(walk->member, value->path);
    const struct line_member *member = line_member(i);
    walk->member = i + 1;
    if (!is_of_kind(member->kind, value->kind))
        return false;
    if (member->line_field == LINE_FIELD_COUNT)
        return read_record_field(walk->reading, member->record_field, value);
    walk->found |= 1u << member->line_field;
    return read_line_field(walk->reading, member->line_field, value);
}

static bool read_members(struct walk *walk)
{
    static const uint32_t wanted = 1u << LINE_TIME | 1u << LINE_LEVEL | 1u << LINE_EPOCH |
                                   1u << LINE_ACTION | 1u << LINE_OUTCOME | 1u << LINE_SEQUENCE;
    struct json_reader json;
    struct json_value value;
    enum json_status status = JSON_MORE;
    if (json_open(&json, walk->reading->body) != 0)
        return false;
    for (bool is_repeated = false; status == JSON_MORE; is_repeated = json.is_in_list) {
        status = json_next(&json, &value);
        if (status == JSON_MORE && !read_value(walk, &value, is_repeated))
            return false;
    }
    /* Two brackets were taken off with the seal. */
    return status == JSON_END && json.depth == 2 && (walk->found & wanted) == wanted;
}

int reader_read(struct slice line, struct reading *reading_out)
{
    struct walk walk = {.reading = reading_out};
    record_init(&reading_out->record, (enum record_action)0, WHY_NONE, 0);
    reading_out->texts_size = 0;
    reading_out->epoch = reading_out->sequence = 0;
    return take_seal(line, reading_out) && read_members(&walk) ? 0 : ERR_SYNTAX;
}

bool reader_hash(const struct reading *reading, enum record_field field,
                 uint8_t hash_out[LINK_SIZE])
{
    const struct record_value *value = record_find(&reading->record, field);
    return value != NULL && value->text.size == (size_t)2 * LINK_SIZE &&
           hex_read(value->text, hash_out);
}

uint64_t reader_number(const struct reading *reading, enum record_field field, uint64_t otherwise)
{
    const struct record_value *value = record_find(&reading->record, field);
    return value == NULL ? otherwise : value->number;
}
