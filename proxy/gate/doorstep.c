/*
 * A ring of descriptors, counted as they come; receipts come back in that order, so that one of
 * them is enough for all before it. Nothing in it can fail.
 */
#include "gate/doorstep.h"

#include <unistd.h>

#include "base/mem.h"

#define RECEIPT_BIT (UINT64_C(1) << 63)

struct doorstep {
    int descriptors[DOORSTEP_MAX];
    uint64_t first, next; /* those from first to next - 1 stand there */
};

struct doorstep *doorstep_new(void)
{
    return mem_new(sizeof(struct doorstep));
}

static void close_first(struct doorstep *doorstep)
{
    close(doorstep->descriptors[doorstep->first++ % DOORSTEP_MAX]);
}

void doorstep_clear(struct doorstep *doorstep)
{
    while (!doorstep_is_empty(doorstep))
        close_first(doorstep);
}

void doorstep_free(struct doorstep *doorstep)
{
    if (doorstep != NULL)
        doorstep_clear(doorstep);
    mem_free(doorstep);
}

uint64_t doorstep_put(struct doorstep *doorstep, int descriptor)
{
    if (doorstep->next - doorstep->first == DOORSTEP_MAX)
        close_first(doorstep);
    doorstep->descriptors[doorstep->next % DOORSTEP_MAX] = descriptor;
    return RECEIPT_BIT | doorstep->next++;
}

bool doorstep_is_receipt(uint64_t receipt)
{
    return (receipt & RECEIPT_BIT) != 0;
}

void doorstep_release(struct doorstep *doorstep, uint64_t receipt)
{
    uint64_t number = receipt & ~RECEIPT_BIT;
    while (!doorstep_is_empty(doorstep) && doorstep->first <= number)
        close_first(doorstep);
}

bool doorstep_is_empty(const struct doorstep *doorstep)
{
    return doorstep->first == doorstep->next;
}
