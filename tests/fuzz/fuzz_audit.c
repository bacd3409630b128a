/*
 * The journal's reader and its check. The first octet chooses:
 *   even   the rest is a journal, of whatever octets: the check says the same of it in one piece
 * and in many, and what the reader takes shows no control odd    the rest edits a journal that is
 * whole: whatever is done to it is found, but for what is taken off the end behind the last
 * checkpoint
 *
 * An edit is four octets: what is done, where (16 bits), and how.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "audit/chain.h"
#include "audit/escape.h"
#include "audit/reader.h"
#include "audit/verify.h"

#define INPUT_MAX   65536u
#define EDITS_MAX   8u
#define JOURNAL_MAX 65536u
#define LINES       14u
#define NAME        "00000000000000000001.jsonl"

struct journal {
    size_t size, kept; /* up to the last checkpoint */
    uint8_t text[JOURNAL_MAX];
};

static struct secret new_secret(uint8_t octet)
{
    uint8_t octets[32];
    struct secret secret = {0};
    memset(octets, octet, sizeof(octets));
    secret_set(&secret, slice_of(octets, sizeof(octets)));
    return secret;
}

static void write_journal(struct journal *journal)
{
    struct secret seed = new_secret('s'), signing_key = new_secret('k');
    struct chain *chain = chain_new(&seed, &signing_key);
    struct line_place place = {.level = AUDIT_STANDARD, .service_version = "1"};
    struct record record;
    struct buf lines;
    buf_init(&lines, JOURNAL_MAX);
    ENSURE(chain != NULL);
    record_init(&record, ACTION_AUDIT_OPEN, WHY_NONE, 1);
    chain_describe(chain, &record);
    ENSURE(chain_write(chain, &place, &record, &lines) == 0);
    for (unsigned i = 1; i < LINES; i++) {
        record_init(&record, ACTION_COMMAND, WHY_NONE, i);
        record_add_string(&record, FIELD_VERB, "NOOP");
        int status = i % 4 == 0 ? chain_checkpoint(chain, &place, i, NAME, &lines)
                                : chain_write(chain, &place, &record, &lines);
        ENSURE(status == 0);
        if (i % 4 == 0)
            journal->kept = buf_size(&lines);
    }
    journal->size = buf_size(&lines);
    memcpy(journal->text, buf_bytes(&lines).data, journal->size);
    buf_fini(&lines);
    chain_free(chain);
    secret_wipe(&seed);
    secret_wipe(&signing_key);
}

/* ---- edits ---- */

/* Start of the line in which the octet stands, and where the next one starts. */
static void find_line(const struct journal *journal, size_t at, size_t *start, size_t *end)
{
    *start = at;
    while (*start > 0 && journal->text[*start - 1] != '\n')
        (*start)--;
    *end = at;
    while (*end < journal->size && journal->text[(*end)++] != '\n')
        continue;
}

static void remove_octets(struct journal *journal, size_t start, size_t end)
{
    memmove(journal->text + start, journal->text + end, journal->size - end);
    journal->size -= end - start;
}

static void insert_octets(struct journal *journal, size_t at, const uint8_t *octets, size_t size)
{
    if (size > JOURNAL_MAX - journal->size)
        return;
    memmove(journal->text + at + size, journal->text + at, journal->size - at);
    memcpy(journal->text + at, octets, size);
    journal->size += size;
}

/* A copy of the line to where `to` points; the old one goes when it is moved. */
static void copy_line(struct journal *journal, size_t at, size_t to, bool is_moved)
{
    uint8_t line[LINE_CAPACITY];
    size_t start, end, target, ignored;
    find_line(journal, at, &start, &end);
    size_t size = end - start;
    if (size > sizeof(line))
        return;
    memcpy(line, journal->text + start, size);
    if (is_moved)
        remove_octets(journal, start, end);
    find_line(journal, journal->size == 0 ? 0 : to % journal->size, &target, &ignored);
    insert_octets(journal, target, line, size);
}

