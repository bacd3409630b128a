/*
 * A gate on a loop of the test's own, and all that is around it: the test is the keeper (over a
 * socket pair), the clients (over loopback) and the mail servers (TLS on loopback). Nothing here
 * waits by time: a turn of the world lets each of them do what it can, and the functions that wait
 * take turns until what they wait for is there.
 */
#ifndef ECLUSE_TESTS_GATE_WORLD_H
#define ECLUSE_TESTS_GATE_WORLD_H

#include "gate_servers.h"

/* ---- the keeper's words ---- */

static inline void keeper_send(struct world *world, struct buf *message)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(buf_size(message), header);
    far_send(&world->keeper, slice_of(header, sizeof(header)));
    far_send(&world->keeper, buf_bytes(message));
    buf_fini(message);
}

static inline struct buf new_message(void)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    return message;
}

static inline void keeper_challenge(struct world *world, uint64_t number, struct slice bytes)
{
    struct buf message = new_message();
    assert_int_equal(message_write_bytes(&message, MESSAGE_CHALLENGE, number, bytes), 0);
    keeper_send(world, &message);
}

static inline void keeper_number(struct world *world, enum message_kind kind, uint64_t number)
{
    struct buf message = new_message();
    assert_int_equal(message_write_number(&message, kind, 0, number), 0);
    keeper_send(world, &message);
}

static inline void keeper_refuse(struct world *world, uint64_t number, enum why why)
{
    struct buf message = new_message();
    struct message_refused refused = {.why = why, .text = "the keeper says no"};
    assert_int_equal(message_write_refused(&message, number, &refused), 0);
    keeper_send(world, &message);
}

static inline void keeper_grant(struct world *world, uint64_t number)
{
    static char account[] = "work", host[] = "imap.example.org", mechanisms[] = "XOAUTH2";
    struct buf message = new_message();
    char *user = mem_copy_string(world->user);
    struct message_granted granted = {.account = account,
                                      .grant = world->next_grant,
                                      .host = host,
                                      .port = world->place.port,
                                      .tls = world->has_starttls ? TLS_MODE_STARTTLS : TLS_MODE_ON,
                                      .address_count = 1,
                                      .mechanisms = mechanisms,
                                      .user = user,
                                      .is_read_only = world->is_read_only,
                                      .generation = 41};
    granted.addresses[0].family = 4;
    memcpy(granted.addresses[0].bytes, world->place.bytes, 4);
    secret_set(&granted.token, SLICE_LITERAL("t0ken"));
    assert_int_equal(message_write_granted(&message, number, &granted), 0);
    keeper_send(world, &message);
    secret_wipe(&granted.token);
    mem_free(user);
}

static inline void keeper_configure(struct world *world, const struct world_wish *wish)
{
    static char name[] = "imap", account[] = "", mechanisms[] = "PLAIN LOGIN";
    char *bundle = wish->bundle != NULL ? mem_copy_string(wish->bundle)
                                        : certificate_text(world->certificates.root);
    struct message_listener listener = {.name = name,
                                        .protocol = wish->protocol,
                                        .descriptors = 1,
                                        .account = account,
                                        .mechanisms = mechanisms,
                                        .peer_owner_only = true,
                                        .max_sessions =
                                            wish->max_sessions == 0 ? 64 : wish->max_sessions};
    struct message_configure configure = {.gate = 1,
                                          .log_level = LOG_LEVEL_ERROR,
                                          .user_id = (uint32_t)getuid() + wish->is_of_other_user,
                                          .audit = wish->audit,
                                          .listeners = &listener,
                                          .listener_count = 1,
                                          .authorities = &bundle,
                                          .authority_count = 1};
    struct buf message = new_message();
    assert_int_equal(message_write_configure(&message, &configure), 0);
    keeper_send(world, &message);
    mem_free(bundle);
}

/* ---- what the keeper hears ---- */

