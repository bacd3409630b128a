/*
 * The tap of POP3: see tap_fuzz.h.
 */
#include "tap_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tap(PROTOCOL_POP3, data, size);
}
