/*
 * A journal that is behind, or fails, when a test says so; found before the real one.
 */
#ifndef ECLUSE_TESTS_NET_SCRIPTED_JOURNAL_H
#define ECLUSE_TESTS_NET_SCRIPTED_JOURNAL_H

#include "keeper/journal.h"

struct journal_ticket {
    struct list node;
    void (*on_durable)(void *owner, int status);
    void *owner;
};

static struct {
    bool is_behind; /* what is written is not on disk */
    bool refuses;
    unsigned records, receipts, forgotten;
    uint64_t receipt;
    struct record last; /* without its texts */
    struct list tickets;
} scripted;

struct journal *journal_open_off(struct loop *loop, const struct log *log)
{
    (void)loop;
    (void)log;
    memset(&scripted, 0, sizeof(scripted));
    list_init(&scripted.tickets);
    return NULL;
}

void journal_close(struct journal *journal)
{
    (void)journal;
    assert_true(list_is_empty(&scripted.tickets));
}

void journal_write(struct journal *journal, const struct journal_place *place,
                   const struct record *record)
{
    (void)journal;
    (void)place;
    scripted.records++;
    scripted.last = (struct record){.action = record->action, .why = record->why};
}

void journal_want_receipt(struct journal *journal, unsigned gate, uint64_t receipt)
{
    (void)journal;
    (void)gate;
    scripted.receipts++;
    scripted.receipt = receipt;
}

void journal_forget_gate(struct journal *journal, unsigned gate)
{
    (void)journal;
    scripted.forgotten = gate;
}

bool journal_is_durable(const struct journal *journal)
{
    (void)journal;
    return !scripted.is_behind;
}

bool journal_refuses(const struct journal *journal)
{
    (void)journal;
    return scripted.refuses;
}

struct journal_ticket *journal_when_durable(struct journal *journal,
                                            void (*on_durable)(void *owner, int status),
                                            void *owner)
{
    struct journal_ticket *ticket = mem_new(sizeof(*ticket));
    (void)journal;
    ticket->on_durable = on_durable;
    ticket->owner = owner;
    list_init(&ticket->node);
    list_append(&scripted.tickets, &ticket->node);
    return ticket;
}

void journal_cancel(struct journal_ticket *ticket)
{
    list_remove(&ticket->node);
    mem_free(ticket);
}

void journal_fingerprint(const struct journal *journal, const struct secret *token,
                         char fingerprint_out[JOURNAL_FINGERPRINT])
{
    (void)journal;
    (void)token;
    *fingerprint_out = '\0';
}

static inline size_t scripted_waiting(void)
{
    size_t count = 0;
    LIST_FOREACH (node, &scripted.tickets)
        count++;
    return count;
}

/* Whoever waits is told. */
static inline void scripted_tell(int status)
{
    while (!list_is_empty(&scripted.tickets)) {
        struct journal_ticket copy =
            *CONTAINER_OF(scripted.tickets.next, struct journal_ticket, node);
        journal_cancel(CONTAINER_OF(scripted.tickets.next, struct journal_ticket, node));
        copy.on_durable(copy.owner, status);
    }
}

#endif
