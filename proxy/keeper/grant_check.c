/*
 * Happy path: two keyed hashes of the typed password are compared with what is known of every
 * grant there is. The account's label is in what is hashed, so only its own grants can match, and
 * the work is the same whoever asks, for whomever. A chosen password that was never seen goes
 * through scrypt in the thread pool, once; its keyed hash is remembered.
 *
 * Failures:
 *  - a grant that is damaged in the vault is left out: it opens nothing
 *  - guesses pile up: beyond GRANT_DERIVATIONS_MAX different ones none is taken
 *  - the grant is removed, or the caller gives up, while a thread derives: the outcome counts for
 *    what is known when it arrives; a cancelled one tells nobody
 *  - no memory for scrypt: a mismatch
 */
#include "keeper/grant_check.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "keeper/grant_verifier.h"
#include "keeper/heirloom.h"

struct entry {
    const struct vault_grant *grant; /* in grant_check.grants */
    struct secret verifier;
    struct secret password;   /* of a clear one; its verifier is that of a generated one */
    struct secret remembered; /* of a chosen one: its hash under the process's key, when known */
};

struct table {
    struct vault_grant *grants; /* all of the vault */
    size_t grant_count;
    struct entry *entries; /* those that count */
    size_t count;
    size_t chosen_max; /* the most chosen ones that an account has */
};

struct grant_check {
    struct loop *loop;
    struct vault *vault;
    struct table table;
    struct grant_heirs heirs;         /* all zero: none */
    struct keyed_hash *vault_key;     /* of generated ones */
    struct keyed_hash *process_key;   /* of chosen ones that were derived */
    uint8_t decoy[GRANT_CHOSEN_SIZE]; /* stands where there is nothing to compare with */
    struct list jobs;                 /* the first one is the one that runs */
    size_t job_count;
    size_t waiting_count; /* tickets */
    bool running;
    bool closing;
    void (*on_closed)(void *owner);
    void *closed_owner;
    struct deferral closed;
};

/* A chosen grant to try, or the decoy (number 0). */
struct candidate {
    int64_t number;
    uint8_t verifier[GRANT_CHOSEN_SIZE];
};

/* One password on its way through scrypt, and all who wait for it: a mail client opens several
 * connections at once. */
struct job {
    uv_work_t work;
    struct list node; /* in grant_check.jobs */
    struct grant_check *check;
    struct list waiting; /* of struct grant_derivation */
    char *account;       /* "" for a user that does not exist */
    struct secret password;
    struct candidate *candidates;
    size_t count;
    struct heirloom *heirloom; /* or NULL */
    int64_t matched;
};

struct grant_derivation {
    struct list node;
    struct job *job; /* NULL: about to be answered */
    struct grant_check *check;
    void (*on_done)(void *owner, enum grant_verdict verdict, int64_t grant);
    void *owner;
};

static void start_next(struct grant_check *check);

/* ---- the table ---- */

static void entry_wipe(struct entry *entry)
{
    secret_wipe(&entry->verifier);
    secret_wipe(&entry->password);
    secret_wipe(&entry->remembered);
}

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_wipe(&table->entries[i]);
    mem_free(table->entries);
    vault_grants_free(table->grants, table->grant_count);
    *table = (struct table){0};
}

static struct entry *table_find(const struct table *table, int64_t number)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].grant->number == number)
            return &table->entries[i];
    }
    return NULL;
}

static bool is_listed(const char *account, const char *const *accounts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(account, accounts[i]) == 0)
            return true;
    }
    return false;
}

static size_t count_chosen(const struct table *table, const char *account)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct vault_grant *grant = table->entries[i].grant;
        count += grant->kind == VAULT_GRANT_CHOSEN && strcmp(grant->account, account) == 0;
    }
    return count;
}

