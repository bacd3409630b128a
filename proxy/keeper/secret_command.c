/*
 * A keeper that is confined has it done by keeper/runner. Else:
 *
 * Happy path: a pipe, a shell that writes into it, its exit; then what is still in the pipe is
 * read, and the line in it is the secret. A child in the background that holds the pipe open is not
 * waited for.
 *
 * Failure modes:
 *   no pipe, no process            told in the next turn of the loop
 *   it prints too much, or takes   killed with its group, and told; it is reaped later
 *   too long
 *   it ends badly                  told, whatever it printed
 *   cancelled                      killed with its group, and reaped later
 *
 * The memory goes when all three handles are closed. The process's is not closed before the process
 * is gone: nobody would reap it.
 */
#include "keeper/secret_command.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/credential.h"
#include "keeper/runner.h"

#define LINE_END_MAX  2u /* CRLF */
#define REASON_MAX    120u
#define DEFAULT_PATH  "/usr/local/bin:/usr/bin:/bin"
#define VARIABLES_MAX 16u
#define MORE_MAX      4u /* of them, which the caller adds */

struct secret_command {
    struct errand *errand; /* NULL: it is run here. Else there is an owner to tell, and no more */
    uv_process_t process;
    uv_pipe_t output;
    uv_timer_t limit;
    unsigned open_handles;
    enum { NO_PROCESS, ALIVE, GONE } state;
    bool is_over; /* its owner was told, or has cancelled */
    int64_t milliseconds;
    secret_command_done *on_done;
    void *owner;
    char start_error[REASON_MAX]; /* "": it was started */
    size_t output_max, size, capacity;
    uint8_t bytes[]; /* a line, its end, and one more, so that too much is noticed */
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct secret_command *command = handle->data;
    if (--command->open_handles > 0)
        return;
    mem_wipe(command->bytes, command->capacity);
    mem_free(command);
}

static void close_handle(uv_handle_t *handle)
{
    uv_close(handle, on_handle_closed);
}

/* ---- in another process ---- */

static void on_errand_done(void *owner, int status, struct secret *output, const char *reason)
{
    struct secret_command *command = owner;
    secret_command_done *tell = command->on_done;
    void *tell_owner = command->owner;
    mem_free(command);
    tell(tell_owner, status, output, reason);
}

static struct secret_command *send_on_errand(struct loop *loop, const char *text,
                                             int64_t milliseconds,
                                             const struct secret_command_options *options,
                                             secret_command_done *on_done, void *owner)
{
    struct secret_command *command = mem_new(sizeof(*command));
    command->on_done = on_done;
    command->owner = owner;
    command->errand =
        runner_start(loop->runner, text, milliseconds, options, on_errand_done, command);
    return command;
}

/* ---- the end ---- */

static void end(struct secret_command *command)
{
    command->is_over = true;
    close_handle((uv_handle_t *)&command->limit);
    close_handle((uv_handle_t *)&command->output);
    if (command->state == ALIVE)
        kill(-command->process.pid, SIGKILL);
    if (command->state == GONE)
        close_handle((uv_handle_t *)&command->process);
}

void secret_command_cancel(struct secret_command *command)
{
    ENSURE(!command->is_over);
    if (command->errand == NULL) {
        end(command);
        return;
    }
    runner_cancel(command->errand);
    mem_free(command);
}

