/*
 * A journal in memory as the keeper writes one: segments that begin with what they stand on and end
 * with a checkpoint. Attacks are changes of its lines; what the check says of them is asserted by
 * number and kind.
 */
#ifndef ECLUSE_TESTS_UNIT_VERIFY_WORLD_H
#define ECLUSE_TESTS_UNIT_VERIFY_WORLD_H

#include <stdio.h>

#include "audit/verify.h"
#include "audit_world.h"

#define WORLD_LINES_MAX 256

/* A line with its LF, in memory of its own. */
struct world_line {
    char *text;
    size_t size;
    uint64_t segment; /* the number that names the segment which it begins; 0: it begins none */
};

struct world_journal {
    struct chain *chain;
    size_t count;
    struct world_line lines[WORLD_LINES_MAX];
    char segment[48]; /* that is written */
};

static inline void world_remove(struct world_journal *journal, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        mem_free(journal->lines[i].text);
    memmove(&journal->lines[at], &journal->lines[at + count],
            (journal->count - at - count) * sizeof(journal->lines[0]));
    journal->count -= count;
}

static inline void world_insert(struct world_journal *journal, size_t at, const char *text,
                                size_t size)
{
    ENSURE(journal->count < WORLD_LINES_MAX && at <= journal->count);
    memmove(&journal->lines[at + 1], &journal->lines[at],
            (journal->count - at) * sizeof(journal->lines[0]));
    struct world_line *line = &journal->lines[at];
    line->text = mem_new(size + 1);
    memcpy(line->text, text, size);
    line->size = size;
    line->segment = 0;
    journal->count++;
}

static inline void world_clear(struct world_journal *journal)
{
    world_remove(journal, 0, journal->count);
    chain_free(journal->chain);
    mem_free(journal);
}

static inline void world_take(struct world_journal *journal, struct buf *lines)
{
    world_insert(journal, journal->count, (const char *)buf_bytes(lines).data, buf_size(lines));
    buf_fini(lines);
}

static inline void world_write(struct world_journal *journal, const struct record *record)
{
    struct buf lines;
    struct line_place place = world_place();
    buf_init(&lines, LINE_CAPACITY);
    ENSURE(chain_write(journal->chain, &place, record, &lines) == 0);
    world_take(journal, &lines);
}

static inline void world_commands(struct world_journal *journal, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct record record;
        world_command(&record, i);
        world_write(journal, &record);
    }
}

static inline void world_checkpoint(struct world_journal *journal)
{
    struct buf lines;
    struct line_place place = world_place();
    buf_init(&lines, LINE_CAPACITY);
    ENSURE(chain_checkpoint(journal->chain, &place, WORLD_TIME, journal->segment, &lines) == 0);
    world_take(journal, &lines);
}

/* The first record of a segment; `record` may say more than where it stands. */
static inline void world_open(struct world_journal *journal, struct record *record)
{
    uint64_t number = chain_sequence(journal->chain);
    snprintf(journal->segment, sizeof(journal->segment), "%020llu.jsonl",
             (unsigned long long)number);
    record_add_string(record, FIELD_AUDIT_FILE, journal->segment);
    chain_describe(journal->chain, record);
    world_write(journal, record);
    journal->lines[journal->count - 1].segment = number;
}

static inline void world_segment(struct world_journal *journal)
{
    struct record record;
    record_init(&record, ACTION_AUDIT_OPEN, WHY_NONE, WORLD_TIME);
    world_open(journal, &record);
}

/*
 * Line `number` is lines[number - 1]:
 *   1 open 2-5 commands 6 checkpoint, 7-10 commands 11 checkpoint
 *   12 open 13-16 17 checkpoint, 18-21 22 checkpoint
 *   23 open 24-27 28 checkpoint, 29-32
 */
static inline struct world_journal *world_journal(void)
{
    struct world_journal *journal = mem_new(sizeof(*journal));
    journal->chain = world_chain();
    for (int segment = 0; segment < 3; segment++) {
        world_segment(journal);
        world_commands(journal, 4);
        world_checkpoint(journal);
        world_commands(journal, 4);
        if (segment < 2)
            world_checkpoint(journal);
    }
    return journal;
}

/* 1 open 2 command 3 checkpoint, 4 open 5 command */
static inline struct world_journal *world_small_journal(void)
{
    struct world_journal *journal = mem_new(sizeof(*journal));
    journal->chain = world_chain();
    world_segment(journal);
    world_commands(journal, 1);
    world_checkpoint(journal);
    world_segment(journal);
    world_commands(journal, 1);
    return journal;
}

enum world_knowledge { KNOWS_NOTHING, KNOWS_KEY, KNOWS_SEED, KNOWS_BOTH };

static inline struct verify *world_verify(enum world_knowledge knowledge)
{
    struct verify *verify = verify_new();
    struct secret seed = world_secret(32), signing_key = world_secret(0);
    uint8_t public_key[32];
    ENSURE(verify != NULL && signature_public_key(&signing_key, public_key) == 0);
    if (knowledge == KNOWS_KEY || knowledge == KNOWS_BOTH)
        verify_set_public_key(verify, public_key);
    if (knowledge == KNOWS_SEED || knowledge == KNOWS_BOTH)
        ENSURE(verify_add_seed(verify, &seed) == 0);
    secret_wipe(&seed);
    secret_wipe(&signing_key);
    return verify;
}

/* Feeds it in pieces of `piece` octets (0: whole lines) and ends. */
static inline void world_feed(struct verify *verify, const struct world_journal *journal,
                              size_t piece)
{
    char name[48];
    for (size_t i = 0; i < journal->count; i++) {
        const struct world_line *line = &journal->lines[i];
        if (i == 0 || line->segment > 0) {
            snprintf(name, sizeof(name), "%020llu.jsonl", (unsigned long long)line->segment);
            ENSURE(verify_segment(verify, name) == 0);
        }
        for (size_t done = 0; done < line->size;) {
            size_t size = piece == 0 || line->size - done < piece ? line->size - done : piece;
            ENSURE(verify_feed(verify, slice_of(line->text + done, size)) == 0);
            done += size;
        }
    }
    ENSURE(verify_end(verify) == 0);
}

static inline const struct finding *world_worst(const struct verify *verify)
{
    const struct findings *findings = verify_findings(verify);
    return findings_first(findings, findings_grade(findings));
}

static inline void world_print(const struct verify *verify)
{
    const struct findings *findings = verify_findings(verify);
    for (size_t i = 0; i < findings->count; i++)
        print_message("%s %llu-%llu %s\n", finding_word(findings->items[i].kind),
                      (unsigned long long)findings->items[i].first,
                      (unsigned long long)findings->items[i].last, findings->items[i].text);
}

/* The worst finding, and its first number. FINDING_KIND_COUNT: nothing. */
static inline void world_check(const struct world_journal *journal, enum world_knowledge knowledge,
                               enum finding_kind kind, uint64_t first)
{
    struct verify *verify = world_verify(knowledge);
    world_feed(verify, journal, 0);
    const struct finding *finding = world_worst(verify);
    if (kind == FINDING_KIND_COUNT
            ? finding != NULL
            : finding == NULL || finding->kind != kind || finding->first != first) {
        world_print(verify);
        fail_msg("expected %s %llu", kind == FINDING_KIND_COUNT ? "nothing" : finding_word(kind),
                 (unsigned long long)first);
    }
    verify_free(verify);
}

#endif