/* Takes the grant in, unless it is damaged. */
static int table_add(struct table *table, struct vault *vault, const struct vault_grant *grant,
                     struct err *err)
{
    struct entry entry = {.grant = grant};
    bool is_clear = grant->kind == VAULT_GRANT_CLEAR;
    int status =
        vault_grant_verifier(vault, grant, is_clear ? &entry.password : &entry.verifier, err);
    if (status == 0 && is_clear &&
        grant_verifier_of_generated(vault_grant_key(vault), grant->account,
                                    secret_bytes(&entry.password), &entry.verifier) != 0)
        status = err_set(err, ERR_CRYPTO, "no verifier can be made of a password");
    if (status != 0) {
        entry_wipe(&entry);
        return status;
    }
    table->entries[table->count++] = entry;
    return 0;
}

static void table_count(struct table *table)
{
    table->chosen_max = 0;
    for (size_t i = 0; i < table->count; i++) {
        size_t chosen = count_chosen(table, table->entries[i].grant->account);
        if (chosen > table->chosen_max)
            table->chosen_max = chosen;
    }
}

static int table_fill(struct table *table, struct vault *vault, const char *const *accounts,
                      size_t count, struct err *err)
{
    int status = vault_grant_list(vault, NULL, &table->grants, &table->grant_count, err);
    if (status != 0)
        return status;
    table->entries = mem_new_array(table->grant_count + 1, sizeof(*table->entries));
    int damaged = 0;
    for (size_t i = 0; i < table->grant_count; i++) {
        if (!is_listed(table->grants[i].account, accounts, count))
            continue;
        status = table_add(table, vault, &table->grants[i], damaged == 0 ? err : NULL);
        if (status == ERR_CORRUPT)
            damaged = status;
        else if (status != 0)
            return status;
    }
    table_count(table);
    return damaged;
}

int grant_check_load(struct grant_check *check, const char *const *accounts, size_t count,
                     struct err *err)
{
    struct table table = {0};
    int status = table_fill(&table, check->vault, accounts, count, err);
    if (status != 0 && status != ERR_CORRUPT) {
        table_clear(&table);
        return status;
    }
    for (size_t i = 0; i < table.count; i++) {
        struct entry *now = &table.entries[i];
        struct entry *before = table_find(&check->table, now->grant->number);
        if (before != NULL && secret_equal(&before->verifier, secret_bytes(&now->verifier)))
            secret_move(&now->remembered, &before->remembered);
    }
    table_clear(&check->table);
    check->table = table;
    return status;
}

void grant_check_remove(struct grant_check *check, int64_t number)
{
    struct table *table = &check->table;
    struct entry *entry = table_find(table, number);
    if (entry == NULL)
        return;
    entry_wipe(entry);
    *entry = table->entries[--table->count];
    table_count(table);
}

const struct vault_grant *grant_check_grant(const struct grant_check *check, int64_t number)
{
    const struct entry *entry = table_find(&check->table, number);
    return entry == NULL ? NULL : entry->grant;
}

/* ---- at once ---- */

static bool entry_matches(const struct grant_check *check, const struct entry *entry,
                          const uint8_t *of_generated, const uint8_t *of_chosen)
{
    if (entry->grant->kind != VAULT_GRANT_CHOSEN)
        return CRYPTO_memcmp(entry->verifier.bytes, of_generated, GRANT_HASH_SIZE) == 0;
    const uint8_t *known =
        secret_is_set(&entry->remembered) ? entry->remembered.bytes : check->decoy;
    return CRYPTO_memcmp(known, of_chosen, GRANT_HASH_SIZE) == 0;
}

