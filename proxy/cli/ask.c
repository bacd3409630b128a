/*
 * Happy path: configuration, control socket, answer.
 *
 * Failures: 78 configuration or an unsafe folder · 77 a socket that is not ours · 69 the daemon
 * ended in between · 75 it hangs, or the vault is in use by one that does not answer · what the
 * answer says.
 */
#include "cli/ask.h"

#include <sysexits.h>

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
    const char *name = arguments->subcommand->name;
    json_t *answer = NULL;
    struct err err;
    if (command_text_read(text, &answer, &err) != 0)
        return print_failure(EX_SOFTWARE, "%s: the answer cannot be read: %s", name, err.text);
    const json_t *status = json_object_get(answer, "status");
    int exit_code = json_is_integer(status) ? (int)json_integer_value(status) : EX_SOFTWARE;
    if (exit_code == EX_OK) {
        *answer_out = answer;
        return EX_OK;
    }
    print_failure(exit_code, "%s: %s", name, ask_text(answer, "error"));
    json_decref(answer);
    return exit_code;
}

static int ask_remote(const struct arguments *arguments, struct remote *remote,
                      struct slice request, json_t **answer_out)
{
    struct buf answer;
    struct err err;
    buf_init(&answer, REMOTE_ANSWER_MAX);
    int status = remote_ask(remote, request, &answer, &err);
    int exit_code = status == 0 ? read_answer(arguments, buf_bytes(&answer), answer_out)
                                : print_failure(exit_code_of(status), "%s: %s",
                                                arguments->subcommand->name, err.text);
    buf_fini(&answer);
    return exit_code;
}

/* ---- without a daemon ---- */

struct offline {
    struct loop loop;
    struct secret answer;
};

static void on_offline_answer(void *owner, struct secret *answer)
{
    struct offline *offline = owner;
    secret_move(&offline->answer, answer);
    uv_stop(&offline->loop.uv);
}

/* The configuration is taken over. */
static int run_offline(struct offline *offline, struct config *config, struct slice request,
                       struct err *err)
{
    struct keeper *keeper = NULL;
    /* The answer says in one line what went wrong; the log is for the daemon's operator. */
    config->log = LOG_LEVEL_ERROR;
    int status = keeper_open(&offline->loop, config, KEEPER_OFFLINE, &keeper, err);
    if (status != 0)
        return status;
    command_start(keeper, request, on_offline_answer, offline);
    loop_run(&offline->loop);
    keeper_free(keeper);
    return 0;
}

static int ask_offline(const struct arguments *arguments, struct config *config,
                       struct slice request, json_t **answer_out)
{
    struct offline offline = {0};
    struct err err;
    int status = loop_init(&offline.loop, &err);
    if (status != 0) {
        config_free(config);
    } else {
        status = run_offline(&offline, config, request, &err);
        loop_fini(&offline.loop);
    }
    int exit_code = status == 0 ? read_answer(arguments, secret_bytes(&offline.answer), answer_out)
                                : print_failure(exit_code_of(status), "%s: %s",
                                                arguments->subcommand->name, err.text);
    secret_wipe(&offline.answer);
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

static int ask_either(const struct arguments *arguments, struct slice request, json_t **answer_out)
{
    struct config *config = NULL;
    int exit_code = configuration_read(arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    struct remote remote;
    struct err err;
    int status = remote_open(config->runtime_dir, &remote, &err);
    if (status == ERR_NOT_FOUND)
        return ask_offline(arguments, config, request, answer_out);
    config_free(config);
    if (status != 0)
        return remote_failure(arguments, &err);
    exit_code = ask_remote(arguments, &remote, request, answer_out);
    remote_close(&remote);
    return exit_code;
}

int ask_keeper(const struct arguments *arguments, json_t *request, json_t **answer_out)
{
    return ask_command(arguments, arguments->subcommand->name, request, answer_out);
}

int ask_command(const struct arguments *arguments, const char *command, json_t *request,
                json_t **answer_out)
{
    struct secret text = {0};
    ask_add(request, "command", command);
    command_text_write(request, &text);
    json_decref(request);
    int exit_code = ask_either(arguments, secret_bytes(&text), answer_out);
    secret_wipe(&text);
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
    return ask_remote(arguments, remote, slice_of(request, (size_t)size), answer_out);
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
