/*
 * Happy path: the request is read and checked against its rule, the handler runs, what it answers
 * is kept, and a timer of zero brings it to the owner in the next turn of the loop.
 *
 * Failures are answers too: 64 for what cannot be read, an unknown command, a key that does not
 * belong; 69 for what only a daemon can do. A cancelled command takes its ticket with it; what it
 * has done to the vault by then stays done.
 */
#include "keeper/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/exit_code.h"
#include "keeper/journal.h"
#include "keeper/sign_in.h"

struct command {
    struct keeper *keeper;
    json_t *request;
    struct secret answer; /* set: it is under way to the owner */
    void (*on_answer)(void *owner, struct secret *answer);
    void *owner;
    struct secret kept; /* by the handler */
    struct broker_ticket *ticket;
    void (*on_token)(struct command *command, enum why why, const struct broker_token *token,
                     const char *text);
    void (*cancel_work)(void *work);
    void *work;
    struct journal_ticket *record; /* what it has done is not in the journal yet */
    uint64_t sign_in;              /* 0: none */
    struct broker_trial *trial;
    bool stops_keeper;
    uv_timer_t delivery; /* owns the memory: freed when it is closed */
};

static const struct command_rule rules[] = {
    {"accounts", false, command_run_accounts, {NULL}, {NULL}},
    {"audit_erase", false, command_run_audit_erase, {"account"}, {NULL}},
    {"audit_init", false, command_run_audit_init, {NULL}, {NULL}},
    {"credential", false, command_run_credential, {"account"}, {"refused"}},
    {"grant",
     false,
     command_run_grant,
     {"account", "name"},
     {"protocols", "password", "mechanisms", "access", "from"}},
    {"grants", false, command_run_grants, {NULL}, {"account"}},
    {"login", false, command_run_login, {"account"}, {"refresh_token", "password"}},
    {"logout", false, command_run_logout, {"account"}, {NULL}},
    {"reload", true, command_run_reload, {NULL}, {NULL}},
    {"revoke", false, command_run_revoke, {"account", "grant"}, {NULL}},
    {"sessions", true, command_run_sessions, {NULL}, {"account"}},
    {"sign_in", false, command_run_sign_in, {"account"}, {"way"}},
    {"sign_in_wait", false, command_run_sign_in_wait, {"account", "sign_in"}, {"redirect"}},
    {"status", true, command_run_status, {NULL}, {NULL}},
    {"stop", true, command_run_stop, {NULL}, {NULL}},
    {"token", false, command_run_token, {"account"}, {"protocol", "user"}},
    {"try", false, command_run_try, {"account", "protocol"}, {NULL}},
};