enum grant_verdict grant_check_password(struct grant_check *check, const char *account,
                                        struct slice password, int64_t *grant_out)
{
    const char *label = account == NULL ? "" : account;
    uint8_t of_generated[GRANT_HASH_SIZE], of_chosen[GRANT_HASH_SIZE];
    int64_t number = 0;
    *grant_out = 0;
    if (grant_hash(check->vault_key, label, password, of_generated) != 0 ||
        grant_hash(check->process_key, label, password, of_chosen) != 0)
        return GRANT_MISMATCH;
    for (size_t i = 0; i < check->table.count; i++) {
        const struct entry *entry = &check->table.entries[i];
        if (entry_matches(check, entry, of_generated, of_chosen))
            number = entry->grant->number;
    }
    mem_wipe(of_generated, sizeof(of_generated));
    mem_wipe(of_chosen, sizeof(of_chosen));
    *grant_out = number;
    if (number != 0)
        return GRANT_MATCH;
    return check->table.chosen_max > 0 || heirlooms_are_left(check->heirs.heirlooms)
               ? GRANT_LATER
               : GRANT_MISMATCH;
}

static const struct entry *find_clear(const struct grant_check *check, const char *account,
                                      enum protocol protocol, enum vault_grant_class class)
{
    for (size_t i = 0; i < check->table.count; i++) {
        const struct entry *entry = &check->table.entries[i];
        if (entry->grant->classes[class] && vault_grant_allows(entry->grant, protocol) &&
            strcmp(entry->grant->account, account) == 0)
            return entry;
    }
    return NULL;
}

bool grant_check_has_clear(const struct grant_check *check, const char *account,
                           enum protocol protocol, enum vault_grant_class class)
{
    return find_clear(check, account, protocol, class) != NULL;
}

int grant_check_clear(const struct grant_check *check, const char *account, enum protocol protocol,
                      enum vault_grant_class class, struct secret *password_out, int64_t *grant_out)
{
    const struct entry *entry = find_clear(check, account, protocol, class);
    *grant_out = 0;
    if (entry == NULL)
        return ERR_NOT_FOUND;
    secret_copy(password_out, &entry->password);
    *grant_out = entry->grant->number;
    return 0;
}

/* ---- later ---- */

static void job_free(struct job *job)
{
    list_remove(&job->node);
    job->check->job_count--;
    secret_wipe(&job->password);
    if (job->candidates != NULL)
        mem_wipe(job->candidates, job->count * sizeof(*job->candidates));
    mem_free(job->candidates);
    heirloom_free(job->heirloom);
    mem_free(job->account);
    mem_free(job);
}

/* The account's chosen grants, filled up with decoys to what any account would take. */
static void choose_candidates(struct job *job)
{
    const struct grant_check *check = job->check;
    const struct table *table = &check->table;
    size_t room = table->chosen_max > 0 ? table->chosen_max : 1;
    job->candidates = mem_new_array(room, sizeof(*job->candidates));
    for (size_t i = 0; i < table->count; i++) {
        const struct entry *entry = &table->entries[i];
        if (entry->grant->kind != VAULT_GRANT_CHOSEN ||
            strcmp(entry->grant->account, job->account) != 0)
            continue;
        struct candidate *candidate = &job->candidates[job->count++];
        candidate->number = entry->grant->number;
        memcpy(candidate->verifier, entry->verifier.bytes, GRANT_CHOSEN_SIZE);
    }
    while (job->count < room)
        memcpy(job->candidates[job->count++].verifier, check->decoy, GRANT_CHOSEN_SIZE);
    job->heirloom = heirlooms_find(check->heirs.heirlooms, job->account);
}

/* In a thread of the pool: touches nothing of the job but password, candidates,
 * heirloom and matched. */
static void derive(uv_work_t *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    for (size_t i = 0; i < job->count; i++) {
        const struct candidate *candidate = &job->candidates[i];
        uint8_t hash[GRANT_HASH_SIZE];
        if (grant_derive(candidate->verifier, secret_bytes(&job->password), hash) == 0 &&
            CRYPTO_memcmp(candidate->verifier + GRANT_SALT_SIZE, hash, sizeof(hash)) == 0)
            job->matched = candidate->number;
        mem_wipe(hash, sizeof(hash));
    }
    if (job->heirloom != NULL && job->matched == 0)
        heirloom_open(job->heirloom, secret_bytes(&job->password));
    ERR_clear_error(); /* it would be kept with this thread of the pool */
}

