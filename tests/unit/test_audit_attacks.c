/*
 * What somebody can do to a journal who can write its files, has the keys of the moment, or has
 * those of the signatures too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pack.h"
#include "verify_world.h"

#define NOTHING FINDING_KIND_COUNT

static void check(struct world_journal *journal, enum finding_kind kind, uint64_t first)
{
    for (int knowledge = KNOWS_KEY; knowledge <= KNOWS_BOTH; knowledge++)
        world_check(journal, (enum world_knowledge)knowledge, kind, first);
    world_clear(journal);
}

static void test_lines_that_are_deleted(void **state)
{
    (void)state;
    for (uint64_t number = 1; number < 32; number++) {
        struct world_journal *journal = world_journal();
        uint64_t segment = journal->lines[number - 1].segment;
        world_remove(journal, number - 1, 1);
        if (segment > 0)
            journal->lines[number - 1].segment = segment;
        check(journal, FINDING_MISSING, number);
    }
}

static void test_lines_that_are_swapped(void **state)
{
    (void)state;
    for (uint64_t number = 2; number < 31; number++) {
        struct world_journal *journal = world_journal();
        struct world_line line = journal->lines[number - 1], next = journal->lines[number];
        bool is_border = line.segment > 0 || next.segment > 0;
        journal->lines[number - 1] = next;
        journal->lines[number] = line;
        if (is_border)
            world_clear(journal);
        else
            check(journal, FINDING_REORDERED, number);
    }
}

static void test_lines_that_are_doubled(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 32; number++)
        for (size_t at = number; at <= 32; at += 5) {
            struct world_journal *journal = world_journal();
            world_insert(journal, at, journal->lines[number - 1].text,
                         journal->lines[number - 1].size);
            check(journal, FINDING_DUPLICATED, number);
        }
}

static void test_segments_that_are_removed(void **state)
{
    struct world_journal *journal = world_journal();
    (void)state;
    world_remove(journal, 11, 11);
    check(journal, FINDING_MISSING, 12);
    journal = world_journal();
    world_remove(journal, 0, 11);
    check(journal, FINDING_MISSING, 1);
}

static void test_lines_that_are_no_record(void **state)
{
    static const char *const texts[] = {"\n", "{}\n", "{\"@timestamp\":\"x\"}\n", "\r\n", "\xff\n"};
    static char endless[2 * LINE_CAPACITY];
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(texts); i++) {
        struct world_journal *journal = world_journal();
        world_insert(journal, 8, texts[i], strlen(texts[i]));
        check(journal, FINDING_MODIFIED, 9);
    }
    memset(endless, 'a', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\n';
    struct world_journal *journal = world_journal();
    world_insert(journal, 8, endless, sizeof(endless));
    check(journal, FINDING_MODIFIED, 9);
}

/* ---- who has keys ---- */

static struct chain *restore(const struct buf *state, const struct secret *signing_key)
{
    struct chain *chain = NULL;
    assert_int_equal(chain_restore(buf_bytes(state), signing_key, &chain), 0);
    return chain;
}

/* A chain that goes on behind line `number`, with the key of `key_epoch`, as epoch `epoch`. */
static struct chain *forge(const struct world_journal *journal, uint64_t number, uint64_t key_epoch,
                           uint64_t epoch, const struct secret *signing_key)
{
    static struct reading reading;
    struct buf state;
    struct secret key = world_secret(32);
    struct pack_writer writer = pack_writer(&state);
    char name[SEED_FINGERPRINT_SIZE + 1];
    uint8_t digest[LINK_SIZE] = {0};
    buf_init(&state, 1024);
    assert_int_equal(seed_fingerprint(&key, name), 0);
    for (uint64_t i = 0; i < key_epoch; i++)
        assert_int_equal(seed_next_key(&key), 0);
    const struct world_line *line = &journal->lines[number - 1];
    assert_int_equal(reader_read(slice_of(line->text, line->size - 1), &reading), 0);
    pack_u8(&writer, 1);
    pack_u64(&writer, number + 1);
    pack_u64(&writer, epoch);
    pack_u64(&writer, number + 1);
    pack_bytes(&writer, slice_of(reading.head, LINK_SIZE));
    pack_bytes(&writer, slice_of(digest, LINK_SIZE));
    pack_bytes(&writer, secret_bytes(&key));
    pack_string(&writer, name);
    pack_u64(&writer, 0);
    pack_bytes(&writer, SLICE_NONE);
    assert_int_equal(writer.status, 0);
    struct chain *chain = restore(&state, signing_key);
    secret_wipe(&key);
    buf_fini(&state);
    return chain;
}

