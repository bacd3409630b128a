#include "auth/message_fields.h"

#include "auth/credential.h"

void message_begin(struct message_writer *writer, enum message_kind kind, uint64_t session)
{
    *writer = (struct message_writer){0};
    buf_init(&writer->memory, MESSAGE_SIZE_MAX);
    writer->fields = pack_writer(&writer->memory);
    pack_u8(&writer->fields, (uint8_t)kind);
    pack_u64(&writer->fields, session);
}

int message_end(struct message_writer *writer, struct buf *out)
{
    int status = writer->status != 0 ? writer->status : writer->fields.status;
    if (status == 0)
        status = buf_append(out, buf_bytes(&writer->memory));
    buf_fini(&writer->memory);
    return status;
}

void message_put_bytes(struct message_writer *writer, struct slice bytes, size_t maximum)
{
    if (bytes.size > maximum)
        writer->status = ERR_FULL;
    else
        pack_bytes(&writer->fields, bytes);
}

void message_put_string(struct message_writer *writer, const char *string, size_t maximum)
{
    message_put_bytes(writer, string == NULL ? SLICE_NONE : slice_of_string(string), maximum);
}

void message_put_sentence(struct message_writer *writer, const char *sentence)
{
    struct slice bytes = sentence == NULL ? SLICE_NONE : slice_of_string(sentence);
    char escaped[MESSAGE_TEXT_MAX + 1];
    if (credential_is_printable(bytes)) {
        message_put_bytes(writer, slice_take(bytes, MESSAGE_TEXT_MAX), MESSAGE_TEXT_MAX);
        return;
    }
    slice_escape(bytes, escaped, sizeof(escaped));
    message_put_string(writer, escaped, MESSAGE_TEXT_MAX);
}

void message_put_count(struct message_writer *writer, size_t count, size_t maximum)
{
    if (count > maximum)
        writer->status = ERR_FULL;
    else
        pack_u16(&writer->fields, (uint16_t)count);
}

void message_reject(struct pack_reader *reader)
{
    reader->status = ERR_SYNTAX;
}

struct slice message_take_bytes(struct pack_reader *reader, size_t maximum)
{
    struct slice bytes = unpack_bytes(reader);
    if (bytes.size <= maximum)
        return bytes;
    message_reject(reader);
    return SLICE_NONE;
}

static bool text_is(struct slice text, enum message_text kind)
{
    switch (kind) {
    case MESSAGE_TEXT_PRINTABLE:
        return credential_is_printable(text);
    case MESSAGE_TEXT_NAME:
        return !slice_has_control(text) && slice_is_utf8(text);
    case MESSAGE_TEXT_WORD:
        return text.size > 0 && credential_is_printable(text) && slice_find(text, ' ') == text.size;
    case MESSAGE_TEXT_LINES:
        for (size_t i = 0; i < text.size; i++)
            if (text.data[i] != '\n' && !credential_is_printable(slice_of(text.data + i, 1)))
                return false;
        return true;
    case MESSAGE_TEXT_ANY:
        return slice_find(text, '\0') == text.size && slice_is_utf8(text);
    }
    return false;
}

char *message_take_string(struct pack_reader *reader, enum message_text kind, size_t maximum)
{
    struct slice text = message_take_bytes(reader, maximum);
    if (reader->status == 0 && !text_is(text, kind))
        message_reject(reader);
    return reader->status == 0 ? mem_copy_bytes_as_string(text.data, text.size) : NULL;
}

uint8_t message_take_choice(struct pack_reader *reader, uint8_t count)
{
    uint8_t choice = unpack_u8(reader);
    if (choice < count)
        return choice;
    message_reject(reader);
    return 0;
}

bool message_take_bool(struct pack_reader *reader)
{
    return message_take_choice(reader, 2) == 1;
}

size_t message_take_count(struct pack_reader *reader, size_t maximum, size_t size_min)
{
    size_t count = unpack_u16(reader);
    if (count <= maximum && count <= reader->rest.size / size_min)
        return count;
    message_reject(reader);
    return 0;
}
