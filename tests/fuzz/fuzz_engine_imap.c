/*
 * The engine and the passage of IMAP: see engine_fuzz.h.
 */
#include "engine_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_engine(PROTOCOL_IMAP, data, size);
}
