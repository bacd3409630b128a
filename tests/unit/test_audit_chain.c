#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "audit_world.h"
#include "base/hex.h"

#define LINES_MAX (4u << 20)

static void write_commands(struct chain *chain, size_t count, struct buf *lines)
{
    struct line_place place = world_place();
    for (size_t i = 0; i < count; i++) {
        struct record record;
        world_command(&record, i);
        assert_int_equal(chain_write(chain, &place, &record, lines), 0);
    }
}

static void checkpoint(struct chain *chain, struct buf *lines)
{
    struct line_place place = world_place();
    assert_int_equal(
        chain_checkpoint(chain, &place, WORLD_TIME, "00000000000000000001.jsonl", lines), 0);
}

static struct slice next_line(struct slice *rest)
{
    size_t size = slice_find(*rest, '\n');
    struct slice line = slice_take(*rest, size);
    assert_true(size < rest->size);
    *rest = slice_skip(*rest, size + 1);
    return line;
}

/* What the header says, worked out anew by other functions of OpenSSL. */
struct reference {
    uint8_t key[32], head[32], digest[32];
    uint64_t sequence;
};

static void reference_step(struct reference *reference, const struct reading *reading)
{
    uint8_t input[96], hash[32];
    unsigned size;
    reference->sequence++;
    SHA256(reading->body.data, reading->body.size, hash);
    memcpy(input, reference->head, 32);
    for (int i = 0; i < 8; i++)
        input[32 + i] = (uint8_t)(reference->sequence >> (56 - 8 * i));
    memcpy(input + 40, hash, 32);
    assert_non_null(HMAC(EVP_sha256(), reference->key, 32, input, 72, reference->head, &size));
    memcpy(input, reference->digest, 32);
    memcpy(input + 32, hash, 32);
    memcpy(input + 64, reference->head, 32);
    SHA256(input, 96, reference->digest);
}

static void check_text(const struct reading *reading, enum record_field field, const uint8_t *bytes)
{
    uint8_t hash[32];
    assert_true(reader_hash(reading, field, hash));
    assert_memory_equal(hash, bytes, 32);
}

static void check_signature(const struct reference *reference, const struct reading *reading)
{
    uint8_t message[23 + 32], key[32];
    const struct record_value *text = record_find(&reading->record, FIELD_AUDIT_KEY);
    assert_true(text != NULL && text->text.size == 64 && hex_read(text->text, key));
    memcpy(message, "ecluse audit checkpoint", 23);
    memcpy(message + 23, reference->digest, 32);
    EVP_PKEY *public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key), 1);
    assert_int_equal(EVP_DigestVerify(context, reading->signature, 64, message, sizeof(message)),
                     1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public_key);
}

static void test_the_chain_is_as_the_header_says(void **state)
{
    static struct reading reading;
    struct chain *chain = world_chain();
    struct reference reference = {0};
    struct buf lines;
    (void)state;
    buf_init(&lines, LINES_MAX);
    memcpy(reference.key, world_octets + 32, 32);
    for (int epoch = 0; epoch < 3; epoch++) {
        write_commands(chain, 3, &lines);
        checkpoint(chain, &lines);
    }
    struct slice rest = buf_bytes(&lines);
    for (uint64_t i = 1; i <= 12; i++) {
        struct reference before = reference;
        assert_int_equal(reader_read(next_line(&rest), &reading), 0);
        assert_int_equal(reading.sequence, i);
        assert_int_equal(reading.epoch, (i - 1) / 4);
        assert_int_equal(reading.is_signed, i % 4 == 0);
        reference_step(&reference, &reading);
        assert_memory_equal(reading.head, reference.head, 32);
        if (i % 4 != 0)
            continue;
        check_text(&reading, FIELD_AUDIT_HEAD, before.head);
        check_text(&reading, FIELD_AUDIT_DIGEST, before.digest);
        assert_int_equal(reader_number(&reading, FIELD_AUDIT_FIRST, 0), i - 3);
        assert_int_equal(reader_number(&reading, FIELD_AUDIT_LAST, 0), i - 1);
        assert_int_equal(reader_number(&reading, FIELD_AUDIT_COUNT, 0), 3);
        check_signature(&reference, &reading);
        struct secret key = {0};
        secret_set(&key, slice_of(reference.key, 32));
        assert_int_equal(seed_next_key(&key), 0);
        memcpy(reference.key, key.bytes, 32);
        secret_wipe(&key);
    }
    assert_int_equal(rest.size, 0);
    buf_fini(&lines);
    chain_free(chain);
}

