/*
 * Happy path: a process with two pipes; the request goes into one, a line comes out of the other,
 * and the process ends.
 *
 * Failures, all of them TRIAL_UNKNOWN:
 *   no process, no pipe        told in the next turn of the loop
 *   it takes too long          killed
 *   it dies, or says nonsense  what it said is not believed
 */
#include "keeper/trial.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"

#define SAID_MAX 1024

struct trial {
    void (*on_done)(void *owner, const struct trial_answer *answer); /* NULL: cancelled */
    void *owner;
    uv_process_t process;
    uv_pipe_t input, output;
    uv_timer_t limit;
    uv_write_t write;
    struct secret request; /* until it is written */
    struct buf said;
    char room[SAID_MAX]; /* for what is read next */
    bool has_exited, is_said, has_failed;
    unsigned handles;
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct trial *trial = handle->data;
    if (--trial->handles > 0)
        return;
    secret_wipe(&trial->request);
    buf_fini(&trial->said);
    mem_free(trial);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* The owner may do what it likes from within. */
static void end(struct trial *trial)
{
    void (*on_done)(void *, const struct trial_answer *) = trial->on_done;
    void *owner = trial->owner;
    struct trial_answer answer;
    trial_read_answer(trial->has_failed ? SLICE_NONE : buf_bytes(&trial->said), &answer);
    trial->on_done = NULL;
    close_handle((uv_handle_t *)&trial->input);
    close_handle((uv_handle_t *)&trial->output);
    close_handle((uv_handle_t *)&trial->limit);
    close_handle((uv_handle_t *)&trial->process);
    if (on_done != NULL)
        on_done(owner, &answer);
}

static void end_when_complete(struct trial *trial)
{
    if (trial->has_exited && trial->is_said)
        end(trial);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal_number)
{
    struct trial *trial = process->data;
    trial->has_exited = true;
    trial->has_failed = trial->has_failed || status != 0 || signal_number != 0;
    end_when_complete(trial);
}

static void on_limit(uv_timer_t *timer)
{
    struct trial *trial = timer->data;
    trial->has_failed = true;
    if (trial->has_exited)
        end(trial);
    else
        uv_process_kill(&trial->process, SIGKILL);
}

static void on_room_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *room_out)
{
    struct trial *trial = handle->data;
    (void)suggested;
    *room_out = uv_buf_init(trial->room, sizeof(trial->room));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    struct trial *trial = stream->data;
    if (count > 0 && buf_append(&trial->said, slice_of(room->base, (size_t)count)) != 0)
        trial->has_failed = true;
    if (count >= 0)
        return;
    uv_read_stop(stream);
    trial->is_said = true;
    end_when_complete(trial);
}

/* The process has all of it, or is gone. */
static void on_written(uv_write_t *write, int status)
{
    struct trial *trial = write->data;
    (void)status;
    secret_wipe(&trial->request);
    close_handle((uv_handle_t *)&trial->input);
}

static int spawn(struct trial *trial, struct loop *loop)
{
    char *arguments[] = {(char[]){"ecluse"}, (char[]){"try"}, NULL};
    char *environment[] = {NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&trial->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&trial->output},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = "/proc/self/exe",
        .args = arguments,
        .env = environment,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)LENGTH_OF(stdio),
        .stdio = stdio,
    };
    return uv_spawn(&loop->uv, &trial->process, &options);
}

/* False: nothing of the process is there. */
static bool start(struct trial *trial, struct loop *loop)
{
    if (spawn(trial, loop) != 0)
        return false;
    uv_buf_t text = uv_buf_init((char *)trial->request.bytes, (unsigned)trial->request.size);
    ENSURE(uv_read_start((uv_stream_t *)&trial->output, on_room_wanted, on_read) == 0);
    trial->write.data = trial;
    if (uv_write(&trial->write, (uv_stream_t *)&trial->input, &text, 1, on_written) != 0)
        close_handle((uv_handle_t *)&trial->input);
    return true;
}

struct trial *trial_start(struct loop *loop, struct secret *request,
                          void (*on_done)(void *owner, const struct trial_answer *answer),
                          void *owner)
{
    struct trial *trial = mem_new(sizeof(*trial));
    trial->on_done = on_done;
    trial->owner = owner;
    buf_init(&trial->said, SAID_MAX);
    secret_move(&trial->request, request);
    ENSURE(uv_pipe_init(&loop->uv, &trial->input, 0) == 0);
    ENSURE(uv_pipe_init(&loop->uv, &trial->output, 0) == 0);
    ENSURE(uv_timer_init(&loop->uv, &trial->limit) == 0);
    trial->process.data = trial->input.data = trial->output.data = trial->limit.data = trial;
    trial->handles = 4;
    trial->has_failed = trial->has_exited = !start(trial, loop);
    ENSURE(uv_timer_start(&trial->limit, on_limit,
                          trial->has_exited ? 0 : (uint64_t)TRIAL_SECONDS * 1000, 0) == 0);
    return trial;
}

void trial_cancel(struct trial *trial)
{
    trial->on_done = NULL;
    trial->has_failed = true;
    if (!trial->has_exited)
        uv_process_kill(&trial->process, SIGKILL);
}
