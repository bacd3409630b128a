/*
 * Happy path: audit/line makes the line, audit/link its seal, and both move the chain on.
 *
 * Failures: OpenSSL's alone. The chain may then stand between two lines, so that nothing more is
 * written by it.
 */
#include "audit/chain.h"

#include <openssl/crypto.h>
#include <string.h>

#include "audit/reader.h"
#include "base/hex.h"
#include "base/pack.h"

#define STATE_VERSION 1
#define STATE_MAX     512u
#define GAP_EPOCHS    16u /* a gap is told of before another can grow */

struct chain {
    uint64_t next; /* number of the next line */
    uint64_t epoch, epoch_first;
    uint64_t epoch_time; /* of its first line; 0: none yet */
    struct link_ends ends;
    struct secret key; /* of the epoch */
    char seed[SEED_FINGERPRINT_SIZE + 1];
    uint64_t seed_epoch;
    struct secret next_seed; /* of chain_set_seed */
    char next_seed_name[SEED_FINGERPRINT_SIZE + 1];
    struct secret signing_key;
    struct link *link;
    char head_text[2 * LINK_SIZE], digest_text[2 * LINK_SIZE];
    char public_key_text[2 * SIGNATURE_PUBLIC_KEY_SIZE];
    struct line line;
    struct line_form form;
    struct reading reading; /* of chain_follow */
};

void chain_free(struct chain *chain)
{
    if (chain == NULL)
        return;
    secret_wipe(&chain->key);
    secret_wipe(&chain->next_seed);
    secret_wipe(&chain->signing_key);
    link_free(chain->link);
    mem_free(chain);
}

/* NULL: cryptographic failure. */
static struct chain *new_chain(const struct secret *signing_key)
{
    uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE];
    struct chain *chain = mem_new(sizeof(*chain));
    secret_copy(&chain->signing_key, signing_key);
    chain->link = link_new();
    if (chain->link == NULL || signature_public_key(signing_key, public_key) != 0) {
        chain_free(chain);
        return NULL;
    }
    hex_write(slice_of(public_key, sizeof(public_key)), chain->public_key_text);
    chain->next = 1;
    chain->epoch_first = 1;
    return chain;
}

struct chain *chain_new(const struct secret *seed, const struct secret *signing_key)
{
    struct chain *chain = new_chain(signing_key);
    if (chain == NULL)
        return NULL;
    secret_copy(&chain->key, seed);
    if (seed_fingerprint(seed, chain->seed) != 0 || link_set_key(chain->link, seed) != 0) {
        chain_free(chain);
        return NULL;
    }
    return chain;
}

void chain_save(const struct chain *chain, struct secret *state_out)
{
    struct buf state;
    buf_init(&state, STATE_MAX);
    struct pack_writer writer = pack_writer(&state);
    pack_u8(&writer, STATE_VERSION);
    pack_u64(&writer, chain->next);
    pack_u64(&writer, chain->epoch);
    pack_u64(&writer, chain->epoch_first);
    pack_bytes(&writer, slice_of(chain->ends.head, LINK_SIZE));
    pack_bytes(&writer, slice_of(chain->ends.digest, LINK_SIZE));
    pack_bytes(&writer, secret_bytes(&chain->key));
    pack_string(&writer, chain->seed);
    pack_u64(&writer, chain->seed_epoch);
    pack_bytes(&writer, secret_bytes(&chain->next_seed));
    ENSURE(writer.status == 0);
    secret_set(state_out, buf_bytes(&state));
    buf_fini(&state);
}

static bool copy_exactly(struct slice bytes, void *out, size_t size)
{
    if (bytes.size != size)
        return false;
    memcpy(out, bytes.data, size);
    return true;
}