static struct chain *restore(struct secret *saved)
{
    struct chain *chain = NULL;
    struct secret signing_key = world_secret(0);
    assert_int_equal(chain_restore(secret_bytes(saved), &signing_key, &chain), 0);
    secret_wipe(&signing_key);
    secret_wipe(saved);
    return chain;
}

static void follow_all(struct chain *chain, struct slice rest)
{
    while (rest.size > 0) {
        size_t size = slice_find(rest, '\n') + 1;
        assert_int_equal(chain_follow(chain, slice_take(rest, size)), 0);
        rest = slice_skip(rest, size);
    }
}

static void check_same_end(struct chain *one, struct chain *other)
{
    struct secret ends[2] = {{0}, {0}};
    chain_save(one, &ends[0]);
    chain_save(other, &ends[1]);
    assert_true(slice_equal(secret_bytes(&ends[0]), secret_bytes(&ends[1])));
    secret_wipe(&ends[0]);
    secret_wipe(&ends[1]);
}

/* Saved at any line and led over what was written since, over epochs and a new seed. */
static void test_restored_chains_go_on(void **state)
{
    (void)state;
    for (size_t saved_at = 0; saved_at <= 9; saved_at++) {
        struct chain *chain = world_chain();
        struct secret saved = {0}, seed = world_secret(16);
        struct buf lines;
        buf_init(&lines, LINES_MAX);
        for (size_t i = 0; i <= 10; i++) {
            if (i == 5)
                assert_int_equal(chain_set_seed(chain, &seed), 0);
            /* A new seed is on disk before its checkpoint. */
            if (i == saved_at || (saved_at < 5 && i == 5)) {
                chain_save(chain, &saved);
                buf_clear(&lines);
            }
            if (i % 3 == 2)
                checkpoint(chain, &lines);
            else
                write_commands(chain, 1, &lines);
        }
        struct chain *other = restore(&saved);
        follow_all(other, buf_bytes(&lines));
        check_same_end(chain, other);
        assert_int_equal(chain_sequence(other), 12);
        assert_int_equal(chain_epoch(other), 3);
        assert_int_equal(chain_epoch_first(other), 10);
        chain_free(chain);
        chain_free(other);
        secret_wipe(&seed);
        buf_fini(&lines);
    }
}

static void test_a_new_seed_is_the_next_key(void **state)
{
    static struct reading reading;
    char name[SEED_FINGERPRINT_SIZE + 1];
    struct chain *chain = world_chain();
    struct reference reference = {0};
    struct secret seed = world_secret(16);
    struct buf lines;
    (void)state;
    buf_init(&lines, LINES_MAX);
    assert_int_equal(chain_set_seed(chain, &seed), 0);
    checkpoint(chain, &lines);
    write_commands(chain, 1, &lines);
    struct slice rest = buf_bytes(&lines);
    memcpy(reference.key, world_octets + 32, 32);
    assert_int_equal(reader_read(next_line(&rest), &reading), 0);
    reference_step(&reference, &reading);
    assert_memory_equal(reading.head, reference.head, 32);
    assert_int_equal(seed_fingerprint(&seed, name), 0);
    assert_true(slice_is(record_find(&reading.record, FIELD_AUDIT_SEED)->text, name));
    assert_int_equal(reader_number(&reading, FIELD_AUDIT_SEED_EPOCH, 0), 1);
    memcpy(reference.key, world_octets + 16, 32);
    assert_int_equal(reader_read(next_line(&rest), &reading), 0);
    reference_step(&reference, &reading);
    assert_memory_equal(reading.head, reference.head, 32);
    secret_wipe(&seed);
    buf_fini(&lines);
    chain_free(chain);
}

