/*
 * Checks a journal as it streams by: the segments in the order of their numbers, their octets in
 * any pieces. What it is checked against is given first; the findings stand at the end.
 *
 *   nothing         whether the lines are whole and follow one another
 *   a public key    every record up to the last checkpoint; of a change it says in which epoch
 *   a seed          every record that it sealed; of a change it says in which record
 *   an anchor       lines of checkpoints that were kept elsewhere: that nothing was taken off the
 *                   end, and that no older or other journal was put in this one's place
 *
 * Without an anchor, nobody can tell a journal that ends from one whose end was taken off.
 */
#ifndef ECLUSE_AUDIT_VERIFY_H
#define ECLUSE_AUDIT_VERIFY_H

#include "audit/finding.h"
#include "audit/link.h"
#include "base/err.h"

#define VERIFY_ANCHORS_MAX 1000000u

struct verify_summary {
    uint64_t segments, records, checkpoints;
    uint64_t first, last;           /* numbers; 0: no record */
    uint64_t first_time, last_time; /* microseconds */
    uint64_t sealed;                /* records whose seal was checked with a key */
    uint64_t signed_to;             /* last record that a good signature covers; 0: none */
    uint64_t anchors, anchored_to;  /* the last that an anchor knew; 0: none */
    bool is_key_assumed;            /* no public key was given: the journal's own word for it */
};

struct verify;

/* NULL: cryptographic failure. */
struct verify *verify_new(void);
void verify_free(struct verify *verify);

void verify_set_public_key(struct verify *verify,
                           const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE]);
/* Copied; several for a journal that was begun anew by `audit init`. ERR_FULL, ERR_CRYPTO. */
MUST_CHECK int verify_add_seed(struct verify *verify, const struct secret *seed);
/* A line from elsewhere, with whatever a syslog put in front of it. ERR_NOT_FOUND: there is no
 * checkpoint in it. ERR_DENIED: it is not signed by the public key, which must be set before.
 * ERR_FULL. */
MUST_CHECK int verify_add_anchor(struct verify *verify, struct slice line);

/* `name` as the file's: the number of its first record in front. */
MUST_CHECK int verify_segment(struct verify *verify, const char *name);
/* ERR_CRYPTO: the check cannot go on. */
MUST_CHECK int verify_feed(struct verify *verify, struct slice bytes);
MUST_CHECK int verify_end(struct verify *verify);

/* After the end: looks among the keys of later epochs for the one that sealed what was modified,
 * which is then told as resealed. Some milliseconds. ERR_CRYPTO. */
MUST_CHECK int verify_explain(struct verify *verify);

/* After the end; borrowed. */
const struct findings *verify_findings(const struct verify *verify);
const struct verify_summary *verify_summary(const struct verify *verify);

#endif
