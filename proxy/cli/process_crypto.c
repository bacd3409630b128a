/*
 * Happy path: libcrypto gets our memory, and starts up.
 *
 * Failures: out of memory ends the process, here as at any time later. libcrypto 3.0 and libssl go
 * on without what they did not get: for a handshake, but also for the rest of a process, without
 * an algorithm that was lost at the first use of its kind, or for the rest of a context, without a
 * kind of signature.
 */
#include <openssl/crypto.h>

#include "base/mem.h"
#include "cli/process.h"

static void *resize(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size > 0)
        return mem_resize(memory, size);
    mem_free(memory);
    return NULL;
}

static void *allocate(size_t size, const char *file, int line)
{
    return resize(NULL, size, file, line);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(memory);
}

void process_open_crypto(void)
{
    ENSURE(CRYPTO_set_mem_functions(allocate, resize, release) == 1);
    ENSURE(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_ADD_ALL_CIPHERS |
                                   OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CONFIG,
                               NULL) == 1);
}
