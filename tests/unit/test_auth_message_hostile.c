/*
 * Messages that no sound peer would send: each field beyond its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/message_probe.h"
#include "auth/message.h"
#include "base/pack.h"

static struct buf wire;

static int setup(void **state)
{
    (void)state;
    buf_init(&wire, MESSAGE_SIZE_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&wire);
    return 0;
}

static void unknown_kinds(void **state)
{
    (void)state;
    uint8_t raw[9] = {0};
    for (int kind = 0; kind < 256; kind++) {
        struct message message;
        bool is_known =
            (kind >= 1 && kind <= 8) || (kind >= 16 && kind <= 23) || kind == MESSAGE_DURABLE;
        raw[0] = (uint8_t)kind;
        assert_int_equal(message_read(slice_of(raw, sizeof(raw)), &message),
                         is_known ? 0 : ERR_SYNTAX);
    }
}

static void begin(enum message_kind kind, struct pack_writer *writer)
{
    buf_clear(&wire);
    *writer = pack_writer(&wire);
    pack_u8(writer, (uint8_t)kind);
    pack_u64(writer, 1);
}

/* The fields of an ASK, each of which a case may spoil. */
static int read_ask_of(struct slice mechanism, struct slice peer, uint8_t has_bytes,
                       struct slice initial)
{
    struct pack_writer writer;
    begin(MESSAGE_ASK, &writer);
    pack_u16(&writer, 0);
    pack_bytes(&writer, mechanism);
    pack_bytes(&writer, peer);
    pack_u8(&writer, has_bytes);
    pack_bytes(&writer, initial);
    return message_probe(buf_bytes(&wire));
}

static void spoiled_ask(void **state)
{
    (void)state;
    static uint8_t many[MESSAGE_BYTES_MAX + 1];
    struct slice good = SLICE_LITERAL("PLAIN"), peer = SLICE_LITERAL("p"), none = SLICE_NONE;
    assert_int_equal(read_ask_of(good, peer, 1, peer), 0);
    static const struct slice mechanisms[] = {
        SLICE_LITERAL(""),      SLICE_LITERAL("plain"),    SLICE_LITERAL("PLAIN "),
        SLICE_LITERAL("PL\0"),  SLICE_LITERAL("A B"),      SLICE_LITERAL("AAAAAAAAAAAAAAAAAAAAA"),
        SLICE_LITERAL("A\r\n"), SLICE_LITERAL("\303\211"),
    };
    for (size_t i = 0; i < LENGTH_OF(mechanisms); i++)
        assert_int_equal(read_ask_of(mechanisms[i], peer, 1, none), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, SLICE_LITERAL("p\n"), 1, none), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, SLICE_LITERAL("p\303\251"), 1, none), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, SLICE_LITERAL("p\0"), 1, none), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, peer, 2, none), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, peer, 0, peer), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, peer, 1, slice_of(many, sizeof(many))), ERR_SYNTAX);
    assert_int_equal(read_ask_of(good, peer, 1, slice_of(many, sizeof(many) - 1)), 0);
}

struct granted_fields {
    const char *host, *user;
    uint16_t port, address_count;
    uint8_t tls, family, address_size, token_size, is_password;
};

static int read_granted_of(const struct granted_fields *fields)
{
    static const uint8_t zeros[255];
    struct pack_writer writer;
    begin(MESSAGE_GRANTED, &writer);
    pack_string(&writer, "work");
    pack_u64(&writer, 1);
    pack_string(&writer, fields->host);
    pack_u16(&writer, fields->port);
    pack_u8(&writer, fields->tls);
    pack_u16(&writer, 0);
    pack_u16(&writer, fields->address_count);
    for (unsigned i = 0; i < fields->address_count && i < 20; i++) {
        pack_u8(&writer, fields->family);
        pack_bytes(&writer, slice_of(zeros, fields->address_size));
    }
    pack_string(&writer, "");
    pack_string(&writer, fields->user);
    pack_bytes(&writer, slice_of(zeros, fields->token_size));
    pack_u8(&writer, 1);
    pack_string(&writer, "a@x b@x");
    pack_u8(&writer, fields->is_password);
    pack_u64(&writer, 1);
    return message_probe(buf_bytes(&wire));
}

static void spoiled_granted(void **state)
{
    (void)state;
    const struct granted_fields good = {"host", "user", 993, 1, 1, 4, 4, 1, 1};
    const struct granted_fields bad[] = {
        {"", "user", 993, 1, 1, 4, 4, 1, 0},    {"a b", "user", 993, 1, 1, 4, 4, 1, 0},
        {"a\n", "user", 993, 1, 1, 4, 4, 1, 0}, {"h", "u\001", 993, 1, 1, 4, 4, 1, 0},
        {"h", "u\377", 993, 1, 1, 4, 4, 1, 0},  {"h", "u", 0, 1, 1, 4, 4, 1, 0},
        {"h", "u", 993, 0, 1, 4, 4, 1, 0},      {"h", "u", 993, 17, 1, 4, 4, 1, 0},
        {"h", "u", 993, 65535, 1, 4, 4, 1, 0},  {"h", "u", 993, 1, TLS_MODE_COUNT, 4, 4, 1, 0},
        {"h", "u", 993, 1, 1, 5, 4, 1, 0},      {"h", "u", 993, 1, 1, 0, 0, 1, 0},
        {"h", "u", 993, 1, 1, 4, 16, 1, 0},     {"h", "u", 993, 1, 1, 6, 4, 1, 0},
        {"h", "u", 993, 1, 1, 6, 17, 1, 0},     {"h", "u", 993, 1, 1, 4, 4, 0, 0},
        {"h", "u", 993, 1, 1, 4, 4, 1, 2},
    };
    assert_int_equal(read_granted_of(&good), 0);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_int_equal(read_granted_of(&bad[i]), ERR_SYNTAX);
}