/* So that this password is answered at once the next time. Gives the grant's number, or 0 when it
 * is not there any more. */
static int64_t remember(const struct job *job)
{
    const struct grant_check *check = job->check;
    struct entry *entry = table_find(&check->table, job->matched);
    if (entry == NULL)
        return 0;
    uint8_t hash[GRANT_HASH_SIZE];
    if (grant_hash(check->process_key, job->account, secret_bytes(&job->password), hash) == 0)
        secret_set(&entry->remembered, slice_of(hash, sizeof(hash)));
    mem_wipe(hash, sizeof(hash));
    return entry->grant->number;
}

/* The password is no grant's, but opens what the account has from before. */
static int64_t inherit(const struct job *job)
{
    const struct grant_heirs *heirs = &job->check->heirs;
    const struct secret *token = heirloom_token(job->heirloom);
    if (job->matched != 0 || token == NULL || job->check->closing)
        return job->matched;
    return heirs->inherit(heirs->owner, job->account, token, &job->password);
}

static void finish_close(struct grant_check *check)
{
    void (*on_closed)(void *owner) = check->on_closed;
    void *owner = check->closed_owner;
    table_clear(&check->table);
    keyed_hash_free(check->vault_key);
    keyed_hash_free(check->process_key);
    mem_free(check);
    on_closed(owner);
}

/* The tickets are off the job already, so that what they call may cancel others or close. */
static void answer(struct list *waiting, int64_t number)
{
    while (!list_is_empty(waiting)) {
        struct grant_derivation *next = CONTAINER_OF(waiting->next, struct grant_derivation, node);
        void (*on_done)(void *, enum grant_verdict, int64_t) = next->on_done;
        void *owner = next->owner;
        grant_check_derive_cancel(next);
        on_done(owner, number != 0 ? GRANT_MATCH : GRANT_MISMATCH, number);
    }
}

static void on_derived(uv_work_t *work, int status)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    struct grant_check *check = job->check;
    (void)status;
    check->running = false;
    job->matched = inherit(job);
    int64_t number = job->matched == 0 ? 0 : remember(job);
    struct list waiting;
    list_init(&waiting);
    while (!list_is_empty(&job->waiting)) {
        struct list *node = job->waiting.next;
        list_remove(node);
        list_append(&waiting, node);
        CONTAINER_OF(node, struct grant_derivation, node)->job = NULL;
    }
    job_free(job);
    if (check->closing) {
        finish_close(check);
        return;
    }
    start_next(check);
    answer(&waiting, number);
}

static void start_next(struct grant_check *check)
{
    if (check->running || list_is_empty(&check->jobs))
        return;
    struct job *next = CONTAINER_OF(check->jobs.next, struct job, node);
    choose_candidates(next);
    check->running = true;
    ENSURE(uv_queue_work(&check->loop->uv, &next->work, derive, on_derived) == 0);
}

static struct job *find_job(const struct grant_check *check, const char *account,
                            const struct secret *password)
{
    LIST_FOREACH (node, &check->jobs) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (strcmp(job->account, account) == 0 &&
            secret_equal(&job->password, secret_bytes(password)))
            return job;
    }
    return NULL;
}

static struct job *job_new(struct grant_check *check, const char *account, struct secret *password)
{
    struct job *job = mem_new(sizeof(*job));
    job->check = check;
    job->account = mem_copy_string(account);
    secret_move(&job->password, password);
    list_init(&job->waiting);
    list_init(&job->node);
    list_append(&check->jobs, &job->node);
    check->job_count++;
    return job;
}

