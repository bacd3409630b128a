#include "mail/wire.h"

#include <openssl/evp.h>
#include <string.h>

struct slice wire_trim_line_end(struct slice line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\n')
        line.size--;
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

struct slice wire_take_word(struct slice *rest)
{
    struct slice word = SLICE_NONE;
    (void)slice_next_word(rest, ' ', &word);
    return word;
}

static bool is_base64_letter(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

/* How many "=" stand at the end, or -1 when the text is not base64. OpenSSL's decoder alone would
 * let white space and misplaced padding pass. */
static int base64_padding(struct slice text)
{
    int padding = 0;
    if (text.size % 4 != 0)
        return -1;
    while (padding < 2 && text.size > 0 && text.data[text.size - 1] == '=') {
        text.size--;
        padding++;
    }
    for (size_t i = 0; i < text.size; i++)
        if (!is_base64_letter(text.data[i]))
            return -1;
    return padding;
}

int wire_base64_decode(struct slice text, struct buf *out)
{
    int padding = base64_padding(text);
    if (padding < 0)
        return ERR_SYNTAX;
    if (text.size == 0)
        return 0;
    if (text.size > INT32_MAX)
        return ERR_FULL;
    size_t size = text.size / 4 * 3;
    uint8_t *bytes = mem_new(size);
    int decoded = EVP_DecodeBlock(bytes, text.data, (int)text.size);
    int status = decoded < 0 ? ERR_SYNTAX
                             : buf_append(out, slice_of(bytes, (size_t)decoded - (size_t)padding));
    mem_wipe(bytes, size);
    mem_free(bytes);
    return status;
}

int wire_base64_encode(struct slice bytes, struct buf *out)
{
    if (bytes.size == 0)
        return 0;
    if (bytes.size > INT32_MAX / 2)
        return ERR_FULL;
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *text = mem_new(size + 1);
    EVP_EncodeBlock(text, bytes.data, (int)bytes.size);
    int status = buf_append(out, slice_of(text, size));
    mem_wipe(text, size);
    mem_free(text);
    return status;
}

/* RFC 3501: ATOM-CHAR or "]". */
static bool is_astring_char(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && strchr("(){%*\"\\", byte) == NULL;
}

bool wire_is_imap_atom(struct slice word)
{
    size_t at = 0;
    while (at < word.size && is_astring_char(word.data[at]))
        at++;
    return word.size > 0 && at == word.size;
}

bool wire_is_imap_tag(struct slice tag)
{
    return tag.size <= WIRE_IMAP_TAG_MAX && wire_is_imap_atom(tag) &&
           slice_find(tag, '+') == tag.size;
}

enum wire_status wire_imap_literal(struct slice line, struct wire_literal *literal_out)
{
    line = wire_trim_line_end(line);
    if (line.size == 0 || line.data[line.size - 1] != '}')
        return WIRE_MORE;
    size_t open = line.size - 1;
    while (open > 0 && line.data[open - 1] != '{')
        open--;
    if (open == 0)
        return WIRE_MORE;
    struct slice inside = slice_of(line.data + open, line.size - 1 - open);
    literal_out->is_synchronizing = true;
    if (inside.size > 0 && inside.data[inside.size - 1] == '+') {
        literal_out->is_synchronizing = false;
        inside.size--;
    }
    /* RFC 3501 `number`, widened to 63 bits as RFC 9051 has it */
    return slice_read_number(inside, INT64_MAX, &literal_out->size) ? WIRE_DONE : WIRE_BAD;
}

static enum wire_status take_quoted(struct slice *rest, struct buf *out)
{
    size_t i = 1;
    while (i < rest->size && rest->data[i] != '"') {
        bool escaped = rest->data[i] == '\\';
        if (escaped)
            i++;
        struct slice byte = slice_take(slice_skip(*rest, i), 1);
        if (byte.size == 0 || slice_has_control(byte))
            return WIRE_BAD;
        if (escaped && byte.data[0] != '"' && byte.data[0] != '\\')
            return WIRE_BAD;
        if (buf_append(out, byte) != 0)
            return WIRE_BAD;
        i++;
    }
    if (i >= rest->size)
        return WIRE_BAD;
    *rest = slice_skip(*rest, i + 1);
    return WIRE_DONE;
}

static enum wire_status take_literal(struct slice *rest, struct buf *out)
{
    size_t end = slice_find(*rest, '\n');
    struct slice line = slice_take(*rest, end + 1);
    struct wire_literal literal;
    /* The announcement at the line's end is to be the brace that the string begins with. */
    bool is_alone = slice_find(slice_skip(line, 1), '{') == line.size - 1;
    if (end == rest->size || !is_alone || wire_imap_literal(line, &literal) != WIRE_DONE)
        return WIRE_BAD;
    struct slice bytes = slice_skip(*rest, end + 1);
    if (literal.size > bytes.size || buf_append(out, slice_take(bytes, literal.size)) != 0)
        return WIRE_BAD;
    *rest = slice_skip(bytes, literal.size);
    return WIRE_DONE;
}

enum wire_status wire_imap_astring(struct slice *rest, struct buf *out)
{
    if (rest->size == 0)
        return WIRE_BAD;
    if (rest->data[0] == '"')
        return take_quoted(rest, out);
    if (rest->data[0] == '{')
        return take_literal(rest, out);
    size_t size = 0;
    /* Passwords with 8-bit letters come as bare words from clients that never quote. */
    while (size < rest->size && (is_astring_char(rest->data[size]) || rest->data[size] >= 0x80))
        size++;
    if (size == 0 || buf_append(out, slice_take(*rest, size)) != 0)
        return WIRE_BAD;
    *rest = slice_skip(*rest, size);
    return WIRE_DONE;
}
