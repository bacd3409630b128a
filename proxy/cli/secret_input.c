/*
 * Happy path: a terminal is read without echo, anything else to its end. read(2), not stdio: no
 * copy is left in a buffer of the library.
 *
 * Failures: whatever is not one line of text is refused whole, nothing is cut or repaired.
 */
#include "cli/secret_input.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/slice.h"
#include "keeper/terminal.h"

/* Reads until the end of the input. ERR_FULL when it is longer. */
static int read_all(struct buf *input)
{
    uint8_t chunk[1024];
    int status = 0;
    ssize_t count = 1;
    while (status == 0 && count != 0) {
        count = read(STDIN_FILENO, chunk, sizeof(chunk));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ERR_SYSTEM;
        status = buf_append(input, slice_of(chunk, (size_t)count));
        mem_wipe(chunk, sizeof(chunk));
    }
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
    if (slice_has_control(line) || !slice_is_utf8(line))
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
    int status = isatty(STDIN_FILENO)
                     ? terminal_read_silently(STDIN_FILENO, STDERR_FILENO, what, &input)
                     : read_all(&input);
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