/* Writes all from line `number` on anew, with other contents. */
static void rewrite(struct world_journal *journal, uint64_t number, struct chain *forged)
{
    chain_free(journal->chain);
    journal->chain = forged;
    world_remove(journal, number - 1, journal->count - number + 1);
    world_commands(journal, 3);
    world_checkpoint(journal);
    world_commands(journal, 2);
}

static void check_explained(struct world_journal *journal, enum finding_kind kind, uint64_t first)
{
    struct verify *verify = world_verify(KNOWS_SEED);
    world_feed(verify, journal, 0);
    assert_int_equal(verify_explain(verify), 0);
    const struct finding *finding = world_worst(verify);
    if (finding == NULL || finding->kind != kind || finding->first != first) {
        world_print(verify);
        fail_msg("expected %s %llu", finding_word(kind), (unsigned long long)first);
    }
    verify_free(verify);
    world_clear(journal);
}

static void test_records_that_are_sealed_anew_with_a_later_key(void **state)
{
    struct secret signing_key = world_secret(0);
    (void)state;
    struct world_journal *journal = world_journal();
    rewrite(journal, 3, forge(journal, 2, 5, 0, &signing_key));
    check_explained(journal, FINDING_RESEALED, 3);
    /* The same, as what it is. */
    journal = world_journal();
    rewrite(journal, 3, forge(journal, 2, 5, 5, &signing_key));
    check_explained(journal, FINDING_RESEALED, 3);
    /* Cut off, and gone on from there. */
    journal = world_journal();
    rewrite(journal, 16, forge(journal, 15, 900, 2, &signing_key));
    check_explained(journal, FINDING_RESEALED, 16);
    /* By a key that is of no epoch. */
    journal = world_journal();
    rewrite(journal, 16, forge(journal, 15, 5000, 2, &signing_key));
    check_explained(journal, FINDING_MODIFIED, 16);
    secret_wipe(&signing_key);
}

static void test_the_right_key_for_another_epoch(void **state)
{
    struct secret signing_key = world_secret(0);
    struct world_journal *journal = world_journal();
    (void)state;
    rewrite(journal, 3, forge(journal, 2, 0, 4, &signing_key));
    check_explained(journal, FINDING_WRONG_EPOCH, 3);
    secret_wipe(&signing_key);
}

/* The journal goes on with another key of the signatures. */
static void sign_with_another(struct world_journal *journal)
{
    struct secret other = world_secret(8), saved = {0};
    chain_save(journal->chain, &saved);
    chain_free(journal->chain);
    assert_int_equal(chain_restore(secret_bytes(&saved), &other, &journal->chain), 0);
    world_checkpoint(journal);
    secret_wipe(&other);
    secret_wipe(&saved);
}

static void test_a_signature_by_somebody_else(void **state)
{
    struct world_journal *journal = world_journal();
    (void)state;
    sign_with_another(journal);
    check(journal, FINDING_BAD_SIGNATURE, 33);
    journal = world_journal();
    /* One digit of the signature itself. */
    journal->lines[16].text[journal->lines[16].size - 10] ^= 1;
    check(journal, FINDING_BAD_SIGNATURE, 17);
}

/* ---- anchors ---- */

static void anchor(struct verify *verify, const struct world_line *line, int expected)
{
    static char text[LINE_CAPACITY + 64];
    int size = snprintf(text, sizeof(text), "<86>Nov 26 21:00:00 host ecluse[17]: %.*s",
                        (int)line->size - 1, line->text);
    assert_int_equal(verify_add_anchor(verify, slice_of(text, (size_t)size)), expected);
}

