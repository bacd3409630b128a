/*
 * Happy path: a loop of its own, the journal opened on it, the record, and the end of both.
 *
 * Failures: whatever audit_failure says, the caller is told that it is not written.
 */
#include "keeper/journal_alone.h"

struct written {
    struct loop *loop;
    int status;
};

static void on_durable(void *owner, int status)
{
    struct written *written = owner;
    written->status = status;
    uv_stop(&written->loop->uv);
}

static int write_one(struct journal *journal, struct loop *loop, const struct record *record)
{
    struct written written = {.loop = loop};
    journal_write(journal, NULL, record);
    struct journal_ticket *ticket = journal_when_durable(journal, on_durable, &written);
    (void)ticket; /* it is answered, whatever happens: nobody else stops the loop */
    loop_run(loop);
    if (journal_status(journal).lost > 0)
        written.status = ERR_UNAVAILABLE;
    return written.status;
}

int journal_write_alone(const struct state_folder *folder, struct vault *vault,
                        const struct config *config, const struct record *record, struct err *err)
{
    struct loop loop;
    struct log log;
    struct journal *journal = NULL;
    if (config->audit == AUDIT_OFF)
        return 0;
    int status = loop_init(&loop, err);
    if (status != 0)
        return status;
    log_init(&log, LOG_LEVEL_ERROR, "audit");
    struct config closing = *config;
    closing.audit_failure = AUDIT_FAILURE_CLOSE; /* one try must do */
    const struct journal_parts parts = {
        .loop = &loop, .vault = vault, .state = folder, .log = &log};
    status = journal_open(&parts, &closing, &journal, err);
    if (status == 0 && (status = write_one(journal, &loop, record)) != 0)
        (void)err_set(err, status, JOURNAL_REFUSAL ": see to the disk");
    journal_close(journal);
    loop_run(&loop);
    loop_fini(&loop);
    return status;
}
