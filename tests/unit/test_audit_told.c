/*
 * What a journal tells of itself: what was lost, what was recovered, what is gone by age, where
 * another seed begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verify_world.h"

#define NOTHING FINDING_KIND_COUNT

static void check(struct world_journal *journal, enum finding_kind kind, uint64_t first)
{
    for (int knowledge = KNOWS_KEY; knowledge <= KNOWS_BOTH; knowledge++)
        world_check(journal, (enum world_knowledge)knowledge, kind, first);
    world_clear(journal);
}

static void begin_gap(struct record *record, enum record_action action, uint64_t first,
                      uint64_t last)
{
    record_init(record, action, WHY_INTERNAL, WORLD_TIME);
    record_add_number(record, FIELD_AUDIT_FIRST, first);
    record_add_number(record, FIELD_AUDIT_LAST, last);
    record_add_number(record, FIELD_AUDIT_COUNT, 0);
    record_add_string(record, FIELD_REASON, "No space left on device");
}

/* Records 33 to 35 are written where nothing can be, and the journal goes on with 36. */
static struct world_journal *interrupted(enum record_action action, uint64_t first, uint64_t last)
{
    struct record record;
    struct world_journal *journal = world_journal();
    world_commands(journal, 3);
    world_remove(journal, 32, 3);
    begin_gap(&record, action, first, last);
    world_open(journal, &record);
    world_commands(journal, 2);
    world_checkpoint(journal);
    return journal;
}

static void test_gaps(void **state)
{
    (void)state;
    check(interrupted(ACTION_AUDIT_GAP, 33, 35), FINDING_GAP, 33);
    check(interrupted(ACTION_AUDIT_GAP, 30, 35), FINDING_GAP, 33);
    check(interrupted(ACTION_AUDIT_GAP, 34, 35), FINDING_MISSING, 33);
    check(interrupted(ACTION_AUDIT_GAP, 33, 34), FINDING_MISSING, 33);
    /* What was missing at a start is no honest loss. */
    check(interrupted(ACTION_AUDIT_RECOVERED, 33, 35), FINDING_MISSING, 33);
}

/* A part of what failed may stand there all the same, and a torn line behind it. */
static void test_what_failed_stands_there_in_part(void **state)
{
    struct record record;
    (void)state;
    for (size_t kept = 0; kept <= 3; kept++) {
        struct world_journal *journal = world_journal();
        world_commands(journal, 3);
        world_remove(journal, 32 + kept, 3 - kept);
        world_insert(journal, journal->count, "{\"@timest", 9);
        begin_gap(&record, ACTION_AUDIT_GAP, 33, 35);
        world_open(journal, &record);
        world_commands(journal, 2);
        world_checkpoint(journal);
        check(journal, FINDING_TORN, 33 + kept);
    }
}

static void test_a_gap_over_too_much(void **state)
{
    (void)state;
    for (int epochs = 15; epochs <= 17; epochs++) {
        struct record record;
        struct world_journal *journal = world_journal();
        for (int i = 0; i < epochs; i++)
            world_checkpoint(journal);
        world_remove(journal, 32, (size_t)epochs);
        begin_gap(&record, ACTION_AUDIT_GAP, 33, 200);
        world_open(journal, &record);
        world_checkpoint(journal);
        check(journal, epochs <= 16 ? FINDING_GAP : FINDING_MISSING, 33);
    }
}

static void test_recovered(void **state)
{
    struct record record;
    struct world_journal *journal = world_journal();
    (void)state;
    record_init(&record, ACTION_AUDIT_RECOVERED, WHY_INTERNAL, WORLD_TIME);
    world_write(journal, &record);
    check(journal, FINDING_RECOVERED, 33);
}

static void test_torn_tails(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        struct world_journal *journal = world_journal();
        journal->lines[31].size -= size;
        check(journal, FINDING_TORN, 32);
    }
}

/* ---- by age ---- */

static struct world_journal *expired(uint64_t last, bool is_signed)
{
    struct record record;
    struct world_journal *journal = world_journal();
    record_init(&record, ACTION_AUDIT_EXPIRE, WHY_NONE, WORLD_TIME);
    record_add_number(&record, FIELD_AUDIT_FIRST, 1);
    record_add_number(&record, FIELD_AUDIT_LAST, last);
    world_write(journal, &record);
    if (is_signed)
        world_checkpoint(journal);
    world_remove(journal, 0, 11);
    return journal;
}

