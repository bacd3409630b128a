/*
 * status, reload, stop: of the daemon itself. Never run by an offline keeper.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/desk.h"
#include "keeper/exit_code.h"
#include "keeper/gates.h"
#include "keeper/journal.h"

static json_t *gate_processes(const struct gates *gates)
{
    size_t count = gates_count(gates);
    int *processes = mem_new_array(count, sizeof(*processes));
    json_t *list = json_array();
    count = gates_processes(gates, processes, count);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(processes[i]));
    mem_free(processes);
    return list;
}

static json_t *account_row(struct keeper *keeper, const char *account, const char *sign_in)
{
    bool needs_user = strcmp(sign_in, "out") == 0 || strcmp(sign_in, "never") == 0;
    struct broker_state state = {0};
    if (broker_state(keeper_broker(keeper), account, &state) != 0)
        state = (struct broker_state){0};
    return json_pack("{s:o, s:I, s:I, s:b}", "name", command_text_string(account), "sessions",
                     (json_int_t)desk_session_count(keeper_desk(keeper), account), "token_requests",
                     (json_int_t)state.requests, "needs_user", needs_user ? 1 : 0);
}

static json_t *account_rows(struct keeper *keeper, const struct vault_token *tokens, size_t count)
{
    const struct config *config = keeper_config(keeper);
    json_t *rows = json_array();
    for (size_t i = 0; i < config->account_count; i++) {
        const struct account_config *account = config->accounts[i];
        json_array_append_new(rows, account_row(keeper, account->name,
                                                command_sign_in_state(account, tokens, count)));
    }
    return rows;
}

static json_t *journal_row(const struct journal *journal)
{
    struct journal_status status = journal_status(journal);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:o}", "level", audit_level_name(status.level),
                     "sequence", (json_int_t)status.sequence, "queued", (json_int_t)status.queued,
                     "lost", (json_int_t)status.lost, "failures", (json_int_t)status.failures,
                     "failing", status.is_failing ? 1 : 0, "error",
                     command_text_string(*status.error == '\0' ? NULL : status.error));
}

void command_run_status(struct command *command)
{
    struct keeper *keeper = command_keeper(command);
    struct vault_token *tokens = NULL;
    size_t count = 0;
    if (!command_list_tokens(command, &tokens, &count))
        return;
    json_t *accounts = account_rows(keeper, tokens, count);
    vault_tokens_free(tokens, count);
    command_succeed(command,
                    json_pack("{s:i, s:s, s:o, s:I, s:o, s:I, s:I, s:o, s:o}", "pid", (int)getpid(),
                              "version", ECLUSE_VERSION, "config",
                              command_text_string(keeper_config(keeper)->file), "uptime",
                              (json_int_t)(clock_wall_seconds() - keeper_started(keeper)), "gates",
                              gate_processes(keeper_gates(keeper)), "gate_restarts",
                              (json_int_t)gates_restarts(keeper_gates(keeper)), "sessions",
                              (json_int_t)desk_session_count(keeper_desk(keeper), NULL), "accounts",
                              accounts, "audit", journal_row(keeper_journal(keeper))));
}

void command_run_reload(struct command *command)
{
    struct err err;
    int status = keeper_reload(command_keeper(command), &err);
    if (status != 0)
        command_fail(command, exit_code_of(status), "%s; nothing was changed", err.text);
    else
        command_succeed(command, json_object());
}

void command_run_stop(struct command *command)
{
    command_succeed(command, json_pack("{s:i}", "pid", (int)getpid()));
    command_stop_afterwards(command);
}
