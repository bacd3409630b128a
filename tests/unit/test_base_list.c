#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list node;
};

static struct item items[4];

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < (int)LENGTH_OF(items); i++) {
        items[i].number = i + 1;
        list_init(&items[i].node);
    }
    return 0;
}

/* The numbers as digits, both ways round: 123 is the list 1, 2, 3. */
static int digits(const struct list *head)
{
    int forward = 0, backward = 0, factor = 1;
    LIST_FOREACH (node, head)
        forward = forward * 10 + CONTAINER_OF(node, struct item, node)->number;
    for (struct list *node = head->previous; node != head; node = node->previous) {
        backward += factor * CONTAINER_OF(node, struct item, node)->number;
        factor *= 10;
    }
    assert_int_equal(forward, backward);
    return forward;
}

static void test_order(void **state)
{
    struct list head;
    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_int_equal(digits(&head), 0);
    list_append(&head, &items[1].node);
    assert_false(list_is_empty(&head));
    list_append(&head, &items[2].node);
    list_prepend(&head, &items[0].node);
    assert_int_equal(digits(&head), 123);
}

static void test_remove(void **state)
{
    struct list head;
    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 4; i++)
        list_append(&head, &items[i].node);
    list_remove(&items[1].node);
    assert_int_equal(digits(&head), 134);
    assert_true(list_is_empty(&items[1].node));
    list_remove(&items[1].node); /* in no list: fine */
    list_remove(&items[0].node);
    list_remove(&items[3].node);
    assert_int_equal(digits(&head), 3);
    list_append(&head, &items[0].node);
    assert_int_equal(digits(&head), 31);
    list_remove(&items[2].node);
    list_remove(&items[0].node);
    assert_true(list_is_empty(&head));
}

static void test_remove_while_walking(void **state)
{
    struct list head;
    int seen = 0;
    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 4; i++)
        list_append(&head, &items[i].node);
    LIST_FOREACH_SAFE (node, &head) {
        struct item *item = CONTAINER_OF(node, struct item, node);
        seen = seen * 10 + item->number;
        if (item->number % 2 == 0)
            list_remove(node);
    }
    assert_int_equal(seen, 1234);
    assert_int_equal(digits(&head), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, set_up),
        cmocka_unit_test_setup(test_remove, set_up),
        cmocka_unit_test_setup(test_remove_while_walking, set_up),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