/* False: no such state. */
static bool unpack(struct chain *chain, struct slice state)
{
    struct pack_reader reader = pack_reader(state);
    bool is_known = unpack_u8(&reader) == STATE_VERSION;
    chain->next = unpack_u64(&reader);
    chain->epoch = unpack_u64(&reader);
    chain->epoch_first = unpack_u64(&reader);
    bool is_whole = copy_exactly(unpack_bytes(&reader), chain->ends.head, LINK_SIZE);
    is_whole = copy_exactly(unpack_bytes(&reader), chain->ends.digest, LINK_SIZE) && is_whole;
    struct slice key = unpack_bytes(&reader);
    is_whole = copy_exactly(unpack_bytes(&reader), chain->seed, SEED_FINGERPRINT_SIZE) && is_whole;
    chain->seed_epoch = unpack_u64(&reader);
    struct slice next_seed = unpack_bytes(&reader);
    if (unpack_end(&reader) != 0 || !is_known || !is_whole || key.size != SEED_SIZE ||
        (next_seed.size != 0 && next_seed.size != SEED_SIZE) || chain->next < 1 ||
        chain->epoch_first > chain->next || chain->seed_epoch > chain->epoch)
        return false;
    secret_set(&chain->key, key);
    if (next_seed.size > 0)
        secret_set(&chain->next_seed, next_seed);
    return true;
}

int chain_restore(struct slice state, const struct secret *signing_key, struct chain **chain_out)
{
    struct chain *chain = new_chain(signing_key);
    if (chain == NULL)
        return ERR_CRYPTO;
    int status = unpack(chain, state) ? 0 : ERR_CORRUPT;
    if (status == 0)
        status = link_set_key(chain->link, &chain->key);
    if (status == 0 && secret_is_set(&chain->next_seed))
        status = seed_fingerprint(&chain->next_seed, chain->next_seed_name);
    if (status != 0)
        chain_free(chain);
    else
        *chain_out = chain;
    return status;
}

uint64_t chain_sequence(const struct chain *chain)
{
    return chain->next;
}

uint64_t chain_epoch(const struct chain *chain)
{
    return chain->epoch;
}

uint64_t chain_epoch_first(const struct chain *chain)
{
    return chain->epoch_first;
}

bool chain_is_due(const struct chain *chain, uint64_t now)
{
    uint64_t age = chain->epoch_time == 0 || now < chain->epoch_time ? 0 : now - chain->epoch_time;
    return chain->next - chain->epoch_first >= CHAIN_EPOCH_RECORDS ||
           age >= (uint64_t)CHAIN_EPOCH_SECONDS * 1000000;
}

int chain_set_seed(struct chain *chain, const struct secret *seed)
{
    int status = seed_fingerprint(seed, chain->next_seed_name);
    if (status == 0)
        secret_copy(&chain->next_seed, seed);
    else if (secret_is_set(&chain->next_seed))
        ENSURE(seed_fingerprint(&chain->next_seed, chain->next_seed_name) == 0);
    return status;
}

/* Behind a checkpoint. */
static int begin_epoch(struct chain *chain)
{
    int status = 0;
    chain->epoch++;
    if (secret_is_set(&chain->next_seed)) {
        secret_move(&chain->key, &chain->next_seed);
        memcpy(chain->seed, chain->next_seed_name, sizeof(chain->seed));
        chain->seed_epoch = chain->epoch;
    } else {
        status = seed_next_key(&chain->key);
    }
    if (status == 0)
        status = link_set_key(chain->link, &chain->key);
    chain->epoch_first = chain->next;
    chain->epoch_time = 0;
    return status;
}

/* Over a line whose hash and seal are known. */
static int move_on(struct chain *chain, const uint8_t hash[LINK_SIZE],
                   const uint8_t head[LINK_SIZE])
{
    memcpy(chain->ends.head, head, LINK_SIZE);
    chain->next++;
    return link_extend(chain->link, hash, head, chain->ends.digest);
}

static void append(struct line *line, const char *before, struct slice octets)
{
    size_t size = strlen(before);
    ENSURE(line->size + size + 2 * octets.size + 1 <= LINE_CAPACITY);
    memcpy(line->text + line->size, before, size);
    hex_write(octets, line->text + line->size + size);
    line->size += size + 2 * octets.size;
    line->text[line->size++] = '"';
}

