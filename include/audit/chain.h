/*
 * The chain of the journal's lines: numbers them, seals each, and moves the keys on.
 *
 *   h_n = HMAC-SHA256(K_e, h_(n-1) | n | SHA256(line n without its seal))     n: 64 bits,
 * big-endian D_n = SHA256(D_(n-1) | SHA256(line n without its seal) | h_n) h_0 and D_0 are 32
 * octets of zero; K_e: audit/seed.h
 *
 * An epoch ends with a checkpoint (ACTION_AUDIT_CHECKPOINT), a line that tells first and last
 * record of its epoch, the h and D that the line stands on, the seed and the public key, and is
 * sealed and signed: Ed25519 over "ecluse audit checkpoint" | D of the checkpoint. The next line is
 * of the next epoch, and the key of the old one is erased. So the seed alone proves every line, and
 * the public key alone every line up to the last checkpoint.
 *
 * One owner at a time, in any thread. Lines that were sealed are never taken back: what of them was
 * not written is told by a gap record, which carries h and D over (chain_describe).
 */
#ifndef ECLUSE_AUDIT_CHAIN_H
#define ECLUSE_AUDIT_CHAIN_H

#include "audit/line.h"
#include "audit/link.h"
#include "audit/seed.h"
#include "base/buf.h"

#define CHAIN_EPOCH_RECORDS 1000u
#define CHAIN_EPOCH_SECONDS 900u

struct chain;

/* A chain whose first line is number 1 of epoch 0, sealed by `seed`. Both secrets are copied. NULL:
 * cryptographic failure. */
struct chain *chain_new(const struct secret *seed, const struct secret *signing_key);

/* Everything that goes on needs: the key of the epoch is in it, so it is a secret. Of the moment:
 * to be kept after a checkpoint, when the key on disk may move on. */
void chain_save(const struct chain *chain, struct secret *state_out);
/* A chain that goes on behind the line after which it was saved. ERR_CORRUPT: no such state. */
MUST_CHECK int chain_restore(struct slice state, const struct secret *signing_key,
                             struct chain **chain_out);
/* Moves a restored chain behind a line (with its LF) that was written since. ERR_CORRUPT: it is not
 * the next line of this chain, which then stays as it was. ERR_CRYPTO: of no more use. The
 * signature of a checkpoint is not looked at: the seal is of a key that nobody else has. */
MUST_CHECK int chain_follow(struct chain *chain, struct slice line);

/* Moves it over numbers that were never written, behind the audit-gap record (with its LF) that
 * tells of exactly these. ERR_CORRUPT: it does not, or is not of this chain, which then stays as it
 * was. ERR_CRYPTO: of no more use. */
MUST_CHECK int chain_cross(struct chain *chain, struct slice line);

void chain_free(struct chain *chain);

/* Of the next line. */
uint64_t chain_sequence(const struct chain *chain);
uint64_t chain_epoch(const struct chain *chain);
/* First line of the epoch; equal to chain_sequence: none was sealed yet. */
uint64_t chain_epoch_first(const struct chain *chain);

/* A checkpoint is due: CHAIN_EPOCH_RECORDS lines, or CHAIN_EPOCH_SECONDS since the last one (wall
 * clock, microseconds; since the restart after a restore). */
bool chain_is_due(const struct chain *chain, uint64_t now);

/* Writes the record (no checkpoint: ENSUREd) as the next line. ERR_FULL: `lines` has no room for
 * LINE_CAPACITY octets, and nothing has happened. ERR_CRYPTO: the chain is of no more use. */
MUST_CHECK int chain_write(struct chain *chain, const struct line_place *place,
                           const struct record *record, struct buf *lines);
/* Writes a checkpoint and goes on to the next epoch; `file` is the segment's name. As chain_write.
 */
MUST_CHECK int chain_checkpoint(struct chain *chain, const struct line_place *place, uint64_t now,
                                const char *file, struct buf *lines);

/* From the next checkpoint on another seed: the checkpoint tells its fingerprint. Copied, and in
 * the state from now on: it is to be saved before that checkpoint is written, or a crash in between
 * loses the seed. ERR_CRYPTO: nothing has happened. */
MUST_CHECK int chain_set_seed(struct chain *chain, const struct secret *seed);

/* Adds where the chain stands: FIELD_AUDIT_HEAD and _DIGEST (of the last line), _SEED and
 * _SEED_EPOCH, _KEY. For the first record of a segment (audit-open, audit-gap, audit-recovered),
 * and for it alone: it must be the next record that is written. The texts are the chain's, until
 * then. */
void chain_describe(struct chain *chain, struct record *record);

#endif
