/*
 * Happy path: the line's seal fits the key of its epoch and the line before it; a checkpoint's
 * digest is what was worked out on the way, its signature fits, and the next epoch begins.
 *
 * After a finding the line's own word is taken for where the chain stands, so that what comes
 * behind is checked all the same; the digest is known again from the next checkpoint on.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify_internal.h"

/* How far beyond the journal's end a key is looked for that sealed what it should not have. */
#define SEARCH_EPOCHS 4096u
/* Epochs that an honest gap may be over: what one failed write can hold. */
#define GAP_EPOCHS 16u

static void find(struct verify *verify, enum finding_kind kind, uint64_t first, uint64_t last,
                 const char *text)
{
    verify->is_tainted = true;
    findings_add(&verify->findings, kind, first, last, "%s", text);
}

/* ---- what a segment's first record says of what it stands on ---- */

static bool is_zero(const uint8_t bytes[LINK_SIZE])
{
    static const uint8_t zero[LINK_SIZE];
    return memcmp(bytes, zero, LINK_SIZE) == 0;
}

/* Without a key, which of the records since the last checkpoint lies cannot be told. */
static void check_described(struct verify *verify, const struct verify_step *step)
{
    bool is_first = step->sequence == 1;
    bool is_other_head = is_first ? !is_zero(step->before.head)
                                  : verify->head_known && memcmp(verify->ends.head,
                                                                 step->before.head, LINK_SIZE) != 0;
    bool is_other_digest =
        is_first ? !is_zero(step->before.digest)
                 : verify->digest_known && !verify->is_tainted &&
                       memcmp(verify->ends.digest, step->before.digest, LINK_SIZE) != 0;
    if (is_other_head || is_other_digest)
        find(verify, FINDING_MODIFIED, is_first ? 1 : verify->last_checkpoint + 1, step->sequence,
             "what it says to stand on is not what is there");
}

/* Keys where there is no way to them over the record before. */
static int begin_keys(struct verify *verify, const struct verify_step *step, uint64_t epoch)
{
    bool was_known = verify->keys.is_known;
    if (was_known && strcmp(verify->seed_name, step->seed_name) == 0 && epoch >= verify->keys.epoch)
        return epoch_keys_advance(&verify->keys, epoch);
    int status =
        epoch_keys_begin(&verify->keys, slice_of_string(step->seed_name), step->seed_epoch, epoch);
    if (was_known && !verify->keys.is_known)
        find(verify, FINDING_OTHER_SEED, step->sequence, step->sequence, "behind a gap");
    return status;
}

static int begin_described(struct verify *verify, const struct verify_step *step, bool has_hole)
{
    int status = 0;
    bool is_restart = has_hole || verify->summary.records == 0;
    bool can_tell = verify->keys.is_known && verify->head_known && !has_hole;
    if (!has_hole && !can_tell)
        check_described(verify, step);
    if (is_restart)
        verify->epoch = step->sequence == 1 ? 0 : step->epoch;
    if (is_restart || !verify->keys.is_known) {
        status = begin_keys(verify, step, verify->epoch);
        memcpy(verify->seed_name, step->seed_name, sizeof(verify->seed_name));
    }
    /* With a key, the seal proves whether it stands on what is there. */
    if (!can_tell)
        verify->ends = step->before;
    verify->digest_known = verify->digest_known || !can_tell;
    verify->head_known = verify->epoch_known = true;
    return status;
}

/* ---- seals ---- */

/* Whether the key that is set sealed the hash under that number, on that head. */
static int is_sealed(struct verify *verify, const struct verify_doubt *line, bool *is_sealed_out)
{
    uint8_t head[LINK_SIZE];
    int status = link_seal(verify->link, line->before, line->sequence, line->hash, head);
    *is_sealed_out = status == 0 && CRYPTO_memcmp(head, line->head, LINK_SIZE) == 0;
    return status;
}

