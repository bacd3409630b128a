/*
 * Every kind of message: written and read back, cut off at each octet, and with each field beyond
 * its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/message_probe.h"
#include "auth/message.h"

#define SESSION 0x0102030405060708u

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

/* `wire` is one sound message; without its end, or with an octet more, it is none. Each cut is a
 * copy of its own, so that a read beyond it is seen. */
static void assert_bounds(void)
{
    struct slice whole = buf_bytes(&wire);
    assert_int_equal(message_probe(whole), 0);
    uint8_t *copy = mem_new(whole.size + 1);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = mem_new(size);
        memcpy(cut, whole.data, size);
        assert_int_equal(message_probe(slice_of(cut, size)), ERR_SYNTAX);
        mem_free(cut);
    }
    memcpy(copy, whole.data, whole.size);
    assert_int_equal(message_probe(slice_of(copy, whole.size + 1)), ERR_SYNTAX);
    mem_free(copy);
}

static struct message head(enum message_kind kind, uint64_t session)
{
    struct message message;
    assert_int_equal(message_read(buf_bytes(&wire), &message), 0);
    assert_int_equal(message.kind, kind);
    assert_true(message.session == session);
    return message;
}

/* ---- round trips ---- */

static void plain(void **state)
{
    (void)state;
    static const enum message_kind kinds[] = {MESSAGE_READY, MESSAGE_FORGET, MESSAGE_LIST_SESSIONS};
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        buf_clear(&wire);
        assert_int_equal(message_write_plain(&wire, kinds[i], SESSION), 0);
        assert_int_equal(buf_size(&wire), 9);
        struct message message = head(kinds[i], SESSION);
        assert_int_equal(message.fields.size, 0);
        assert_bounds();
    }
}

static void layout_of_the_head(void **state)
{
    (void)state;
    static const uint8_t expected[] = {6, 1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(message_write_plain(&wire, MESSAGE_FORGET, SESSION), 0);
    assert_int_equal(buf_size(&wire), sizeof(expected));
    assert_memory_equal(buf_bytes(&wire).data, expected, sizeof(expected));
}

static void bytes(void **state)
{
    (void)state;
    static const enum message_kind kinds[] = {MESSAGE_ANSWER, MESSAGE_CHALLENGE};
    static const struct slice values[] = {SLICE_LITERAL(""), SLICE_LITERAL("a\0\377b")};
    for (size_t i = 0; i < LENGTH_OF(kinds); i++)
        for (size_t j = 0; j < LENGTH_OF(values); j++) {
            struct slice read;
            buf_clear(&wire);
            assert_int_equal(message_write_bytes(&wire, kinds[i], SESSION, values[j]), 0);
            struct message message = head(kinds[i], SESSION);
            assert_int_equal(message_read_bytes(&message, &read), 0);
            assert_true(slice_equal(read, values[j]));
            assert_bounds();
        }
}

static void numbers(void **state)
{
    (void)state;
    static const enum message_kind kinds[] = {MESSAGE_AGAIN, MESSAGE_END_GRANT, MESSAGE_DRAIN,
                                              MESSAGE_DURABLE};
    for (size_t i = 0; i < LENGTH_OF(kinds); i++) {
        uint64_t read = 0;
        buf_clear(&wire);
        assert_int_equal(message_write_number(&wire, kinds[i], 0, UINT64_MAX - 1), 0);
        struct message message = head(kinds[i], 0);
        assert_int_equal(message_read_number(&message, &read), 0);
        assert_true(read == UINT64_MAX - 1);
        assert_bounds();
    }
}

static void ask_with_and_without_bytes(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        struct message_ask ask = {
            .listener = 513, .mechanism = "SCRAM-SHA-256", .peer = "[::1]:40312"};
        struct message_ask read;
        ask.has_bytes = variant > 0;
        secret_set(&ask.bytes, variant == 2 ? SLICE_LITERAL("\0u\0p") : SLICE_LITERAL(""));
        buf_clear(&wire);
        assert_int_equal(message_write_ask(&wire, SESSION, &ask), 0);
        struct message message = head(MESSAGE_ASK, SESSION);
        assert_int_equal(message_read_ask(&message, &read), 0);
        assert_int_equal(read.listener, 513);
        assert_string_equal(read.mechanism, "SCRAM-SHA-256");
        assert_string_equal(read.peer, "[::1]:40312");
        assert_int_equal(read.has_bytes, variant > 0);
        /* No initial response and an empty one are two things. */
        assert_int_equal(secret_is_set(&read.bytes), variant > 0);
        assert_true(slice_equal(secret_bytes(&read.bytes), secret_bytes(&ask.bytes)));
        message_ask_clear(&read);
        assert_null(read.mechanism);
        message_ask_clear(&read);
        secret_wipe(&ask.bytes);
        assert_bounds();
    }
}