static inline struct seen *seen_of(struct world *world, uint64_t number)
{
    assert_in_range(number, 1, SESSIONS_MAX - 1);
    return &world->seen[number];
}

static inline uint64_t number_of(const struct record *record, enum record_field field)
{
    const struct record_value *value = record_find(record, field);
    return value == NULL ? 0 : value->number;
}

static inline void copy_text_of(const struct record *record, enum record_field field, char *out,
                                size_t capacity)
{
    const struct record_value *value = record_find(record, field);
    slice_escape(value == NULL ? SLICE_NONE : value->text, out, capacity);
}

static inline void take_connect(struct seen *seen, const struct record *record)
{
    seen->connects++;
    copy_text_of(record, FIELD_TLS_VERSION, seen->connected, sizeof(seen->connected));
    assert_true(record_find(record, FIELD_TLS_CERTIFICATE)->text.size == 64);
    assert_true(record_find(record, FIELD_TLS_KEY)->text.size == 64);
    assert_true(slice_is(record_find(record, FIELD_SERVER_IP)->text, "127.0.0.1"));
}

static inline void take_session_record(struct seen *seen, const struct record *record)
{
    if (record->action == ACTION_SESSION_OPEN)
        seen->opens++;
    if (record->action == ACTION_UPSTREAM_CONNECT && record->why == WHY_NONE)
        take_connect(seen, record);
    if (record->action == ACTION_UPSTREAM_AUTH)
        copy_text_of(record, FIELD_MECHANISM, seen->upstream_mechanism,
                     sizeof(seen->upstream_mechanism));
    if (record->action == ACTION_UPSTREAM_AUTH && record->why == WHY_NONE)
        seen->logins++;
    if (record->action == ACTION_SESSION_CLOSE) {
        seen->closes++;
        seen->why = record->why;
        seen->client_bytes = number_of(record, FIELD_CLIENT_BYTES);
        seen->server_bytes = number_of(record, FIELD_SERVER_BYTES);
        copy_text_of(record, FIELD_REASON, seen->detail, sizeof(seen->detail));
    }
}

static inline void take_record(struct world *world, const struct message_record *record)
{
    if (record->receipt != 0) {
        world->receipt = record->receipt;
        world->receipts++;
    }
    if (record->record.action == ACTION_PEER_REJECTED) {
        assert_int_equal(record->session, 0);
        world->rejected++;
        copy_text_of(&record->record, FIELD_REASON, world->rejection, sizeof(world->rejection));
        return;
    }
    struct seen *seen = seen_of(world, record->session);
    world->commands += record->record.action == ACTION_COMMAND;
    world->taps_off += record->record.action == ACTION_TAP_OFF;
    world->denials += record->record.action == ACTION_POLICY;
    if (record->record.action == ACTION_CROSS_PROTOCOL)
        copy_text_of(&record->record, FIELD_FIRST_WORD, world->first_word,
                     sizeof(world->first_word));
    /* FORGET is the last that is said of a session. */
    assert_int_equal(seen->forgets, 0);
    take_session_record(seen, &record->record);
}

static inline void take_records(struct world *world, const struct message *message)
{
    struct slice rest = message->fields;
    struct message_record record;
    do {
        assert_int_equal(message_read_record(&rest, &record), 0);
        take_record(world, &record);
    } while (rest.size > 0);
}

static inline void take_ask(struct world *world, const struct message *message)
{
    struct message_ask ask;
    struct seen *seen = seen_of(world, message->session);
    assert_int_equal(message_read_ask(message, &ask), 0);
    assert_int_equal(ask.listener, 0);
    seen->asks++;
    snprintf(seen->mechanism, sizeof(seen->mechanism), "%s", ask.mechanism);
    snprintf(seen->peer, sizeof(seen->peer), "%s", ask.peer);
    buf_clear(&seen->secret);
    assert_int_equal(buf_append(&seen->secret, secret_bytes(&ask.bytes)), 0);
    bool has_bytes = ask.has_bytes;
    message_ask_clear(&ask);
    if (world->is_keeper_silent)
        return;
    if (world->is_keeper_refusing)
        keeper_refuse(world, message->session, WHY_AUTH_REJECTED);
    else if (has_bytes)
        keeper_grant(world, message->session);
    else
        keeper_challenge(world, message->session, SLICE_LITERAL("User Name"));
}