/* Whether it was a key of a later epoch, the one that is set, that sealed what is in doubt. */
static int settle_doubt(struct verify *verify, uint64_t epoch)
{
    bool is_resealed;
    if (!verify->has_doubt)
        return 0;
    int status = is_sealed(verify, &verify->doubt, &is_resealed);
    struct finding *finding =
        findings_find(&verify->findings, FINDING_MODIFIED, verify->doubt.sequence);
    if (status != 0 || !is_resealed || finding == NULL)
        return status;
    finding->kind = FINDING_RESEALED;
    snprintf(finding->text, sizeof(finding->text), "by the key of epoch %llu",
             (unsigned long long)epoch);
    verify->has_doubt = false;
    return 0;
}

static int check_seal(struct verify *verify, const struct verify_step *step)
{
    bool is_right = false, is_other_epoch = verify->epoch_known && step->epoch != verify->epoch;
    uint64_t number = step->sequence;
    if (!verify->keys.is_known || !verify->head_known) {
        if (is_other_epoch)
            find(verify, FINDING_WRONG_EPOCH, number, number, "");
        /* Without a key to tell by, what follows is measured by this. */
        if (!verify->keys.is_known)
            verify->epoch = step->epoch;
        return 0;
    }
    ENSURE(verify->keys.epoch == verify->epoch);
    struct verify_doubt line = {.sequence = number};
    memcpy(line.before, verify->ends.head, LINK_SIZE);
    memcpy(line.hash, step->hash, LINK_SIZE);
    memcpy(line.head, step->head, LINK_SIZE);
    int status = is_sealed(verify, &line, &is_right);
    verify->summary.sealed += is_right;
    if (is_right && is_other_epoch)
        find(verify, FINDING_WRONG_EPOCH, number, number, "");
    else if (!is_right)
        find(verify, FINDING_MODIFIED, number, number, "");
    if (!is_right && !verify->has_doubt) {
        verify->has_doubt = true;
        verify->doubt = line;
    }
    return status;
}

/* ---- checkpoints ---- */

static int check_checkpoint(struct verify *verify, const struct verify_step *step)
{
    uint64_t number = step->sequence;
    uint8_t digest[LINK_SIZE];
    bool is_other =
        verify->digest_known && memcmp(verify->ends.digest, step->before.digest, LINK_SIZE) != 0;
    if (is_other && !verify->is_tainted)
        find(verify, FINDING_MODIFIED, verify->last_checkpoint + 1, number - 1,
             "one of them is not what was signed");
    if (!verify->has_public_key) {
        verify_set_public_key(verify, step->public_key);
        verify->summary.is_key_assumed = true;
    }
    memcpy(digest, step->before.digest, LINK_SIZE);
    int status = link_extend(verify->link, step->hash, step->head, digest);
    if (status != 0)
        return status;
    if (memcmp(verify->public_key, step->public_key, sizeof(verify->public_key)) != 0)
        find(verify, FINDING_BAD_SIGNATURE, number, number, "by another key");
    else if (!step->is_signed || !link_is_signed(verify->public_key, digest, step->signature))
        find(verify, FINDING_BAD_SIGNATURE, number, number, "");
    else
        verify->summary.signed_to = number;
    memcpy(verify->ends.digest, digest, LINK_SIZE);
    verify->digest_known = true;
    verify->is_tainted = false;
    verify->last_checkpoint = number;
    verify->summary.checkpoints++;
    return 0;
}

/* Sets the key of the epoch, where it is known. */
static int use_key(struct verify *verify)
{
    int status = verify->keys.is_known ? link_set_key(verify->link, &verify->keys.key) : 0;
    return status == 0 && verify->keys.is_known ? settle_doubt(verify, verify->keys.epoch) : status;
}

/* Behind a checkpoint, which may announce a new seed. */
static int begin_epoch(struct verify *verify, const struct verify_step *step)
{
    int status;
    verify->epoch++;
    if (step->seed_epoch == verify->epoch || !verify->keys.is_known) {
        memcpy(verify->seed_name, step->seed_name, sizeof(verify->seed_name));
        status = epoch_keys_begin(&verify->keys, slice_of_string(step->seed_name), step->seed_epoch,
                                  verify->epoch);
    } else {
        status = epoch_keys_advance(&verify->keys, verify->epoch);
    }
    return status == 0 ? use_key(verify) : status;
}

