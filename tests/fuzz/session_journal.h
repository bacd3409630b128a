/*
 * The journal of a session that is fuzzed: what the gate records, through the frame in which it
 * goes to the keeper, as the keeper's lines. At the end the lines must verify, be readable, and
 * hold no secret.
 */
#ifndef ECLUSE_TESTS_SESSION_JOURNAL_H
#define ECLUSE_TESTS_SESSION_JOURNAL_H

#include "audit/chain.h"
#include "audit/reader.h"
#include "audit/verify.h"
#include "auth/message.h"

#define JOURNAL_LINES_MAX (64u * 1024 * 1024)
#define JOURNAL_EPOCH     64u /* lines: more than one in an input that is worth it */
#define JOURNAL_NAME      "00000000000000000001.jsonl"

/* NULL chain: nobody keeps it. */
struct session_journal {
    struct chain *chain;
    struct line_place place;
    struct secret seed, signing_key;
    struct buf lines;
};

static inline void journal_checkpoint(struct session_journal *journal)
{
    ENSURE(chain_checkpoint(journal->chain, &journal->place, 2, JOURNAL_NAME, &journal->lines) ==
           0);
}

static inline void journal_init(struct session_journal *journal, enum audit_level level)
{
    static const uint8_t octets[2][32] = {{1}, {2}};
    struct record record;
    *journal = (struct session_journal){.place = {.level = level, .service_version = "1"}};
    buf_init(&journal->lines, JOURNAL_LINES_MAX);
    secret_set(&journal->seed, slice_of(octets[0], sizeof(octets[0])));
    secret_set(&journal->signing_key, slice_of(octets[1], sizeof(octets[1])));
    journal->chain = chain_new(&journal->seed, &journal->signing_key);
    ENSURE(journal->chain != NULL);
    record_init(&record, ACTION_AUDIT_OPEN, WHY_NONE, 1);
    chain_describe(journal->chain, &record);
    ENSURE(chain_write(journal->chain, &journal->place, &record, &journal->lines) == 0);
}

static inline void journal_write(struct session_journal *journal, const struct record *record)
{
    if (journal->chain == NULL)
        return;
    ENSURE(chain_write(journal->chain, &journal->place, record, &journal->lines) == 0);
    if (chain_sequence(journal->chain) - chain_epoch_first(journal->chain) >= JOURNAL_EPOCH)
        journal_checkpoint(journal);
}

static inline void check_lines(struct slice lines, const char *const *marks, size_t mark_count)
{
    static struct reading reading;
    for (size_t i = 0; i < mark_count; i++)
        ENSURE(memmem(lines.data, lines.size, marks[i], strlen(marks[i])) == NULL);
    while (lines.size > 0) {
        struct slice line = slice_take(lines, slice_find(lines, '\n'));
        ENSURE(reader_read(line, &reading) == 0 && !slice_has_control(line));
        lines = slice_skip(lines, line.size + 1);
    }
}

static inline void verify_lines(const struct session_journal *journal, struct slice lines)
{
    struct verify *verify = verify_new();
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    ENSURE(verify != NULL && signature_public_key(&journal->signing_key, public_key) == 0);
    verify_set_public_key(verify, public_key);
    ENSURE(verify_add_seed(verify, &journal->seed) == 0);
    ENSURE(verify_segment(verify, JOURNAL_NAME) == 0 && verify_feed(verify, lines) == 0 &&
           verify_end(verify) == 0);
    ENSURE(findings_grade(verify_findings(verify)) == GRADE_NONE);
    ENSURE(verify_summary(verify)->sealed == chain_sequence(journal->chain) - 1);
    verify_free(verify);
}

/* `marks`: what must not stand in it. */
static inline void journal_end(struct session_journal *journal, const char *const *marks,
                               size_t mark_count)
{
    if (journal->chain == NULL)
        return;
    journal_checkpoint(journal);
    check_lines(buf_bytes(&journal->lines), marks, mark_count);
    verify_lines(journal, buf_bytes(&journal->lines));
    chain_free(journal->chain);
    buf_fini(&journal->lines);
    secret_wipe(&journal->seed);
    secret_wipe(&journal->signing_key);
}

#endif
