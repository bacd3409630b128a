/*
 * Whatever is written asks for its room first, once: a whole name with the brackets before it, a
 * whole value with its quotes.
 */
#include "audit/json_writer.h"

#include <string.h>

#include "audit/escape.h"
#include "base/err.h"
#include "base/record.h"

/* NULL: it does not fit. */
static char *reserve(struct json_writer *writer, size_t size)
{
    char *place = writer->text + writer->size;
    if (writer->size + size > writer->limit) {
        writer->is_full = true;
        return NULL;
    }
    writer->size += size;
    return place;
}

static char *put(char *place, const void *bytes, size_t size)
{
    memcpy(place, bytes, size);
    return place + size;
}

void json_punctuation(struct json_writer *writer, char character)
{
    char *place = reserve(writer, 1);
    if (place != NULL)
        *place = character;
}

void json_begin(struct json_writer *writer, char *text, size_t limit)
{
    *writer = (struct json_writer){.text = text, .limit = limit, .path = {.text = ""}};
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

static struct json_path parse(const char *text)
{
    struct json_path path = {.text = text, .size = strlen(text)};
    const char *dot = memrchr(text, '.', path.size);
    path.objects_size = dot == NULL ? 0 : (size_t)(dot - text) + 1;
    return path;
}

/* How many octets of both paths name the same objects. */
static size_t common_objects(const struct json_path *one, const struct json_path *other)
{
    size_t common = 0;
    if (one->objects_size == other->objects_size &&
        memcmp(one->text, other->text, one->objects_size) == 0)
        return one->objects_size;
    for (size_t i = 0; i < one->objects_size && one->text[i] == other->text[i]; i++)
        if (one->text[i] == '.')
            common = i + 1;
    return common;
}

static size_t count_dots(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '.';
    return count;
}

/* Four octets stand for each dot; quotes and a colon for the rest. */
static void keep_name(const struct json_path *last, struct json_name *kept)
{
    const struct json_path *path = &kept->path;
    size_t common = common_objects(last, path);
    size_t closed = count_dots(last->text + common, last->objects_size - common);
    size_t opened = count_dots(path->text + common, path->objects_size - common);
    size_t comma = last->size > 0;
    char *place = kept->text;
    kept->size = closed + comma + path->size - common + 3 * opened + 3;
    ENSURE(kept->size <= JSON_NAME_MAX);
    memset(place, '}', closed);
    place += closed;
    if (comma)
        *place++ = ',';
    *place++ = '"';
    for (size_t i = common; i < path->size; i++)
        if (path->text[i] == '.')
            place = put(place, "\":{\"", 4);
        else
            *place++ = path->text[i];
    put(place, "\":", 2);
}

void json_member(struct json_writer *writer, const char *text, struct json_name *kept)
{
    if (kept->before != writer->path.text) {
        kept->path = parse(text);
        kept->before = writer->path.text;
        keep_name(&writer->path, kept);
    }
    json_again(writer, slice_of(kept->text, kept->size), kept->path);
}

void json_again(struct json_writer *writer, struct slice text, struct json_path last)
{
    char *place = reserve(writer, text.size);
    if (place == NULL)
        return;
    put(place, text.data, text.size);
    writer->path = last;
}

static void write_string(struct json_writer *writer, struct slice plain)
{
    char *place = reserve(writer, plain.size + 2);
    if (place == NULL)
        return;
    *place++ = '"';
    place = put(place, plain.data, plain.size);
    *place = '"';
}

static void write_escaped(struct json_writer *writer, struct slice text)
{
    char escaped[RECORD_TEXT_MAX * ESCAPE_GROWTH];
    write_string(writer, slice_of(escaped, escape_write(text, escaped)));
}

void json_text(struct json_writer *writer, struct slice text)
{
    text = slice_take(text, RECORD_TEXT_MAX);
    if (escape_plain(text) < text.size)
        write_escaped(writer, text);
    else
        write_string(writer, text.size > 0 ? text : SLICE_LITERAL(""));
}

void json_number(struct json_writer *writer, uint64_t number)
{
    char digits[20];
    size_t start = sizeof(digits);
    do
        digits[--start] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    char *place = reserve(writer, sizeof(digits) - start);
    if (place != NULL)
        put(place, digits + start, sizeof(digits) - start);
}

void json_flag(struct json_writer *writer, bool flag)
{
    size_t size = flag ? 4 : 5;
    char *place = reserve(writer, size);
    if (place != NULL)
        put(place, flag ? "true" : "false", size);
}
