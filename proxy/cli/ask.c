/*
 * Happy path: configuration, control socket, answer.
 *
 * Failures: 78 configuration or an unsafe folder · 77 a socket that is not ours · 69 the daemon
 * ended in between · 75 it hangs, or the vault is in use by one that does not answer · what the
 * answer says.
 */
#include "cli/ask.h"

#include <sysexits.h>
#include <unistd.h>

#include "cli/configuration.h"
#include "cli/print.h"
#include "cli/secret_input.h"
#include "keeper/command.h"
#include "keeper/command_text.h"
#include "keeper/exit_code.h"

void ask_add(json_t *request, const char *key, const char *text)
{
    if (text != NULL)
        ENSURE(json_object_set_new(request, key, json_string(text)) == 0);
}

bool ask_add_secret(const struct arguments *arguments, json_t *request, const char *key,
                    const char *what, size_t maximum)
{
    struct secret secret = {0};
    struct err err;
    if (secret_input_read(what, maximum, &secret, &err) != 0) {
        print_failure(EX_DATAERR, "%s: %s", arguments->subcommand->name, err.text);
        return false;
    }
    ask_add(request, key, (const char *)secret_bytes(&secret).data);
    secret_wipe(&secret);
    return true;
}

const char *ask_text(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text == NULL ? "" : text;
}

int64_t ask_number(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(answer, key));
}

/* ---- the answer ---- */

static int read_answer(const struct arguments *arguments, struct slice text, json_t **answer_out)
{
    struct err err;
    if (command_text_read(text, answer_out, &err) == 0)
        return EX_OK;
    return print_failure(EX_SOFTWARE, "%s: the answer cannot be read: %s",
                         arguments->subcommand->name, err.text);
}

int ask_status(const json_t *answer)
{
    const json_t *status = json_object_get(answer, "status");
    return json_is_integer(status) ? (int)json_integer_value(status) : EX_SOFTWARE;
}

/* An answer that says no is said, and goes. */
static int judge_answer(const struct arguments *arguments, json_t **answer)
{
    int exit_code = ask_status(*answer);
    if (exit_code == EX_OK)
        return EX_OK;
    print_failure(exit_code, "%s: %s", arguments->subcommand->name, ask_text(*answer, "error"));
    json_decref(*answer);
    *answer = NULL;
    return exit_code;
}

/* ---- long waits ---- */

/* Those who give a patience of their own say what they wait for. */
static void say_slow(int patience)
{
    print_complaint("Waiting for an answer, for %d seconds at most.", patience / 1000);
}

static bool has_somebody_who_waits(void)
{
    return isatty(STDERR_FILENO) == 1;
}

static int ask_remote(const struct arguments *arguments, struct remote *remote,
                      struct slice request, json_t **answer_out)
{
    struct buf answer;
    struct err err;
    if (remote->patience == REMOTE_ANSWER_MILLISECONDS && has_somebody_who_waits())
        remote->on_slow = say_slow;
    buf_init(&answer, REMOTE_ANSWER_MAX);
    int status = remote_ask(remote, request, &answer, &err);
    int exit_code = status == 0 ? read_answer(arguments, buf_bytes(&answer), answer_out)
                                : print_failure(exit_code_of(status), "%s: %s",
                                                arguments->subcommand->name, err.text);
    buf_fini(&answer);
    return exit_code;
}

/* ---- without a daemon ---- */

struct conversation {
    const struct arguments *arguments;
    char *runtime_dir;     /* of the daemon; NULL: there is none */
    struct keeper *keeper; /* our own then */
    struct loop loop;
    uv_timer_t slow;
    struct secret answer;
};

static void on_offline_answer(void *owner, struct secret *answer)
{
    struct conversation *conversation = owner;
    secret_move(&conversation->answer, answer);
    uv_stop(&conversation->loop.uv);
}

/* The configuration is taken over. */
static int open_offline(struct conversation *conversation, struct config *config, struct err *err)
{
    int status = loop_init(&conversation->loop, err);
    if (status != 0) {
        config_free(config);
        return status;
    }
    /* The answer says in one line what went wrong; the log is for the daemon's operator. */
    config->log = LOG_LEVEL_ERROR;
    status = keeper_open(&conversation->loop, config, KEEPER_OFFLINE, &conversation->keeper, err);
    if (status != 0)
        loop_fini(&conversation->loop);
    else
        ENSURE(uv_timer_init(&conversation->loop.uv, &conversation->slow) == 0);
    return status;
}

static void on_slow(uv_timer_t *timer)
{
    (void)timer;
    say_slow(REMOTE_ANSWER_MILLISECONDS);
}

static void close_offline(struct conversation *conversation)
{
    uv_close((uv_handle_t *)&conversation->slow, NULL);
    keeper_free(conversation->keeper);
    loop_fini(&conversation->loop);
}

static int say_offline(struct conversation *conversation, struct slice request, int patience,
                       json_t **answer_out)
{
    if (patience == 0 && has_somebody_who_waits())
        ENSURE(uv_timer_start(&conversation->slow, on_slow, REMOTE_SLOW_MILLISECONDS, 0) == 0);
    command_start(conversation->keeper, request, on_offline_answer, conversation);
    loop_run(&conversation->loop);
    uv_timer_stop(&conversation->slow);
    int exit_code =
        read_answer(conversation->arguments, secret_bytes(&conversation->answer), answer_out);
    secret_wipe(&conversation->answer);
    return exit_code;
}

/* ---- both ---- */

