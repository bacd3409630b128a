/*
 * Happy path: nothing of the end stands at the end so far; dots, which are rarer than lines, are
 * found by memchr, and stand within a line.
 *
 *   one begins a line, or the bytes end    from there octet by octet, until it is known
 */
#include "mail/dot_end.h"

#include <string.h>

static const char END[] = "\r\n.\r\n";
#define END_SIZE   (sizeof(END) - 1)
#define LINE_START 2u /* matched at the start of a line */

void dot_end_start(struct dot_end *end)
{
    end->matched = LINE_START;
}

bool dot_end_is_there(const struct dot_end *end)
{
    return end->matched == END_SIZE;
}

static uint8_t matched_at_end(const uint8_t *first, const uint8_t *limit)
{
    if (limit[-1] == '\r')
        return 1;
    return limit - first >= 2 && limit[-1] == '\n' && limit[-2] == '\r' ? LINE_START : 0;
}

/* From where nothing is matched to where something is, or to the end. */
static size_t skip_lines(struct dot_end *end, struct slice bytes, size_t at)
{
    const uint8_t *first = bytes.data + at, *limit = bytes.data + bytes.size, *next = first;
    while (next < limit && end->matched == 0) {
        const uint8_t *dot = memchr(next, '.', (size_t)(limit - next));
        if (dot == NULL) {
            end->matched = matched_at_end(first, limit);
            return bytes.size;
        }
        if (dot - first >= 2 && dot[-1] == '\n' && dot[-2] == '\r')
            end->matched = LINE_START + 1;
        next = dot + 1;
    }
    return (size_t)(next - bytes.data);
}

size_t dot_end_find(struct dot_end *end, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size && end->matched < END_SIZE) {
        if (end->matched == 0) {
            at = skip_lines(end, bytes, at);
            continue;
        }
        uint8_t byte = bytes.data[at++];
        if (byte == (uint8_t)END[end->matched])
            end->matched++;
        else
            end->matched = byte == '\r';
    }
    return at;
}
