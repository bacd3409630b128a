#include "audit/json_writer.h"

#include <string.h>

#include "audit/escape.h"
#include "base/record.h"

void json_raw(struct json_writer *writer, struct slice bytes)
{
    if (writer->size + bytes.size > writer->limit) {
        writer->is_full = true;
        return;
    }
    if (bytes.size > 0)
        memcpy(writer->text + writer->size, bytes.data, bytes.size);
    writer->size += bytes.size;
}

void json_punctuation(struct json_writer *writer, char character)
{
    json_raw(writer, slice_of(&character, 1));
}

void json_begin(struct json_writer *writer, char *text, size_t limit)
{
    *writer = (struct json_writer){.text = text, .limit = limit, .path = ""};
    json_punctuation(writer, '{');
}

struct json_mark json_mark(struct json_writer *writer)
{
    writer->is_full = false;
    return (struct json_mark){.size = writer->size, .path = writer->path};
}

bool json_kept(struct json_writer *writer, struct json_mark mark)
{
    if (writer->is_full) {
        writer->size = mark.size;
        writer->path = mark.path;
    }
    return !writer->is_full;
}

/* How much of both paths names the same objects. */
static size_t common_objects(const char *one, const char *other)
{
    size_t common = 0;
    for (size_t i = 0; one[i] == other[i] && one[i] != '\0'; i++)
        if (one[i] == '.')
            common = i + 1;
    return common;
}

void json_member(struct json_writer *writer, const char *path)
{
    size_t common = common_objects(writer->path, path);
    const char *next = path + common;
    for (const char *left = strchr(writer->path + common, '.'); left != NULL;
         left = strchr(left + 1, '.'))
        json_punctuation(writer, '}');
    if (*writer->path != '\0')
        json_punctuation(writer, ',');
    for (const char *dot = strchr(next, '.'); dot != NULL; dot = strchr(next, '.')) {
        json_punctuation(writer, '"');
        json_raw(writer, slice_of(next, (size_t)(dot - next)));
        json_raw(writer, SLICE_LITERAL("\":{"));
        next = dot + 1;
    }
    json_punctuation(writer, '"');
    json_raw(writer, slice_of_string(next));
    json_raw(writer, SLICE_LITERAL("\":"));
    writer->path = path;
}

void json_text(struct json_writer *writer, struct slice text)
{
    char escaped[RECORD_TEXT_MAX * ESCAPE_GROWTH];
    text = slice_take(text, RECORD_TEXT_MAX);
    if (escape_plain(text) < text.size)
        text = slice_of(escaped, escape_write(text, escaped));
    json_punctuation(writer, '"');
    json_raw(writer, text);
    json_punctuation(writer, '"');
}

void json_number(struct json_writer *writer, uint64_t number)
{
    char digits[24];
    size_t start = sizeof(digits);
    do
        digits[--start] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    json_raw(writer, slice_of(digits + start, sizeof(digits) - start));
}

void json_flag(struct json_writer *writer, bool flag)
{
    json_raw(writer, flag ? SLICE_LITERAL("true") : SLICE_LITERAL("false"));
}
