/*
 * The manual page ecluse-audit(5) lists every member of a line and every action, in the order and
 * in the words of the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/line_terms.h"

#define PAGE     "config/man/ecluse-audit.5"
#define PAGE_MAX 65536u

static const char *const kind_words[] = {
    [RECORD_TEXT] = "text",       [RECORD_NUMBER] = "number",  [RECORD_FLAG] = "flag",
    [RECORD_ADDRESS] = "address", [RECORD_MAILBOX] = "folder", [RECORD_ARGUMENTS] = "arguments"};

static int read_page(void **state)
{
    char *page = mem_new(PAGE_MAX);
    FILE *file = fopen(PAGE, "re");
    assert_non_null(file);
    size_t size = fread(page, 1, PAGE_MAX - 1, file);
    page[size] = '\0';
    (void)fclose(file);
    *state = page;
    return 0;
}

static int free_page(void **state)
{
    mem_free(*state);
    return 0;
}

/* Where the page goes on behind the entry, which must come next. */
static const char *expect(const char *page, const char *entry)
{
    const char *next = strstr(page, "\n.It ");
    if (next == NULL || strncmp(next + 1, entry, strlen(entry)) != 0)
        fail_msg(PAGE " must go on with\n%s", entry);
    return next + strlen(entry);
}

static const char *section(const char *page, const char *name)
{
    const char *start = strstr(page, name);
    assert_non_null(start);
    return start;
}

static void test_members(void **state)
{
    const char *page = section(*state, "\n.Sh MEMBERS\n");
    for (size_t i = 0; i < line_member_count(); i++) {
        const struct line_member *member = line_member(i);
        char entry[256];
        snprintf(entry, sizeof(entry), ".It Li %s Pq %s\n%s\n", member->path,
                 kind_words[member->kind], member->meaning);
        page = expect(page, entry);
    }
    assert_int_equal(strncmp(page, "\n.El\n", 5), 0);
}

static void test_actions(void **state)
{
    const char *page = section(*state, "\n.Sh ACTIONS\n");
    for (size_t i = 0; i < RECORD_ACTION_COUNT; i++) {
        enum record_action action = (enum record_action)i;
        char entry[256];
        snprintf(entry, sizeof(entry), ".It Li %s\n%s / %s\n", record_action_name(action),
                 record_action_categories(action), record_action_types(action));
        page = expect(page, entry);
    }
    assert_int_equal(strncmp(page, "\n.El\n", 5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_actions),
    };
    return cmocka_run_group_tests_name("audit/manual", tests, read_page, free_page);
}
