/*
 * The keeper and its journal: what the keeper does itself is written there; what the journal says
 * is passed on to the gates.
 *
 * When the journal fails, and audit_failure = close, every session is ended once; who comes
 * meanwhile is refused by the desk.
 */
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/hex.h"
#include "keeper/journal.h"
#include "keeper/keeper_parts.h"
#include "keeper/whole_file.h"

#define CONFIG_FILE_MAX (16ul * 1024 * 1024)

/* ---- what the journal says ---- */

static void on_congested(void *owner, bool is_congested)
{
    struct keeper *keeper = owner;
    if (keeper->gates != NULL)
        gates_pause(keeper->gates, is_congested);
}

static void on_failing(void *owner, bool is_failing)
{
    struct keeper *keeper = owner;
    const struct message_refused end = {.why = WHY_SHUTDOWN, .text = JOURNAL_REFUSAL};
    struct buf message;
    if (!is_failing || keeper->gates == NULL)
        return;
    log_warn(&keeper->log, "audit: sessions are ended, and nobody may log in, until the journal "
                           "can be written");
    buf_init(&message, MESSAGE_SIZE_MAX);
    ENSURE(message_write_refused(&message, 0, &end) == 0);
    gates_send_all(keeper->gates, buf_bytes(&message));
    buf_fini(&message);
}

static void on_durable(void *owner, unsigned gate, uint64_t receipt)
{
    struct keeper *keeper = owner;
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    ENSURE(message_write_number(&message, MESSAGE_DURABLE, 0, receipt) == 0);
    if (keeper->gates != NULL && gates_send(keeper->gates, gate, buf_bytes(&message)) != 0)
        log_debug(&keeper->log, "gate %u is not there any more", gate);
    buf_fini(&message);
}

const struct journal_ops keeper_journal_ops = {on_congested, on_failing, on_durable};

/* ---- what the keeper does ---- */

void keeper_note(struct keeper *keeper, enum record_action action, enum why why, const char *text)
{
    struct record record;
    record_init(&record, action, why, (uint64_t)clock_wall_microseconds());
    record_add_string(&record, FIELD_REASON, text);
    journal_write(keeper->journal, NULL, &record);
}

static bool hash_file(const char *file, char digits_out[65])
{
    uint8_t digest[32];
    struct buf bytes;
    buf_init(&bytes, CONFIG_FILE_MAX);
    int status = whole_file_read(file, false, &bytes, NULL);
    bool is_hashed = status == 0 && EVP_Digest(buf_bytes(&bytes).data, buf_size(&bytes), digest,
                                               NULL, EVP_sha256(), NULL) == 1;
    buf_fini(&bytes);
    if (is_hashed)
        hex_write(slice_of(digest, sizeof(digest)), digits_out);
    digits_out[is_hashed ? 64 : 0] = '\0';
    return is_hashed;
}

void keeper_note_config(struct keeper *keeper, enum record_action action,
                        const struct config *config)
{
    char digits[65];
    struct record record;
    record_init(&record, action, WHY_NONE, (uint64_t)clock_wall_microseconds());
    if (hash_file(config->file, digits))
        record_add_string(&record, FIELD_CONFIG_HASH, digits);
    journal_write(keeper->journal, NULL, &record);
}