static void spoiled_refused(void **state)
{
    (void)state;
    struct pack_writer writer;
    begin(MESSAGE_REFUSED, &writer);
    pack_u8(&writer, WHY_COUNT);
    pack_string(&writer, "text");
    assert_int_equal(message_probe(buf_bytes(&wire)), ERR_SYNTAX);
    begin(MESSAGE_REFUSED, &writer);
    pack_u8(&writer, WHY_LIMIT);
    pack_string(&writer, "text\r\n* OK");
    assert_int_equal(message_probe(buf_bytes(&wire)), ERR_SYNTAX);
}

/* Counts that promise more than there is must not be believed. */
static void counts_without_contents(void **state)
{
    (void)state;
    static const uint16_t counts[] = {1, MESSAGE_LISTENERS_MAX, MESSAGE_LISTENERS_MAX + 1, 65535};
    for (size_t i = 0; i < LENGTH_OF(counts); i++) {
        struct pack_writer writer;
        begin(MESSAGE_CONFIGURE, &writer);
        pack_u16(&writer, 1);
        pack_u8(&writer, 1);
        pack_u32(&writer, 1);
        pack_u16(&writer, counts[i]);
        pack_u16(&writer, 0);
        assert_int_equal(message_probe(buf_bytes(&wire)), ERR_SYNTAX);
        begin(MESSAGE_CONFIGURE, &writer);
        pack_u16(&writer, 1);
        pack_u8(&writer, 1);
        pack_u32(&writer, 1);
        pack_u16(&writer, 0);
        pack_u16(&writer, counts[i]);
        assert_int_equal(message_probe(buf_bytes(&wire)), ERR_SYNTAX);
        begin(MESSAGE_CONFIGURE, &writer);
        pack_u16(&writer, 1);
        pack_u8(&writer, 1);
        pack_u32(&writer, 1);
        pack_u16(&writer, 0);
        pack_u16(&writer, 0);
        pack_u16(&writer, counts[i]);
        assert_int_equal(message_probe(buf_bytes(&wire)), ERR_SYNTAX);
    }
}

static int read_configure_of(uint8_t log_level, uint8_t prefix_length, uint8_t address_size,
                             uint8_t tls, uint8_t tls_min, const char *capabilities)
{
    static const uint8_t address[17];
    struct pack_writer writer;
    begin(MESSAGE_CONFIGURE, &writer);
    pack_u16(&writer, 1);
    pack_u8(&writer, log_level);
    pack_u32(&writer, 1000);
    for (int i = 0; i < 4; i++)
        pack_u8(&writer, 1);
    pack_u16(&writer, 1);
    pack_string(&writer, "imap");
    pack_u8(&writer, PROTOCOL_IMAP);
    pack_u16(&writer, 1);
    pack_string(&writer, "work");
    pack_string(&writer, "PLAIN");
    pack_string(&writer, capabilities);
    pack_u8(&writer, 0);
    pack_u8(&writer, 1);
    pack_u8(&writer, tls);
    pack_u8(&writer, tls_min);
    pack_string(&writer, "");
    pack_string(&writer, "");
    pack_u8(&writer, 0);
    pack_u8(&writer, 1);
    pack_u32(&writer, 64);
    pack_u16(&writer, 1);
    pack_bytes(&writer, slice_of(address, address_size));
    pack_u8(&writer, prefix_length);
    pack_u16(&writer, 0);
    pack_u16(&writer, 1);
    pack_u16(&writer, 993);
    return message_probe(buf_bytes(&wire));
}

static void spoiled_configure(void **state)
{
    (void)state;
    assert_int_equal(read_configure_of(3, 128, 16, 2, 3, "DSN\n"), 0);
    assert_int_equal(read_configure_of(4, 128, 16, 0, 0, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 129, 16, 0, 0, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 128, 15, 0, 0, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 128, 17, 0, 0, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 128, 16, TLS_MODE_COUNT, 0, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 128, 16, 0, 4, ""), ERR_SYNTAX);
    assert_int_equal(read_configure_of(3, 128, 16, 0, 0, "DSN\r\n"), ERR_SYNTAX);
}

#define WITH_WIRE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WIRE(unknown_kinds),           WITH_WIRE(spoiled_ask),
        WITH_WIRE(spoiled_granted),         WITH_WIRE(spoiled_refused),
        WITH_WIRE(counts_without_contents), WITH_WIRE(spoiled_configure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
