/*
 * A line of the table: number, own end, other end, state, queues, timer, retransmissions, uid,
 * timeout, inode. An end is the address as 32-bit words in the machine's order and the port, both
 * in hexadecimal: 0100007F:9C40.
 *
 * Happy path: the file is read in pieces, each whole line compared.
 * Failures: a line that does not parse is not the one that is looked for.
 */
#include "net/peer_table.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"

#define STATE_LISTEN 10

struct end {
    uint8_t bytes[16]; /* IPv4 mapped into IPv6 */
    uint16_t port;
};

static bool parse_word(struct slice digits, uint32_t *out)
{
    uint32_t value = 0;
    if (digits.size == 0 || digits.size > 8)
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t digit = digits.data[i];
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (uint32_t)(digit - '0');
        else if (digit >= 'A' && digit <= 'F')
            value = value << 4 | (uint32_t)(digit - 'A' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static bool parse_end(struct slice text, struct end *out)
{
    struct slice address;
    uint32_t port;
    if (!slice_next_word(&text, ':', &address) || !parse_word(text, &port) || port > 0xffff)
        return false;
    if (address.size != 8 && address.size != 32)
        return false;
    uint32_t words[4] = {0, 0, htonl(0xffff), 0};
    size_t first = address.size == 8 ? 3 : 0;
    for (size_t i = first; i < 4; i++) {
        if (!parse_word(slice_take(slice_skip(address, (i - first) * 8), 8), &words[i]))
            return false;
    }
    memcpy(out->bytes, words, sizeof(out->bytes));
    out->port = (uint16_t)port;
    return true;
}

static bool is_same(const struct end *a, const struct end *b)
{
    return a->port == b->port && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool next_field(struct slice *line, struct slice *out)
{
    while (slice_next_word(line, ' ', out)) {
        if (out->size > 0)
            return true;
    }
    return false;
}

/* True: this line is the socket, and it has an owner. */
static bool match_line(struct slice line, const struct end *near_end, const struct end *far_end,
                       uint32_t *user_id_out)
{
    struct slice fields[10];
    for (size_t i = 0; i < LENGTH_OF(fields); i++) {
        if (!next_field(&line, &fields[i]))
            return false;
    }
    struct end own, other;
    uint32_t state;
    uint64_t user_id, inode;
    if (!parse_end(fields[1], &own) || !parse_end(fields[2], &other) ||
        !parse_word(fields[3], &state) || !slice_read_number(fields[7], UINT32_MAX, &user_id) ||
        !slice_read_number(fields[9], UINT64_MAX, &inode))
        return false;
    if (!is_same(&own, near_end) || !is_same(&other, far_end))
        return false;
    if (state == STATE_LISTEN || inode == 0)
        return false;
    *user_id_out = (uint32_t)user_id;
    return true;
}

void peer_address_map(const struct peer_address *address, uint8_t bytes_out[16])
{
    memset(bytes_out, 0, 16);
    if (address->family == 6) {
        memcpy(bytes_out, address->bytes, 16);
    } else {
        bytes_out[10] = bytes_out[11] = 0xff;
        memcpy(bytes_out + 12, address->bytes, 4);
    }
}

static struct end end_of(const struct peer_address *address)
{
    struct end end = {.port = address->port};
    peer_address_map(address, end.bytes);
    return end;
}

int peer_table_find(int descriptor, const struct peer_address *near_end,
                    const struct peer_address *far_end, uint32_t *user_id_out)
{
    const struct end own = end_of(near_end), other = end_of(far_end);
    uint8_t text[8192];
    size_t kept = 0;
    off_t offset = 0;
    for (;;) {
        ssize_t got = pread(descriptor, text + kept, sizeof(text) - kept, offset);
        if (got < 0)
            return ERR_SYSTEM;
        if (got == 0)
            return ERR_NOT_FOUND;
        offset += got;
        struct slice rest = slice_of(text, kept + (size_t)got);
        for (size_t end = slice_find(rest, '\n'); end < rest.size; end = slice_find(rest, '\n')) {
            if (match_line(slice_take(rest, end), &own, &other, user_id_out))
                return 0;
            rest = slice_skip(rest, end + 1);
        }
        /* No line is as long as the buffer. */
        kept = rest.size == sizeof(text) ? 0 : rest.size;
        if (kept > 0)
            memmove(text, rest.data, kept);
    }
}
