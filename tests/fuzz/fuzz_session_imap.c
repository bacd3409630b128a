/*
 * A session of IMAP: see session_fuzz.h.
 */
#include "session_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_session(PROTOCOL_IMAP, data, size);
}