static struct message_granted sample_granted(void)
{
    static char senders[] = "a@x Ren\303\251e@y";
    struct message_granted granted = {
        .account = "work",
        .grant = -3,
        .host = "imap.example.com",
        .port = 993,
        .tls = TLS_MODE_ON,
        .authorities = 1,
        .addresses = {{4, {192, 0, 2, 1}}, {6, {0x20, 1, 0xd, 0xb8, [15] = 1}}},
        .address_count = 2,
        .mechanisms = "XOAUTH2 OAUTHBEARER",
        .user = "alice@example.com",
        .is_read_only = true,
        .senders = senders,
        .is_password = true,
        .generation = 9,
    };
    secret_set(&granted.token, SLICE_LITERAL("t0k"));
    return granted;
}

static void granted_message(void **state)
{
    (void)state;
    struct message_granted read, granted = sample_granted();
    assert_int_equal(message_write_granted(&wire, SESSION, &granted), 0);
    struct message message = head(MESSAGE_GRANTED, SESSION);
    assert_int_equal(message_read_granted(&message, &read), 0);
    assert_string_equal(read.account, "work");
    assert_true(read.grant == -3);
    assert_string_equal(read.host, "imap.example.com");
    assert_int_equal(read.port, 993);
    assert_int_equal(read.tls, TLS_MODE_ON);
    assert_int_equal(read.authorities, 1);
    assert_int_equal(read.address_count, 2);
    assert_memory_equal(read.addresses, granted.addresses, sizeof(read.addresses));
    assert_string_equal(read.mechanisms, "XOAUTH2 OAUTHBEARER");
    assert_string_equal(read.user, "alice@example.com");
    assert_true(secret_equal(&read.token, SLICE_LITERAL("t0k")));
    assert_true(read.is_password && read.is_read_only);
    assert_string_equal(read.senders, granted.senders);
    assert_true(read.generation == 9);
    message_granted_clear(&read);
    secret_wipe(&granted.token);
    assert_bounds();
}

static void learned_message(void **state)
{
    (void)state;
    char *read;
    assert_int_equal(message_write_learned(&wire, SESSION, "SIZE 1000\nDSN\n"), 0);
    struct message message = head(MESSAGE_LEARNED, SESSION);
    assert_int_equal(message_read_learned(&message, &read), 0);
    assert_string_equal(read, "SIZE 1000\nDSN\n");
    mem_free(read);
    assert_bounds();
    buf_clear(&wire);
    assert_int_equal(message_write_learned(&wire, SESSION, "SIZE\r\n"), 0);
    message = head(MESSAGE_LEARNED, SESSION);
    assert_int_equal(message_read_learned(&message, &read), ERR_SYNTAX);
    assert_null(read);
}

static void offer_message(void **state)
{
    (void)state;
    char mechanisms[] = "PLAIN CRAM-MD5", capabilities[] = "DSN\n";
    struct message_offer read,
        offer = {.listener = 700, .mechanisms = mechanisms, .capabilities = capabilities};
    assert_int_equal(message_write_offer(&wire, &offer), 0);
    struct message message = head(MESSAGE_OFFER, 0);
    assert_int_equal(message_read_offer(&message, &read), 0);
    assert_int_equal(read.listener, 700);
    assert_string_equal(read.mechanisms, mechanisms);
    assert_string_equal(read.capabilities, capabilities);
    message_offer_clear(&read);
    assert_null(read.mechanisms);
    assert_bounds();
}

