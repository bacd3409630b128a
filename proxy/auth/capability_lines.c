#include "auth/capability_lines.h"

#include "auth/credential.h"
#include "auth/message.h"

#define SIZE_KEYWORD "SIZE"

bool capability_lines_are_valid(struct slice lines)
{
    struct slice line;
    if (lines.size > MESSAGE_LINES_MAX || (lines.size > 0 && lines.data[lines.size - 1] != '\n'))
        return false;
    while (slice_next_word(&lines, '\n', &line))
        if (line.size == 0 || !credential_is_printable(line))
            return false;
    return true;
}

/* 0 without a number: no limit. */
static bool read_size(struct slice line, uint64_t *size_out)
{
    size_t end = slice_find(line, ' ');
    *size_out = 0;
    return slice_is_ignoring_case(slice_take(line, end), SIZE_KEYWORD) &&
           (end == line.size || slice_read_number(slice_skip(line, end + 1), UINT64_MAX, size_out));
}

static bool find_size(struct slice lines, uint64_t *size_out)
{
    struct slice line;
    while (slice_next_word(&lines, '\n', &line))
        if (read_size(line, size_out))
            return true;
    return false;
}

static bool has_line(struct slice lines, struct slice wanted)
{
    struct slice line;
    while (slice_next_word(&lines, '\n', &line))
        if (slice_equal_ignoring_case(line, wanted))
            return true;
    return false;
}

static uint64_t smaller_size(uint64_t size, uint64_t other)
{
    if (size == 0 || other == 0)
        return size + other;
    return size < other ? size : other;
}

static int append_line(struct buf *out, struct slice line)
{
    if (line.size + 1 > buf_room(out))
        return ERR_FULL;
    int status = buf_append(out, line);
    return status != 0 ? status : buf_append_string(out, "\n");
}

static int append_common(struct buf *out, struct slice line, struct slice others)
{
    uint64_t size, other;
    if (has_line(others, line))
        return append_line(out, line);
    if (!read_size(line, &size) || !find_size(others, &other))
        return 0;
    size = smaller_size(size, other);
    return size == 0 ? buf_append_string(out, SIZE_KEYWORD "\n")
                     : buf_append_format(out, SIZE_KEYWORD " %llu\n", (unsigned long long)size);
}

char *capability_lines_common(const char *lines, const char *others)
{
    struct slice rest = slice_of_string(lines), line;
    struct buf out;
    int status = 0;
    buf_init(&out, MESSAGE_LINES_MAX);
    /* Only a size that became longer can find no room; what there is until then is true. */
    while (status == 0 && slice_next_word(&rest, '\n', &line))
        status = append_common(&out, line, slice_of_string(others));
    struct slice bytes = buf_bytes(&out);
    char *common = mem_copy_bytes_as_string(bytes.data, bytes.size);
    buf_fini(&out);
    return common;
}
