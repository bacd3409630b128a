/*
 * The library's compare of constant time, as one that counts: whoever includes this has it in the
 * place of OpenSSL's own for all that is linked into the test.
 */
#ifndef ECLUSE_TESTS_COUNTED_COMPARE_H
#define ECLUSE_TESTS_COUNTED_COMPARE_H

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdint.h>

static struct {
    size_t calls, octets;
} compared;

int CRYPTO_memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a, *right = b;
    int difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= left[i] ^ right[i];
    compared.calls++;
    compared.octets += size;
    return difference;
}

#endif
