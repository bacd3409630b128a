/*
 * Shared by proxy/audit/verify*.c alone: where a check stands. verify.c makes steps of octets and
 * puts them in order, verify_step.c proves one, verify_anchor.c compares with what others know.
 */
#ifndef ECLUSE_AUDIT_VERIFY_INTERNAL_H
#define ECLUSE_AUDIT_VERIFY_INTERNAL_H

#include "audit/epoch_keys.h"
#include "audit/reader.h"
#include "audit/verify.h"

#define VERIFY_NAME_MAX   48
#define VERIFY_REASON_MAX 96

/* What of a line the check needs, when the line itself is gone. */
struct verify_step {
    uint64_t sequence, epoch, time;
    enum record_action action;
    uint8_t hash[LINK_SIZE], head[LINK_SIZE];
    bool is_signed, starts_segment;
    bool is_described; /* the following are there: it tells what it stands on */
    struct link_ends before;
    char seed_name[SEED_FINGERPRINT_SIZE + 1];
    uint64_t seed_epoch;
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE], signature[SIGNATURE_SIZE];
    uint64_t first, last, count; /* FIELD_AUDIT_FIRST and so on; 0: not there */
    char reason[VERIFY_REASON_MAX];
};

/* A seal, and what it should be over. */
struct verify_doubt {
    uint64_t sequence;
    uint8_t before[LINK_SIZE], hash[LINK_SIZE], head[LINK_SIZE];
};

struct verify_anchor {
    uint64_t sequence;
    struct link_ends ends;
};

struct verify {
    struct findings findings;
    struct verify_summary summary;
    struct link *link;
    struct epoch_keys keys;
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];

    /* Where the chain stands, as far as is known. */
    uint64_t next; /* 0: nothing was read yet */
    struct link_ends ends;
    uint64_t epoch, last_checkpoint;
    char seed_name[SEED_FINGERPRINT_SIZE + 1];
    uint64_t expired_to, expired_at; /* what the newest tombstone says, and its number */
    struct verify_doubt doubt; /* the first whose seal was wrong, until it is known whose it is */

    /* Lines that are no record, since the last that was; one whose number was not expected, until
     * the one behind it is known. */
    uint64_t lost;
    struct verify_step suspect, step;

    struct verify_anchor *anchors;
    size_t anchor_count, anchor_capacity, anchor_next;

    char segment[VERIFY_NAME_MAX];
    size_t carried; /* octets of a line that is not whole yet */

    bool has_public_key;
    bool head_known, digest_known, epoch_known;
    bool is_tainted;     /* something was found since the last checkpoint */
    bool expired_proven; /* the seal of the tombstone was checked */
    bool has_doubt, has_suspect;
    bool starts_segment; /* the next line does */
    bool is_endless;     /* the line that is carried is longer than a line can be */

    char carry[LINE_CAPACITY];
    struct reading reading;
};

/* ---- verify_step.c ---- */

/* The next step of the chain; `has_hole`: others that should have come before it did not. */
MUST_CHECK int verify_prove(struct verify *verify, const struct verify_step *step, bool has_hole);

/* ---- verify_anchor.c ---- */

/* Puts the anchors into order; before the first step. */
void verify_sort_anchors(struct verify *verify);
/* Compares a step, behind which the chain stands, with the anchors up to it. */
void verify_compare_anchors(struct verify *verify, const struct verify_step *step);
/* At the end of the journal. */
void verify_end_anchors(struct verify *verify);

/* ---- verify.c ---- */

/* All that a step is. False: it lacks something that its action must have. ERR_CRYPTO. */
MUST_CHECK int verify_make_step(struct link *link, const struct reading *reading,
                                struct verify_step *step_out);

#endif
