/*
 * What a check of the journal found, in the order of the journal: kinds, and the records that each
 * is about. Runs of records of which the same is to be said are one finding.
 */
#ifndef ECLUSE_AUDIT_FINDING_H
#define ECLUSE_AUDIT_FINDING_H

#include <stdint.h>

#include "base/mem.h"

/* X(name, word, grade) */
#define FINDING_KINDS(X)                                                                           \
    X(FINDING_MODIFIED, "modified", GRADE_TAMPERED)                                                \
    X(FINDING_MISSING, "missing", GRADE_TAMPERED)                                                  \
    X(FINDING_REORDERED, "reordered", GRADE_TAMPERED)                                              \
    X(FINDING_DUPLICATED, "duplicated", GRADE_TAMPERED)                                            \
    X(FINDING_TRUNCATED, "truncated", GRADE_TAMPERED) /* an anchor knows of more */                \
    X(FINDING_RESEALED, "resealed", GRADE_TAMPERED)   /* by the key of another epoch */            \
    X(FINDING_WRONG_EPOCH, "wrong epoch", GRADE_TAMPERED)                                          \
    X(FINDING_BAD_SIGNATURE, "bad signature", GRADE_TAMPERED)                                      \
    X(FINDING_ROLLED_BACK, "rolled back", GRADE_TAMPERED) /* an anchor knows other records */      \
    X(FINDING_OTHER_SEED, "not sealed by this seed", GRADE_TAMPERED)                               \
    X(FINDING_TORN, "torn tail", GRADE_TORN)                                                       \
    X(FINDING_GAP, "gap", GRADE_NOTE)             /* the journal says so itself, and why */        \
    X(FINDING_RECOVERED, "recovered", GRADE_NOTE) /* likewise */                                   \
    X(FINDING_EXPIRED, "expired", GRADE_NOTE)     /* removed by age, as a tombstone tells */

/* To the worst. */
enum finding_grade { GRADE_NONE, GRADE_NOTE, GRADE_TORN, GRADE_TAMPERED };

enum finding_kind {
#define X(name, word, grade) name,
    FINDING_KINDS(X)
#undef X
        FINDING_KIND_COUNT
};

#define FINDING_TEXT_MAX 160
#define FINDINGS_MAX     64

struct finding {
    enum finding_kind kind;
    uint64_t first, last;        /* records */
    char text[FINDING_TEXT_MAX]; /* more about it; printable, may be empty */
};

/* All zero: none. */
struct findings {
    size_t count;
    uint64_t left_out; /* beyond FINDINGS_MAX: of those that are least bad, the last */
    enum finding_grade worst_left_out;
    struct finding items[FINDINGS_MAX];
};

const char *finding_word(enum finding_kind kind);
enum finding_grade finding_grade(enum finding_kind kind);

void findings_add(struct findings *findings, enum finding_kind kind, uint64_t first, uint64_t last,
                  const char *format, ...) PRINTF_LIKE(5, 6);
/* The last one of that kind that is about the record; NULL: none. */
struct finding *findings_find(struct findings *findings, enum finding_kind kind, uint64_t sequence);
/* The worst of all. */
enum finding_grade findings_grade(const struct findings *findings);
/* Of the grade, the one with the lowest number; NULL: none. */
const struct finding *findings_first(const struct findings *findings, enum finding_grade grade);

#endif