static void PRINTF_LIKE(3, 4)
    fail(struct secret_command *command, int status, const char *format, ...)
{
    char reason[REASON_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    end(command);
    command->on_done(command->owner, status, NULL, reason);
}

static void fail_for_too_much(struct secret_command *command)
{
    fail(command, ERR_SYNTAX, "printed more than %zu octets", command->output_max);
}

static void succeed(struct secret_command *command, struct slice line)
{
    struct secret output = {0};
    secret_set(&output, line);
    mem_wipe(command->bytes, command->capacity);
    end(command);
    command->on_done(command->owner, 0, &output, "");
    secret_wipe(&output);
}

static void judge_output(struct secret_command *command)
{
    struct slice all = slice_of(command->bytes, command->size);
    struct slice line = slice_take(all, slice_find(all, '\n'));
    bool has_more = all.size > line.size + 1;
    if (line.size < all.size && line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (command->output_max == 0)
        succeed(command, SLICE_NONE);
    else if (line.size > command->output_max)
        fail_for_too_much(command);
    else if (has_more)
        fail(command, ERR_SYNTAX, "printed more than one line");
    else if (line.size == 0)
        fail(command, ERR_SYNTAX, "printed nothing");
    else if (slice_find(line, '\0') < line.size || slice_find(line, '\r') < line.size)
        fail(command, ERR_SYNTAX, "printed a NUL or a carriage return");
    else
        succeed(command, line);
}

/* What the loop has not read yet: libuv reads before it reaps, but promises nothing. */
static void drain_output(struct secret_command *command)
{
    uv_os_fd_t descriptor;
    ssize_t count = 1;
    ENSURE(uv_fileno((uv_handle_t *)&command->output, &descriptor) == 0);
    while (count > 0 && command->size < command->capacity) {
        count = read(descriptor, command->bytes + command->size, command->capacity - command->size);
        if (count > 0)
            command->size += (size_t)count;
    }
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct secret_command *command = CONTAINER_OF(process, struct secret_command, process);
    command->state = GONE;
    if (command->is_over) {
        close_handle((uv_handle_t *)process);
        return;
    }
    drain_output(command);
    if (signal_number != 0)
        fail(command, ERR_UNAVAILABLE, "was ended by signal %d", signal_number);
    else if (status != 0)
        fail(command, ERR_UNAVAILABLE, "ended with status %lld", (long long)status);
    else
        judge_output(command);
}

static void on_limit(uv_timer_t *timer)
{
    struct secret_command *command = CONTAINER_OF(timer, struct secret_command, limit);
    if (command->start_error[0] != '\0')
        fail(command, ERR_SYSTEM, "cannot be started: %s", command->start_error);
    else
        fail(command, ERR_TIMEOUT, "took longer than %lld s",
             (long long)(command->milliseconds + 999) / 1000);
}

/* ---- the output ---- */

static void on_room_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *room_out)
{
    struct secret_command *command = handle->data;
    (void)suggested;
    *room_out = uv_buf_init((char *)command->bytes + command->size,
                            (unsigned)(command->capacity - command->size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    struct secret_command *command = stream->data;
    (void)room;
    if (count < 0) {
        /* Its exit says the rest. */
        uv_read_stop(stream);
        return;
    }
    command->size += (size_t)count;
    if (command->size == command->capacity)
        fail_for_too_much(command);
}

/* ---- the beginning ---- */

/* What finds programs and the user's agents, and lets pinentry ask. */
static const char *const variables[] = {
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "DISPLAY",
    "SSH_AUTH_SOCK",
    "WAYLAND_DISPLAY",
};

/* NULL-terminated; its strings are for mem_free. */
static void fill_environment(char *environment[VARIABLES_MAX], const char *const *more)
{
    size_t count = 0;
    for (size_t i = 0; i < LENGTH_OF(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value == NULL && i == 0)
            value = DEFAULT_PATH;
        if (value == NULL)
            continue;
        size_t size = strlen(variables[i]) + strlen(value) + 2;
        environment[count] = mem_new(size);
        snprintf(environment[count++], size, "%s=%s", variables[i], value);
    }
    for (size_t i = 0; more != NULL && more[i] != NULL; i++) {
        ENSURE(i < MORE_MAX);
        environment[count++] = mem_copy_string(more[i]);
    }
    ENSURE(count < VARIABLES_MAX);
    environment[count] = NULL;
}

/* Also what we were started with by a careless parent. */
static void keep_descriptors_from_children(void)
{
    if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        uv_disable_stdio_inheritance();
}

static int spawn(struct secret_command *command, struct loop *loop, const char *text,
                 const struct secret_command_options *more, int output)
{
    char *environment[VARIABLES_MAX];
    char *copy = mem_copy_string(text);
    char *arguments[] = {(char[]){"sh"}, (char[]){"-c"}, copy, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = output}, {.flags = UV_IGNORE}};
    if (more->output_max == 0)
        stdio[1].flags = UV_IGNORE;
    const uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = "/bin/sh",
        .args = arguments,
        .env = environment,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)LENGTH_OF(stdio),
        .stdio = stdio,
    };
    fill_environment(environment, more->variables);
    keep_descriptors_from_children();
    int status = uv_spawn(&loop->uv, &command->process, &options);
    for (size_t i = 0; environment[i] != NULL; i++)
        mem_free(environment[i]);
    mem_free(copy);
    return status;
}

/* Timer and pipe are in use afterwards, whatever the outcome, and the process's handle if it was
 * tried. */
static int start(struct secret_command *command, struct loop *loop, const char *text,
                 const struct secret_command_options *options)
{
    int ends[2];
    ENSURE(uv_timer_init(&loop->uv, &command->limit) == 0);
    ENSURE(uv_pipe_init(&loop->uv, &command->output, 0) == 0);
    command->output.data = command->limit.data = command->process.data = command;
    command->open_handles = 2;
    int status = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (status != 0)
        return status;
    ENSURE(uv_pipe_open(&command->output, ends[0]) == 0);
    status = spawn(command, loop, text, options, ends[1]);
    close(ends[1]);
    command->state = status == 0 ? ALIVE : GONE;
    command->open_handles++;
    return status == 0 ? uv_read_start((uv_stream_t *)&command->output, on_room_wanted, on_read)
                       : status;
}

struct secret_command *secret_command_start_with(struct loop *loop, const char *command_text,
                                                 int64_t milliseconds,
                                                 const struct secret_command_options *options,
                                                 secret_command_done *on_done, void *owner)
{
    ENSURE(milliseconds >= 1);
    if (loop->runner != NULL)
        return send_on_errand(loop, command_text, milliseconds, options, on_done, owner);
    size_t capacity = options->output_max + LINE_END_MAX + 1;
    struct secret_command *command = mem_new(sizeof(*command) + capacity);
    command->output_max = options->output_max;
    command->capacity = capacity;
    command->milliseconds = milliseconds;
    command->on_done = on_done;
    command->owner = owner;
    int status = start(command, loop, command_text, options);
    if (status != 0)
        snprintf(command->start_error, sizeof(command->start_error), "%s", uv_strerror(status));
    ENSURE(uv_timer_start(&command->limit, on_limit, status == 0 ? (uint64_t)milliseconds : 0, 0) ==
           0);
    return command;
}

struct secret_command *secret_command_start(struct loop *loop, const char *command,
                                            int64_t milliseconds, secret_command_done *on_done,
                                            void *owner)
{
    static const struct secret_command_options options = {.output_max = CREDENTIAL_PASSWORD_MAX};
    return secret_command_start_with(loop, command, milliseconds, &options, on_done, owner);
}
