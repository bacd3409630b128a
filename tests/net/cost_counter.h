/*
 * Counts what a program does while its event loop runs: system calls and allocations. For a test
 * that holds the costs of an operation under a ceiling without measuring time. Link with
 * cost_counter.o, which stands before the C library's own functions; nothing is counted under
 * AddressSanitizer, which stands there itself.
 */
#ifndef ECLUSE_TESTS_COST_COUNTER_H
#define ECLUSE_TESTS_COST_COUNTER_H

#include <stdbool.h>
#include <stddef.h>

struct costs {
    size_t reads, writes; /* of sockets, by whichever call */
    size_t other_calls;   /* all others but those that wait: these depend on who is faster */
    size_t allocations;   /* OpenSSL's and libuv's too */
    size_t octets_written;
    size_t octets_allocated;
};

bool costs_are_counted(void);
/* Since the start; the loop is not running. */
struct costs costs_now(void);

#endif
