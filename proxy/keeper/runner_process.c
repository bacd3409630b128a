/*
 * The process.
 *
 * Happy path: the commands of the configuration are learnt; each START runs one of them, its
 * outcome goes back.
 *
 * Failures:
 *   a configuration that cannot be read    at a reload: the commands stay as they were
 *   a command that does not stand there    refused
 *   the keeper is gone, or says nonsense   what runs is killed, and the process ends
 */
#include <signal.h>
#include <string.h>

#include "base/pack.h"
#include "keeper/runner.h"
#include "keeper/runner_frames.h"
#include "keeper/surroundings.h"
#include "net/channel.h"

#define CHANNEL_DESCRIPTOR 3
#define EXIT_INTERNAL      70 /* sysexits EX_SOFTWARE */
#define COMMANDS_EACH      4u /* of an account */
#define OUTPUT_MAX         (32u * 1024)
#define OUR_VARIABLES      "ECLUSE_"

struct server {
    struct loop loop;
    struct log log;
    struct channel *channel; /* NULL: closed */
    const char *file;
    char **commands;
    size_t command_count;
    struct list jobs;
};

struct job {
    struct list node;
    struct server *server;
    uint32_t number;
    struct secret_command *command;
};

/* ---- what may be run ---- */

static void account_commands(const struct account_config *account, const char *out[COMMANDS_EACH])
{
    const char *const commands[COMMANDS_EACH] = {account->client_secret_command,
                                                 account->jwt_passphrase_command,
                                                 account->token_command, account->password_command};
    memcpy(out, commands, sizeof(commands));
}

bool runner_is_needed(const struct config *config)
{
    bool is_needed = *config->notify_command != '\0';
    for (size_t i = 0; i < config->account_count && !is_needed; i++) {
        const char *commands[COMMANDS_EACH];
        account_commands(config->accounts[i], commands);
        for (size_t j = 0; j < COMMANDS_EACH; j++)
            is_needed = is_needed || *commands[j] != '\0';
    }
    return is_needed;
}

static void forget(struct server *server)
{
    for (size_t i = 0; i < server->command_count; i++)
        mem_free_wiped_string(server->commands[i]);
    mem_free(server->commands);
    server->commands = NULL;
    server->command_count = 0;
}

static void learn_one(struct server *server, const char *command)
{
    if (*command != '\0')
        server->commands[server->command_count++] = mem_copy_string(command);
}

static void learn(struct server *server, const struct config *config)
{
    forget(server);
    server->commands =
        mem_new_array(config->account_count * COMMANDS_EACH + 1, sizeof(*server->commands));
    learn_one(server, config->notify_command);
    for (size_t i = 0; i < config->account_count; i++) {
        const char *commands[COMMANDS_EACH];
        account_commands(config->accounts[i], commands);
        for (size_t j = 0; j < COMMANDS_EACH; j++)
            learn_one(server, commands[j]);
    }
}

static int read_configuration(struct server *server)
{
    struct surroundings surroundings;
    struct config_problems problems = {0};
    struct config *config = NULL;
    surroundings_read(&surroundings);
    int status = config_read(server->file, &surroundings.values, &config, &problems);
    surroundings_clear(&surroundings);
    config_problems_free(&problems);
    if (status == 0)
        learn(server, config);
    config_free(config);
    return status;
}

static bool stands_there(const struct server *server, const char *command)
{
    for (size_t i = 0; i < server->command_count; i++)
        if (strcmp(server->commands[i], command) == 0)
            return true;
    return false;
}

/* ---- the end ---- */

static void end_job(struct job *job)
{
    list_remove(&job->node);
    mem_free(job);
}

static void end(struct server *server)
{
    if (server->channel == NULL)
        return;
    channel_close(server->channel);
    server->channel = NULL;
    LIST_FOREACH_SAFE (node, &server->jobs) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        secret_command_cancel(job->command);
        end_job(job);
    }
}

/* ---- errands ---- */

static void tell(struct server *server, uint32_t number, int status, struct slice output,
                 const char *reason)
{
    struct buf frame;
    buf_init(&frame, RUNNER_FRAME_MAX);
    struct pack_writer writer = pack_writer(&frame);
    pack_u8(&writer, RUNNER_DONE);
    pack_u32(&writer, number);
    pack_u8(&writer, (uint8_t)-status);
    pack_bytes(&writer, output);
    pack_string(&writer, reason);
    if (writer.status != 0 || channel_send(server->channel, buf_bytes(&frame)) != 0)
        end(server);
    buf_fini(&frame);
}