int verify_explain(struct verify *verify)
{
    int status = 0;
    for (unsigned i = 0; i < SEARCH_EPOCHS && status == 0 && verify->has_doubt; i++) {
        if (!verify->keys.is_known)
            break;
        status = epoch_keys_advance(&verify->keys, verify->keys.epoch + 1);
        if (status == 0)
            status = use_key(verify);
    }
    return status;
}

/* ---- one step ---- */

/* Numbers that are not there: a gap that the journal tells of, or missing. */
static void check_hole(struct verify *verify, const struct verify_step *step)
{
    uint64_t first = verify->next, last = step->sequence - 1;
    bool is_told = step->action == ACTION_AUDIT_GAP && step->is_described && step->first > 0 &&
                   step->first <= first && step->last >= last && step->epoch >= verify->epoch &&
                   step->epoch - verify->epoch <= GAP_EPOCHS;
    if (!is_told)
        find(verify, FINDING_MISSING, first, last, step->reason);
    else
        findings_add(&verify->findings, FINDING_GAP, first, last, "%llu lost: %s",
                     (unsigned long long)step->count, step->reason);
}

static void note_action(struct verify *verify, const struct verify_step *step, bool is_proven)
{
    if (step->action == ACTION_AUDIT_EXPIRE && step->last >= verify->expired_to) {
        verify->expired_to = step->last;
        verify->expired_at = step->sequence;
        verify->expired_proven = is_proven;
    }
    if (step->action == ACTION_AUDIT_RECOVERED)
        findings_add(&verify->findings, FINDING_RECOVERED, step->sequence, step->sequence, "%s",
                     step->reason);
}

static void count(struct verify_summary *summary, const struct verify_step *step)
{
    if (summary->records++ == 0)
        summary->first_time = step->time;
    summary->last = step->sequence;
    summary->last_time = step->time;
}

/* To where the step says that it stands, where that cannot be known from the one before it. */
static int begin_step(struct verify *verify, const struct verify_step *step, bool has_hole)
{
    int status = 0;
    if (has_hole && step->sequence > verify->next)
        check_hole(verify, step);
    if (has_hole)
        verify->head_known = verify->digest_known = false;
    if (step->starts_segment && !step->is_described)
        find(verify, FINDING_MODIFIED, step->sequence, step->sequence,
             "it begins a segment and does not say on what it stands");
    else if (step->starts_segment)
        status = begin_described(verify, step, has_hole);
    else if (has_hole && verify->keys.is_known && step->epoch > verify->epoch)
        status = epoch_keys_advance(&verify->keys, step->epoch);
    if (has_hole && step->epoch > verify->epoch)
        verify->epoch = step->epoch;
    if (status == 0 && (has_hole || step->starts_segment))
        status = use_key(verify);
    return status;
}

int verify_prove(struct verify *verify, const struct verify_step *step, bool has_hole)
{
    bool is_checkpoint = step->action == ACTION_AUDIT_CHECKPOINT;
    uint64_t sealed = verify->summary.sealed;
    int status = begin_step(verify, step, has_hole);
    if (status == 0)
        status = check_seal(verify, step);
    bool is_proven = verify->summary.sealed > sealed;
    if (status == 0 && is_checkpoint)
        status = check_checkpoint(verify, step);
    else if (status == 0 && verify->digest_known)
        status = link_extend(verify->link, step->hash, step->head, verify->ends.digest);
    memcpy(verify->ends.head, step->head, LINK_SIZE);
    verify->head_known = true;
    verify->next = step->sequence + 1;
    count(&verify->summary, step);
    note_action(verify, step, is_proven);
    verify_compare_anchors(verify, step);
    return status == 0 && is_checkpoint ? begin_epoch(verify, step) : status;
}
