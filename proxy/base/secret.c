#include "base/secret.h"

#include <openssl/crypto.h>
#include <string.h>

/* Smallest block of the secure heap: most tokens are far above, passwords just below. */
#define SECURE_BLOCK_MIN 32

bool secret_heap_open(size_t size)
{
    return CRYPTO_secure_malloc_init(size, SECURE_BLOCK_MIN) == 1;
}

/* The secure heap is small; when it is full, plain memory that is wiped just the same has to do. */
static uint8_t *secret_memory(size_t size)
{
    uint8_t *memory = CRYPTO_secure_malloc_initialized() ? OPENSSL_secure_malloc(size) : NULL;
    return memory != NULL ? memory : mem_new(size);
}

static void secret_release(uint8_t *memory, size_t size)
{
    if (CRYPTO_secure_allocated(memory)) {
        OPENSSL_secure_clear_free(memory, size);
        return;
    }
    mem_wipe(memory, size);
    mem_free(memory);
}

void secret_set(struct secret *secret, struct slice bytes)
{
    uint8_t *memory = secret_memory(bytes.size + 1);
    if (bytes.size > 0)
        memcpy(memory, bytes.data, bytes.size);
    memory[bytes.size] = '\0';
    secret_wipe(secret);
    *secret = (struct secret){memory, bytes.size};
}

void secret_move(struct secret *to, struct secret *from)
{
    if (to == from)
        return;
    secret_wipe(to);
    *to = *from;
    *from = (struct secret){0};
}

void secret_copy(struct secret *to, const struct secret *from)
{
    if (secret_is_set(from))
        secret_set(to, secret_bytes(from));
    else
        secret_wipe(to);
}

void secret_wipe(struct secret *secret)
{
    if (secret->bytes != NULL)
        secret_release(secret->bytes, secret->size + 1);
    *secret = (struct secret){0};
}

bool secret_is_set(const struct secret *secret)
{
    return secret->bytes != NULL;
}

struct slice secret_bytes(const struct secret *secret)
{
    return slice_of(secret->bytes, secret->size);
}

bool secret_equal(const struct secret *a, struct slice b)
{
    return secret_is_set(a) && a->size == b.size &&
           (b.size == 0 || CRYPTO_memcmp(a->bytes, b.data, b.size) == 0);
}
