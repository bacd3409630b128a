/*
 * audit_init and audit_erase: what is done to the journal by command. The seed that seals from now
 * on stands in the answer, once, and nowhere else.
 */
#include <sysexits.h>

#include "audit/seed.h"
#include "keeper/command_handler.h"
#include "keeper/exit_code.h"
#include "keeper/journal.h"

/* ---- init ---- */

static void on_sealed(void *owner, int status, uint64_t first)
{
    struct command *command = owner;
    char fingerprint[SEED_FINGERPRINT_SIZE + 1];
    const struct secret *seed = command_kept_secret(command);
    struct secret text = {0};
    command_set_work(command, NULL, NULL);
    if (status == 0)
        status = seed_fingerprint(seed, fingerprint);
    if (status != 0) {
        command_fail(command, EX_TEMPFAIL, "the seed was not put in place: " JOURNAL_REFUSAL);
        return;
    }
    seed_format(seed, &text);
    command_succeed(command,
                    json_pack("{s:s%, s:s, s:I}", "seed", (const char *)text.bytes, text.size,
                              "fingerprint", fingerprint, "first", (json_int_t)first));
    secret_wipe(&text);
}

static void cancel_sealing(void *work)
{
    struct command *command = work;
    journal_seal_anew_cancel(keeper_journal(command_keeper(command)), command);
}

void command_run_audit_init(struct command *command)
{
    struct secret seed = {0};
    struct err err;
    int status = seed_make(&seed);
    if (status != 0) {
        command_fail(command, EX_SOFTWARE, "no seed can be made");
        return;
    }
    secret_copy(command_kept_secret(command), &seed);
    status =
        journal_seal_anew(keeper_journal(command_keeper(command)), &seed, on_sealed, command, &err);
    secret_wipe(&seed);
    if (status != 0)
        command_fail(command, exit_code_of(status), "audit: %s", err.text);
    else
        command_set_work(command, cancel_sealing, command);
}

/* ---- erase ---- */

/* Also of an account that is not configured any more. */
void command_run_audit_erase(struct command *command)
{
    struct err err;
    int status = journal_erase(keeper_journal(command_keeper(command)),
                               command_value(command, "account"), &err);
    if (status == 0)
        command_succeed(command, json_object());
    else if (status == ERR_NOT_FOUND)
        command_fail(command, EX_DATAERR, "%s", err.text);
    else
        command_fail_error(command, &err);
}
