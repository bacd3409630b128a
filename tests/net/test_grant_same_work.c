/*
 * The check of a password is the same work whatever was typed, so that its time tells nothing: each
 * grant's hash is compared, to its last octet, by the library's compare of constant time. Here that
 * compare is one that counts.
 */
#include "grant_world.h"

#include <openssl/crypto.h>

#include "keeper/grant_verifier.h"

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

static void assert_same_work(struct place *place, const char *account, const char *password,
                             enum grant_verdict verdict)
{
    int64_t number;
    compared.calls = compared.octets = 0;
    assert_int_equal(
        grant_check_password(place->check, account, slice_of_string(password), &number), verdict);
    assert_int_equal(compared.calls, 3);
    assert_int_equal(compared.octets, 3 * GRANT_HASH_SIZE);
}

static void every_password_is_compared_with_every_grant(void **state)
{
    struct place *place = *state;
    add(place, "work", "first", VAULT_GRANT_GENERATED, "first-password");
    add(place, "work", "last", VAULT_GRANT_GENERATED, "last-password");
    add(place, "home", "other", VAULT_GRANT_GENERATED, "other-password");
    assert_int_equal(load(place), 0);
    assert_same_work(place, "work", "first-password", GRANT_MATCH);
    assert_same_work(place, "work", "last-password", GRANT_MATCH);
    assert_same_work(place, "home", "other-password", GRANT_MATCH);
    assert_same_work(place, "work", "first-passwore", GRANT_MISMATCH);
    assert_same_work(place, "work", "x", GRANT_MISMATCH);
    assert_same_work(place, "work", "other-password", GRANT_MISMATCH);
    assert_same_work(place, "empty", "first-password", GRANT_MISMATCH);
    assert_same_work(place, NULL, "first-password", GRANT_MISMATCH);
}

int main(void)
{
    alarm(60);
    const struct CMUnitTest tests[] = {
        PLACE_TEST(every_password_is_compared_with_every_grant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
