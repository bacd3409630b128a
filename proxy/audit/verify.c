/*
 * Happy path: octets become lines, lines become steps, and each step has the number that is
 * expected.
 *
 * A number that is not expected is not judged before the next line is known: whether records are
 * missing, stand twice or in another order, or whether it is the number alone that was changed.
 */
#include "audit/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify_internal.h"
#include "base/hex.h"

struct verify *verify_new(void)
{
    struct verify *verify = mem_new(sizeof(*verify));
    verify->link = link_new();
    if (verify->link != NULL)
        return verify;
    mem_free(verify);
    return NULL;
}

void verify_free(struct verify *verify)
{
    if (verify == NULL)
        return;
    epoch_keys_clear(&verify->keys);
    link_free(verify->link);
    mem_free(verify->anchors);
    mem_free(verify);
}

void verify_set_public_key(struct verify *verify,
                           const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE])
{
    verify->has_public_key = true;
    memcpy(verify->public_key, public_key, sizeof(verify->public_key));
}

int verify_add_seed(struct verify *verify, const struct secret *seed)
{
    return epoch_keys_add(&verify->keys, seed);
}

/* ---- from a line to a step ---- */

static bool describe(const struct reading *reading, struct verify_step *step)
{
    const struct record_value *name = record_find(&reading->record, FIELD_AUDIT_SEED);
    const struct record_value *key = record_find(&reading->record, FIELD_AUDIT_KEY);
    if (!reader_hash(reading, FIELD_AUDIT_HEAD, step->before.head) ||
        !reader_hash(reading, FIELD_AUDIT_DIGEST, step->before.digest) || name == NULL ||
        name->text.size != SEED_FINGERPRINT_SIZE || key == NULL ||
        key->text.size != 2 * sizeof(step->public_key) || !hex_read(key->text, step->public_key))
        return false;
    memcpy(step->seed_name, name->text.data, SEED_FINGERPRINT_SIZE);
    step->seed_name[SEED_FINGERPRINT_SIZE] = '\0';
    step->seed_epoch = reader_number(reading, FIELD_AUDIT_SEED_EPOCH, 0);
    return true;
}

static bool is_about_the_journal(enum record_action action)
{
    return action == ACTION_AUDIT_OPEN || action == ACTION_AUDIT_CHECKPOINT ||
           action == ACTION_AUDIT_RECOVERED || action == ACTION_AUDIT_GAP ||
           action == ACTION_AUDIT_EXPIRE;
}

int verify_make_step(struct link *link, const struct reading *reading, struct verify_step *step_out)
{
    const struct record_value *reason = NULL;
    step_out->sequence = reading->sequence;
    step_out->epoch = reading->epoch;
    step_out->time = reading->record.time;
    step_out->action = reading->record.action;
    step_out->is_signed = reading->is_signed;
    step_out->is_described = step_out->starts_segment = false;
    step_out->first = step_out->last = step_out->count = 0;
    step_out->reason[0] = '\0';
    memcpy(step_out->head, reading->head, LINK_SIZE);
    if (is_about_the_journal(step_out->action)) {
        step_out->is_described = describe(reading, step_out);
        step_out->first = reader_number(reading, FIELD_AUDIT_FIRST, 0);
        step_out->last = reader_number(reading, FIELD_AUDIT_LAST, 0);
        step_out->count = reader_number(reading, FIELD_AUDIT_COUNT, 0);
        reason = record_find(&reading->record, FIELD_REASON);
    }
    if (reason != NULL)
        slice_escape(reason->text, step_out->reason, sizeof(step_out->reason));
    if (step_out->is_signed)
        memcpy(step_out->signature, reading->signature, SIGNATURE_SIZE);
    bool is_checkpoint = step_out->action == ACTION_AUDIT_CHECKPOINT;
    if (is_checkpoint ? !step_out->is_described : step_out->is_signed)
        return ERR_SYNTAX;
    return link_hash(link, reading->body, step_out->hash);
}

/* ---- the order of steps ---- */

