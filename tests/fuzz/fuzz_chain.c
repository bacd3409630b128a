/*
 * The chain of the journal as its owner uses it: the first octet is the level, then steps.
 *
 *   w field size8 text     a record of two values       c             a checkpoint
 *   s                      the state is kept            n octet       another seed, and it is kept
 *   r at16 octet           a crash: restored from what was kept, behind the lines since; before
 *                          that an octet of the first of them is changed, which must be noticed
 *   k                      there is a key for pseudonyms, or none any more
 *   R size8, p size8, x size8     octets as a state, as a public key, as a seed
 *
 * Whatever is done, what was written verifies with the seeds and by the public key alone, shows no
 * control, and the restored chain goes on as the one that did not crash.
 */
#include <string.h>

#include "audit/chain.h"
#include "audit/verify.h"
#include "steps.h"

#define INPUT_MAX   4096u
#define JOURNAL_MAX (16u * 1024 * 1024)
#define SEEDS_MAX   8u
#define NAME        "00000000000000000001.jsonl"

struct play {
    struct chain *chain;
    struct line_place place;
    struct secret seeds[SEEDS_MAX], signing_key, pseudonym_key, state;
    size_t seed_count;
    uint8_t seeds_made;      /* no two are alike */
    bool has_next_seed;      /* the last one, which is for the next epoch */
    struct buf lines, since; /* all of them; since the state was kept */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_secret(struct secret *secret, uint8_t octet)
{
    uint8_t octets[SEED_SIZE];
    memset(octets, octet, sizeof(octets));
    secret_set(secret, slice_of(octets, sizeof(octets)));
}

static void keep(struct play *play)
{
    chain_save(play->chain, &play->state);
    buf_clear(&play->since);
}

static void take_lines(struct play *play, struct buf *lines)
{
    ENSURE(buf_append(&play->lines, buf_bytes(lines)) == 0);
    ENSURE(buf_append(&play->since, buf_bytes(lines)) == 0);
    buf_fini(lines);
}

static void write_line(struct play *play, const struct record *record)
{
    struct buf lines;
    buf_init(&lines, LINE_CAPACITY);
    ENSURE(chain_write(play->chain, &play->place, record, &lines) == 0);
    take_lines(play, &lines);
}

static void checkpoint(struct play *play)
{
    struct buf lines;
    buf_init(&lines, LINE_CAPACITY);
    ENSURE(chain_checkpoint(play->chain, &play->place, 2, NAME, &lines) == 0);
    take_lines(play, &lines);
    play->has_next_seed = false;
}

static void open_chain(struct play *play, uint8_t level)
{
    struct record record;
    play->place = (struct line_place){.level = (enum audit_level)(1 + level % 3),
                                      .service_version = "1",
                                      .pseudonym_key = &play->pseudonym_key};
    make_secret(&play->seeds[play->seed_count++], 's');
    make_secret(&play->signing_key, 'k');
    play->chain = chain_new(&play->seeds[0], &play->signing_key);
    ENSURE(play->chain != NULL);
    buf_init(&play->lines, JOURNAL_MAX);
    buf_init(&play->since, JOURNAL_MAX);
    record_init(&record, ACTION_AUDIT_OPEN, WHY_NONE, 1);
    chain_describe(play->chain, &record);
    write_line(play, &record);
    keep(play);
}

/* ---- steps ---- */

static void write_record(struct play *play, struct slice *input)
{
    struct record record;
    enum record_field field = (enum record_field)(take_octet(input) % RECORD_FIELD_COUNT);
    struct slice text = take_bytes(input, take_octet(input));
    enum record_kind kind = record_field_kind(field);
    record_init(&record, ACTION_COMMAND, text.size % 2 == 0 ? WHY_NONE : WHY_TIMEOUT, 1);
    record_add_text(&record, FIELD_VERB, slice_take(text, 8));
    if (kind == RECORD_NUMBER)
        record_add_number(&record, field, text.size);
    else if (kind == RECORD_FLAG)
        record_add_flag(&record, field, text.size % 2 == 0);
    else
        record_add_text(&record, field, text);
    write_line(play, &record);
}

/* One that was never used is of no journal. */
static void change_seed(struct play *play, uint8_t octet)
{
    uint8_t octets[SEED_SIZE] = {octet, ++play->seeds_made};
    if (play->seed_count == SEEDS_MAX || play->seeds_made > 200)
        return;
    if (!play->has_next_seed)
        play->seed_count++;
    play->has_next_seed = true;
    struct secret *seed = &play->seeds[play->seed_count - 1];
    secret_set(seed, slice_of(octets, sizeof(octets)));
    ENSURE(chain_set_seed(play->chain, seed) == 0);
    keep(play);
}

/* A line that was changed before its signature is not followed, and nothing has happened. */
static void follow_changed(struct chain *chain, struct slice line, size_t at, uint8_t octet)
{
    uint64_t sequence = chain_sequence(chain);
    uint8_t *copy = mem_new(line.size);
    memcpy(copy, line.data, line.size);
    const uint8_t *end = memmem(line.data, line.size, "\"signature\"", strlen("\"signature\""));
    copy[at % (end == NULL ? line.size : (size_t)(end - line.data))] ^= octet;
    if (octet != 0) {
        ENSURE(chain_follow(chain, slice_of(copy, line.size)) == ERR_CORRUPT);
        ENSURE(chain_sequence(chain) == sequence);
    }
    mem_free(copy);
}

static void crash(struct play *play, size_t at, uint8_t octet)
{
    struct chain *other;
    struct slice rest = buf_bytes(&play->since);
    struct buf lines[2];
    struct record record;
    ENSURE(chain_restore(secret_bytes(&play->state), &play->signing_key, &other) == 0);
    if (rest.size > 0)
        follow_changed(other, slice_take(rest, slice_find(rest, '\n') + 1), at, octet);
    while (rest.size > 0) {
        struct slice line = slice_take(rest, slice_find(rest, '\n') + 1);
        ENSURE(chain_follow(other, line) == 0);
        rest = slice_skip(rest, line.size);
    }
    record_init(&record, ACTION_AUDIT_RECOVERED, WHY_NONE, 1);
    chain_describe(other, &record);
    buf_init(&lines[0], LINE_CAPACITY);
    buf_init(&lines[1], LINE_CAPACITY);
    ENSURE(chain_write(other, &play->place, &record, &lines[0]) == 0);
    ENSURE(chain_write(play->chain, &play->place, &record, &lines[1]) == 0);
    ENSURE(slice_equal(buf_bytes(&lines[0]), buf_bytes(&lines[1])));
    buf_fini(&lines[1]);
    take_lines(play, &lines[0]);
    chain_free(play->chain);
    play->chain = other;
}

static void read_state(const struct play *play, struct slice octets)
{
    struct chain *chain;
    if (chain_restore(octets, &play->signing_key, &chain) == 0)
        chain_free(chain);
}

static void read_public_key(struct slice pem)
{
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE], again[SIGNATURE_PUBLIC_KEY_SIZE];
    struct buf written;
    if (signature_read_pem(pem, key) != 0)
        return;
    buf_init(&written, SIGNATURE_PEM_MAX);
    ENSURE(signature_write_pem(key, &written) == 0);
    ENSURE(signature_read_pem(buf_bytes(&written), again) == 0);
    ENSURE(memcmp(key, again, sizeof(key)) == 0);
    buf_fini(&written);
}