static inline void take_learned(struct seen *seen, const struct message *message)
{
    char *lines;
    assert_int_equal(message_read_learned(message, &lines), 0);
    snprintf(seen->learned, sizeof(seen->learned), "%s", lines);
    mem_free(lines);
}

static inline void take_message(struct world *world, const struct message *message)
{
    struct slice bytes;
    /* FORGET is the last that is said of a session. */
    if (message->session != 0)
        assert_int_equal(seen_of(world, message->session)->forgets, 0);
    switch (message->kind) {
    case MESSAGE_READY:
        world->ready++;
        return;
    case MESSAGE_RECORDS:
        take_records(world, message);
        return;
    case MESSAGE_ASK:
        take_ask(world, message);
        return;
    case MESSAGE_ANSWER:
        seen_of(world, message->session)->answers++;
        assert_int_equal(message_read_bytes(message, &bytes), 0);
        return;
    case MESSAGE_AGAIN:
        seen_of(world, message->session)->agains++;
        assert_int_equal(
            message_read_number(message, &seen_of(world, message->session)->generation), 0);
        if (!world->is_keeper_silent)
            keeper_grant(world, message->session);
        return;
    case MESSAGE_LEARNED:
        take_learned(seen_of(world, message->session), message);
        return;
    case MESSAGE_FORGET:
        assert_int_equal(seen_of(world, message->session)->closes, 1);
        seen_of(world, message->session)->forgets++;
        return;
    default:
        fail_msg("the gate said something of kind %d", (int)message->kind);
    }
}

static inline void keeper_turn(struct world *world)
{
    struct slice frame;
    struct message message;
    size_t size;
    far_turn(&world->keeper);
    while (frame_read(buf_bytes(&world->keeper.got), MESSAGE_SIZE_MAX, &frame, &size) ==
           FRAME_DONE) {
        assert_int_equal(message_read(frame, &message), 0);
        take_message(world, &message);
        buf_consume(&world->keeper.got, size);
    }
}

/* ---- turns ---- */

static inline void world_turn(struct world *world)
{
    uv_run(&world->loop.uv, UV_RUN_NOWAIT);
    keeper_turn(world);
    for (size_t i = 0; i < world->client_count; i++)
        far_turn(&world->clients[i]);
    accept_upstreams(world);
    for (size_t i = 0; i < world->upstream_count; i++)
        upstream_turn(world, &world->upstreams[i]);
}

/* As many as anything on loopback needs to come through. */
static inline void world_settle(struct world *world)
{
    for (int i = 0; i < SETTLE_TURNS; i++)
        world_turn(world);
}

/* One turn of a wait that began at `start`. */
static inline void world_wait(struct world *world, int64_t start, const char *what)
{
    world_turn(world);
    if (clock_steady_milliseconds() - start > A_LONG_TIME)
        fail_msg("waited in vain for %s", what);
}

