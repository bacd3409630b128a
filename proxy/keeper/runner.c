/*
 * The keeper's end.
 *
 * Happy path: the process is started with one end of a socketpair; each errand is a frame, and so
 * is its outcome.
 *
 * Failures: the process ends, or says nonsense: what is under way fails, and so does each later
 * errand, in the next turn of the loop.
 */
#include "keeper/runner.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pack.h"
#include "keeper/runner_frames.h"
#include "net/channel.h"

#define CHANNEL_DESCRIPTOR 3

struct errand {
    struct list node;
    struct runner *runner;
    uint32_t number;
    secret_command_done *on_done;
    void *owner;
};

struct runner {
    struct loop *loop;
    const struct log *log;
    struct channel *channel; /* NULL: closed */
    uv_process_t process;
    struct list errands;
    struct deferral refusal; /* of errands that cannot be asked for */
    uint32_t numbers;
    unsigned open_handles; /* the channel, and the process where there is one */
    bool is_dead;
    bool is_closing;
};

/* ---- the end ---- */

static void handle_closed(struct runner *runner)
{
    if (--runner->open_handles == 0 && runner->is_closing)
        mem_free(runner);
}

static void on_process_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct runner, process));
}

static void on_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct runner *runner = CONTAINER_OF(process, struct runner, process);
    if (!runner->is_closing)
        log_error(runner->log,
                  "the process that runs commands has ended (status %lld, signal %d); commands "
                  "fail until ecluse is started again",
                  (long long)status, signal_number);
    uv_close((uv_handle_t *)process, on_process_closed);
}

static void on_channel_closed(void *owner)
{
    handle_closed(owner);
}

static void close_channel(struct runner *runner)
{
    if (runner->channel != NULL)
        channel_close(runner->channel);
    runner->channel = NULL;
}

void runner_close(struct runner *runner)
{
    ENSURE(list_is_empty(&runner->errands) && !runner->is_closing);
    runner->is_closing = true;
    deferral_cancel(&runner->refusal);
    close_channel(runner);
    if (runner->open_handles == 0)
        mem_free(runner);
}

/* ---- errands that end ---- */

static void end_errand(struct errand *errand, int status, struct secret *output, const char *reason)
{
    struct errand copy = *errand;
    list_remove(&errand->node);
    mem_free(errand);
    copy.on_done(copy.owner, status, output, reason);
}

/* What is asked for meanwhile is for the next turn. */
static void on_refusal(struct deferral *deferral)
{
    struct runner *runner = CONTAINER_OF(deferral, struct runner, refusal);
    struct list due;
    list_init(&due);
    LIST_FOREACH_SAFE (node, &runner->errands) {
        list_remove(node);
        list_append(&due, node);
    }
    while (!list_is_empty(&due))
        end_errand(CONTAINER_OF(due.next, struct errand, node), ERR_SYSTEM, NULL,
                   "cannot be started: ecluse has to be started again");
}

static void die(struct runner *runner)
{
    runner->is_dead = true;
    close_channel(runner);
    loop_defer(runner->loop, &runner->refusal);
}

static struct errand *find(const struct runner *runner, uint32_t number)
{
    LIST_FOREACH (node, &runner->errands) {
        struct errand *errand = CONTAINER_OF(node, struct errand, node);
        if (errand->number == number)
            return errand;
    }
    return NULL;
}

static void take_outcome(struct runner *runner, struct pack_reader *reader)
{
    struct secret output = {0};
    struct errand *errand = find(runner, unpack_u32(reader));
    int status = -(int)unpack_u8(reader);
    secret_set(&output, unpack_bytes(reader));
    char *reason = unpack_string(reader);
    if (unpack_end(reader) != 0)
        die(runner);
    else if (errand != NULL) /* else it was cancelled */
        end_errand(errand, status, status == 0 ? &output : NULL, reason);
    secret_wipe(&output);
    mem_free(reason);
}

static void on_frame(void *owner, struct slice frame)
{
    struct runner *runner = owner;
    struct pack_reader reader = pack_reader(frame);
    if (unpack_u8(&reader) == RUNNER_DONE)
        take_outcome(runner, &reader);
    else
        die(runner);
}

static void on_failed(void *owner, int code)
{
    (void)code;
    die(owner);
}

static const struct channel_ops channel_ops = {
    .on_frame = on_frame, .on_failed = on_failed, .on_closed = on_channel_closed};

/* ---- asking ---- */