/* The line is made and the buffer has room. */
static int seal(struct chain *chain, bool is_checkpoint)
{
    uint8_t hash[LINK_SIZE], head[LINK_SIZE], signature[SIGNATURE_SIZE];
    struct line *line = &chain->line;
    int status = link_hash(chain->link, slice_of(line->text, line->size), hash);
    if (status == 0)
        status = link_seal(chain->link, chain->ends.head, chain->next, hash, head);
    if (status == 0)
        status = move_on(chain, hash, head);
    if (status != 0)
        return status;
    append(line, ",\"hash\":\"", slice_of(head, sizeof(head)));
    if (is_checkpoint) {
        status = link_sign(&chain->signing_key, chain->ends.digest, signature);
        append(line, ",\"signature\":\"", slice_of(signature, sizeof(signature)));
    }
    ENSURE(line->size + 3 <= LINE_CAPACITY);
    memcpy(line->text + line->size, "}}\n", 3);
    line->size += 3;
    return status;
}

static int write_line(struct chain *chain, const struct line_place *place,
                      const struct record *record, struct buf *lines)
{
    bool is_checkpoint = record->action == ACTION_AUDIT_CHECKPOINT;
    if (buf_room(lines) < LINE_CAPACITY)
        return ERR_FULL;
    int status = line_write(&chain->form, place, chain->next, chain->epoch, record, &chain->line);
    if (status == 0)
        status = seal(chain, is_checkpoint);
    if (status == 0)
        status = buf_append(lines, slice_of(chain->line.text, chain->line.size));
    if (chain->epoch_time == 0)
        chain->epoch_time = record->time;
    return status == 0 && is_checkpoint ? begin_epoch(chain) : status;
}

int chain_write(struct chain *chain, const struct line_place *place, const struct record *record,
                struct buf *lines)
{
    ENSURE(record->action != ACTION_AUDIT_CHECKPOINT);
    return write_line(chain, place, record, lines);
}

static void describe(struct chain *chain, struct record *record, const char *seed,
                     uint64_t seed_epoch)
{
    hex_write(slice_of(chain->ends.head, LINK_SIZE), chain->head_text);
    hex_write(slice_of(chain->ends.digest, LINK_SIZE), chain->digest_text);
    record_add_text(record, FIELD_AUDIT_HEAD, slice_of(chain->head_text, sizeof(chain->head_text)));
    record_add_text(record, FIELD_AUDIT_DIGEST,
                    slice_of(chain->digest_text, sizeof(chain->digest_text)));
    record_add_string(record, FIELD_AUDIT_SEED, seed);
    record_add_number(record, FIELD_AUDIT_SEED_EPOCH, seed_epoch);
    record_add_text(record, FIELD_AUDIT_KEY,
                    slice_of(chain->public_key_text, sizeof(chain->public_key_text)));
}

void chain_describe(struct chain *chain, struct record *record)
{
    describe(chain, record, chain->seed, chain->seed_epoch);
}

int chain_checkpoint(struct chain *chain, const struct line_place *place, uint64_t now,
                     const char *file, struct buf *lines)
{
    struct record record;
    bool is_new_seed = secret_is_set(&chain->next_seed);
    record_init(&record, ACTION_AUDIT_CHECKPOINT, WHY_NONE, now);
    record_add_number(&record, FIELD_AUDIT_FIRST, chain->epoch_first);
    record_add_number(&record, FIELD_AUDIT_LAST, chain->next - 1);
    record_add_number(&record, FIELD_AUDIT_COUNT, chain->next - chain->epoch_first);
    record_add_string(&record, FIELD_AUDIT_FILE, file);
    /* Of the epoch that it begins. */
    describe(chain, &record, is_new_seed ? chain->next_seed_name : chain->seed,
             is_new_seed ? chain->epoch + 1 : chain->seed_epoch);
    return write_line(chain, place, &record, lines);
}