static void test_lines_of_others_are_not_followed(void **state)
{
    struct chain *chain = world_chain(), *other = world_chain();
    struct buf lines;
    (void)state;
    buf_init(&lines, LINES_MAX);
    write_commands(chain, 2, &lines);
    checkpoint(chain, &lines);
    struct slice all = buf_bytes(&lines);
    struct slice first = slice_take(all, slice_find(all, '\n') + 1);
    struct slice second = slice_skip(all, first.size);
    assert_int_equal(chain_follow(other, second), ERR_CORRUPT);
    assert_int_equal(chain_follow(other, slice_take(first, first.size - 1)), ERR_CORRUPT);
    assert_int_equal(chain_follow(other, SLICE_NONE), ERR_CORRUPT);
    char *changed = mem_new(first.size);
    for (size_t i = 0; i < first.size; i++) {
        memcpy(changed, first.data, first.size);
        changed[i] ^= 1;
        assert_int_equal(chain_follow(other, slice_of(changed, first.size)), ERR_CORRUPT);
    }
    mem_free(changed);
    follow_all(other, all);
    check_same_end(chain, other);
    assert_int_equal(chain_follow(other, first), ERR_CORRUPT);
    chain_free(chain);
    chain_free(other);
    buf_fini(&lines);
}

/* Of the lines that nobody has, the record says how many there were and what they led to. */
static void write_gap(struct chain *chain, uint64_t first, struct buf *lines)
{
    struct record record;
    struct line_place place = world_place();
    record_init(&record, ACTION_AUDIT_GAP, WHY_INTERNAL, WORLD_TIME);
    record_add_number(&record, FIELD_AUDIT_FIRST, first);
    record_add_number(&record, FIELD_AUDIT_LAST, chain_sequence(chain) - 1);
    chain_describe(chain, &record);
    assert_int_equal(chain_write(chain, &place, &record, lines), 0);
}

static void check_not_crossed(struct chain *chain, struct slice line)
{
    assert_int_equal(chain_cross(chain, line), ERR_CORRUPT);
}

static void test_a_gap_is_crossed(void **state)
{
    (void)state;
    for (int epochs = 0; epochs < 3; epochs++) {
        struct chain *chain = world_chain(), *other = world_chain();
        struct buf lost, lines;
        buf_init(&lost, LINES_MAX);
        buf_init(&lines, LINES_MAX);
        for (int i = 0; i < epochs; i++) {
            write_commands(chain, 2, &lost);
            checkpoint(chain, &lost);
        }
        write_commands(chain, 3, &lost);
        write_gap(chain, 1, &lines);
        write_commands(chain, 1, &lines);
        struct slice gap = slice_take(buf_bytes(&lines), slice_find(buf_bytes(&lines), '\n') + 1);
        char *changed = mem_new(gap.size);
        for (size_t i = 0; i < gap.size; i++) {
            memcpy(changed, gap.data, gap.size);
            changed[i] ^= 1;
            check_not_crossed(other, slice_of(changed, gap.size));
        }
        mem_free(changed);
        check_not_crossed(other, slice_take(gap, gap.size - 1));
        check_not_crossed(other, slice_skip(buf_bytes(&lines), gap.size));
        check_not_crossed(other, SLICE_NONE);
        assert_int_equal(chain_follow(other, gap), ERR_CORRUPT);
        assert_int_equal(chain_cross(other, gap), 0);
        follow_all(other, slice_skip(buf_bytes(&lines), gap.size));
        assert_int_equal(chain_sequence(other), chain_sequence(chain));
        assert_int_equal(chain_epoch(other), epochs);
        check_not_crossed(other, gap);
        buf_clear(&lines);
        checkpoint(chain, &lines);
        write_commands(chain, 2, &lines);
        follow_all(other, buf_bytes(&lines));
        check_same_end(chain, other);
        chain_free(chain);
        chain_free(other);
        buf_fini(&lost);
        buf_fini(&lines);
    }
}