static void test_expiry(void **state)
{
    struct world_journal *journal = expired(11, true);
    (void)state;
    for (size_t segment = 0; segment < 2; segment++) {
        for (int knowledge = KNOWS_NOTHING; knowledge <= KNOWS_BOTH; knowledge++)
            world_check(journal, (enum world_knowledge)knowledge, FINDING_EXPIRED, 1);
        world_clear(journal);
        journal = expired(16, true);
    }
    world_clear(journal);
    check(expired(10, true), FINDING_MISSING, 1);
    /* A tombstone that nothing proves yet. */
    journal = expired(11, false);
    world_check(journal, KNOWS_KEY, FINDING_MISSING, 1);
    world_check(journal, KNOWS_SEED, FINDING_EXPIRED, 1);
    world_clear(journal);
}

/* Whatever begins the journal then is proven as well. */
static void test_changes_behind_an_expiry(void **state)
{
    (void)state;
    for (uint64_t number = 12; number <= 32; number++) {
        struct world_journal *journal = expired(11, true);
        struct world_line *line = &journal->lines[number - 12];
        char *octet = strstr(line->text, "\"version\":\"1") + 11;
        *octet = '2';
        world_check(journal, KNOWS_SEED, FINDING_MODIFIED, number);
        for (int knowledge = KNOWS_KEY; knowledge <= KNOWS_SEED; knowledge++) {
            struct verify *verify = world_verify((enum world_knowledge)knowledge);
            world_feed(verify, journal, 0);
            assert_int_equal(findings_grade(verify_findings(verify)), GRADE_TAMPERED);
            verify_free(verify);
        }
        world_clear(journal);
    }
}

/* ---- seeds ---- */

static struct world_journal *reseeded(void)
{
    struct world_journal *journal = world_journal();
    struct secret seed = world_secret(16);
    assert_int_equal(chain_set_seed(journal->chain, &seed), 0);
    secret_wipe(&seed);
    world_checkpoint(journal);
    world_segment(journal);
    world_commands(journal, 3);
    world_checkpoint(journal);
    world_commands(journal, 1);
    return journal;
}

static uint64_t sealed_by(const struct world_journal *journal, bool has_old, int more,
                          enum finding_grade grade)
{
    struct verify *verify = world_verify(has_old ? KNOWS_BOTH : KNOWS_KEY);
    struct secret seed = world_secret(more == 1 ? 16 : 5);
    if (more > 0)
        assert_int_equal(verify_add_seed(verify, &seed), 0);
    world_feed(verify, journal, 0);
    if (findings_grade(verify_findings(verify)) != grade)
        world_print(verify);
    assert_int_equal(findings_grade(verify_findings(verify)), grade);
    uint64_t sealed = verify_summary(verify)->sealed;
    secret_wipe(&seed);
    verify_free(verify);
    return sealed;
}

static void test_seeds(void **state)
{
    struct world_journal *journal = reseeded();
    (void)state;
    assert_int_equal(journal->count, 39);
    assert_int_equal(sealed_by(journal, true, 1, GRADE_NONE), 39);
    assert_int_equal(sealed_by(journal, true, 0, GRADE_NONE), 33);
    assert_int_equal(sealed_by(journal, false, 1, GRADE_NONE), 6);
    assert_int_equal(sealed_by(journal, false, 2, GRADE_TAMPERED), 0);
    assert_int_equal(sealed_by(journal, true, 2, GRADE_TAMPERED), 33);
    world_clear(journal);
}

/* A gap may not lead to a seed that nobody knows. */
static void test_another_seed_behind_a_gap(void **state)
{
    struct record record;
    struct secret seed = world_secret(5);
    struct world_journal *journal = world_journal();
    (void)state;
    assert_int_equal(chain_set_seed(journal->chain, &seed), 0);
    secret_wipe(&seed);
    world_checkpoint(journal);
    world_remove(journal, 32, 1);
    begin_gap(&record, ACTION_AUDIT_GAP, 33, 33);
    world_open(journal, &record);
    world_checkpoint(journal);
    world_check(journal, KNOWS_SEED, FINDING_OTHER_SEED, 34);
    world_clear(journal);
}

static void test_nothing_at_all(void **state)
{
    struct verify *verify = world_verify(KNOWS_KEY);
    (void)state;
    assert_int_equal(verify_end(verify), 0);
    assert_int_equal(findings_grade(verify_findings(verify)), GRADE_NONE);
    assert_int_equal(verify_summary(verify)->records, 0);
    verify_free(verify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_what_failed_stands_there_in_part),
        cmocka_unit_test(test_a_gap_over_too_much),
        cmocka_unit_test(test_recovered),
        cmocka_unit_test(test_torn_tails),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_changes_behind_an_expiry),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_another_seed_behind_a_gap),
        cmocka_unit_test(test_nothing_at_all),
    };
    return cmocka_run_group_tests_name("audit/verify: told", tests, NULL, NULL);
}