/* The seed that a checkpoint announces. False: it is another than the one that we go on with. */
static bool is_announced(const struct chain *chain, const struct reading *reading)
{
    const struct record_value *seed = record_find(&reading->record, FIELD_AUDIT_SEED);
    bool is_new = reader_number(reading, FIELD_AUDIT_SEED_EPOCH, 0) == chain->epoch + 1;
    const char *name = is_new ? chain->next_seed_name : chain->seed;
    return seed != NULL && slice_is(seed->text, name) && *name != '\0';
}

int chain_follow(struct chain *chain, struct slice line)
{
    uint8_t hash[LINK_SIZE], head[LINK_SIZE];
    const struct reading *reading = &chain->reading;
    if (line.size < 1 || line.data[line.size - 1] != '\n' ||
        reader_read(slice_take(line, line.size - 1), &chain->reading) != 0 ||
        reading->sequence != chain->next || reading->epoch != chain->epoch)
        return ERR_CORRUPT;
    bool is_checkpoint = reading->record.action == ACTION_AUDIT_CHECKPOINT;
    if (is_checkpoint != reading->is_signed || (is_checkpoint && !is_announced(chain, reading)))
        return ERR_CORRUPT;
    int status = link_hash(chain->link, reading->body, hash);
    if (status == 0)
        status = link_seal(chain->link, chain->ends.head, chain->next, hash, head);
    if (status == 0 && CRYPTO_memcmp(head, reading->head, LINK_SIZE) != 0)
        return ERR_CORRUPT;
    if (status == 0)
        status = move_on(chain, hash, head);
    return status == 0 && is_checkpoint ? begin_epoch(chain) : status;
}

/* ---- over a gap ---- */

static bool reads_as_gap(struct chain *chain, struct slice line, struct link_ends *before_out)
{
    const struct reading *reading = &chain->reading;
    return line.size > 0 && line.data[line.size - 1] == '\n' &&
           reader_read(slice_take(line, line.size - 1), &chain->reading) == 0 &&
           reading->record.action == ACTION_AUDIT_GAP && reading->sequence > chain->next &&
           reader_number(reading, FIELD_AUDIT_FIRST, 0) == chain->next &&
           reader_number(reading, FIELD_AUDIT_LAST, 0) == reading->sequence - 1 &&
           reading->epoch >= chain->epoch && reading->epoch - chain->epoch <= GAP_EPOCHS &&
           !secret_is_set(&chain->next_seed) &&
           reader_hash(reading, FIELD_AUDIT_HEAD, before_out->head) &&
           reader_hash(reading, FIELD_AUDIT_DIGEST, before_out->digest);
}

/* Behind the lines that nobody has; `key` is of the gap's epoch, and moved from. */
static void jump(struct chain *chain, const struct link_ends *before, struct secret *key)
{
    const struct reading *reading = &chain->reading;
    if (reading->epoch != chain->epoch) {
        chain->epoch_first = reading->sequence;
        chain->epoch_time = 0;
    }
    chain->epoch = reading->epoch;
    chain->next = reading->sequence;
    chain->ends = *before;
    secret_move(&chain->key, key);
}

int chain_cross(struct chain *chain, struct slice line)
{
    struct link_ends before;
    struct secret key = {0};
    uint8_t hash[LINK_SIZE], head[LINK_SIZE];
    if (!reads_as_gap(chain, line, &before))
        return ERR_CORRUPT;
    int status = 0;
    secret_copy(&key, &chain->key);
    for (uint64_t epoch = chain->epoch; status == 0 && epoch < chain->reading.epoch; epoch++)
        status = seed_next_key(&key);
    if (status == 0)
        status = link_set_key(chain->link, &key);
    if (status == 0)
        status = link_hash(chain->link, chain->reading.body, hash);
    if (status == 0)
        status = link_seal(chain->link, before.head, chain->reading.sequence, hash, head);
    if (status == 0 && CRYPTO_memcmp(head, chain->reading.head, LINK_SIZE) != 0) {
        secret_wipe(&key);
        status = link_set_key(chain->link, &chain->key);
        return status == 0 ? ERR_CORRUPT : status;
    }
    if (status == 0) {
        jump(chain, &before, &key);
        status = move_on(chain, hash, head);
    }
    secret_wipe(&key);
    return status;
}