/* With the checkpoints of `known`, up to `last`. */
static void check_anchored(const struct world_journal *journal, const struct world_journal *known,
                           enum finding_kind kind, uint64_t first)
{
    static const size_t checkpoints[] = {6, 11, 17, 22, 28};
    struct verify *verify = world_verify(KNOWS_BOTH);
    for (size_t i = LENGTH_OF(checkpoints); i-- > 0;)
        anchor(verify, &known->lines[checkpoints[i] - 1], 0);
    anchor(verify, &known->lines[2], ERR_NOT_FOUND);
    world_feed(verify, journal, 0);
    const struct finding *finding = world_worst(verify);
    if (kind == NOTHING) {
        world_print(verify);
        assert_null(finding);
        assert_int_equal(verify_summary(verify)->anchored_to, 28);
    } else if (finding == NULL || finding->kind != kind || finding->first != first) {
        world_print(verify);
        fail_msg("expected %s %llu", finding_word(kind), (unsigned long long)first);
    }
    verify_free(verify);
}

static void test_truncation_before_an_anchor(void **state)
{
    struct world_journal *known = world_journal();
    (void)state;
    for (size_t kept = 0; kept <= 32; kept++) {
        struct world_journal *journal = world_journal();
        world_remove(journal, kept, 32 - kept);
        if (kept > 0)
            check_anchored(journal, known, kept < 28 ? FINDING_TRUNCATED : NOTHING, kept + 1);
        world_clear(journal);
    }
    world_clear(known);
}

/* All files of an earlier day, keys and all, and the daemon went on from there. */
static void test_a_rolled_back_folder(void **state)
{
    struct world_journal *known = world_journal(), *journal = mem_new(sizeof(*journal));
    (void)state;
    journal->chain = world_chain();
    for (size_t i = 0; i < 17; i++)
        assert_int_equal(
            chain_follow(journal->chain, slice_of(known->lines[i].text, known->lines[i].size)), 0);
    for (size_t i = 0; i < 17; i++) {
        world_insert(journal, i, known->lines[i].text, known->lines[i].size);
        journal->lines[i].segment = known->lines[i].segment;
    }
    world_commands(journal, 20);
    world_checkpoint(journal);
    world_check(journal, KNOWS_BOTH, NOTHING, 0);
    check_anchored(journal, known, FINDING_ROLLED_BACK, 18);
    world_clear(journal);
    world_clear(known);
}

static void test_anchors_of_others_are_none(void **state)
{
    struct world_journal *journal = world_journal();
    struct verify *verify = world_verify(KNOWS_KEY);
    (void)state;
    sign_with_another(journal);
    anchor(verify, &journal->lines[32], ERR_DENIED);
    journal->lines[5].text[1] ^= 1;
    anchor(verify, &journal->lines[5], ERR_NOT_FOUND);
    journal->lines[5].text[1] ^= 1;
    journal->lines[5].text[30] ^= 1;
    anchor(verify, &journal->lines[5], ERR_DENIED);
    assert_int_equal(verify_add_anchor(verify, SLICE_NONE), ERR_NOT_FOUND);
    assert_int_equal(verify_summary(verify)->anchors, 0);
    verify_free(verify);
    world_clear(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_that_are_deleted),
        cmocka_unit_test(test_lines_that_are_swapped),
        cmocka_unit_test(test_lines_that_are_doubled),
        cmocka_unit_test(test_segments_that_are_removed),
        cmocka_unit_test(test_lines_that_are_no_record),
        cmocka_unit_test(test_records_that_are_sealed_anew_with_a_later_key),
        cmocka_unit_test(test_the_right_key_for_another_epoch),
        cmocka_unit_test(test_a_signature_by_somebody_else),
        cmocka_unit_test(test_truncation_before_an_anchor),
        cmocka_unit_test(test_a_rolled_back_folder),
        cmocka_unit_test(test_anchors_of_others_are_none),
    };
    return cmocka_run_group_tests_name("audit/verify: attacks", tests, NULL, NULL);
}
