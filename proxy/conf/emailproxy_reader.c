/*
 * The file is taken into memory whole, then gone through line by line. A value stays open until
 * something follows that does not continue it: a line that is indented deeper than its key does.
 *
 * Failures are problems, and reading goes on behind each of them:
 *  - a line that is neither a heading nor key = value, or stands above the first heading
 *  - too many sections or keys, or a value that is too long
 * The file as a whole: longer than EMAILPROXY_FILE_MAXIMUM, with NUL in it, or not to be read.
 */
#include "conf/emailproxy_reader.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "conf/address.h"
#include "conf/problem.h"

#define SHOWN       64
#define NAME_OCTETS 320 /* of a heading or key: a mail address has no more */

struct reader {
    struct emailproxy_file *file;
    struct config_problems *problems;
    struct emailproxy_section *section; /* NULL above the first heading */
    bool has_key;                       /* a deeper line belongs to the key above it */
    bool is_kept;                       /* that key is no repetition, and `value` is for it */
    struct buf value;
    size_t indent; /* of the line that began the key or section */
    int line;
};

/* ---- the text ---- */

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || (octet >= '\t' && octet <= '\r');
}

static struct slice strip(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = slice_skip(text, 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* LF, CRLF and CR end a line. */
static bool next_line(struct slice *rest, struct slice *line_out)
{
    size_t size = 0;

    if (rest->size == 0)
        return false;
    while (size < rest->size && rest->data[size] != '\n' && rest->data[size] != '\r')
        size++;
    *line_out = slice_take(*rest, size);
    bool is_pair =
        size + 1 < rest->size && rest->data[size] == '\r' && rest->data[size + 1] == '\n';
    *rest = slice_skip(*rest, size + (is_pair ? 2 : 1));
    return true;
}

static struct slice without_byte_order_mark(struct slice text)
{
    return slice_starts_with(text, "\xef\xbb\xbf") ? slice_skip(text, 3) : text;
}

/* What stands between '[' and the last ']'; behind that, anything may follow. */
static bool read_heading(struct slice text, struct slice *name_out)
{
    size_t end = text.size;

    if (text.size == 0 || text.data[0] != '[')
        return false;
    while (end > 0 && text.data[end - 1] != ']')
        end--;
    if (end < 3)
        return false;
    *name_out = slice_skip(slice_take(text, end - 1), 1);
    return true;
}

/* The file from where the stream stands; `text` is for buf_fini. ERR_FULL: it is too long. */
static int read_whole(FILE *stream, struct buf *text)
{
    uint8_t chunk[4096];
    int status = 0;
    size_t count;

    buf_init(text, EMAILPROXY_FILE_MAXIMUM);
    while (status == 0 && (count = fread(chunk, 1, sizeof(chunk), stream)) > 0)
        status = buf_append(text, slice_of(chunk, count));
    mem_wipe(chunk, sizeof(chunk));
    if (status == 0 && ferror(stream))
        status = ERR_SYSTEM;
    return status;
}

/* ---- recognition ---- */

static bool is_of_ours(struct slice name)
{
    return slice_is(name, "ecluse") || slice_starts_with(name, "listen ") ||
           slice_starts_with(name, "account ") || slice_starts_with(name, "provider ");
}

static bool is_of_emailproxy(struct slice name)
{
    static const char *const types[] = {"IMAP-", "POP-", "SMTP-"};
    uint64_t port;

    for (size_t i = 0; i < LENGTH_OF(types); i++)
        if (slice_starts_with(name, types[i]) &&
            slice_read_number(slice_skip(name, strlen(types[i])), UINT32_MAX, &port))
            return true;
    return slice_is(name, "emailproxy") || slice_find(name, '@') < name.size;
}

bool emailproxy_is_recognised(FILE *stream)
{
    struct buf text;
    struct slice line, name;
    bool has_ours = false, has_theirs = false;

    if (read_whole(stream, &text) == 0) {
        struct slice rest = without_byte_order_mark(buf_bytes(&text));
        while (next_line(&rest, &line))
            if (read_heading(line, &name)) {
                has_ours = has_ours || is_of_ours(name);
                has_theirs = has_theirs || is_of_emailproxy(name);
            }
    }
    buf_fini(&text);
    rewind(stream);
    return has_theirs && !has_ours;
}

/* ---- what is read ---- */

static char *copy(struct slice text)
{
    return mem_copy_bytes_as_string(text.data, text.size);
}

static struct emailproxy_pair *find_pair(const struct emailproxy_section *section, const char *key)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->pairs[i].key, key) == 0)
            return &section->pairs[i];
    return NULL;
}

