#include "audit/json_reader.h"

#include <string.h>

#include "audit/escape.h"
#include "base/err.h"

#define DIGITS_MAX 19u /* of 2^63-1 */

static bool take(struct json_reader *reader, char character)
{
    if (reader->rest.size == 0 || reader->rest.data[0] != (uint8_t)character)
        return false;
    reader->rest = slice_skip(reader->rest, 1);
    return true;
}

static bool take_word(struct json_reader *reader, const char *word)
{
    bool is_there = slice_starts_with(reader->rest, word);
    if (is_there)
        reader->rest = slice_skip(reader->rest, strlen(word));
    return is_there;
}

/* Up to the quote that ends it, over escaped ones. No control stands in it; what is in it else is
 * not looked at further. */
static bool take_text(struct json_reader *reader, struct slice *text_out, bool *is_plain_out)
{
    struct slice rest = reader->rest;
    size_t i = escape_plain(rest);
    *is_plain_out = i < rest.size && rest.data[i] == '"';
    while (i < rest.size && rest.data[i] != '"') {
        if (rest.data[i] < 0x20 || rest.data[i] == 0x7f)
            return false;
        i += rest.data[i] == '\\' ? 2 : 1;
        i += escape_plain(slice_skip(rest, i));
    }
    if (i >= rest.size)
        return false;
    *text_out = slice_take(rest, i);
    reader->rest = slice_skip(rest, i + 1);
    return true;
}

static bool take_number(struct json_reader *reader, uint64_t *number_out)
{
    size_t size = 0;
    while (size < reader->rest.size && reader->rest.data[size] >= '0' &&
           reader->rest.data[size] <= '9')
        size++;
    struct slice digits = slice_take(reader->rest, size);
    reader->rest = slice_skip(reader->rest, size);
    return size > 0 && size <= DIGITS_MAX && (size == 1 || digits.data[0] != '0') &&
           slice_read_number(digits, INT64_MAX, number_out);
}

static bool take_value(struct json_reader *reader, struct json_value *value)
{
    value->path = slice_of(reader->path, reader->path_size);
    if (take(reader, '"')) {
        value->kind = JSON_TEXT;
        return take_text(reader, &value->text, &value->is_plain);
    }
    value->text = SLICE_NONE;
    value->kind = JSON_FLAG;
    value->number = 1;
    if (take_word(reader, "true"))
        return true;
    value->number = 0;
    if (take_word(reader, "false"))
        return true;
    value->kind = JSON_NUMBER;
    return take_number(reader, &value->number);
}

/* A name and its colon, onto the path of the object that is open. */
static bool take_name(struct json_reader *reader)
{
    struct slice name;
    bool is_plain;
    size_t start = reader->ends[reader->depth - 1];
    if (!take(reader, '"') || !take_text(reader, &name, &is_plain) || !take(reader, ':'))
        return false;
    if (name.size == 0 || !is_plain || slice_find(name, '.') < name.size ||
        start + name.size + 1 > JSON_PATH_MAX)
        return false;
    memcpy(reader->path + start, name.data, name.size);
    reader->path_size = start + name.size;
    return true;
}

static bool open_object(struct json_reader *reader)
{
    if (reader->depth == JSON_DEPTH_MAX || reader->path_size + 1 > JSON_PATH_MAX)
        return false;
    reader->path[reader->path_size++] = '.';
    reader->ends[reader->depth++] = (uint8_t)reader->path_size;
    reader->is_first = true;
    return true;
}

int json_open(struct json_reader *reader, struct slice text)
{
    reader->rest = text;
    reader->depth = 1;
    reader->path_size = 0;
    reader->ends[0] = 0;
    reader->is_first = true;
    reader->is_in_list = false;
    return take(reader, '{') ? 0 : ERR_SYNTAX;
}

/* To the next name and over the brackets that open behind it. */
static enum json_status next_member(struct json_reader *reader)
{
    while (!reader->is_first && take(reader, '}'))
        if (--reader->depth == 0)
            return reader->rest.size == 0 ? JSON_END : JSON_BAD;
    if (reader->rest.size == 0)
        return JSON_END;
    if (!reader->is_first && !take(reader, ','))
        return JSON_BAD;
    for (;;) {
        if (!take_name(reader))
            return JSON_BAD;
        reader->is_first = false;
        if (!take(reader, '{'))
            break;
        if (!open_object(reader))
            return JSON_BAD;
    }
    reader->is_in_list = take(reader, '[');
    return JSON_MORE;
}

enum json_status json_next(struct json_reader *reader, struct json_value *value_out)
{
    enum json_status status = JSON_MORE;
    if (reader->depth == 0)
        return JSON_END;
    if (!reader->is_in_list)
        status = next_member(reader);
    else if (!take(reader, ','))
        return JSON_BAD;
    if (status != JSON_MORE)
        return status;
    if (!take_value(reader, value_out))
        return JSON_BAD;
    if (reader->is_in_list && take(reader, ']'))
        reader->is_in_list = false;
    return JSON_MORE;
}
