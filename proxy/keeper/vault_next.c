/*
 * The refresh token that is being stored.
 *
 * A transaction waits for the disk several times before it counts, and a rotated token is in memory
 * alone until then: a process that is killed meanwhile loses it, and the one before it is dead. So
 * it is first put, sealed, into a file beside the vault, which takes no wait: what was written is
 * there after the process, if not after a power cut.
 *
 * Happy path: it is noted, stored, forgotten. One that is found at the opening is stored if the
 * account still has the token that it was to follow.
 *
 * Failures: none that matter. Where it cannot be noted, the transaction is what there was before;
 * one that is cut, sealed with another key or late is dropped.
 */
#include <openssl/sha.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pack.h"
#include "keeper/vault_store.h"

#define NEXT_NAME "vault.next"
#define NEXT_MAX  (SEAL_OVERHEAD + SEAL_CONTENT_MAX + 4096)

static struct seal_place next_place(const char *account, const char *issuer)
{
    return (struct seal_place){.table = "next",
                               .column = "refresh_token",
                               .account = account,
                               .bound = slice_of_string(issuer)};
}

static void digest(const struct secret *token, uint8_t out[SHA256_DIGEST_LENGTH])
{
    struct slice bytes = secret_bytes(token);
    SHA256(bytes.data, bytes.size, out);
}

/* ---- noting ---- */

static int seal_next(const struct vault *vault, const char *account, const char *issuer,
                     const struct secret *before, const struct secret *token, struct buf *out)
{
    uint8_t mark[SHA256_DIGEST_LENGTH];
    struct seal_place place = next_place(account, issuer);
    struct buf content;
    digest(before, mark);
    buf_init(&content, SEAL_CONTENT_MAX);
    int status = buf_append(&content, slice_of(mark, sizeof(mark)));
    if (status == 0)
        status = buf_append(&content, secret_bytes(token));
    if (status == 0)
        status = seal_write(&vault->seal_key, &place, buf_bytes(&content), out);
    buf_fini(&content);
    return status;
}

static void write_next(const struct vault *vault, struct slice bytes)
{
    int descriptor;
    state_folder_remove_file(vault->folder, NEXT_NAME);
    if (state_folder_open_file(vault->folder, NEXT_NAME, STATE_FILE_CREATE, &descriptor, NULL) != 0)
        return;
    ssize_t written = write(descriptor, bytes.data, bytes.size);
    (void)written;
    (void)close(descriptor);
}

static void note_behind(const struct vault *vault, const char *account, const char *issuer,
                        const struct secret *before, const struct secret *token)
{
    struct buf sealed, frame;
    buf_init(&sealed, SEAL_OVERHEAD + SEAL_CONTENT_MAX);
    buf_init(&frame, NEXT_MAX);
    struct pack_writer writer = pack_writer(&frame);
    if (seal_next(vault, account, issuer, before, token, &sealed) == 0) {
        pack_string(&writer, account);
        pack_string(&writer, issuer);
        pack_bytes(&writer, buf_bytes(&sealed));
        if (writer.status == 0)
            write_next(vault, buf_bytes(&frame));
    }
    buf_fini(&sealed);
    buf_fini(&frame);
}

void vault_next_note(struct vault *vault, const char *account, const char *issuer,
                     const struct secret *token)
{
    struct secret before = {0};
    if (vault_token_load(vault, account, issuer, &before, NULL) == 0)
        note_behind(vault, account, issuer, &before, token);
    secret_wipe(&before);
}

void vault_next_forget(const struct vault *vault)
{
    state_folder_remove_file(vault->folder, NEXT_NAME);
}

/* ---- what an earlier process left ---- */

static void store_next(struct vault *vault, const char *account, const char *issuer,
                       struct slice content)
{
    uint8_t mark[SHA256_DIGEST_LENGTH];
    struct secret before = {0}, token = {0};
    if (content.size > sizeof(mark) &&
        vault_token_load(vault, account, issuer, &before, NULL) == 0) {
        digest(&before, mark);
        secret_set(&token, slice_skip(content, sizeof(mark)));
        if (slice_equal(slice_take(content, sizeof(mark)), slice_of(mark, sizeof(mark))))
            (void)!vault_token_store(vault, account, issuer, &token, clock_wall_seconds(), NULL);
    }
    secret_wipe(&before);
    secret_wipe(&token);
}

static void take_next(struct vault *vault, struct slice bytes)
{
    struct pack_reader reader = pack_reader(bytes);
    char *account = unpack_string(&reader), *issuer = unpack_string(&reader);
    struct slice sealed = unpack_bytes(&reader);
    struct secret content = {0};
    if (unpack_end(&reader) == 0) {
        struct seal_place place = next_place(account, issuer);
        if (seal_read(&vault->seal_key, &place, sealed, &content) == 0)
            store_next(vault, account, issuer, secret_bytes(&content));
    }
    secret_wipe(&content);
    mem_free(account);
    mem_free(issuer);
}

void vault_next_recover(struct vault *vault)
{
    int descriptor;
    if (state_folder_open_file(vault->folder, NEXT_NAME, STATE_FILE_READ, &descriptor, NULL) != 0)
        return;
    uint8_t *bytes = mem_new(NEXT_MAX);
    ssize_t size = read(descriptor, bytes, NEXT_MAX);
    (void)close(descriptor);
    /* When it cannot be stored now, it has been noted once more. */
    vault_next_forget(vault);
    if (size > 0)
        take_next(vault, slice_of(bytes, (size_t)size));
    mem_free(bytes);
}