static inline bool holds(struct slice bytes, const char *text)
{
    return bytes.size > 0 && memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

/* Waits until a far end got a text, and takes everything up to its end. */
static inline void wait_for_text(struct world *world, struct far *far, const char *text)
{
    for (int64_t start = clock_steady_milliseconds(); !holds(far_got(far), text);) {
        if (far->is_ended || far->is_reset)
            fail_msg("it ended without \"%s\"; got: %.*s", text, SLICE_PRINT(far_got(far)));
        world_wait(world, start, text);
    }
    struct slice got = far_got(far);
    const uint8_t *found = memmem(got.data, got.size, text, strlen(text));
    buf_consume(far->tls != NULL ? &far->tls->plain : &far->got,
                (size_t)(found - got.data) + strlen(text));
}

static inline void wait_for_end(struct world *world, struct far *far)
{
    for (int64_t start = clock_steady_milliseconds(); !far->is_ended && !far->is_reset;)
        world_wait(world, start, "the end of a connection");
}

/* Waits until the keeper was told that a session has ended, and checks why. */
static inline void wait_for_close(struct world *world, uint64_t number, enum why why)
{
    struct seen *seen = seen_of(world, number);
    for (int64_t start = clock_steady_milliseconds(); seen->forgets == 0;)
        world_wait(world, start, "the close of a session");
    assert_string_equal(why_name(seen->why), why_name(why));
}

static inline void wait_for_asks(struct world *world, uint64_t number, unsigned count)
{
    for (int64_t start = clock_steady_milliseconds(); seen_of(world, number)->asks < count;)
        world_wait(world, start, "an ASK");
}

static inline struct upstream *wait_for_upstream(struct world *world, size_t index)
{
    for (int64_t start = clock_steady_milliseconds(); world->upstream_count <= index;)
        world_wait(world, start, "a connection to the server");
    return &world->upstreams[index];
}

static inline void wait_for_receipt(struct world *world)
{
    for (int64_t start = clock_steady_milliseconds(); world->receipt == 0;)
        world_wait(world, start, "a receipt");
}

/* The record is on disk. */
static inline void say_durable(struct world *world)
{
    uint64_t receipt = world->receipt;
    world->receipt = 0;
    keeper_number(world, MESSAGE_DURABLE, receipt);
}

static inline void assert_got_nothing(struct world *world, const struct far *client)
{
    world_settle(world);
    assert_int_equal(far_got(client).size, 0);
}

static inline void wait_for_over(struct world *world)
{
    for (int64_t start = clock_steady_milliseconds(); !world->is_over;)
        world_wait(world, start, "the end of the gate");
}

/* ---- clients ---- */

static inline struct far *client_connect(struct world *world)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons(world->client_port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&name, sizeof(name)), 0);
    make_nonblocking(descriptor);
    assert_true(world->client_count < CLIENTS_MAX);
    struct far *client = &world->clients[world->client_count++];
    far_init(client, descriptor, NULL);
    return client;
}

static inline void client_say(struct far *client, const char *text)
{
    far_send(client, slice_of_string(text));
}

/* A client that is greeted. */
static inline struct far *client_greeted(struct world *world)
{
    struct far *client = client_connect(world);
    wait_for_text(world, client, world->speech->greeting);
    return client;
}

/* And one that is logged in, relayed to the newest upstream. */
static inline struct far *client_relayed(struct world *world)
{
    struct far *client = client_greeted(world);
    world->reach = REACH_ALL;
    client_say(client, world->speech->login);
    wait_for_text(world, client, world->speech->logged_in);
    return client;
}

static inline struct upstream *newest_upstream(struct world *world)
{
    assert_true(world->upstream_count > 0);
    return &world->upstreams[world->upstream_count - 1];
}

/* IMAP: what the client says from here on is a message of `size` octets. Returns the octets of the
 * command. */
static inline size_t begin_append(struct world *world, struct far *client,
                                  struct upstream *upstream, size_t size)
{
    char command[64];
    snprintf(command, sizeof(command), "b APPEND INBOX {%zu+}\r\n", size);
    client_say(client, command);
    wait_for_text(world, &upstream->far, command);
    return strlen(command);
}

/* A line there and a line back. */
static inline void check_relay(struct world *world, struct far *client, struct upstream *upstream)
{
    const struct speech *speech = world->speech;
    client_say(client, speech->alive);
    wait_for_text(world, &upstream->far, speech->alive);
    far_send(&upstream->far, slice_of_string(speech->alive_answer));
    wait_for_text(world, client, speech->alive_answer);
}

/* ---- the beginning and the end ---- */

static inline void on_gate_over(void *owner)
{
    struct world *world = owner;
    assert_false(world->is_over);
    world->is_over = true;
}

