/*
 * inih asks for a line, feed_line gives it one that it can neither cut nor misread, and handle_pair
 * gets the key and value that stood in it. Headings are looked at here as well, because inih
 * reports only those that have a key below them.
 *
 * Failures are problems of the draft, and reading goes on behind each of them:
 *  - a line that is too long, indented, or holds NUL or another control character
 *  - a heading without ']', with something behind it, unknown, without a label, there already
 *  - a line without '=', an unknown key, a key that is there already, a value of the wrong type
 *  - a ';' that makes a comment of what looks like a part of a secret or a command
 * The file as a whole: longer than FILE_MAXIMUM, or it cannot be read.
 */
#include "conf/reader.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#include "conf/label.h"
#include "conf/problem.h"
#include "conf/value.h"

#define HEADING_MAXIMUM 48 /* inih keeps 49 octets and cuts what is longer without a word */
#define SHOWN           64

#define HEADINGS "[ecluse], [listen NAME], [account NAME] and [provider NAME]"

struct reader {
    FILE *stream;
    struct draft *draft;
    bool is_below;
    struct draft_section *section;     /* NULL above the first heading and below a refused one */
    char heading[HEADING_MAXIMUM + 1]; /* of `section`, as inih has it */
    bool heading_seen;
    int line;
    size_t octets;      /* read so far */
    bool pair_expected; /* the line went to inih as "key = value"; cleared by handle_pair */
    bool is_too_long;
    bool has_control;
    char text[LINE_MAXIMUM + 1];
};

static struct config_problems *problems_of(struct reader *reader)
{
    return reader->draft->problems;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* Where a comment starts behind a value: inih's rule, a ';' after a blank. NULL when there is none.
 */
static const char *find_comment(const char *text)
{
    for (const char *mark = strchr(text, ';'); mark != NULL; mark = strchr(mark + 1, ';'))
        if (mark > text && (mark[-1] == ' ' || mark[-1] == '\t'))
            return mark;
    return NULL;
}

/* ---- one line from the stream ---- */

static void keep_octet(struct reader *reader, size_t *length, int octet)
{
    if (*length == LINE_MAXIMUM) {
        reader->is_too_long = true;
        return;
    }
    if ((octet < ' ' && octet != '\t') || octet == 0x7f)
        reader->has_control = true;
    reader->text[(*length)++] = (char)octet;
}

/* A byte order mark at the start of the file is no part of the first line. */
static size_t without_byte_order_mark(struct reader *reader, size_t length)
{
    if (reader->line != 1 || strncmp(reader->text, "\xef\xbb\xbf", 3) != 0)
        return length;
    memmove(reader->text, reader->text + 3, length - 3);
    memset(reader->text + length - 3, 0, 3);
    return length - 3;
}

/* False at the end of the file. The line end, LF or CRLF, is left out. */
static bool read_line(struct reader *reader)
{
    size_t length = 0;
    int octet;
    bool carriage_return = false;

    mem_wipe(reader->text, sizeof(reader->text));
    reader->is_too_long = reader->has_control = false;
    octet = getc(reader->stream);
    if (octet == EOF)
        return false;
    for (; octet != EOF && octet != '\n'; octet = getc(reader->stream)) {
        if (++reader->octets > FILE_MAXIMUM)
            break;
        if (carriage_return)
            keep_octet(reader, &length, '\r');
        carriage_return = octet == '\r';
        if (!carriage_return)
            keep_octet(reader, &length, octet);
    }
    reader->octets++;
    reader->line++;
    length = without_byte_order_mark(reader, length);
    ENSURE(length <= LINE_MAXIMUM);
    return true;
}

/* ---- headings ---- */

static void refuse_unknown_section(struct reader *reader, const char *word)
{
    enum section_kind nearest = section_kind_nearest(word);
    char shown[SHOWN];

    slice_escape(slice_of_string(word), shown, sizeof(shown));
    if (nearest == SECTION_KIND_COUNT)
        problems_add(problems_of(reader), reader->line,
                     "unknown section \"%s\"; there are " HEADINGS, shown);
    else
        problems_add(problems_of(reader), reader->line,
                     "unknown section \"%s\"; did you mean [%s%s]?", shown,
                     option_table(nearest)->section, nearest == SECTION_GLOBAL ? "" : " NAME");
}

static struct draft_section *begin_global(struct reader *reader, const char *label)
{
    struct draft_section *global = reader->draft->sections[0];