/* A record that stands there twice is the same twice. */
static bool is_renumbered(const struct verify *verify)
{
    return verify->suspect.sequence + 1 == verify->next && verify->head_known &&
           memcmp(verify->suspect.head, verify->ends.head, LINK_SIZE) != 0;
}

/* The suspect stands where the next record should, and gives itself another number. */
static void renumber_suspect(struct verify *verify)
{
    verify->has_suspect = false;
    findings_add(&verify->findings, FINDING_MODIFIED, verify->next, verify->next,
                 "it says that it is %llu", (unsigned long long)verify->suspect.sequence);
    memcpy(verify->ends.head, verify->suspect.head, LINK_SIZE);
    verify->is_tainted = true;
    verify->digest_known = false;
    verify->next++;
    verify->summary.records++;
}

/* The step has its place, though others lack theirs or stand there twice. */
static int place_suspect(struct verify *verify)
{
    const struct verify_step *suspect = &verify->suspect;
    uint64_t number = suspect->sequence;
    verify->has_suspect = false;
    if (number > verify->next)
        return verify_prove(verify, suspect, true);
    struct finding *missing = findings_find(&verify->findings, FINDING_MISSING, number);
    verify->is_tainted = true;
    if (missing != NULL)
        missing->kind = FINDING_REORDERED;
    else if (is_renumbered(verify))
        renumber_suspect(verify);
    else if (findings_find(&verify->findings, FINDING_REORDERED, number) == NULL)
        findings_add(&verify->findings, FINDING_DUPLICATED, number, number, "%s", "");
    return 0;
}

/* `number` is that of the step behind the suspect. */
static int judge_suspect(struct verify *verify, uint64_t number)
{
    if (number != verify->next + 1)
        return place_suspect(verify);
    renumber_suspect(verify);
    return 0;
}

/* Lines that are no record stand in the place of those that are expected, up to `number`. */
static void judge_lost(struct verify *verify, uint64_t number)
{
    uint64_t first = verify->next == 0 ? number : verify->next, end = first + verify->lost;
    if (verify->lost == 0)
        return;
    end = end > number ? number : end;
    findings_add(&verify->findings, FINDING_MODIFIED, first, end > first ? end - 1 : first,
                 "no record can be read there");
    verify->lost = 0;
    verify->is_tainted = true;
    verify->digest_known = false;
    if (end <= first)
        return;
    verify->head_known = false;
    verify->next = end;
}

/* The number that the segment's name begins with; 0: none. */
static uint64_t named_number(const struct verify *verify)
{
    uint64_t number;
    struct slice name = slice_of_string(verify->segment);
    struct slice digits = slice_take(name, slice_find(name, '.'));
    return slice_read_number(digits, INT64_MAX, &number) ? number : 0;
}

/* Where the journal begins: as its first segment's name says, else as its first record does. */
static void begin(struct verify *verify)
{
    uint64_t number = named_number(verify);
    verify->next = number > 0 ? number : verify->step.sequence;
    verify->summary.first = verify->next;
    verify_sort_anchors(verify);
}

static int take_step(struct verify *verify)
{
    const struct verify_step *step = &verify->step;
    int status = 0;
    if (verify->next == 0)
        begin(verify);
    judge_lost(verify, step->sequence);
    if (verify->has_suspect)
        status = judge_suspect(verify, step->sequence);
    if (status != 0)
        return status;
    if (step->sequence == verify->next)
        return verify_prove(verify, step, false);
    /* A segment that does not go on where the one before it ended says itself on what it stands. */
    if (step->starts_segment && step->is_described && named_number(verify) == step->sequence) {
        if (step->sequence < verify->next)
            findings_add(&verify->findings, FINDING_DUPLICATED, step->sequence, verify->next - 1,
                         "another segment begins with %llu", (unsigned long long)step->sequence);
        return verify_prove(verify, step, true);
    }
    verify->has_suspect = true;
    verify->suspect = *step;
    return 0;
}

/* ---- from octets to lines ---- */

static int lose_line(struct verify *verify)
{
    int status = verify->has_suspect ? place_suspect(verify) : 0;
    verify->lost++;
    verify->starts_segment = false;
    return status;
}