static inline void open_gate(struct world *world, const struct world_wish *wish)
{
    int pair[2];
    struct err err;
    unix_pair(pair);
    far_init(&world->keeper, pair[1], NULL);
    int listener = dup(world->client_listener);
    struct gate_settings settings = {.channel = pair[0],
                                     .listeners = listener,
                                     .flush = wish->flush == 0 ? NEVER : wish->flush,
                                     .login = wish->login == 0 ? NEVER : wish->login,
                                     .idle = wish->idle == 0 ? NEVER : wish->idle,
                                     .content = wish->content == 0 ? NEVER : wish->content,
                                     .taking = wish->taking == 0 ? NEVER : wish->taking,
                                     .verdict = wish->verdict == 0 ? NEVER : wish->verdict,
                                     .gather = wish->gather,
                                     .on_over = on_gate_over,
                                     .owner = world};
    for (size_t i = 0; i < PATIENCE_NONE; i++)
        settings.patience[i] = wish->patience[i] == 0 ? NEVER : wish->patience[i];
    if (gate_open(&world->loop, &settings, &err) != 0)
        fail_msg("%s", err.text);
    keeper_configure(world, wish);
}

static inline struct world *world_open(const struct world_wish *wish)
{
    struct world *world = mem_new(sizeof(*world));
    assert_int_equal(loop_init(&world->loop, NULL), 0);
    test_certificates_init(&world->certificates);
    world->speech = &speeches[wish->protocol];
    world->has_starttls = wish->has_starttls;
    world->server = server_new(&(struct server_wish){.certificate = world->certificates.good,
                                                     .alpn = world->speech->alpn});
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        buf_init(&world->seen[i].secret, MESSAGE_SIZE_MAX);
    world->client_listener = listen_on("127.0.0.1", 64, &world->client_port);
    world->upstream_listener = listen_on("127.0.0.1", 64, &world->upstream_port);
    make_nonblocking(world->client_listener);
    make_nonblocking(world->upstream_listener);
    world->reach = REACH_ALL;
    world->next_grant = 7;
    world->user = "alice@example.org";
    world->place = (struct dial_place){.bytes = {127, 0, 0, 1}, .port = world->upstream_port};
    open_gate(world, wish);
    return world;
}

/* Opens, and waits until the gate listens. */
static inline struct world *world_ready(const struct world_wish *wish)
{
    struct world *world = world_open(wish);
    for (int64_t start = clock_steady_milliseconds(); world->ready == 0;)
        world_wait(world, start, "READY");
    return world;
}

/* The gate has ended: nothing of it is left, each session was opened, closed and forgotten once. */
static inline void world_free(struct world *world)
{
    wait_for_over(world);
    world_settle(world);
    loop_fini(&world->loop);
    for (size_t i = 0; i < world->client_count; i++)
        far_fini(&world->clients[i]);
    for (size_t i = 0; i < world->upstream_count; i++) {
        assert_true(world->upstreams[i].far.descriptor < 0 || world->upstreams[i].far.is_ended ||
                    world->upstreams[i].far.is_reset);
        far_fini(&world->upstreams[i].far);
    }
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct seen *seen = &world->seen[i];
        /* Unless the keeper left first. */
        if (world->keeper.descriptor >= 0) {
            assert_int_equal(seen->opens, seen->closes);
            assert_int_equal(seen->closes, seen->forgets);
        }
        assert_in_range(seen->opens, 0, 1);
        assert_in_range(seen->closes, 0, 1);
        buf_fini(&seen->secret);
    }
    far_fini(&world->keeper);
    close(world->client_listener);
    close(world->upstream_listener);
    SSL_CTX_free(world->server);
    test_certificates_fini(&world->certificates);
    mem_free(world);
}

/* The usual end: no session is left, or each ends by itself. */
static inline void world_close(struct world *world)
{
    keeper_number(world, MESSAGE_DRAIN, 0);
    world_free(world);
}

#endif