struct grant_derivation *
grant_check_derive_start(struct grant_check *check, const char *account, struct secret *password,
                         void (*on_done)(void *owner, enum grant_verdict verdict, int64_t grant),
                         void *owner)
{
    ENSURE(!check->closing);
    const char *label = account == NULL ? "" : account;
    struct job *job = find_job(check, label, password);
    if (check->waiting_count >= GRANT_WAITING_MAX ||
        (job == NULL && check->job_count >= GRANT_DERIVATIONS_MAX)) {
        secret_wipe(password);
        return NULL;
    }
    if (job == NULL)
        job = job_new(check, label, password);
    secret_wipe(password);
    struct grant_derivation *derivation = mem_new(sizeof(*derivation));
    derivation->job = job;
    derivation->check = check;
    derivation->on_done = on_done;
    derivation->owner = owner;
    list_init(&derivation->node);
    list_append(&job->waiting, &derivation->node);
    check->waiting_count++;
    start_next(check);
    return derivation;
}

void grant_check_derive_cancel(struct grant_derivation *derivation)
{
    struct grant_check *check = derivation->check;
    struct job *job = derivation->job;
    list_remove(&derivation->node);
    check->waiting_count--;
    mem_free(derivation);
    if (job == NULL || !list_is_empty(&job->waiting))
        return;
    bool runs = check->running && check->jobs.next == &job->node;
    if (!runs)
        job_free(job);
}

/* ---- life ---- */

static void on_close_deferred(struct deferral *deferral)
{
    finish_close(CONTAINER_OF(deferral, struct grant_check, closed));
}

int grant_check_open(struct loop *loop, struct vault *vault, struct grant_check **check_out,
                     struct err *err)
{
    uint8_t key[GRANT_HASH_SIZE];
    struct grant_check *check = mem_new(sizeof(*check));
    *check_out = NULL;
    if (RAND_priv_bytes(key, sizeof(key)) != 1 ||
        RAND_priv_bytes(check->decoy, sizeof(check->decoy)) != 1) {
        mem_free(check);
        return err_set(err, ERR_CRYPTO, "no random numbers");
    }
    check->vault_key = keyed_hash_new(secret_bytes(vault_grant_key(vault)));
    check->process_key = keyed_hash_new(slice_of(key, sizeof(key)));
    mem_wipe(key, sizeof(key));
    check->loop = loop;
    check->vault = vault;
    list_init(&check->jobs);
    deferral_init(&check->closed, on_close_deferred);
    *check_out = check;
    return 0;
}

void grant_check_set_heirs(struct grant_check *check, const struct grant_heirs *heirs)
{
    check->heirs = *heirs;
}

void grant_check_close(struct grant_check *check, void (*on_closed)(void *owner), void *owner)
{
    ENSURE(!check->closing);
    ENSURE(check->waiting_count == 0);
    check->closing = true;
    check->on_closed = on_closed;
    check->closed_owner = owner;
    if (!check->running)
        loop_defer(check->loop, &check->closed);
}

/* ---- passwords ---- */

int grant_password_generate(struct secret *password_out, struct err *err)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    enum { RANDOM_SIZE = 16, TEXT_SIZE = 26 };
    uint8_t random[RANDOM_SIZE], text[TEXT_SIZE];
    if (RAND_priv_bytes(random, sizeof(random)) != 1)
        return err_set(err, ERR_CRYPTO, "no random numbers for a password");
    for (size_t i = 0; i < TEXT_SIZE; i++) {
        unsigned value = 0;
        for (size_t bit = 5 * i; bit < 5 * i + 5; bit++) {
            unsigned octet = bit / 8 < RANDOM_SIZE ? random[bit / 8] : 0;
            value = value << 1 | (octet >> (7 - bit % 8) & 1);
        }
        text[i] = (uint8_t)digits[value];
    }
    secret_set(password_out, slice_of(text, sizeof(text)));
    mem_wipe(random, sizeof(random));
    mem_wipe(text, sizeof(text));
    return 0;
}