static int take_line(struct verify *verify, struct slice line)
{
    if (reader_read(line, &verify->reading) != 0)
        return lose_line(verify);
    int status = verify_make_step(verify->link, &verify->reading, &verify->step);
    if (status == ERR_SYNTAX)
        return lose_line(verify);
    verify->step.starts_segment = verify->starts_segment;
    verify->starts_segment = false;
    return status == 0 ? take_step(verify) : status;
}

/* A piece of a line whose end is not there yet. */
static void carry(struct verify *verify, struct slice bytes)
{
    if (bytes.size > sizeof(verify->carry) - verify->carried) {
        verify->is_endless = true;
        return;
    }
    memcpy(verify->carry + verify->carried, bytes.data, bytes.size);
    verify->carried += bytes.size;
}

static int end_carried(struct verify *verify, struct slice bytes)
{
    if (bytes.size > 0)
        carry(verify, bytes);
    struct slice line = slice_of(verify->carry, verify->carried);
    bool is_endless = verify->is_endless;
    verify->carried = 0;
    verify->is_endless = false;
    return is_endless ? lose_line(verify) : take_line(verify, line);
}

int verify_feed(struct verify *verify, struct slice bytes)
{
    int status = 0;
    while (bytes.size > 0 && status == 0) {
        size_t size = slice_find(bytes, '\n');
        struct slice line = slice_take(bytes, size);
        if (size == bytes.size)
            carry(verify, line);
        else if (verify->carried > 0 || verify->is_endless)
            status = end_carried(verify, line);
        else
            status = take_line(verify, line);
        bytes = slice_skip(bytes, size + 1);
    }
    return status;
}

/* Of a segment: a line without an end is what a crash leaves, and no record. */
static int end_segment(struct verify *verify)
{
    bool is_torn = verify->carried > 0 || verify->is_endless;
    int status = is_torn && verify->has_suspect ? place_suspect(verify) : 0;
    uint64_t number = (verify->next > 0 ? verify->next : named_number(verify)) + verify->lost;
    if (is_torn)
        findings_add(&verify->findings, FINDING_TORN, number, number, "in %s", verify->segment);
    verify->carried = 0;
    verify->is_endless = false;
    return status;
}

int verify_segment(struct verify *verify, const char *name)
{
    int status = verify->summary.segments == 0 ? 0 : end_segment(verify);
    verify->summary.segments++;
    verify->starts_segment = true;
    snprintf(verify->segment, sizeof(verify->segment), "%s", name);
    return status;
}

/* ---- the end ---- */

/* What is not there at the start was removed by age, or by somebody. */
static void judge_start(struct verify *verify)
{
    uint64_t last = verify->summary.first - 1;
    if (verify->summary.first <= 1)
        return;
    bool is_told = verify->expired_to >= last;
    if (is_told && (verify->expired_proven || verify->expired_at <= verify->summary.signed_to))
        findings_add(&verify->findings, FINDING_EXPIRED, 1, last, "%s", "");
    else
        findings_add(&verify->findings, FINDING_MISSING, 1, last, "%s",
                     is_told ? "and what says that they expired is not signed yet" : "");
}

static void judge_seeds(struct verify *verify)
{
    for (size_t i = 0; i < verify->keys.seed_count; i++)
        if (!verify->keys.seeds[i].is_used)
            findings_add(&verify->findings, FINDING_OTHER_SEED, verify->summary.first,
                         verify->summary.last, "%s", verify->keys.seeds[i].name);
}

int verify_end(struct verify *verify)
{
    int status = end_segment(verify);
    if (status == 0 && verify->has_suspect)
        status = place_suspect(verify);
    if (verify->next == 0)
        verify_sort_anchors(verify);
    judge_lost(verify, UINT64_MAX);
    judge_start(verify);
    judge_seeds(verify);
    verify_end_anchors(verify);
    return status;
}

const struct findings *verify_findings(const struct verify *verify)
{
    return &verify->findings;
}

const struct verify_summary *verify_summary(const struct verify *verify)
{
    return &verify->summary;
}
