/*
 * sessions: the gates know how far each session is and what has passed, the desk knows whose it is.
 *
 * Sessions on which nobody has logged in yet are counted, and not listed: whoever knocks is no
 * user, and there is nothing to say of it but an address that the log has already. A gate that does
 * not answer in time is counted too. What is beyond SHOWN_MAX is left out, and said to be: the
 * answer has to fit into what the command line takes.
 */
#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/desk.h"
#include "keeper/gates.h"
#include "keeper/grant_check.h"
#include "keeper/roll_call.h"

#include <string.h>

#define SHOWN_MAX 5000

struct count {
    size_t waiting, omitted;
};

static const char *grant_name(struct keeper *keeper, int64_t number)
{
    const struct vault_grant *grant = grant_check_grant(keeper_grants(keeper), number);
    return grant == NULL ? NULL : grant->name;
}

static json_t *session_row(struct keeper *keeper, const struct roll_row *row,
                           const struct desk_description *whose)
{
    const struct message_session *session = &row->session;
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:I}", "account",
                     command_text_string(whose->account), "grant",
                     command_text_string(grant_name(keeper, whose->grant)), "client",
                     command_text_string(whose->peer), "protocol", protocol_name(whose->protocol),
                     "listener", command_text_string(whose->listener), "state",
                     message_session_state_name(session->state), "client_bytes",
                     (json_int_t)session->client_bytes, "server_bytes",
                     (json_int_t)session->server_bytes, "age", (json_int_t)(session->age / 1000),
                     "gate", (json_int_t)row->gate);
}

static void add(struct command *command, const struct roll_row *row, json_t *rows,
                struct count *count)
{
    struct keeper *keeper = command_keeper(command);
    const char *wanted = command_value(command, "account");
    struct desk_description whose;
    if (!desk_describe(keeper_desk(keeper), row->gate, row->session.number, &whose))
        count->waiting++;
    else if (wanted != NULL && strcmp(wanted, whose.account) != 0)
        return;
    else if (json_array_size(rows) < SHOWN_MAX)
        json_array_append_new(rows, session_row(keeper, row, &whose));
    else
        count->omitted++;
}

static void on_roll(void *owner, const struct roll *roll)
{
    struct command *command = owner;
    struct count count = {.omitted = roll->dropped};
    json_t *rows = json_array();
    command_set_work(command, NULL, NULL);
    for (size_t i = 0; i < roll->count; i++)
        add(command, &roll->rows[i], rows, &count);
    command_succeed(command,
                    json_pack("{s:o, s:I, s:I, s:I}", "sessions", rows, "before_login",
                              (json_int_t)count.waiting, "omitted", (json_int_t)count.omitted,
                              "silent_gates", (json_int_t)roll->silent));
}

static void cancel(void *work)
{
    roll_call_cancel(work);
}

void command_run_sessions(struct command *command)
{
    struct keeper *keeper = command_keeper(command);
    if (command_value(command, "account") != NULL && command_account(command) == NULL)
        return;
    size_t count = gates_count(keeper_gates(keeper));
    unsigned *gates = mem_new_array(count, sizeof(*gates));
    count = gates_numbers(keeper_gates(keeper), gates, count);
    command_set_work(command, cancel,
                     roll_call_start(keeper_roll_calls(keeper), gates, count, on_roll, command));
    mem_free(gates);
}
