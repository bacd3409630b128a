/*
 * An intrusive doubly linked ring. The head is a node of its own; a node that is in no list is
 * linked to itself, so that list_remove may always be called.
 */
#ifndef ECLUSE_BASE_LIST_H
#define ECLUSE_BASE_LIST_H

#include <stdbool.h>

#include "base/mem.h"

struct list {
    struct list *next, *previous;
};

#define LIST_FOREACH(node, head)                                                                   \
    for (struct list *node = (head)->next; node != (head); node = node->next)
/* The body may remove `node` (and only it). */
#define LIST_FOREACH_SAFE(node, head)                                                              \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

void list_init(struct list *list);
bool list_is_empty(const struct list *head);
/* Puts a node that is in no list at the end or the start. */
void list_append(struct list *head, struct list *node);
void list_prepend(struct list *head, struct list *node);
void list_remove(struct list *node);

#endif