    if (*label != '\0') {
        problems_add(problems_of(reader), reader->line,
                     "[ecluse] takes no name; write [ecluse] alone");
        return NULL;
    }
    if (global->line != 0) {
        problems_add(problems_of(reader), reader->line,
                     "[ecluse] stands on line %d already; make one section of the two",
                     global->line);
        return NULL;
    }
    global->line = reader->line;
    return global;
}

static struct draft_section *begin_named(struct reader *reader, enum section_kind kind,
                                         const char *label)
{
    const char *word = option_table(kind)->section;
    struct draft_section *other = draft_find_section(reader->draft, kind, label);

    if (!label_is_valid(label)) {
        problems_add(problems_of(reader), reader->line,
                     "[%s NAME] needs a name of 1 to %d characters: a-z 0-9 . _ -", word,
                     SECTION_LABEL_MAXIMUM);
        return NULL;
    }
    if (reader->is_below)
        return other != NULL ? other : draft_add_section(reader->draft, kind, label, 0);
    if (other != NULL) {
        problems_add(problems_of(reader), reader->line,
                     "[%s %s] stands on line %d already; rename or remove one of them", word, label,
                     other->line);
        return NULL;
    }
    struct draft_section *section = draft_add_section(reader->draft, kind, label, reader->line);
    if (section == NULL)
        problems_add(problems_of(reader), reader->line,
                     "more than %d [%s NAME] sections; remove some", SECTIONS_MAXIMUM, word);
    return section;
}

/* `heading` is what stands between the brackets. */
static struct draft_section *begin_section(struct reader *reader, const char *heading)
{
    char word[HEADING_MAXIMUM + 1] = "";
    size_t length = strcspn(heading, " \t");

    memcpy(word, heading, length);
    const char *label = skip_blanks(heading + length);
    enum section_kind kind = section_kind_find(word);
    if (kind == SECTION_KIND_COUNT) {
        refuse_unknown_section(reader, word);
        return NULL;
    }
    return kind == SECTION_GLOBAL ? begin_global(reader, label) : begin_named(reader, kind, label);
}

/* Puts the text between the brackets into reader->heading; false after it was refused. */
static bool take_heading(struct reader *reader)
{
    const char *end = strchr(reader->text, ']');
    const char *comment = find_comment(reader->text);

    if (end == NULL || (comment != NULL && comment < end)) {
        problems_add(problems_of(reader), reader->line,
                     "the ']' of the section's heading is missing");
        return false;
    }
    const char *behind = skip_blanks(end + 1);
    if (*behind != '\0' && comment != behind) {
        problems_add(problems_of(reader), reader->line,
                     "nothing but a comment may follow the ']'; put the key on a line of its own");
        return false;
    }
    size_t length = (size_t)(end - reader->text) - 1;
    if (length > HEADING_MAXIMUM) {
        problems_add(problems_of(reader), reader->line,
                     "the heading is longer than %d characters and would be cut; shorten the name",
                     HEADING_MAXIMUM);
        return false;
    }
    memset(reader->heading, 0, sizeof(reader->heading));
    memcpy(reader->heading, reader->text + 1, length);
    return true;
}

/* ---- keys and values ---- */

static void refuse_unknown_key(struct reader *reader, const char *key)
{
    const char *word = option_table(reader->section->kind)->section;
    const struct option *nearest = option_nearest(option_table(reader->section->kind), key);
    char shown[SHOWN];

    slice_escape(slice_of_string(key), shown, sizeof(shown));
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++) {
        if (option_find(option_table(kind), key) == NULL)
            continue;
        problems_add(problems_of(reader), reader->line,
                     "%s is no key of a [%s] section; it belongs into [%s%s]", shown, word,
                     option_table(kind)->section, kind == SECTION_GLOBAL ? "" : " NAME");
        return;
    }
    if (nearest != NULL)
        problems_add(problems_of(reader), reader->line,
                     "unknown key \"%s\" in a [%s] section; did you mean %s?", shown, word,
                     nearest->key);
    else
        problems_add(problems_of(reader), reader->line,
                     "unknown key \"%s\" in a [%s] section; ecluse check --defaults lists all keys",
                     shown, word);
}