static const struct command_rule *find_rule(const char *name)
{
    for (size_t i = 0; i < LENGTH_OF(rules); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static bool is_among(const char *key, const char *const keys[COMMAND_KEYS_MAX])
{
    for (size_t i = 0; i < COMMAND_KEYS_MAX && keys[i] != NULL; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

/* Wants a JSON string; control characters would end up in names, headers and terminals. */
static bool is_clean_string(const json_t *value)
{
    return json_is_string(value) &&
           !slice_has_control(slice_of(json_string_value(value), json_string_length(value)));
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct command *command = CONTAINER_OF(handle, struct command, delivery);
    secret_wipe(&command->answer);
    secret_wipe(&command->kept);
    json_decref(command->request);
    mem_free(command);
}

static void on_delivery(uv_timer_t *timer)
{
    struct command *command = CONTAINER_OF(timer, struct command, delivery);
    struct keeper *keeper = command->stops_keeper ? command->keeper : NULL;
    struct secret answer = {0};
    secret_move(&answer, &command->answer);
    uv_close((uv_handle_t *)timer, on_timer_closed);
    command->on_answer(command->owner, &answer);
    secret_wipe(&answer);
    if (keeper != NULL)
        keeper_stop(keeper);
}

static void write_answer(struct command *command, json_t *answer, int exit_code)
{
    ENSURE(json_object_set_new(answer, "status", json_integer(exit_code)) == 0);
    command_text_write(answer, &command->answer);
    json_decref(answer);
}

static void deliver(struct command *command)
{
    ENSURE(uv_timer_start(&command->delivery, on_delivery, 0, 0) == 0);
}

static void on_recorded(void *owner, int status)
{
    struct command *command = owner;
    command->record = NULL;
    if (status != 0)
        write_answer(command,
                     json_pack("{s:s}", "error",
                               JOURNAL_REFUSAL ", so the answer is withheld; what was asked for "
                                               "may be done: see to the disk, and try again"),
                     EX_TEMPFAIL);
    deliver(command);
}

static void end_trial(struct command *command)
{
    if (command->trial != NULL)
        broker_trial_drop(command->trial);
    command->trial = NULL;
}

/* Nobody hears of what the journal does not have. */
static void answer_with(struct command *command, json_t *answer, int exit_code)
{
    struct journal *journal = keeper_journal(command->keeper);
    end_trial(command);
    ENSURE(!secret_is_set(&command->answer));
    write_answer(command, answer, exit_code);
    if (journal_is_durable(journal))
        deliver(command);
    else
        command->record = journal_when_durable(journal, on_recorded, command);
}

void command_succeed(struct command *command, json_t *answer)
{
    ENSURE(answer != NULL);
    answer_with(command, answer, EX_OK);
}

void command_fail(struct command *command, int exit_code, const char *format, ...)
{
    char text[sizeof(((struct err *)NULL)->text)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_t *answer = json_object();
    ENSURE(json_object_set_new(answer, "error", command_text_string(text)) == 0);
    answer_with(command, answer, exit_code);
}

void command_fail_error(struct command *command, const struct err *err)
{
    command_fail(command, exit_code_of(err->code), "%s", err->text);
}

void command_stop_afterwards(struct command *command)
{
    command->stops_keeper = true;
}

void command_keep_sign_in(struct command *command, uint64_t number)
{
    command->sign_in = number;
}

uint64_t command_kept_sign_in(const struct command *command)
{
    return command->sign_in;
}

bool command_waits_for_user(const struct command *command)
{
    return command->sign_in != 0 || command->trial != NULL;
}

struct keeper *command_keeper(struct command *command)
{
    return command->keeper;
}

struct secret *command_kept_secret(struct command *command)
{
    return &command->kept;
}

void command_set_work(struct command *command, void (*cancel)(void *work), void *work)
{
    command->cancel_work = cancel;
    command->work = work;
}

const char *command_value(const struct command *command, const char *key)
{
    return json_string_value(json_object_get(command->request, key));
}

const struct account_config *command_account(struct command *command)
{
    const char *name = command_value(command, "account");
    const struct config *config = keeper_config(command->keeper);
    const struct account_config *account = config_account(config, name);
    if (account == NULL)
        command_fail(command, EX_DATAERR, "%s: no such account; ecluse accounts lists them", name);
    return account;
}

bool command_list_tokens(struct command *command, struct vault_token **tokens_out,
                         size_t *count_out)
{
    struct err err;
    if (vault_token_list(keeper_vault(command->keeper), NULL, tokens_out, count_out, &err) == 0)
        return true;
    command_fail_error(command, &err);
    return false;
}

static void on_broker_answer(void *owner, enum why why, const struct broker_token *token,
                             const char *text)
{
    struct command *command = owner;
    command->ticket = NULL;
    command->on_token(command, why, token, text);
}

void command_ask_token(struct command *command, const char *account, uint64_t refused_generation,
                       void (*on_token)(struct command *command, enum why why,
                                        const struct broker_token *token, const char *text))
{
    command->on_token = on_token;
    command->ticket = broker_ask(keeper_broker(command->keeper), account, refused_generation,
                                 on_broker_answer, command);
}

void command_ask_token_for(struct command *command, const char *account, const char *mailbox,
                           void (*on_token)(struct command *command, enum why why,
                                            const struct broker_token *token, const char *text))
{
    command->on_token = on_token;
    command->ticket = broker_ask_for(keeper_broker(command->keeper), account, mailbox, 0,
                                     on_broker_answer, command);
}

void command_try_token(struct command *command, const char *account, struct secret *refresh_token,
                       void (*on_token)(struct command *command, enum why why,
                                        const struct broker_token *token, const char *text))
{
    command->on_token = on_token;
    command->trial = broker_trial_new(keeper_broker(command->keeper), account, refresh_token);
    command->ticket = broker_trial_ask(command->trial, on_broker_answer, command);
}

struct broker_trial *command_trial(const struct command *command)
{
    return command->trial;
}

int command_keep_trial(struct command *command, struct err *err)
{
    int status = broker_trial_keep(command->trial, err);
    if (status != ERR_CONFIG)
        command->trial = NULL;
    return status;
}

/* True when the request is what the rule says; else the command has failed. */
static bool request_fits(struct command *command, const struct command_rule *rule)
{
    const char *key;
    json_t *value;
    json_object_foreach(command->request, key, value)
    {
        if (strcmp(key, "command") == 0)
            continue;
        if (!is_among(key, rule->required) && !is_among(key, rule->optional)) {
            command_fail(command, EX_USAGE, "%s: unknown key %s", rule->name, key);
            return false;
        }
        if (!is_clean_string(value)) {
            command_fail(command, EX_USAGE, "%s: %s is not a text without control characters",
                         rule->name, key);
            return false;
        }
    }
    for (size_t i = 0; i < COMMAND_KEYS_MAX && rule->required[i] != NULL; i++) {
        if (command_value(command, rule->required[i]) == NULL) {
            command_fail(command, EX_USAGE, "%s: %s is missing", rule->name, rule->required[i]);
            return false;
        }
    }
    return true;
}

/* What nobody may do unrecorded. */
static bool is_recorded(const char *name)
{
    static const char *const names[] = {"audit_erase", "audit_init",   "grant",
                                        "login",       "logout",       "revoke",
                                        "sign_in",     "sign_in_wait", "token"};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void run(struct command *command, struct slice text)
{
    struct err err;
    if (command_text_read(text, &command->request, &err) != 0) {
        command_fail(command, EX_USAGE, "request: %s", err.text);
        return;
    }
    const char *name = command_value(command, "command");
    const struct command_rule *rule = name == NULL ? NULL : find_rule(name);
    if (rule == NULL)
        command_fail(command, EX_USAGE, "request: no command that is known");
    else if (rule->needs_daemon && keeper_gates(command->keeper) == NULL)
        command_fail(command, EX_UNAVAILABLE, "not running; start it with ecluse run");
    else if (is_recorded(name) && journal_refuses(keeper_journal(command->keeper)))
        command_fail(command, EX_TEMPFAIL, "%s: " JOURNAL_REFUSAL "; see to the disk", name);
    else if (request_fits(command, rule))
        rule->run(command);
}

struct command *command_start(struct keeper *keeper, struct slice request,
                              void (*on_answer)(void *owner, struct secret *answer), void *owner)
{
    struct command *command = mem_new(sizeof(*command));
    command->keeper = keeper;
    command->on_answer = on_answer;
    command->owner = owner;
    ENSURE(uv_timer_init(&keeper_loop(keeper)->uv, &command->delivery) == 0);
    run(command, request);
    return command;
}

void command_cancel(struct command *command)
{
    if (command->ticket != NULL)
        broker_cancel(command->ticket);
    command->ticket = NULL;
    end_trial(command);
    if (command->record != NULL)
        journal_cancel(command->record);
    if (command->cancel_work != NULL)
        command->cancel_work(command->work);
    if (command->sign_in != 0)
        sign_in_cancel(keeper_sign_ins(command->keeper), command->sign_in);
    uv_close((uv_handle_t *)&command->delivery, on_timer_closed);
}
