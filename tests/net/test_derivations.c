/*
 * What scrypt makes of a password, with its costs: the answers are those of another implementation
 * (Python's hashlib.scrypt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hex.h"
#include "keeper/grant_verifier.h"
#include "keeper/vault_key.h"

#define PASSWORD "correct horse battery"

static const uint8_t salt[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void assert_answer(struct slice bytes, const char *digits)
{
    uint8_t expected[32];
    assert_int_equal(strlen(digits), 2 * sizeof(expected));
    assert_true(hex_read(slice_of_string(digits), expected));
    assert_int_equal(bytes.size, sizeof(expected));
    assert_memory_equal(bytes.data, expected, sizeof(expected));
}

/* The salt is that and the kind of source, each behind its size. */
static void a_passphrase_becomes_a_key_of_the_vault(void **state)
{
    (void)state;
    struct vault_lock lock = {.kind = VAULT_KEY_PASSPHRASE};
    struct secret octets = {0}, key = {0};
    struct err err = {0};
    memcpy(lock.salt, salt, sizeof(salt));
    secret_set(&octets, SLICE_LITERAL(PASSWORD));
    assert_int_equal(vault_lock_derive(&lock, &octets, &key, &err), 0);
    assert_answer(secret_bytes(&key),
                  "a567bcbc239ed7b57287a98a128b86737ece068b6d74120b873001ffad1799b3");
    secret_wipe(&octets);
    secret_wipe(&key);
}

static void a_chosen_password_becomes_a_verifier(void **state)
{
    (void)state;
    uint8_t hash[GRANT_HASH_SIZE];
    assert_int_equal(grant_derive(salt, SLICE_LITERAL(PASSWORD), hash), 0);
    assert_answer(slice_of(hash, sizeof(hash)),
                  "c72e940880b3f15bff3fa26a3a49140f80ce9a1c4dd2d5d27bab10014071ba94");
}

int main(void)
{
    alarm(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passphrase_becomes_a_key_of_the_vault),
        cmocka_unit_test(a_chosen_password_becomes_a_verifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
