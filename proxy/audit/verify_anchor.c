/*
 * Happy path: an anchor's line is a checkpoint of this journal, signed; the journal has the same
 * record under the same number, and goes on behind the last one.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/verify_internal.h"

/* The line of JSON that ends a line of a log. */
static struct slice find_json(struct slice line)
{
    while (line.size > 0 && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == ' '))
        line.size--;
    const uint8_t *start =
        line.size == 0 ? NULL : memmem(line.data, line.size, "{\"@timestamp\"", 13);
    return start == NULL ? SLICE_NONE : slice_skip(line, (size_t)(start - line.data));
}

static void append(struct verify *verify, const struct verify_anchor *anchor)
{
    if (verify->anchor_count == verify->anchor_capacity) {
        verify->anchor_capacity = 2 * verify->anchor_capacity + 64;
        verify->anchors =
            mem_resize(verify->anchors, verify->anchor_capacity * sizeof(*verify->anchors));
    }
    verify->anchors[verify->anchor_count++] = *anchor;
}

int verify_add_anchor(struct verify *verify, struct slice line)
{
    struct verify_step *step = &verify->step;
    struct slice json = find_json(line);
    if (json.size == 0 || reader_read(json, &verify->reading) != 0 ||
        verify->reading.record.action != ACTION_AUDIT_CHECKPOINT)
        return ERR_NOT_FOUND;
    if (verify->anchor_count == VERIFY_ANCHORS_MAX)
        return ERR_FULL;
    int status = verify_make_step(verify->link, &verify->reading, step);
    struct verify_anchor anchor = {.sequence = step->sequence, .ends = step->before};
    if (status == 0)
        status = link_extend(verify->link, step->hash, step->head, anchor.ends.digest);
    if (status == ERR_CRYPTO)
        return status;
    memcpy(anchor.ends.head, step->head, LINK_SIZE);
    if (status != 0 || !step->is_signed || !verify->has_public_key ||
        !link_is_signed(verify->public_key, anchor.ends.digest, step->signature))
        return ERR_DENIED;
    append(verify, &anchor);
    verify->summary.anchors++;
    return 0;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = ((const struct verify_anchor *)one)->sequence;
    uint64_t b = ((const struct verify_anchor *)other)->sequence;
    return a < b ? -1 : a > b;
}

static bool is_same(const struct link_ends *one, const struct link_ends *other)
{
    return memcmp(one->head, other->head, LINK_SIZE) == 0 &&
           memcmp(one->digest, other->digest, LINK_SIZE) == 0;
}

void verify_sort_anchors(struct verify *verify)
{
    size_t kept = 0;
    if (verify->anchor_count > 0)
        qsort(verify->anchors, verify->anchor_count, sizeof(*verify->anchors), compare);
    for (size_t i = 0; i < verify->anchor_count; i++) {
        struct verify_anchor *anchor = &verify->anchors[i];
        bool is_known = kept > 0 && verify->anchors[kept - 1].sequence == anchor->sequence;
        if (is_known && !is_same(&verify->anchors[kept - 1].ends, &anchor->ends))
            findings_add(&verify->findings, FINDING_ROLLED_BACK, anchor->sequence, anchor->sequence,
                         "two checkpoints of the anchor have this number");
        if (!is_known)
            verify->anchors[kept++] = *anchor;
    }
    verify->anchor_count = kept;
}

/* The first record that may be another than the one that was there. */
static uint64_t first_in_doubt(const struct verify *verify)
{
    uint64_t first = verify->summary.first;
    return verify->summary.anchored_to >= first ? verify->summary.anchored_to + 1 : first;
}

void verify_compare_anchors(struct verify *verify, const struct verify_step *step)
{
    while (verify->anchor_next < verify->anchor_count &&
           verify->anchors[verify->anchor_next].sequence <= step->sequence) {
        const struct verify_anchor *anchor = &verify->anchors[verify->anchor_next++];
        if (anchor->sequence < verify->summary.first)
            continue;
        bool is_there = anchor->sequence == step->sequence;
        /* What was found since the last checkpoint makes the digest another, and is told already.
         */
        bool is_other = memcmp(anchor->ends.head, step->head, LINK_SIZE) != 0 ||
                        (verify->digest_known && !verify->is_tainted &&
                         memcmp(anchor->ends.digest, verify->ends.digest, LINK_SIZE) != 0);
        if (!is_there || is_other)
            findings_add(&verify->findings, FINDING_ROLLED_BACK, first_in_doubt(verify),
                         anchor->sequence, "the anchor knows another record %llu",
                         (unsigned long long)anchor->sequence);
        else
            verify->summary.anchored_to = anchor->sequence;
    }
}

void verify_end_anchors(struct verify *verify)
{
    if (verify->anchor_count == 0)
        return;
    uint64_t last = verify->anchors[verify->anchor_count - 1].sequence;
    if (last >= verify->next)
        findings_add(&verify->findings, FINDING_TRUNCATED, verify->next, last,
                     "the anchor knows record %llu", (unsigned long long)last);
}
