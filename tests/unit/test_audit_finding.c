/*
 * Findings have a maximum: whoever can cause many of one kind must not hide a worse one by them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "audit/finding.h"

/* No two are of one run. */
static void add_many(struct findings *findings, enum finding_kind kind, uint64_t first,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        findings_add(findings, kind, first + 10 * i, first + 10 * i, "number %u", i);
}

static void test_runs_are_one(void **state)
{
    struct findings findings = {0};
    (void)state;
    findings_add(&findings, FINDING_MISSING, 3, 4, "gone");
    findings_add(&findings, FINDING_MISSING, 5, 9, "gone");
    findings_add(&findings, FINDING_MISSING, 10, 10, "otherwise");
    findings_add(&findings, FINDING_MODIFIED, 11, 11, "otherwise");
    findings_add(&findings, FINDING_MODIFIED, 20, 20, "otherwise");
    assert_int_equal(findings.count, 4);
    assert_int_equal(findings.items[0].last, 9);
    assert_ptr_equal(findings_find(&findings, FINDING_MISSING, 7), &findings.items[0]);
    assert_null(findings_find(&findings, FINDING_MISSING, 11));
    assert_int_equal(findings_first(&findings, GRADE_TAMPERED)->first, 3);
    assert_null(findings_first(&findings, GRADE_TORN));
}

static void test_the_least_bad_are_left_out(void **state)
{
    struct findings findings = {0};
    (void)state;
    add_many(&findings, FINDING_GAP, 1, FINDINGS_MAX);
    assert_int_equal(findings_grade(&findings), GRADE_NOTE);
    findings_add(&findings, FINDING_MODIFIED, 5000, 5000, "changed");
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(findings.left_out, 1);
    assert_int_equal(findings.worst_left_out, GRADE_NOTE);
    assert_non_null(findings_find(&findings, FINDING_MODIFIED, 5000));
    /* The last of them went; those before it stand where they stood. */
    assert_null(findings_find(&findings, FINDING_GAP, 1 + 10 * (FINDINGS_MAX - 1)));
    for (unsigned i = 0; i < FINDINGS_MAX - 1; i++)
        assert_int_equal(findings.items[i].first, 1 + 10 * i);
    assert_int_equal(findings_grade(&findings), GRADE_TAMPERED);
}

static void test_one_as_bad_as_all_is_counted(void **state)
{
    struct findings findings = {0};
    (void)state;
    add_many(&findings, FINDING_MODIFIED, 1, FINDINGS_MAX);
    findings_add(&findings, FINDING_TORN, 4999, 4999, "torn");
    assert_int_equal(findings.worst_left_out, GRADE_TORN);
    findings_add(&findings, FINDING_RESEALED, 5000, 5000, "by the key of epoch 3");
    assert_int_equal(findings.left_out, 2);
    assert_int_equal(findings.worst_left_out, GRADE_TAMPERED);
    assert_null(findings_find(&findings, FINDING_RESEALED, 5000));
    assert_int_equal(findings.items[FINDINGS_MAX - 1].first, 1 + 10 * (FINDINGS_MAX - 1));
}

static void test_nothing_worse_is_hidden(void **state)
{
    struct findings findings = {0};
    (void)state;
    add_many(&findings, FINDING_EXPIRED, 1, FINDINGS_MAX / 2);
    add_many(&findings, FINDING_TORN, 1001, 3 * FINDINGS_MAX);
    add_many(&findings, FINDING_MISSING, 9001, 5);
    size_t missing = 0, expired = 0;
    for (size_t i = 0; i < findings.count; i++) {
        missing += findings.items[i].kind == FINDING_MISSING;
        expired += findings.items[i].kind == FINDING_EXPIRED;
    }
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(missing, 5);
    assert_int_equal(expired, 0);
    assert_int_equal(findings.left_out, FINDINGS_MAX / 2 + 3 * FINDINGS_MAX + 5 - FINDINGS_MAX);
}

static void test_words_are_printable(void **state)
{
    struct findings findings = {0};
    (void)state;
    findings_add(&findings, FINDING_ROLLED_BACK, 1, 1, "\x1b[2J%s", "\n");
    assert_string_equal(findings.items[0].text, "\\x1b[2J\\x0a");
    assert_string_equal(finding_word(FINDING_ROLLED_BACK), "rolled back");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_are_one),
        cmocka_unit_test(test_the_least_bad_are_left_out),
        cmocka_unit_test(test_one_as_bad_as_all_is_counted),
        cmocka_unit_test(test_nothing_worse_is_hidden),
        cmocka_unit_test(test_words_are_printable),
    };
    return cmocka_run_group_tests_name("audit/finding", tests, NULL, NULL);
}
