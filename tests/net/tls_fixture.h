/*
 * The certificates that each test of TLS has, made once for all tests of a file.
 */
#ifndef ECLUSE_TESTS_TLS_FIXTURE_H
#define ECLUSE_TESTS_TLS_FIXTURE_H

#include "tls_server.h"

#define HOST "imap.example.org"

static struct test_certificates all;

static inline int set_up(void **state)
{
    (void)state;
    test_certificates_init(&all);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    test_certificates_fini(&all);
    return 0;
}

/* Bytes in which a shift or a gap shows. */
static inline uint8_t *pattern(size_t size)
{
    uint8_t *bytes = mem_new(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    return bytes;
}

static inline void assert_slice(struct slice got, struct slice expected)
{
    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, expected.size);
}

#endif