static void refused_message(void **state)
{
    (void)state;
    for (int why = 0; why < WHY_COUNT; why++) {
        struct message_refused read;
        struct message_refused refused = {(enum why)why, "sign in: ecluse login work"};
        buf_clear(&wire);
        assert_int_equal(message_write_refused(&wire, SESSION, &refused), 0);
        struct message message = head(MESSAGE_REFUSED, SESSION);
        assert_int_equal(message_read_refused(&message, &read), 0);
        assert_int_equal(read.why, why);
        assert_string_equal(read.text, refused.text);
        message_refused_clear(&read);
        assert_bounds();
    }
}

static struct message_network networks[2] = {
    {{[10] = 0xff, 0xff, 10, 0, 0, 0}, 104},
    {{0xfd}, 8},
};

static struct message_listener listeners[2] = {
    {.name = "imap",
     .protocol = PROTOCOL_IMAP,
     .descriptors = 2,
     .account = "work",
     .mechanisms = "PLAIN LOGIN",
     .capabilities = "IDLE\nSIZE 7\n",
     .needs_no_login = true,
     .tls = TLS_MODE_STARTTLS,
     .tls_min = 3,
     .certificate = "-----BEGIN CERTIFICATE-----\nMII=\n",
     .peer_owner_only = true,
     .max_sessions = 64},
    {.name = "smtp",
     .protocol = PROTOCOL_SMTP,
     .descriptors = 1,
     .rejects_bare_newline = true,
     .is_remote = true,
     .allowed = networks,
     .allowed_count = 2,
     .max_sessions = UINT32_MAX},
};

static char *authorities[2] = {"-----BEGIN CERTIFICATE-----\nMII=\n", ""};

static uint16_t ports[2] = {993, 65535};

static struct message_configure sample_configure(void)
{
    return (struct message_configure){
        .gate = 3,
        .log_level = 3,
        .user_id = 1000,
        .audit = {.is_on = true, .holds_replies = true},
        .listeners = listeners,
        .listener_count = 2,
        .authorities = authorities,
        .authority_count = 2,
        .ports = ports,
        .port_count = 2,
    };
}

static void configure_message(void **state)
{
    (void)state;
    struct message_configure read, configure = sample_configure();
    secret_set(&listeners[0].key, SLICE_LITERAL("-----BEGIN KEY-----\n"));
    assert_int_equal(message_write_configure(&wire, &configure), 0);
    secret_wipe(&listeners[0].key);
    struct message message = head(MESSAGE_CONFIGURE, 0);
    assert_int_equal(message_read_configure(&message, &read), 0);
    assert_int_equal(read.gate, 3);
    assert_int_equal(read.log_level, 3);
    assert_int_equal(read.user_id, 1000);
    assert_memory_equal(&read.audit, &configure.audit, sizeof(read.audit));
    assert_int_equal(read.listener_count, 2);
    assert_string_equal(read.listeners[0].name, "imap");
    assert_int_equal(read.listeners[0].descriptors, 2);
    assert_string_equal(read.listeners[0].account, "work");
    assert_string_equal(read.listeners[0].mechanisms, "PLAIN LOGIN");
    assert_string_equal(read.listeners[0].capabilities, "IDLE\nSIZE 7\n");
    assert_true(read.listeners[0].needs_no_login);
    assert_false(read.listeners[0].rejects_bare_newline);
    assert_int_equal(read.listeners[0].tls, TLS_MODE_STARTTLS);
    assert_int_equal(read.listeners[0].tls_min, 3);
    assert_string_equal(read.listeners[0].certificate, listeners[0].certificate);
    assert_true(secret_equal(&read.listeners[0].key, SLICE_LITERAL("-----BEGIN KEY-----\n")));
    assert_true(read.listeners[1].rejects_bare_newline);
    assert_false(secret_is_set(&read.listeners[1].key));
    assert_true(read.listeners[0].peer_owner_only);
    assert_false(read.listeners[0].is_remote);
    assert_int_equal(read.listeners[0].allowed_count, 0);
    assert_int_equal(read.listeners[0].max_sessions, 64);
    assert_int_equal(read.listeners[1].protocol, PROTOCOL_SMTP);
    assert_string_equal(read.listeners[1].account, "");
    assert_true(read.listeners[1].is_remote);
    assert_int_equal(read.listeners[1].allowed_count, 2);
    assert_memory_equal(read.listeners[1].allowed, networks, sizeof(networks));
    assert_true(read.listeners[1].max_sessions == UINT32_MAX);
    assert_int_equal(read.authority_count, 2);
    assert_string_equal(read.authorities[0], authorities[0]);
    assert_string_equal(read.authorities[1], "");
    assert_int_equal(read.port_count, 2);
    assert_memory_equal(read.ports, ports, sizeof(ports));
    message_configure_clear(&read);
    message_configure_clear(&read);
    assert_bounds();

    buf_clear(&wire);
    assert_int_equal(message_write_configure(&wire, &(struct message_configure){0}), 0);
    message = head(MESSAGE_CONFIGURE, 0);
    assert_int_equal(message_read_configure(&message, &read), 0);
    assert_int_equal(read.listener_count + read.authority_count + read.port_count, 0);
    message_configure_clear(&read);
    assert_bounds();
}

