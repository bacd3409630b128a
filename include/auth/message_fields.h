/*
 * The fields that messages are made of, each with its bounds: what the codec of auth/message.h is
 * written in. Readers fail as those of base/pack.h do: the first failure stays in the reader, and
 * what comes after it is zero, empty or NULL.
 */
#ifndef ECLUSE_AUTH_MESSAGE_FIELDS_H
#define ECLUSE_AUTH_MESSAGE_FIELDS_H

#include "auth/message.h"
#include "base/pack.h"

/* What may stand in a string. */
enum message_text {
    MESSAGE_TEXT_PRINTABLE, /* 0x20-0x7e */
    MESSAGE_TEXT_NAME,      /* UTF-8 without controls */
    MESSAGE_TEXT_WORD,      /* printable, no space, not empty */
    MESSAGE_TEXT_LINES,     /* printable, and line ends */
    MESSAGE_TEXT_ANY        /* UTF-8: certificates */
};

/* A message under construction, in memory of its own until it is whole. */
struct message_writer {
    struct buf memory;
    struct pack_writer fields;
    int status; /* 0 or ERR_FULL: a field is over its maximum */
};

void message_begin(struct message_writer *writer, enum message_kind kind, uint64_t session);
/* Appends the message to `out` and wipes the writer; all or nothing. */
MUST_CHECK int message_end(struct message_writer *writer, struct buf *out);

void message_put_bytes(struct message_writer *writer, struct slice bytes, size_t maximum);
void message_put_string(struct message_writer *writer, const char *string, size_t maximum);
/* Escapes what is not printable, and cuts what is over MESSAGE_TEXT_MAX. */
void message_put_sentence(struct message_writer *writer, const char *sentence);
/* ERR_FULL in the writer when count > maximum. */
void message_put_count(struct message_writer *writer, size_t count, size_t maximum);

/* The caller's way to say that what was read cannot be. */
void message_reject(struct pack_reader *reader);
struct slice message_take_bytes(struct pack_reader *reader, size_t maximum);
/* For mem_free. */
char *message_take_string(struct pack_reader *reader, enum message_text kind, size_t maximum);
uint8_t message_take_choice(struct pack_reader *reader, uint8_t count); /* 0..count-1 */
bool message_take_bool(struct pack_reader *reader);
/* At most `maximum`, and not more than what is left could hold with `size_min` octets each. */
size_t message_take_count(struct pack_reader *reader, size_t maximum, size_t size_min);

#endif
