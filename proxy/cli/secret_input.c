/*
 * Happy path: on a terminal the echo goes off, the line is read, the echo comes back. read(2), not
 * stdio: no copy is left in a buffer of the library.
 *
 * Failures: whatever is not one line of text is refused whole, nothing is cut or repaired. A signal
 * that ends the program meanwhile does so after the echo is on again.
 */
#include "cli/secret_input.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "auth/credential.h"
#include "base/buf.h"

/* Reads until the end of the input, or of the line on a terminal. ERR_FULL when it is longer. */
static int read_all(struct buf *input, bool is_terminal)
{
    uint8_t chunk[1024];
    int status = 0;
    bool ended = false;
    while (status == 0 && !ended) {
        ssize_t count = read(STDIN_FILENO, chunk, sizeof(chunk));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ERR_SYSTEM;
        struct slice bytes = slice_of(chunk, (size_t)count);
        ended = count == 0 || (is_terminal && slice_find(bytes, '\n') < bytes.size);
        status = buf_append(input, bytes);
        mem_wipe(chunk, sizeof(chunk));
    }
    return status;
}

/* False when a signal came first: it is still pending, and ends the program once it is let in. */
static bool wait_for_line(const sigset_t *ending)
{
    int signals = signalfd(-1, ending, SFD_CLOEXEC);
    struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signals, .events = POLLIN}};
    int count;
    do
        count = poll(watched, LENGTH_OF(watched), -1);
    while (count < 0 && errno == EINTR);
    if (signals >= 0)
        close(signals);
    return watched[1].revents == 0;
}

static int read_silently(const char *what, struct buf *input)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return read_all(input, false);
    struct termios silent = before;
    sigset_t ending, old;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, &old);
    silent.c_lflag &= ~(tcflag_t)ECHO;
    silent.c_lflag |= ECHONL;
    /* The prompt comes second: whoever sees it may type, and is not shown. */
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fprintf(stderr, "%s: ", what);
    int status = wait_for_line(&ending) ? read_all(input, true) : ERR_CLOSED;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return status;
}

static int check(const char *what, struct slice input, size_t maximum, struct slice *line_out,
                 struct err *err)
{
    struct slice line = slice_take(input, slice_find(input, '\n'));
    bool has_more = input.size > line.size + 1;
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (has_more)
        return err_set(err, ERR_SYNTAX, "%s on stdin is more than one line", what);
    if (line.size == 0)
        return err_set(err, ERR_NOT_FOUND, "%s on stdin is empty", what);
    if (line.size > maximum)
        return err_set(err, ERR_SYNTAX, "%s on stdin is longer than %zu octets", what, maximum);
    if (slice_has_control(line) || !credential_is_utf8(line))
        return err_set(err, ERR_SYNTAX, "%s on stdin has control characters or is not UTF-8", what);
    *line_out = line;
    return 0;
}

int secret_input_read(const char *what, size_t maximum, struct secret *secret_out, struct err *err)
{
    struct buf input;
    struct slice line = SLICE_NONE;
    /* Room for a CRLF, and for one octet too many, so that being too long is noticed. */
    buf_init(&input, maximum + 1024);
    int status = isatty(STDIN_FILENO) ? read_silently(what, &input) : read_all(&input, false);
    if (status == ERR_FULL)
        err_set(err, ERR_SYNTAX, "%s on stdin is longer than %zu octets", what, maximum);
    else if (status != 0)
        err_set_errno(err, "stdin");
    else
        status = check(what, buf_bytes(&input), maximum, &line, err);
    if (status == 0)
        secret_set(secret_out, line);
    buf_fini(&input);
    return status == ERR_FULL ? ERR_SYNTAX : status;
}
