/*
 * Happy path: the echo goes off, the line is read, the echo comes back. read(2), not stdio: no copy
 * is left in a buffer of the library.
 *
 * Failures: no terminal; its end before a line; a line that is too long or no text; a signal that
 * ends the program meanwhile, which does so after the echo is on again.
 */
#include "keeper/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/slice.h"

/* ERR_FULL when it is longer. */
static int read_line(int terminal, struct buf *input)
{
    uint8_t chunk[1024];
    int status = 0;
    bool ended = false;
    while (status == 0 && !ended) {
        ssize_t count = read(terminal, chunk, sizeof(chunk));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ERR_SYSTEM;
        struct slice bytes = slice_of(chunk, (size_t)count);
        ended = count == 0 || slice_find(bytes, '\n') < bytes.size;
        status = buf_append(input, bytes);
        mem_wipe(chunk, sizeof(chunk));
    }
    return status;
}

/* False when a signal came first: it is still pending, and ends the program once it is let in. */
static bool wait_for_line(int terminal, const sigset_t *ending)
{
    int signals = signalfd(-1, ending, SFD_CLOEXEC);
    struct pollfd watched[] = {{.fd = terminal, .events = POLLIN},
                               {.fd = signals, .events = POLLIN}};
    int count;
    do
        count = poll(watched, LENGTH_OF(watched), -1);
    while (count < 0 && errno == EINTR);
    if (signals >= 0)
        close(signals);
    return watched[1].revents == 0;
}

int terminal_read_silently(int terminal, int output, const char *what, struct buf *input)
{
    struct termios before;
    if (tcgetattr(terminal, &before) != 0)
        return ERR_SYSTEM;
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
    tcsetattr(terminal, TCSAFLUSH, &silent);
    dprintf(output, "%s: ", what);
    int status = wait_for_line(terminal, &ending) ? read_line(terminal, input) : ERR_CLOSED;
    tcsetattr(terminal, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return status;
}

static int take_line(struct slice input, const char *what, size_t maximum, struct secret *line_out,
                     struct err *err)
{
    struct slice line = slice_take(input, slice_find(input, '\n'));
    if (line.size == 0)
        return err_set(err, ERR_SYNTAX, "%s is empty", what);
    if (line.size > maximum)
        return err_set(err, ERR_SYNTAX, "%s is longer than %zu octets", what, maximum);
    if (slice_has_control(line) || !slice_is_utf8(line))
        return err_set(err, ERR_SYNTAX, "%s has control characters or is not UTF-8", what);
    secret_set(line_out, line);
    return 0;
}

int terminal_ask(const char *what, size_t maximum, struct secret *line_out, struct err *err)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0)
        return err_set(err, ERR_CONFIG, "%s is asked for on a terminal, and there is none", what);
    struct buf input;
    /* One chunk more, so that being too long is noticed. */
    buf_init(&input, maximum + 1024);
    int status = terminal_read_silently(terminal, terminal, what, &input);
    (void)close(terminal);
    if (status == ERR_CLOSED || (status == 0 && buf_size(&input) == 0))
        status = err_set(err, ERR_CLOSED, "%s was not given", what);
    else if (status == ERR_FULL)
        status = err_set(err, ERR_SYNTAX, "%s is longer than %zu octets", what, maximum);
    else if (status != 0)
        status = err_set_errno(err, "/dev/tty");
    else
        status = take_line(buf_bytes(&input), what, maximum, line_out, err);
    buf_fini(&input);
    return status;
}
