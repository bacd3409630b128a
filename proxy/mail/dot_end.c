#include "mail/dot_end.h"

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

size_t dot_end_find(struct dot_end *end, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size && end->matched < END_SIZE) {
        if (end->matched == 0)
            at += slice_find(slice_skip(bytes, at), '\r');
        if (at == bytes.size)
            break;
        uint8_t byte = bytes.data[at++];
        if (byte == (uint8_t)END[end->matched])
            end->matched++;
        else
            end->matched = byte == '\r';
    }
    return at;
}
