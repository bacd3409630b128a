/*
 * A BIO over lent memory.
 *
 * Happy path: reads take from `input` until it is empty, then say "retry", which OpenSSL passes on
 * as WANT_READ; writes append to `answer` or go into `output`.
 * Failures: the peer used up its allowance, or provoked more answer than there is room for: both
 * set `refused`, and OpenSSL fails. `output` running full is our own mistake.
 */
#include "net/tls_bio.h"

#include <string.h>

static int on_read(BIO *bio, char *out, size_t size, size_t *size_out)
{
    struct tls_memory *memory = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *size_out = 0;
    if (memory->refused)
        return 0;
    if (memory->input.size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    struct slice part = slice_take(memory->input, size);
    if (part.size > memory->allowance) {
        memory->refused = true;
        return 0;
    }
    memcpy(out, part.data, part.size);
    memory->allowance -= part.size;
    memory->input = slice_skip(memory->input, part.size);
    *size_out = part.size;
    return 1;
}

static int on_write(BIO *bio, const char *bytes, size_t size, size_t *size_out)
{
    struct tls_memory *memory = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *size_out = 0;
    if (memory->refused)
        return 0;
    if (memory->output != NULL) {
        ENSURE(size <= memory->output_capacity - memory->output_size);
        memcpy(memory->output + memory->output_size, bytes, size);
        memory->output_size += size;
    } else if (memory->answer == NULL || buf_append(memory->answer, slice_of(bytes, size)) != 0) {
        memory->refused = true;
        return 0;
    }
    *size_out = size;
    return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "lent memory");
    ENSURE(method != NULL);
    ENSURE(BIO_meth_set_read_ex(method, on_read) == 1);
    ENSURE(BIO_meth_set_write_ex(method, on_write) == 1);
    ENSURE(BIO_meth_set_ctrl(method, on_control) == 1);
    return method;
}

BIO *tls_bio_new(BIO_METHOD *method, struct tls_memory *memory)
{
    BIO *bio = BIO_new(method);
    ENSURE(bio != NULL);
    BIO_set_data(bio, memory);
    BIO_set_init(bio, 1);
    return bio;
}