/* The value is whole: no line follows that continues it. */
static void end_key(struct reader *reader)
{
    if (reader->has_key && reader->is_kept) {
        struct emailproxy_section *section = reader->section;
        ENSURE(section != NULL && section->count > 0);
        section->pairs[section->count - 1].value = copy(strip(buf_bytes(&reader->value)));
    }
    reader->has_key = reader->is_kept = false;
    buf_clear(&reader->value);
}

static void append_value(struct reader *reader, struct slice text, bool is_first)
{
    if (!reader->is_kept)
        return;
    int status = is_first ? 0 : buf_append_string(&reader->value, "\n");
    if (status == 0)
        status = buf_append(&reader->value, text);
    if (status == 0)
        return;
    problems_add(reader->problems, reader->line, "the value is longer than %u octets; shorten it",
                 EMAILPROXY_VALUE_MAXIMUM);
    end_key(reader);
}

static void begin_section(struct reader *reader, struct slice name)
{
    struct emailproxy_file *file = reader->file;
    char shown[SHOWN];

    reader->section = NULL;
    if (slice_is(name, "DEFAULT")) {
        reader->section = &file->defaults;
        return;
    }
    for (size_t i = 0; i < file->count; i++)
        if (slice_is(name, file->sections[i].name))
            reader->section = &file->sections[i];
    slice_escape(name, shown, sizeof(shown));
    if (reader->section != NULL) {
        problems_warn(reader->problems, reader->line,
                      "[%s] stands on line %d already; the two are read as one", shown,
                      reader->section->line);
        return;
    }
    if (file->count == EMAILPROXY_SECTIONS_MAXIMUM || name.size > NAME_OCTETS) {
        problems_add(reader->problems, reader->line,
                     "[%s] is too long, or one section too many: %d are taken", shown,
                     EMAILPROXY_SECTIONS_MAXIMUM);
        return;
    }
    file->sections =
        mem_resize(file->sections, (file->count + 1) * sizeof(struct emailproxy_section));
    reader->section = &file->sections[file->count++];
    *reader->section = (struct emailproxy_section){.name = copy(name), .line = reader->line};
}

/* False after it was said why the key is not taken. */
static bool add_key(struct reader *reader, struct slice name)
{
    struct emailproxy_section *section = reader->section;
    char *key = copy(name), shown[SHOWN];

    text_to_lower(key);
    slice_escape(name, shown, sizeof(shown));
    const struct emailproxy_pair *other = find_pair(section, key);
    if (other != NULL)
        problems_warn(reader->problems, reader->line,
                      "%s stands on line %d already; that one holds", shown, other->line);
    else if (section->count == EMAILPROXY_PAIRS_MAXIMUM || name.size > NAME_OCTETS)
        problems_add(reader->problems, reader->line,
                     "%s is too long, or one key too many: %d are taken in a section", shown,
                     EMAILPROXY_PAIRS_MAXIMUM);
    if (other != NULL || section->count == EMAILPROXY_PAIRS_MAXIMUM || name.size > NAME_OCTETS) {
        mem_free(key);
        return false;
    }
    section->pairs =
        mem_resize(section->pairs, (section->count + 1) * sizeof(struct emailproxy_pair));
    section->pairs[section->count++] = (struct emailproxy_pair){.key = key, .line = reader->line};
    return true;
}