/* ---- limits of what is written ---- */

static void assert_same_session(const struct message_session *a, const struct message_session *b)
{
    assert_true(a->number == b->number && a->state == b->state && a->age == b->age &&
                a->client_bytes == b->client_bytes && a->server_bytes == b->server_bytes);
}

static void sessions_message(void **state)
{
    (void)state;
    static struct message_session items[MESSAGE_SESSIONS_MAX + 1];
    struct message_sessions read, sessions = {.items = items};
    struct message message;
    for (size_t i = 0; i < LENGTH_OF(items); i++)
        items[i] = (struct message_session){i + 1, (enum message_session_state)(i % 3), i * 7,
                                            UINT64_MAX - i, i * 1000};
    for (size_t count = 0; count <= 3; count++) {
        sessions.count = count;
        sessions.is_last = count == 3;
        assert_int_equal(message_write_sessions(&wire, SESSION, &sessions), 0);
        message = head(MESSAGE_SESSIONS, SESSION);
        assert_int_equal(message_read_sessions(&message, &read), 0);
        assert_int_equal(read.count, count);
        assert_int_equal(read.is_last, count == 3);
        for (size_t i = 0; i < count; i++)
            assert_same_session(&read.items[i], &items[i]);
        message_sessions_clear(&read);
        assert_bounds();
        buf_clear(&wire);
    }
    sessions.count = MESSAGE_SESSIONS_MAX;
    assert_int_equal(message_write_sessions(&wire, 1, &sessions), 0);
    assert_int_equal(message_probe(buf_bytes(&wire)), 0);
    buf_clear(&wire);
    sessions.count++;
    assert_int_equal(message_write_sessions(&wire, 1, &sessions), ERR_FULL);
    assert_string_equal(message_session_state_name(MESSAGE_SESSION_RELAYING), "relaying");
}

static void a_buffer_without_room_stays_as_it_was(void **state)
{
    (void)state;
    struct buf small;
    struct message_granted granted = sample_granted();
    assert_int_equal(message_write_granted(&wire, SESSION, &granted), 0);
    for (size_t room = 0; room < buf_size(&wire); room++) {
        buf_init(&small, 3 + room);
        assert_int_equal(buf_append_string(&small, "abc"), 0);
        assert_int_equal(message_write_granted(&small, SESSION, &granted), ERR_FULL);
        assert_true(slice_is(buf_bytes(&small), "abc"));
        buf_fini(&small);
    }
    secret_wipe(&granted.token);
}

static void messages_follow_one_another(void **state)
{
    (void)state;
    assert_int_equal(message_write_plain(&wire, MESSAGE_READY, 0), 0);
    assert_int_equal(message_write_plain(&wire, MESSAGE_FORGET, 1), 0);
    assert_int_equal(buf_size(&wire), 18);
    assert_int_equal(message_probe(slice_take(buf_bytes(&wire), 9)), 0);
    assert_int_equal(message_probe(slice_skip(buf_bytes(&wire), 9)), 0);
}