/* A socket that is not ours is no file of the vault: "not allowed". */
static int remote_failure(const struct arguments *arguments, const struct err *err)
{
    int exit_code = err->code == ERR_DENIED      ? EX_NOPERM
                    : err->code == ERR_NOT_FOUND ? EX_UNAVAILABLE
                                                 : exit_code_of(err->code);
    return print_failure(exit_code, "%s: %s", arguments->subcommand->name, err->text);
}

int ask_open(const struct arguments *arguments, struct conversation **conversation_out)
{
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    struct conversation *conversation = mem_new(sizeof(*conversation));
    struct remote remote;
    struct err err;
    conversation->arguments = arguments;
    int status = remote_open(config->runtime_dir, &remote, &err);
    if (status == 0)
        remote_close(&remote);
    if (status == ERR_NOT_FOUND) {
        status = open_offline(conversation, config, &err);
        if (status != 0)
            exit_code = print_failure(exit_code_of(status), "%s: %s", arguments->subcommand->name,
                                      err.text);
    } else {
        conversation->runtime_dir = mem_copy_string(config->runtime_dir);
        config_free(config);
        if (status != 0)
            exit_code = remote_failure(arguments, &err);
    }
    if (exit_code != EX_OK) {
        mem_free(conversation->runtime_dir);
        mem_free(conversation);
        return exit_code;
    }
    *conversation_out = conversation;
    return EX_OK;
}

/* A connection for each request: the daemon ends one that has nothing to say for long. */
static int say_to_daemon(struct conversation *conversation, struct slice request, int patience,
                         json_t **answer_out)
{
    struct remote remote;
    struct err err;
    if (remote_open(conversation->runtime_dir, &remote, &err) != 0)
        return remote_failure(conversation->arguments, &err);
    if (patience > 0)
        remote.patience = patience;
    int exit_code = ask_remote(conversation->arguments, &remote, request, answer_out);
    remote_close(&remote);
    return exit_code;
}

int ask_try(struct conversation *conversation, const char *command, json_t *request, int patience,
            json_t **answer_out)
{
    struct secret text = {0};
    ask_add(request, "command", command);
    command_text_write(request, &text);
    json_decref(request);
    int exit_code = conversation->keeper != NULL
                        ? say_offline(conversation, secret_bytes(&text), patience, answer_out)
                        : say_to_daemon(conversation, secret_bytes(&text), patience, answer_out);
    secret_wipe(&text);
    return exit_code;
}

int ask_say(struct conversation *conversation, const char *command, json_t *request, int patience,
            json_t **answer_out)
{
    int exit_code = ask_try(conversation, command, request, patience, answer_out);
    return exit_code != EX_OK ? exit_code : judge_answer(conversation->arguments, answer_out);
}

bool ask_is_daemon(const struct conversation *conversation)
{
    return conversation->runtime_dir != NULL;
}

void ask_close(struct conversation *conversation)
{
    if (conversation->keeper != NULL)
        close_offline(conversation);
    mem_free(conversation->runtime_dir);
    mem_free(conversation);
}

int ask_keeper(const struct arguments *arguments, json_t *request, json_t **answer_out)
{
    return ask_command(arguments, arguments->subcommand->name, request, answer_out);
}

int ask_command(const struct arguments *arguments, const char *command, json_t *request,
                json_t **answer_out)
{
    struct conversation *conversation = NULL;
    int exit_code = ask_open(arguments, &conversation);
    if (exit_code != EX_OK) {
        json_decref(request);
        return exit_code;
    }
    exit_code = ask_say(conversation, command, request, 0, answer_out);
    ask_close(conversation);
    return exit_code;
}

/* EX_OK with what remote_open said in *status_out; a failure of the configuration is said. */
static int open_remote(const struct arguments *arguments, struct remote *remote, int *status_out,
                       struct err *err)
{
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    *status_out = remote_open(config->runtime_dir, remote, err);
    config_free(config);
    return EX_OK;
}

static int ask_remote_command(const struct arguments *arguments, struct remote *remote,
                              const char *command, json_t **answer_out)
{
    char request[64];
    int size = snprintf(request, sizeof(request), "{\"command\":\"%s\"}", command);
    int exit_code = ask_remote(arguments, remote, slice_of(request, (size_t)size), answer_out);
    return exit_code != EX_OK ? exit_code : judge_answer(arguments, answer_out);
}

int ask_daemon(const struct arguments *arguments, struct remote *remote_out, json_t **answer_out)
{
    struct remote remote;
    struct err err;
    int status = 0;
    int exit_code = open_remote(arguments, &remote, &status, &err);
    if (exit_code != EX_OK)
        return exit_code;
    if (status != 0)
        return remote_failure(arguments, &err);
    exit_code = ask_remote_command(arguments, &remote, arguments->subcommand->name, answer_out);
    if (exit_code == EX_OK && remote_out != NULL)
        *remote_out = remote;
    else
        remote_close(&remote);
    return exit_code;
}

int ask_to_reload(const struct arguments *arguments)
{
    json_t *answer = NULL;
    struct remote remote;
    struct err err;
    int status = 0;
    int exit_code = open_remote(arguments, &remote, &status, &err);
    if (exit_code != EX_OK || status == ERR_NOT_FOUND)
        return exit_code;
    if (status != 0)
        return remote_failure(arguments, &err);
    exit_code = ask_remote_command(arguments, &remote, "reload", &answer);
    remote_close(&remote);
    json_decref(answer);
    return exit_code;
}
