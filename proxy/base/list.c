#include "base/list.h"

void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static void insert_between(struct list *node, struct list *previous, struct list *next)
{
    ENSURE(list_is_empty(node));
    node->previous = previous;
    node->next = next;
    previous->next = node;
    next->previous = node;
}

void list_append(struct list *head, struct list *node)
{
    insert_between(node, head->previous, head);
}

void list_prepend(struct list *head, struct list *node)
{
    insert_between(node, head, head->next);
}

void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}