/* Who has taken lines away behind those that are there hides nothing by a gap that is real. */
static void test_a_gap_that_is_not_the_next(void **state)
{
    struct chain *chain = world_chain(), *other = world_chain();
    struct buf lines, gap;
    (void)state;
    buf_init(&lines, LINES_MAX);
    buf_init(&gap, LINES_MAX);
    write_commands(chain, 4, &lines);
    write_gap(chain, 3, &gap);
    check_not_crossed(other, buf_bytes(&gap));
    struct slice first = slice_take(buf_bytes(&lines), slice_find(buf_bytes(&lines), '\n') + 1);
    follow_all(other, first);
    check_not_crossed(other, buf_bytes(&gap));
    struct slice rest = slice_skip(buf_bytes(&lines), first.size);
    follow_all(other, slice_take(rest, slice_find(rest, '\n') + 1));
    assert_int_equal(chain_cross(other, buf_bytes(&gap)), 0);
    check_same_end(chain, other);
    chain_free(chain);
    chain_free(other);
    buf_fini(&lines);
    buf_fini(&gap);
}

static void test_what_is_no_state(void **state)
{
    struct secret saved = {0}, signing_key = world_secret(0);
    struct chain *chain = world_chain(), *none = NULL;
    (void)state;
    chain_save(chain, &saved);
    for (size_t size = 0; size < saved.size; size++)
        assert_int_equal(chain_restore(slice_take(secret_bytes(&saved), size), &signing_key, &none),
                         ERR_CORRUPT);
    saved.bytes[0]++;
    assert_int_equal(chain_restore(secret_bytes(&saved), &signing_key, &none), ERR_CORRUPT);
    chain_free(chain);
    secret_wipe(&saved);
    secret_wipe(&signing_key);
}

static void test_when_a_checkpoint_is_due(void **state)
{
    struct chain *chain = world_chain();
    struct buf lines;
    (void)state;
    buf_init(&lines, LINES_MAX);
    assert_false(chain_is_due(chain, UINT64_MAX));
    write_commands(chain, 1, &lines);
    assert_false(chain_is_due(chain, WORLD_TIME + 899999999));
    assert_true(chain_is_due(chain, WORLD_TIME + 900000000));
    assert_false(chain_is_due(chain, 1));
    write_commands(chain, CHAIN_EPOCH_RECORDS - 2, &lines);
    assert_false(chain_is_due(chain, WORLD_TIME));
    write_commands(chain, 1, &lines);
    assert_true(chain_is_due(chain, WORLD_TIME));
    checkpoint(chain, &lines);
    assert_false(chain_is_due(chain, WORLD_TIME));
    buf_fini(&lines);
    chain_free(chain);
}

static void test_a_full_buffer_changes_nothing(void **state)
{
    struct chain *chain = world_chain(), *other = world_chain();
    struct line_place place = world_place();
    struct record record;
    struct buf lines;
    (void)state;
    buf_init(&lines, LINE_CAPACITY - 1);
    world_command(&record, 1);
    assert_int_equal(chain_write(chain, &place, &record, &lines), ERR_FULL);
    assert_int_equal(chain_checkpoint(chain, &place, WORLD_TIME, "f", &lines), ERR_FULL);
    assert_int_equal(buf_size(&lines), 0);
    check_same_end(chain, other);
    buf_fini(&lines);
    chain_free(chain);
    chain_free(other);
}