static void post(struct runner *runner, struct buf *frame, const struct pack_writer *writer)
{
    ENSURE(writer->status == 0); /* no line of the configuration is as long */
    if (runner->is_dead || channel_send(runner->channel, buf_bytes(frame)) != 0)
        die(runner);
    buf_fini(frame);
}

struct errand *runner_start(struct runner *runner, const char *command, int64_t milliseconds,
                            const struct secret_command_options *options,
                            secret_command_done *on_done, void *owner)
{
    struct errand *errand = mem_new(sizeof(*errand));
    struct buf frame;
    uint8_t variables = 0;
    ENSURE(milliseconds >= 1);
    *errand = (struct errand){
        .runner = runner, .number = ++runner->numbers, .on_done = on_done, .owner = owner};
    list_init(&errand->node);
    list_append(&runner->errands, &errand->node);
    while (options->variables != NULL && options->variables[variables] != NULL)
        variables++;
    ENSURE(variables <= RUNNER_VARIABLES_MAX);
    buf_init(&frame, RUNNER_FRAME_MAX);
    struct pack_writer writer = pack_writer(&frame);
    pack_u8(&writer, RUNNER_START);
    pack_u32(&writer, errand->number);
    pack_u64(&writer, (uint64_t)milliseconds);
    pack_u32(&writer, (uint32_t)options->output_max);
    pack_string(&writer, command);
    pack_u8(&writer, variables);
    for (uint8_t i = 0; i < variables; i++)
        pack_string(&writer, options->variables[i]);
    post(runner, &frame, &writer);
    return errand;
}

void runner_cancel(struct errand *errand)
{
    struct runner *runner = errand->runner;
    struct buf frame;
    list_remove(&errand->node);
    buf_init(&frame, RUNNER_FRAME_MAX);
    struct pack_writer writer = pack_writer(&frame);
    pack_u8(&writer, RUNNER_CANCEL);
    pack_u32(&writer, errand->number);
    post(runner, &frame, &writer);
    mem_free(errand);
}

void runner_reread(struct runner *runner)
{
    struct buf frame;
    buf_init(&frame, RUNNER_FRAME_MAX);
    struct pack_writer writer = pack_writer(&frame);
    pack_u8(&writer, RUNNER_REREAD);
    post(runner, &frame, &writer);
}

/* ---- the beginning ---- */

int runner_connect(struct loop *loop, int descriptor, const struct log *log,
                   struct runner **runner_out, struct err *err)
{
    struct runner *runner = mem_new(sizeof(*runner));
    runner->loop = loop;
    runner->log = log;
    list_init(&runner->errands);
    deferral_init(&runner->refusal, on_refusal);
    int status = channel_open(loop, descriptor, RUNNER_FRAME_MAX, RUNNER_QUEUE_MAX, &channel_ops,
                              runner, &runner->channel, err);
    if (status != 0) {
        mem_free(runner);
        return status;
    }
    runner->open_handles = 1;
    *runner_out = runner;
    return 0;
}

/* With our environment: that is what commands are run with. */
static int spawn(struct runner *runner, const char *file, int channel)
{
    char *copy = mem_copy_string(file);
    char *arguments[] = {(char[]){"ecluse"}, (char[]){"runner"}, (char[]){"-c"}, copy, NULL};
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                    {.flags = UV_INHERIT_FD, .data.fd = channel}};
    const uv_process_options_t options = {.exit_cb = on_exit,
                                          .file = "/proc/self/exe",
                                          .args = arguments,
                                          .flags = UV_PROCESS_DETACHED,
                                          .stdio_count = (int)LENGTH_OF(stdio),
                                          .stdio = stdio};
    int status = uv_spawn(&runner->loop->uv, &runner->process, &options);
    runner->open_handles++;
    if (status != 0)
        uv_close((uv_handle_t *)&runner->process, on_process_closed);
    mem_free(copy);
    return status;
}

int runner_open(struct loop *loop, const char *file, const struct log *log,
                struct runner **runner_out, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return err_set_errno(err, "no channel to the process that runs commands");
    int status = runner_connect(loop, pair[0], log, runner_out, err);
    if (status == 0) {
        int code = spawn(*runner_out, file, pair[1]);
        if (code != 0) {
            status =
                err_set(err, ERR_SYSTEM, "the process that runs commands: %s", uv_strerror(code));
            runner_close(*runner_out);
        }
    }
    close(pair[1]);
    return status;
}