static void read_seed(struct slice text)
{
    struct secret seed = {0}, again = {0}, shown = {0};
    if (seed_parse(text, &seed) == 0) {
        seed_format(&seed, &shown);
        ENSURE(slice_equal_ignoring_case(secret_bytes(&shown), text));
        ENSURE(seed_parse(secret_bytes(&shown), &again) == 0);
        ENSURE(slice_equal(secret_bytes(&seed), secret_bytes(&again)));
    }
    secret_wipe(&seed);
    secret_wipe(&again);
    secret_wipe(&shown);
}

static void do_step(struct play *play, struct slice *input)
{
    uint8_t kind = take_octet(input);
    if (kind == 'w')
        write_record(play, input);
    else if (kind == 'c')
        checkpoint(play);
    else if (kind == 's')
        keep(play);
    else if (kind == 'n')
        change_seed(play, take_octet(input));
    else if (kind == 'R')
        read_state(play, take_bytes(input, take_octet(input)));
    else if (kind == 'p')
        read_public_key(take_bytes(input, take_octet(input)));
    else if (kind == 'x')
        read_seed(take_bytes(input, take_octet(input)));
    else if (kind == 'r') {
        size_t at = take_size(input);
        crash(play, at, take_octet(input));
    } else if (kind == 'k') {
        if (secret_is_set(&play->pseudonym_key))
            secret_wipe(&play->pseudonym_key);
        else
            make_secret(&play->pseudonym_key, 'p');
    }
}

/* ---- the end ---- */

static void verify_all(const struct play *play, bool has_seeds)
{
    struct verify *verify = verify_new();
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    ENSURE(verify != NULL && signature_public_key(&play->signing_key, public_key) == 0);
    verify_set_public_key(verify, public_key);
    for (size_t i = 0; has_seeds && i < play->seed_count; i++)
        ENSURE(verify_add_seed(verify, &play->seeds[i]) == 0);
    ENSURE(verify_segment(verify, NAME) == 0);
    ENSURE(verify_feed(verify, buf_bytes(&play->lines)) == 0 && verify_end(verify) == 0);
    /* That it was recovered is told. */
    ENSURE(findings_grade(verify_findings(verify)) <= GRADE_NOTE);
    ENSURE(verify_explain(verify) == 0);
    const struct verify_summary *summary = verify_summary(verify);
    ENSURE(summary->records == chain_sequence(play->chain) - 1);
    ENSURE(summary->signed_to == summary->last);
    ENSURE(!has_seeds || summary->sealed == summary->records);
    verify_free(verify);
}

static void check_controls(struct slice lines)
{
    for (struct slice line; lines.size > 0; lines = slice_skip(lines, line.size + 1)) {
        line = slice_take(lines, slice_find(lines, '\n'));
        ENSURE(!slice_has_control(line) && line.size < LINE_CAPACITY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = {0};
    struct slice input = slice_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    open_chain(&play, take_octet(&input));
    while (input.size > 0)
        do_step(&play, &input);
    checkpoint(&play);
    /* The key of the last seed has something to seal. */
    checkpoint(&play);
    verify_all(&play, true);
    verify_all(&play, false);
    check_controls(buf_bytes(&play.lines));
    chain_free(play.chain);
    buf_fini(&play.lines);
    buf_fini(&play.since);
    for (size_t i = 0; i < play.seed_count; i++)
        secret_wipe(&play.seeds[i]);
    secret_wipe(&play.signing_key);
    secret_wipe(&play.pseudonym_key);
    secret_wipe(&play.state);
    return 0;
}