static void test_the_first_of_a_segment(void **state)
{
    static struct reading reading;
    struct chain *chain = world_chain();
    struct line_place place = world_place();
    struct record record;
    struct buf lines;
    uint8_t head[32];
    (void)state;
    buf_init(&lines, LINES_MAX);
    write_commands(chain, 2, &lines);
    record_init(&record, ACTION_AUDIT_OPEN, WHY_NONE, WORLD_TIME);
    chain_describe(chain, &record);
    assert_int_equal(chain_write(chain, &place, &record, &lines), 0);
    struct slice rest = buf_bytes(&lines);
    next_line(&rest);
    assert_int_equal(reader_read(next_line(&rest), &reading), 0);
    memcpy(head, reading.head, 32);
    assert_int_equal(reader_read(next_line(&rest), &reading), 0);
    check_text(&reading, FIELD_AUDIT_HEAD, head);
    assert_non_null(record_find(&reading.record, FIELD_AUDIT_DIGEST));
    assert_non_null(record_find(&reading.record, FIELD_AUDIT_SEED));
    assert_int_equal(reader_number(&reading, FIELD_AUDIT_SEED_EPOCH, 9), 0);
    buf_fini(&lines);
    chain_free(chain);
}

static void test_seeds_and_keys_as_texts(void **state)
{
    struct secret seed = {0}, again = {0}, text = {0}, signing_key = world_secret(0);
    uint8_t public_key[32], read[32];
    char name[SEED_FINGERPRINT_SIZE + 1], other[SEED_FINGERPRINT_SIZE + 1];
    struct buf pem;
    (void)state;
    assert_int_equal(seed_make(&seed), 0);
    seed_format(&seed, &text);
    assert_int_equal(seed_parse(secret_bytes(&text), &again), 0);
    assert_true(secret_equal(&again, secret_bytes(&seed)));
    assert_int_equal(seed_parse(slice_take(secret_bytes(&text), 63), &again), ERR_SYNTAX);
    text.bytes[5] = 'G';
    assert_int_equal(seed_parse(secret_bytes(&text), &again), ERR_SYNTAX);
    assert_int_equal(seed_fingerprint(&seed, name), 0);
    assert_int_equal(seed_next_key(&again), 0);
    assert_int_equal(seed_fingerprint(&again, other), 0);
    assert_int_equal(strlen(name), SEED_FINGERPRINT_SIZE);
    assert_string_not_equal(name, other);
    buf_init(&pem, SIGNATURE_PEM_MAX);
    assert_int_equal(signature_public_key(&signing_key, public_key), 0);
    assert_int_equal(signature_write_pem(public_key, &pem), 0);
    assert_int_equal(signature_read_pem(buf_bytes(&pem), read), 0);
    assert_memory_equal(read, public_key, 32);
    assert_int_equal(signature_read_pem(slice_take(buf_bytes(&pem), 60), read), ERR_SYNTAX);
    assert_int_equal(signature_read_pem(SLICE_NONE, read), ERR_SYNTAX);
    buf_fini(&pem);
    secret_wipe(&seed);
    secret_wipe(&again);
    secret_wipe(&text);
    secret_wipe(&signing_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_chain_is_as_the_header_says),
        cmocka_unit_test(test_restored_chains_go_on),
        cmocka_unit_test(test_a_new_seed_is_the_next_key),
        cmocka_unit_test(test_lines_of_others_are_not_followed),
        cmocka_unit_test(test_a_gap_is_crossed),
        cmocka_unit_test(test_a_gap_that_is_not_the_next),
        cmocka_unit_test(test_what_is_no_state),
        cmocka_unit_test(test_when_a_checkpoint_is_due),
        cmocka_unit_test(test_a_full_buffer_changes_nothing),
        cmocka_unit_test(test_the_first_of_a_segment),
        cmocka_unit_test(test_seeds_and_keys_as_texts),
    };
    return cmocka_run_group_tests_name("audit/chain", tests, NULL, NULL);
}