static bool is_command(const struct option *option, const char *value)
{
    static const char suffix[] = "_command";
    size_t length = strlen(option->key);

    if (length > sizeof(suffix) && strcmp(option->key + length - (sizeof(suffix) - 1), suffix) == 0)
        return true;
    return strcmp(option->key, "vault_key") == 0 && strncmp(value, "command:", 8) == 0;
}

/* Where inih cuts the value of the line that was read; NULL when it takes all of it. */
static const char *comment_behind_value(const struct reader *reader)
{
    return find_comment(reader->text + strcspn(reader->text, "=:") + 1);
}

/*
 * A ';' in a command, and one in a secret that does not look like the start of a remark, is more
 * likely a part of the value than a comment. Handing on the half of it would be the worst of
 * answers.
 */
static bool comment_is_doubtful(const struct reader *reader, const struct option *option,
                                const char *value)
{
    const char *comment = comment_behind_value(reader);

    if (comment == NULL)
        return false;
    if (is_command(option, value))
        return *value != '\0';
    return option->kind == VALUE_SECRET &&
           (strchr(value, ' ') != NULL || (comment[1] != ' ' && comment[1] != '\t'));
}

/* What inih takes for a part of the value although it was hardly meant so. */
static bool refuse_comment(struct reader *reader, const struct option *option, const char *value)
{
    bool is_free = option->kind == VALUE_SECRET || is_command(option, value);

    if (comment_is_doubtful(reader, option, value)) {
        problems_add(
            problems_of(reader), reader->line,
            "%s: what stands behind \" ;\" would be cut off as a comment; move a comment to "
            "a line of its own, keep such a secret in client_secret_file, such a command in "
            "a script",
            option->key);
        return true;
    }
    if (*value == ';' || (*value == '#' && !is_free)) {
        problems_add(problems_of(reader), reader->line,
                     "%s: a comment starts with a blank and ';', as in \"%s =  ; why\"",
                     option->key, option->key);
        return true;
    }
    if (!is_free && strstr(value, " #") != NULL) {
        problems_add(problems_of(reader), reader->line,
                     "%s: behind a value '#' starts no comment; write ';' instead", option->key);
        return true;
    }
    return false;
}

static void set_option(struct reader *reader, const struct option *option, const char *value)
{
    struct draft_section *section = reader->section;
    const struct option_table *table = option_table(section->kind);
    struct draft_value *place = &section->values[option_index(table, option)];
    struct err err = {0};

    if (place->line != 0) {
        problems_add(problems_of(reader), reader->line,
                     "%s stands on line %d already; remove one of the two", option->key,
                     place->line);
        return;
    }
    place->line = reader->line;
    place->bad = true;
    if (refuse_comment(reader, option, value))
        return;
    if (option->kind == VALUE_SECRET && *value != '\0' && comment_behind_value(reader) != NULL)
        problems_warn(
            problems_of(reader), reader->line,
            "%s ends before the \" ;\", which starts a comment; if the rest belongs to it, "
            "use client_secret_file",
            option->key);
    if (value_set(option, section->target, value, reader->draft->surroundings->home, &err) != 0)
        problems_add(problems_of(reader), reader->line, "%s %s", option->key, err.text);
    else
        place->bad = false;
}

/* A value that was refused has a line too: it is its line's problem, not made good here. */
static void set_option_below(struct reader *reader, const struct option *option, const char *value)
{
    struct draft_section *section = reader->section;
    struct err err = {0};

    if (section->values[option_index(option_table(section->kind), option)].line == 0 &&
        value_set(option, section->target, value, NULL, &err) != 0)
        problems_add(problems_of(reader), reader->line, "%s %s", option->key, err.text);
}

