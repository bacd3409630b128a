/*
 * Happy path: the slot with the higher number is the state; the next one goes into the other slot
 * and is synced before the first is wiped.
 *
 * Failures: a crash within a write leaves the other slot; a file that was made anew, or is not
 * ours, has no slot that opens.
 */
#include "keeper/journal_state.h"

#include <errno.h>
#include <unistd.h>

#include "base/pack.h"
#include "keeper/seal.h"

#define NAME        "state"
#define SLOTS       2
#define SLOT_SIZE   4096
#define CONTENT_MAX (SLOT_SIZE - SEAL_OVERHEAD - 4)
#define CHAIN_MAX   2048

static const struct seal_place place_of_seal = {.table = "audit", .column = "state", .account = ""};

struct journal_state {
    struct secret key;
    char *folder;
    int descriptor;
    uint64_t number; /* of the newest slot */
};

static int fail(const struct journal_state *state, struct err *err)
{
    return err_set_errno(err, "%s/" NAME, state->folder);
}

/* The whole slot, in one write. */
static int write_slot(struct journal_state *state, uint64_t number, const uint8_t octets[SLOT_SIZE],
                      struct err *err)
{
    off_t offset = (off_t)(number % SLOTS * SLOT_SIZE);
    ssize_t count = pwrite(state->descriptor, octets, SLOT_SIZE, offset);
    if (count == SLOT_SIZE)
        return 0;
    if (count >= 0)
        errno = ENOSPC;
    return fail(state, err);
}

/* ---- open and close ---- */

static int make(struct journal_state *state, const struct state_folder *folder, struct err *err)
{
    static const uint8_t nothing[SLOT_SIZE];
    int status = state_folder_open_file(folder, NAME, STATE_FILE_CREATE, &state->descriptor, err);
    for (uint64_t i = 0; status == 0 && i < SLOTS; i++)
        status = write_slot(state, i, nothing, err);
    if (status == 0 &&
        (fsync(state->descriptor) != 0 || fsync(state_folder_descriptor(folder)) != 0))
        status = fail(state, err);
    return status;
}

int journal_state_open(const struct journal_files *files, const struct secret *key,
                       struct journal_state **state_out, struct err *err)
{
    const struct state_folder *folder = journal_files_folder(files);
    struct journal_state *state = mem_new(sizeof(*state));
    state->descriptor = -1;
    state->folder = mem_copy_string(state_folder_path(folder));
    secret_copy(&state->key, key);
    int status = state_folder_open_file(folder, NAME, STATE_FILE_WRITE, &state->descriptor, err);
    if (status == ERR_NOT_FOUND)
        status = make(state, folder, err);
    if (status != 0) {
        journal_state_close(state);
        return status;
    }
    *state_out = state;
    return 0;
}

void journal_state_close(struct journal_state *state)
{
    if (state == NULL)
        return;
    if (state->descriptor >= 0)
        (void)close(state->descriptor);
    secret_wipe(&state->key);
    mem_free(state->folder);
    mem_free(state);
}

/* ---- a slot ---- */

struct content {
    uint64_t number;
    struct journal_position place;
    struct slice chain;
};

static int read_content(const struct secret *opened, struct content *content_out)
{
    struct pack_reader reader = pack_reader(secret_bytes(opened));
    content_out->number = unpack_u64(&reader);
    content_out->place.segment = unpack_u64(&reader);
    content_out->place.offset = unpack_u64(&reader);
    content_out->place.opened = (int64_t)unpack_u64(&reader);
    content_out->chain = unpack_bytes(&reader);
    return unpack_end(&reader);
}

/* False: the slot has nothing that opens. */
static bool open_slot(const struct journal_state *state, unsigned slot, struct secret *opened)
{
    uint8_t octets[SLOT_SIZE];
    ssize_t count = pread(state->descriptor, octets, SLOT_SIZE, (off_t)slot * SLOT_SIZE);
    if (count != SLOT_SIZE)
        return false;
    struct pack_reader reader = pack_reader(slice_of(octets, sizeof(octets)));
    struct slice sealed = unpack_bytes(&reader);
    return reader.status == 0 && seal_read(&state->key, &place_of_seal, sealed, opened) == 0;
}

int journal_state_load(struct journal_state *state, struct journal_position *position_out,
                       struct secret *chain_out, struct err *err)
{
    bool is_found = false;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct secret opened = {0};
        struct content content;
        if (open_slot(state, i, &opened) && read_content(&opened, &content) == 0 &&
            content.number % SLOTS == i && (!is_found || content.number > state->number)) {
            is_found = true;
            state->number = content.number;
            *position_out = content.place;
            secret_set(chain_out, content.chain);
        }
        secret_wipe(&opened);
    }
    return is_found ? 0
                    : err_set(err, ERR_NOT_FOUND, "%s/" NAME ": no state of the chain is there",
                              state->folder);
}

static int seal(const struct journal_state *state, const struct journal_position *position,
                const struct secret *chain, struct buf *sealed)
{
    struct buf content;
    buf_init(&content, CONTENT_MAX);
    struct pack_writer writer = pack_writer(&content);
    pack_u64(&writer, state->number + 1);
    pack_u64(&writer, position->segment);
    pack_u64(&writer, position->offset);
    pack_u64(&writer, (uint64_t)position->opened);
    pack_bytes(&writer, secret_bytes(chain));
    int status = writer.status;
    if (status == 0)
        status = seal_write(&state->key, &place_of_seal, buf_bytes(&content), sealed);
    buf_fini(&content);
    return status;
}

static int fill_slot(const struct journal_state *state, const struct journal_position *position,
                     const struct secret *chain, uint8_t octets_out[SLOT_SIZE])
{
    struct buf sealed, slot;
    buf_init(&sealed, SLOT_SIZE);
    buf_init(&slot, SLOT_SIZE);
    int status = seal(state, position, chain, &sealed);
    if (status == 0) {
        struct pack_writer writer = pack_writer(&slot);
        pack_bytes(&writer, buf_bytes(&sealed));
        status = writer.status;
    }
    struct slice bytes = buf_bytes(&slot);
    for (size_t i = 0; i < SLOT_SIZE; i++)
        octets_out[i] = i < bytes.size ? bytes.data[i] : 0;
    buf_fini(&sealed);
    buf_fini(&slot);
    return status;
}

int journal_state_store(struct journal_state *state, const struct journal_position *position,
                        const struct secret *chain, struct err *err)
{
    static const uint8_t nothing[SLOT_SIZE];
    uint8_t octets[SLOT_SIZE];
    ENSURE(chain->size <= CHAIN_MAX);
    int status = fill_slot(state, position, chain, octets);
    if (status != 0)
        return err_set(err, status, "%s/" NAME " cannot be sealed", state->folder);
    status = write_slot(state, state->number + 1, octets, err);
    if (status == 0 && fdatasync(state->descriptor) != 0)
        status = fail(state, err);
    if (status != 0)
        return status;
    state->number++;
    return write_slot(state, state->number + 1, nothing, err);
}
