/*
 * RECORDS: the head of a message (session 0), and behind it one record after another, each of
 *
 *   session, listener, receipt, action, why, time, number of values, and for each value its field
 *   and a number or a text
 *
 * Writing: what a record takes is counted first, so that one that does not fit leaves the frame as
 * it was. Reading: a field or action that is not in the lists, a text that is empty or too long, a
 * number or flag out of its range, more values than a record can hold: ERR_SYNTAX.
 */
#include "auth/message.h"
#include "auth/message_fields.h"

#define HEAD_SIZE   (1u + 8u)
#define RECORD_SIZE (8u + 2u + 8u + 1u + 1u + 8u + 1u)

_Static_assert(RECORD_ACTION_COUNT <= UINT8_MAX && RECORD_FIELD_COUNT <= UINT8_MAX &&
                   RECORD_VALUES_MAX <= UINT8_MAX,
               "each is one octet on the wire");

static bool is_numeric(enum record_field field)
{
    enum record_kind kind = record_field_kind(field);
    return kind == RECORD_NUMBER || kind == RECORD_FLAG;
}

static size_t size_of(const struct record *record)
{
    size_t size = RECORD_SIZE;
    for (size_t i = 0; i < record->count; i++)
        size += 1 + (is_numeric(record->values[i].field) ? 8 : 4 + record->values[i].text.size);
    return size;
}

int message_write_record(struct buf *frame, const struct message_record *message_record)
{
    const struct record *record = &message_record->record;
    bool is_first = buf_size(frame) == 0;
    struct pack_writer writer = pack_writer(frame);
    if (size_of(record) + (is_first ? HEAD_SIZE : 0) > buf_room(frame))
        return ERR_FULL;
    if (is_first) {
        pack_u8(&writer, MESSAGE_RECORDS);
        pack_u64(&writer, 0);
    }
    pack_u64(&writer, message_record->session);
    pack_u16(&writer, message_record->listener);
    pack_u64(&writer, message_record->receipt);
    pack_u8(&writer, (uint8_t)record->action);
    pack_u8(&writer, (uint8_t)record->why);
    pack_u64(&writer, record->time);
    pack_u8(&writer, (uint8_t)record->count);
    for (size_t i = 0; i < record->count; i++) {
        const struct record_value *value = &record->values[i];
        pack_u8(&writer, (uint8_t)value->field);
        if (is_numeric(value->field))
            pack_u64(&writer, value->number);
        else
            pack_bytes(&writer, value->text);
    }
    ENSURE(writer.status == 0);
    return 0;
}

static void take_value(struct pack_reader *reader, struct record_value *value)
{
    *value = (struct record_value){
        .field = (enum record_field)message_take_choice(reader, RECORD_FIELD_COUNT)};
    if (is_numeric(value->field)) {
        bool is_flag = record_field_kind(value->field) == RECORD_FLAG;
        value->number = unpack_u64(reader);
        if (value->number > (is_flag ? 1 : INT64_MAX))
            message_reject(reader);
        return;
    }
    value->text = message_take_bytes(reader, RECORD_TEXT_MAX);
    if (value->text.size == 0)
        message_reject(reader);
}

int message_read_record(struct slice *rest, struct message_record *record_out)
{
    struct pack_reader reader = pack_reader(*rest);
    struct record *record = &record_out->record;
    record_out->session = unpack_u64(&reader);
    record_out->listener = unpack_u16(&reader);
    record_out->receipt = unpack_u64(&reader);
    record->action = (enum record_action)message_take_choice(&reader, RECORD_ACTION_COUNT);
    record->why = (enum why)message_take_choice(&reader, WHY_COUNT);
    record->time = unpack_u64(&reader);
    record->count = message_take_choice(&reader, RECORD_VALUES_MAX + 1);
    for (size_t i = 0; i < record->count && reader.status == 0; i++)
        take_value(&reader, &record->values[i]);
    if (reader.status != 0) {
        record->count = 0;
        return ERR_SYNTAX;
    }
    *rest = reader.rest;
    return 0;
}
