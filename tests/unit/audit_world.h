/*
 * What the tests of the journal share: a place, keys, a chain, records to write.
 */
#ifndef ECLUSE_TESTS_UNIT_AUDIT_WORLD_H
#define ECLUSE_TESTS_UNIT_AUDIT_WORLD_H

#include <string.h>

#include "audit/chain.h"
#include "audit/reader.h"

#define WORLD_TIME UINT64_C(1790000000123456)

static const uint8_t world_octets[64] =
    "0123456789abcdef0123456789ABCDEFseed seed seed seed seed seed..";

static inline struct secret world_secret(size_t from)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of(world_octets + from, 32));
    return secret;
}

static inline struct chain *world_chain(void)
{
    struct secret seed = world_secret(32), signing_key = world_secret(0);
    struct chain *chain = chain_new(&seed, &signing_key);
    ENSURE(chain != NULL);
    secret_wipe(&seed);
    secret_wipe(&signing_key);
    return chain;
}

static inline struct line_place world_place(void)
{
    return (struct line_place){.level = AUDIT_STANDARD, .service_version = "1.2.3"};
}

/* A command as a gate tells it. */
static inline void world_command(struct record *record, uint64_t number)
{
    record_init(record, ACTION_COMMAND, WHY_NONE, WORLD_TIME + number);
    record_add_string(record, FIELD_SESSION, "0.17");
    record_add_number(record, FIELD_COMMAND_NUMBER, number);
    record_add_string(record, FIELD_PROTOCOL, "imap");
    record_add_number(record, FIELD_CLIENT_BYTES, 31);
    record_add_number(record, FIELD_SERVER_BYTES, 4242);
    record_add_string(record, FIELD_USER_NAME, "work");
    record_add_string(record, FIELD_LISTENER, "imap");
    record_add_string(record, FIELD_VERB, "UID FETCH");
    record_add_string(record, FIELD_ARGUMENTS, "17:20 (UID FLAGS BODY.PEEK[HEADER])");
    record_add_string(record, FIELD_STATUS, "OK");
    record_add_string(record, FIELD_MAILBOX, "Entw&APw-rfe");
    record_add_number(record, FIELD_DURATION, 1234567);
}

#endif
