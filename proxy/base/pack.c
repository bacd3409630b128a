#include "base/pack.h"

static void put(struct pack_writer *writer, struct slice bytes)
{
    if (writer->status == 0)
        writer->status = buf_append(writer->buf, bytes);
}

void pack_bytes(struct pack_writer *writer, struct slice bytes)
{
    if (bytes.size > UINT32_MAX) {
        writer->status = ERR_FULL;
        return;
    }
    pack_u32(writer, (uint32_t)bytes.size);
    put(writer, bytes);
}

void pack_string(struct pack_writer *writer, const char *string)
{
    pack_bytes(writer, slice_of_string(string));
}

static struct slice take(struct pack_reader *reader, size_t size)
{
    if (reader->status != 0 || reader->rest.size < size) {
        reader->status = ERR_SYNTAX;
        return SLICE_NONE;
    }
    struct slice taken = slice_take(reader->rest, size);
    reader->rest = slice_skip(reader->rest, size);
    return taken;
}

struct slice unpack_bytes(struct pack_reader *reader)
{
    uint32_t size = unpack_u32(reader);
    return take(reader, size);
}

char *unpack_string(struct pack_reader *reader)
{
    struct slice bytes = unpack_bytes(reader);
    if (reader->status == 0 && slice_find(bytes, '\0') < bytes.size)
        reader->status = ERR_SYNTAX;
    return reader->status == 0 ? mem_copy_bytes_as_string(bytes.data, bytes.size) : NULL;
}

int unpack_end(struct pack_reader *reader)
{
    if (reader->rest.size > 0)
        reader->status = ERR_SYNTAX;
    return reader->status;
}