static void edit(struct journal *journal, const uint8_t *order)
{
    size_t start, end, at = ((size_t)order[1] << 8 | order[2]);
    if (journal->size == 0)
        return;
    at %= journal->size;
    find_line(journal, at, &start, &end);
    switch (order[0] % 6) {
    case 0:
        journal->text[at] ^= order[3];
        break;
    case 1:
        remove_octets(journal, start, end);
        break;
    case 2:
        copy_line(journal, at, (size_t)order[3] << 6, false);
        break;
    case 3:
        copy_line(journal, at, (size_t)order[3] << 6, true);
        break;
    case 4:
        journal->size = order[3] % 2 == 0 ? at : end;
        break;
    default:
        insert_octets(journal, at, &order[3], 1);
        break;
    }
}

/* ---- checks ---- */

static struct verify *new_verify(void)
{
    struct secret seed = new_secret('s'), signing_key = new_secret('k');
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    struct verify *verify = verify_new();
    ENSURE(verify != NULL && signature_public_key(&signing_key, public_key) == 0);
    verify_set_public_key(verify, public_key);
    ENSURE(verify_add_seed(verify, &seed) == 0);
    secret_wipe(&seed);
    secret_wipe(&signing_key);
    return verify;
}

static struct verify *check(struct slice journal, struct slice anchor, size_t piece)
{
    struct verify *verify = new_verify();
    while (anchor.size > 0) {
        size_t size = slice_find(anchor, '\n');
        int status = verify_add_anchor(verify, slice_take(anchor, size));
        ENSURE(status == 0 || status == ERR_NOT_FOUND);
        anchor = slice_skip(anchor, size + 1);
    }
    ENSURE(verify_segment(verify, NAME) == 0);
    for (; journal.size > 0; journal = slice_skip(journal, piece))
        ENSURE(verify_feed(verify, slice_take(journal, piece)) == 0);
    ENSURE(verify_end(verify) == 0);
    return verify;
}

static void check_edits(struct slice orders)
{
    static struct journal whole, edited;
    if (whole.size == 0)
        write_journal(&whole);
    edited = whole;
    for (size_t i = 0; i < EDITS_MAX && orders.size >= 4; i++, orders = slice_skip(orders, 4))
        edit(&edited, orders.data);
    struct slice text = slice_of(edited.text, edited.size);
    bool is_start = edited.size >= whole.kept && edited.size <= whole.size &&
                    memcmp(edited.text, whole.text, edited.size) == 0 &&
                    edited.text[edited.size - 1] == '\n';
    struct verify *verify = check(text, slice_of(whole.text, whole.size), JOURNAL_MAX);
    enum finding_grade grade = findings_grade(verify_findings(verify));
    ENSURE(is_start ? grade == GRADE_NONE : grade >= GRADE_TORN);
    verify_free(verify);
}

static void check_reading(const struct reading *reading)
{
    for (size_t i = 0; i < reading->record.count; i++) {
        struct slice text = reading->record.values[i].text;
        char *escaped = mem_new(text.size * ESCAPE_GROWTH + 1);
        size_t size = escape_write(text, escaped);
        ENSURE(!slice_has_control(slice_of(escaped, size)));
        mem_free(escaped);
    }
}

static void check_lines(struct slice journal)
{
    static struct reading reading;
    while (journal.size > 0) {
        size_t size = slice_find(journal, '\n');
        struct slice line = slice_take(journal, size);
        if (reader_read(line, &reading) == 0) {
            ENSURE(!slice_has_control(line));
            check_reading(&reading);
        }
        journal = slice_skip(journal, size + 1);
    }
}

static void check_octets(struct slice journal)
{
    struct verify *one = check(journal, SLICE_NONE, INPUT_MAX);
    struct verify *other = check(journal, SLICE_NONE, journal.size / 7 + 1);
    const struct findings *a = verify_findings(one), *b = verify_findings(other);
    ENSURE(a->count == b->count && a->left_out == b->left_out);
    for (size_t i = 0; i < a->count; i++)
        ENSURE(a->items[i].kind == b->items[i].kind && a->items[i].first == b->items[i].first &&
               a->items[i].last == b->items[i].last);
    ENSURE(verify_summary(one)->records == verify_summary(other)->records);
    ENSURE(verify_explain(one) == 0);
    verify_free(one);
    verify_free(other);
    check_lines(journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    if (size == 0)
        return 0;
    if (data[0] % 2 == 1)
        check_edits(slice_skip(input, 1));
    else
        check_octets(slice_skip(input, 1));
    return 0;
}
