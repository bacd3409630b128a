/*
 * The tap of SMTP: see tap_fuzz.h.
 */
#include "tap_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_tap(PROTOCOL_SMTP, data, size);
}