/* '=' or ':', whichever comes first. */
static void begin_key(struct reader *reader, struct slice text)
{
    size_t equals = slice_find(text, '='), colon = slice_find(text, ':');
    size_t delimiter = equals < colon ? equals : colon;
    struct slice name = strip(slice_take(text, delimiter));

    if (delimiter == text.size || name.size == 0) {
        problems_add(reader->problems, reader->line,
                     "neither a [section] nor key = value; a line that continues the value above "
                     "it is indented deeper than its key");
        return;
    }
    reader->has_key = true;
    reader->is_kept = add_key(reader, name);
    append_value(reader, strip(slice_skip(text, delimiter + 1)), true);
}

static void take_text(struct reader *reader, struct slice text, size_t indent)
{
    struct slice name;

    if (reader->has_key && indent > reader->indent) {
        append_value(reader, text, false);
        return;
    }
    end_key(reader);
    reader->indent = indent;
    if (read_heading(text, &name))
        begin_section(reader, name);
    else if (reader->section == NULL)
        problems_add(reader->problems, reader->line,
                     "stands in no section; put a [section] that is fine above it");
    else
        begin_key(reader, text);
}

static void take_line(struct reader *reader, struct slice line)
{
    struct slice text = strip(line);

    if (text.size == 0) {
        append_value(reader, text, false);
        return;
    }
    if (text.data[0] == '#' || text.data[0] == ';')
        return;
    take_text(reader, text, (size_t)(text.data - line.data));
}

static void read_lines(struct reader *reader, struct slice text)
{
    struct slice line;

    if (slice_find(text, '\0') < text.size) {
        problems_add(reader->problems, 0, "has NUL in it; it is no configuration");
        return;
    }
    text = without_byte_order_mark(text);
    while (next_line(&text, &line)) {
        reader->line++;
        take_line(reader, line);
    }
    end_key(reader);
}

int emailproxy_read(FILE *stream, struct emailproxy_file **file_out,
                    struct config_problems *problems)
{
    struct reader reader = {.file = mem_new(sizeof(struct emailproxy_file)), .problems = problems};
    struct buf text;

    errno = 0;
    int status = read_whole(stream, &text);
    buf_init(&reader.value, EMAILPROXY_VALUE_MAXIMUM);
    if (status == ERR_FULL)
        problems_add(problems, 0, "the file is longer than %u octets; it is no configuration",
                     EMAILPROXY_FILE_MAXIMUM);
    else if (status != 0)
        problems_add(problems, 0, "cannot be read to its end: %s", strerror(errno));
    else
        read_lines(&reader, buf_bytes(&text));
    buf_fini(&text);
    buf_fini(&reader.value);
    *file_out = reader.file;
    if (!problems_have_error(problems))
        return 0;
    emailproxy_free(reader.file);
    *file_out = NULL;
    return ERR_CONFIG;
}

static void section_clear(struct emailproxy_section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        mem_free(section->pairs[i].key);
        mem_free_wiped_string(section->pairs[i].value);
    }
    mem_free(section->pairs);
    mem_free(section->name);
}

void emailproxy_free(struct emailproxy_file *file)
{
    if (file == NULL)
        return;
    section_clear(&file->defaults);
    for (size_t i = 0; i < file->count; i++)
        section_clear(&file->sections[i]);
    mem_free(file->sections);
    mem_free(file);
}

struct emailproxy_section *emailproxy_section(const struct emailproxy_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->sections[i].name, name) == 0)
            return &file->sections[i];
    return NULL;
}

const struct emailproxy_pair *emailproxy_find(const struct emailproxy_file *file,
                                              const struct emailproxy_section *section,
                                              const char *key)
{
    const struct emailproxy_pair *pair = find_pair(section, key);

    if (pair == NULL)
        pair = find_pair(&file->defaults, key);
    return pair == NULL || *pair->value == '\0' ? NULL : pair;
}