static void fields_have_a_maximum(void **state)
{
    (void)state;
    static uint8_t many[MESSAGE_TOKEN_MAX + 1];
    static char text[600];
    memset(text, 'x', sizeof(text) - 1);
    struct slice value = slice_of(many, MESSAGE_BYTES_MAX);
    assert_int_equal(message_write_bytes(&wire, MESSAGE_ANSWER, 1, value), 0);
    assert_int_equal(message_probe(buf_bytes(&wire)), 0);
    buf_clear(&wire);
    value.size++;
    assert_int_equal(message_write_bytes(&wire, MESSAGE_ANSWER, 1, value), ERR_FULL);

    struct message_granted granted = sample_granted();
    secret_set(&granted.token, slice_of(many, MESSAGE_TOKEN_MAX));
    assert_int_equal(message_write_granted(&wire, 1, &granted), 0);
    assert_int_equal(message_probe(buf_bytes(&wire)), 0);
    buf_clear(&wire);
    secret_set(&granted.token, slice_of(many, MESSAGE_TOKEN_MAX + 1));
    assert_int_equal(message_write_granted(&wire, 1, &granted), ERR_FULL);
    secret_set(&granted.token, SLICE_LITERAL("t"));
    granted.user = text;
    assert_int_equal(message_write_granted(&wire, 1, &granted), ERR_FULL);
    granted.user = "u";
    granted.address_count = MESSAGE_ADDRESSES_MAX + 1;
    assert_int_equal(message_write_granted(&wire, 1, &granted), ERR_FULL);
    secret_wipe(&granted.token);

    struct message_configure configure = sample_configure();
    configure.listener_count = MESSAGE_LISTENERS_MAX + 1;
    assert_int_equal(message_write_configure(&wire, &configure), ERR_FULL);
    configure = sample_configure();
    configure.port_count = MESSAGE_PORTS_MAX + 1;
    assert_int_equal(message_write_configure(&wire, &configure), ERR_FULL);
    assert_int_equal(buf_size(&wire), 0);
}

static void sentences_are_made_printable(void **state)
{
    (void)state;
    static char text[600];
    struct message_refused read, refused = {WHY_LIMIT, "bad\r\n* OK \033[2J\303\251"};
    assert_int_equal(message_write_refused(&wire, 1, &refused), 0);
    struct message message = head(MESSAGE_REFUSED, 1);
    assert_int_equal(message_read_refused(&message, &read), 0);
    assert_string_equal(read.text, "bad\\x0d\\x0a* OK \\x1b[2J\\xc3\\xa9");
    message_refused_clear(&read);

    for (int filler = 0; filler < 2; filler++) {
        memset(text, filler == 0 ? 'x' : '\n', sizeof(text) - 1);
        refused.text = text;
        buf_clear(&wire);
        assert_int_equal(message_write_refused(&wire, 1, &refused), 0);
        message = head(MESSAGE_REFUSED, 1);
        assert_int_equal(message_read_refused(&message, &read), 0);
        assert_int_equal(strlen(read.text), filler == 0 ? MESSAGE_TEXT_MAX : 480 - 480 % 4);
        message_refused_clear(&read);
    }
}

static void missing_strings_are_empty(void **state)
{
    (void)state;
    struct message_offer read, offer = {.listener = 1};
    assert_int_equal(message_write_offer(&wire, &offer), 0);
    struct message message = head(MESSAGE_OFFER, 0);
    assert_int_equal(message_read_offer(&message, &read), 0);
    assert_string_equal(read.mechanisms, "");
    assert_string_equal(read.capabilities, "");
    message_offer_clear(&read);
}

#define WITH_WIRE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WIRE(plain),
        WITH_WIRE(layout_of_the_head),
        WITH_WIRE(bytes),
        WITH_WIRE(numbers),
        WITH_WIRE(ask_with_and_without_bytes),
        WITH_WIRE(granted_message),
        WITH_WIRE(refused_message),
        WITH_WIRE(learned_message),
        WITH_WIRE(offer_message),
        WITH_WIRE(configure_message),
        WITH_WIRE(sessions_message),
        WITH_WIRE(a_buffer_without_room_stays_as_it_was),
        WITH_WIRE(messages_follow_one_another),
        WITH_WIRE(fields_have_a_maximum),
        WITH_WIRE(sentences_are_made_printable),
        WITH_WIRE(missing_strings_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
