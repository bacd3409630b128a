#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verify_world.h"

static void test_an_intact_journal(void **state)
{
    struct world_journal *journal = world_journal();
    (void)state;
    for (int knowledge = KNOWS_NOTHING; knowledge <= KNOWS_BOTH; knowledge++)
        for (size_t piece = 0; piece < 700; piece = piece * 3 + 1) {
            struct verify *verify = world_verify((enum world_knowledge)knowledge);
            world_feed(verify, journal, piece);
            const struct verify_summary *summary = verify_summary(verify);
            world_print(verify);
            assert_int_equal(findings_grade(verify_findings(verify)), GRADE_NONE);
            assert_int_equal(summary->segments, 3);
            assert_int_equal(summary->records, 32);
            assert_int_equal(summary->first, 1);
            assert_int_equal(summary->last, 32);
            assert_int_equal(summary->checkpoints, 5);
            assert_int_equal(summary->signed_to, 28);
            assert_int_equal(summary->sealed, knowledge >= KNOWS_SEED ? 32 : 0);
            assert_int_equal(summary->is_key_assumed,
                             knowledge == KNOWS_NOTHING || knowledge == KNOWS_SEED);
            verify_free(verify);
        }
    world_clear(journal);
}

static void check_bit(const struct world_journal *journal, uint64_t number,
                      enum world_knowledge knowledge)
{
    struct verify *verify = world_verify(knowledge);
    world_feed(verify, journal, 0);
    const struct finding *finding = world_worst(verify);
    bool is_proven = knowledge == KNOWS_SEED || number <= 3;
    uint64_t least = knowledge == KNOWS_SEED ? number : 1;
    /* The LF that ends the journal: without it, what is left is what a crash leaves. */
    bool is_torn = finding != NULL && finding->kind == FINDING_TORN && number == journal->count;
    if (is_proven && (finding == NULL || finding->first > number || finding->first < least ||
                      (finding_grade(finding->kind) != GRADE_TAMPERED && !is_torn))) {
        world_print(verify);
        fail_msg("record %llu, knowing %d", (unsigned long long)number, knowledge);
    }
    verify_free(verify);
}

/* Every octet of the journal, every bit of it in turn: by the seed the very record is named, by the
 * public key alone one of its epoch. What stands behind the last checkpoint the seed alone proves.
 */
static void test_every_octet(void **state)
{
    struct world_journal *journal = world_small_journal();
    (void)state;
    for (size_t i = 0; i < journal->count; i++)
        for (size_t octet = 0; octet < journal->lines[i].size; octet++) {
            char changed = (char)(1u << octet % 8);
            journal->lines[i].text[octet] ^= changed;
            check_bit(journal, i + 1, KNOWS_KEY);
            check_bit(journal, i + 1, KNOWS_SEED);
            journal->lines[i].text[octet] ^= changed;
        }
    world_clear(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_intact_journal),
        cmocka_unit_test(test_every_octet),
    };
    return cmocka_run_group_tests_name("audit/verify", tests, NULL, NULL);
}
