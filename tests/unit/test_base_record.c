#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/record.h"

static void test_values(void **state)
{
    struct record record;
    (void)state;
    record_init(&record, ACTION_COMMAND, WHY_NONE, 5);
    record_add_string(&record, FIELD_VERB, "NOOP");
    record_add_string(&record, FIELD_ARGUMENTS, "");
    record_add_string(&record, FIELD_STATUS, NULL);
    record_add_number(&record, FIELD_CLIENT_BYTES, UINT64_MAX);
    record_add_flag(&record, FIELD_TLS_RESUMED, true);
    assert_int_equal(record.count, 3);
    assert_true(slice_is(record_find(&record, FIELD_VERB)->text, "NOOP"));
    assert_true(record_find(&record, FIELD_CLIENT_BYTES)->number == INT64_MAX);
    assert_int_equal(record_find(&record, FIELD_TLS_RESUMED)->number, 1);
    assert_null(record_find(&record, FIELD_STATUS));
}

static void test_too_much(void **state)
{
    struct record record;
    char text[RECORD_TEXT_MAX + 1];
    (void)state;
    memset(text, 'a', sizeof(text));
    record_init(&record, ACTION_MESSAGE_SEND, WHY_NONE, 5);
    for (size_t i = 0; i < RECORD_VALUES_MAX + 1; i++)
        record_add_text(&record, FIELD_RECIPIENT, slice_of(text, sizeof(text)));
    assert_int_equal(record.count, RECORD_VALUES_MAX);
    assert_int_equal(record.values[0].text.size, RECORD_TEXT_MAX);
}

static void test_actions(void **state)
{
    enum record_action found;
    (void)state;
    for (size_t i = 0; i < RECORD_ACTION_COUNT; i++) {
        assert_int_equal(record_action_find(record_action_name((enum record_action)i), &found), 0);
        assert_int_equal(found, i);
        assert_true(strlen(record_action_categories((enum record_action)i)) > 0);
        assert_true(strlen(record_action_types((enum record_action)i)) > 0);
    }
    assert_int_equal(record_action_find("Command", &found), ERR_NOT_FOUND);
}

static size_t common_prefix(const char *one, const char *other)
{
    size_t last = 0;
    for (size_t i = 0; one[i] == other[i] && one[i] != '\0'; i++)
        if (one[i] == '.')
            last = i + 1;
    return last;
}

/* A line is written in one walk, so that an object that was left does not come again; and no path
 * stands for a value and an object at once. */
static void test_fields_of_one_object_follow_one_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORD_FIELD_COUNT; i++)
        for (size_t j = i + 1; j < RECORD_FIELD_COUNT; j++) {
            const char *one = record_field_path((enum record_field)i);
            const char *other = record_field_path((enum record_field)j);
            size_t shared = common_prefix(one, other);
            assert_string_not_equal(one, other);
            assert_false(strncmp(one, other, strlen(one)) == 0 && other[strlen(one)] == '.');
            for (size_t k = i + 1; k < j && shared > 0; k++)
                assert_true(common_prefix(one, record_field_path((enum record_field)k)) >= shared);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_fields_of_one_object_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