static void on_done(void *owner, int status, struct secret *output, const char *reason)
{
    struct job *job = owner;
    struct server *server = job->server;
    uint32_t number = job->number;
    end_job(job);
    tell(server, number, status, output == NULL ? SLICE_NONE : secret_bytes(output), reason);
}

static bool are_ours(char *const variables[RUNNER_VARIABLES_MAX + 1])
{
    for (size_t i = 0; variables[i] != NULL; i++)
        if (strncmp(variables[i], OUR_VARIABLES, strlen(OUR_VARIABLES)) != 0)
            return false;
    return true;
}

static void start(struct server *server, uint32_t number, const char *command, int64_t milliseconds,
                  const struct secret_command_options *options)
{
    if (!stands_there(server, command)) {
        log_error(&server->log, "a command was asked for that does not stand in the configuration");
        tell(server, number, ERR_SYSTEM, SLICE_NONE, "does not stand in the configuration");
        return;
    }
    struct job *job = mem_new(sizeof(*job));
    job->server = server;
    job->number = number;
    list_init(&job->node);
    list_append(&server->jobs, &job->node);
    job->command =
        secret_command_start_with(&server->loop, command, milliseconds, options, on_done, job);
}

static int take_start(struct server *server, struct pack_reader *reader)
{
    char *variables[RUNNER_VARIABLES_MAX + 1] = {NULL};
    uint32_t number = unpack_u32(reader);
    uint64_t milliseconds = unpack_u64(reader);
    const struct secret_command_options options = {.output_max = unpack_u32(reader),
                                                   .variables = (const char *const *)variables};
    char *command = unpack_string(reader);
    size_t count = unpack_u8(reader);
    for (size_t i = 0; i < count && i < RUNNER_VARIABLES_MAX; i++)
        variables[i] = unpack_string(reader);
    int status = unpack_end(reader);
    if (milliseconds < 1 || milliseconds > INT32_MAX || options.output_max > OUTPUT_MAX ||
        !are_ours(variables))
        status = ERR_SYNTAX;
    if (status == 0)
        start(server, number, command, (int64_t)milliseconds, &options);
    mem_free(command);
    for (size_t i = 0; i < RUNNER_VARIABLES_MAX; i++)
        mem_free(variables[i]);
    return status;
}

static int take_cancel(struct server *server, struct pack_reader *reader)
{
    uint32_t number = unpack_u32(reader);
    int status = unpack_end(reader);
    LIST_FOREACH_SAFE (node, &server->jobs) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (status != 0 || job->number != number)
            continue;
        secret_command_cancel(job->command);
        end_job(job);
    }
    return status;
}

static int take_reread(struct server *server, struct pack_reader *reader)
{
    if (read_configuration(server) != 0)
        log_warn(&server->log, "the configuration cannot be read; its commands stay as they were");
    return unpack_end(reader);
}

static void on_frame(void *owner, struct slice frame)
{
    struct server *server = owner;
    struct pack_reader reader = pack_reader(frame);
    int status = ERR_SYNTAX;
    switch (unpack_u8(&reader)) {
    case RUNNER_START:
        status = take_start(server, &reader);
        break;
    case RUNNER_CANCEL:
        status = take_cancel(server, &reader);
        break;
    case RUNNER_REREAD:
        status = take_reread(server, &reader);
        break;
    default:
        break;
    }
    if (status != 0)
        end(server);
}

static void on_failed(void *owner, int code)
{
    (void)code;
    end(owner);
}

static void on_closed(void *owner)
{
    (void)owner;
}

static const struct channel_ops channel_ops = {
    .on_frame = on_frame, .on_failed = on_failed, .on_closed = on_closed};

/* ---- the beginning ---- */

int runner_serve(int descriptor, const char *file)
{
    struct server server = {.file = file};
    struct err err;
    log_init(&server.log, LOG_LEVEL_INFO, "runner");
    list_init(&server.jobs);
    if (loop_init(&server.loop, &err) != 0) {
        log_error(&server.log, "%s", err.text);
        return EXIT_INTERNAL;
    }
    int status = read_configuration(&server);
    if (status == 0)
        status = channel_open(&server.loop, descriptor, RUNNER_FRAME_MAX, RUNNER_QUEUE_MAX,
                              &channel_ops, &server, &server.channel, &err);
    if (status == 0)
        loop_run(&server.loop);
    else
        log_error(&server.log, "the configuration cannot be read, or the keeper is not there");
    forget(&server);
    loop_fini(&server.loop);
    return status == 0 ? 0 : EXIT_INTERNAL;
}

int runner_main(const char *file)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < LENGTH_OF(ignored); i++)
        signal(ignored[i], SIG_IGN);
    return runner_serve(CHANNEL_DESCRIPTOR, file);
}