/* inih's handler: its answer 1 is "go on". */
static int handle_pair(void *user, const char *heading, const char *key, const char *value)
{
    struct reader *reader = user;

    ENSURE(reader->pair_expected);
    reader->pair_expected = false;
    if (reader->section == NULL) {
        if (!reader->heading_seen)
            problems_add(problems_of(reader), reader->line,
                         "a key stands above the first section; put [ecluse] above it");
        return 1;
    }
    ENSURE(strcmp(heading, reader->heading) == 0);
    const struct option *option = option_find(option_table(reader->section->kind), key);
    if (*key == '\0')
        problems_add(problems_of(reader), reader->line, "the key before the '=' is missing");
    else if (option == NULL)
        refuse_unknown_key(reader, key);
    else if (reader->is_below)
        set_option_below(reader, option, value);
    else
        set_option(reader, option, value);
    return 1;
}

/* ---- what inih gets ---- */

/* False after a problem was added: the line is not for inih. */
static bool line_is_readable(struct reader *reader)
{
    const char *start = skip_blanks(reader->text);

    if (reader->has_control) {
        problems_add(
            problems_of(reader), reader->line,
            "the line holds NUL or another control character; the file must be UTF-8 text");
        return false;
    }
    if (reader->is_too_long) {
        problems_add(problems_of(reader), reader->line,
                     "the line is longer than %d octets and would be cut; shorten it",
                     LINE_MAXIMUM);
        return false;
    }
    if (!slice_is_utf8(slice_of_string(reader->text))) {
        problems_add(problems_of(reader), reader->line,
                     "the line is no UTF-8 text; save the file in that encoding");
        return false;
    }
    if (start != reader->text && *start != '\0' && *start != ';' && *start != '#') {
        problems_add(problems_of(reader), reader->line,
                     "the line is indented; keys start at the first column, and a value stands on "
                     "one line");
        return false;
    }
    return true;
}

/* Looks at the line that was read; false when inih shall see an empty one in its place. */
static bool take_line(struct reader *reader)
{
    bool is_heading = *skip_blanks(reader->text) == '[';

    if (is_heading) {
        reader->heading_seen = true;
        reader->section = NULL;
    }
    if (!line_is_readable(reader))
        return false;
    const char *start = skip_blanks(reader->text);
    if (*start == '\0' || *start == ';' || *start == '#')
        return false;
    if (is_heading) {
        if (!take_heading(reader))
            return false;
        reader->section = begin_section(reader, reader->heading);
        return true;
    }
    reader->pair_expected = true;
    return true;
}

/* inih calls the handler for what has an '=' only. */
static void report_line_without_pair(struct reader *reader)
{
    if (reader->pair_expected)
        problems_add(problems_of(reader), reader->line,
                     "neither a [section] nor key = value: the '=' is missing");
    reader->pair_expected = false;
}

/* inih's reader, as fgets. Its memory is wiped before each line, and so behind the last one too. */
static char *feed_line(char *memory, int capacity, void *stream)
{
    struct reader *reader = stream;

    report_line_without_pair(reader);
    mem_wipe(memory, (size_t)capacity);
    if (!read_line(reader))
        return NULL;
    if (reader->octets > FILE_MAXIMUM) {
        problems_add(problems_of(reader), 0,
                     "the file is longer than %u octets; it is no configuration", FILE_MAXIMUM);
        return NULL;
    }
    size_t length = take_line(reader) ? strlen(reader->text) : 0;
    ENSURE(length + 2 <= (size_t)capacity);
    memcpy(memory, reader->text, length);
    memory[length] = '\n';
    return memory;
}

static void run(FILE *stream, struct draft *draft, bool is_below)
{
    struct reader reader = {.stream = stream, .draft = draft, .is_below = is_below};

    /* A setting of inih's own: 200 otherwise. A line comes with its end and a NUL. */
    ini_max_line = LINE_MAXIMUM + 2;
    errno = 0;
    int status = ini_parse_stream(feed_line, &reader, handle_pair, &reader);
    ENSURE(status >= 0);
    if (ferror(stream))
        problems_add(draft->problems, 0, "cannot be read to its end: %s", strerror(errno));
    mem_wipe(&reader, sizeof(reader));
}

void reader_run(FILE *stream, struct draft *draft)
{
    run(stream, draft, false);
}

void reader_run_below(FILE *stream, struct draft *draft)
{
    run(stream, draft, true);
}
