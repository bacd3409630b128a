/*
 * For the tests of the desk: real SASL, a real vault and real grants; the token endpoint, the
 * resolver and the deadlines are scripted, so that a delay is over when a test says so.
 */
#ifndef ECLUSE_TESTS_NET_DESK_WORLD_H
#define ECLUSE_TESTS_NET_DESK_WORLD_H

#include "keeper_world.h"

#include "keeper/desk.h"

/* ---- deadlines that the tests let expire ---- */

struct deadline_queue {
    struct list running;
    int64_t milliseconds;
};

static struct deadline_queue *delays;

struct deadline_queue *deadline_queue_new(struct loop *loop, int64_t milliseconds)
{
    struct deadline_queue *queue = mem_new(sizeof(*queue));
    (void)loop;
    list_init(&queue->running);
    queue->milliseconds = milliseconds;
    delays = queue;
    return queue;
}

void deadline_queue_close(struct deadline_queue *queue)
{
    assert_true(list_is_empty(&queue->running));
    mem_free(queue);
    delays = NULL;
}

void deadline_init(struct deadline *deadline, void (*on_expired)(struct deadline *))
{
    *deadline = (struct deadline){.on_expired = on_expired};
    list_init(&deadline->node);
}

void deadline_stop(struct deadline *deadline)
{
    list_remove(&deadline->node);
}

void deadline_start(struct deadline_queue *queue, struct deadline *deadline)
{
    deadline_stop(deadline);
    deadline->expires = now_milliseconds + queue->milliseconds;
    list_append(&queue->running, &deadline->node);
}

bool deadline_is_running(const struct deadline *deadline)
{
    return !list_is_empty(&deadline->node);
}

/* Moves the clock, and lets expire what is due. */
static inline void pass_milliseconds(int64_t milliseconds)
{
    now_milliseconds += milliseconds;
    while (!list_is_empty(&delays->running)) {
        struct deadline *head = CONTAINER_OF(delays->running.next, struct deadline, node);
        if (head->expires > now_milliseconds)
            return;
        list_remove(&head->node);
        head->on_expired(head);
    }
}

/* ---- a scripted resolver ---- */

struct resolve_ticket {
    struct list node;
    char *host;
    void (*on_answer)(void *owner, int status, const struct dial_address *addresses, size_t count,
                      const char *text);
    void *owner;
};

static struct list lookups;

struct resolve_ticket *resolve_start(struct resolver *resolver, const char *host,
                                     void (*on_answer)(void *owner, int status,
                                                       const struct dial_address *addresses,
                                                       size_t count, const char *text),
                                     void *owner)
{
    struct resolve_ticket *ticket = mem_new(sizeof(*ticket));
    (void)resolver;
    ticket->host = mem_copy_string(host);
    ticket->on_answer = on_answer;
    ticket->owner = owner;
    list_init(&ticket->node);
    list_append(&lookups, &ticket->node);
    return ticket;
}

void resolve_cancel(struct resolve_ticket *ticket)
{
    list_remove(&ticket->node);
    mem_free(ticket->host);
    mem_free(ticket);
}

static inline void answer_lookup(int status)
{
    static const struct dial_address addresses[] = {{4, {192, 0, 2, 1}}, {6, {0x20, 0x01}}};
    assert_false(list_is_empty(&lookups));
    struct resolve_ticket copy = *CONTAINER_OF(lookups.next, struct resolve_ticket, node);
    assert_string_equal(copy.host, "imap.example.test");
    resolve_cancel(CONTAINER_OF(lookups.next, struct resolve_ticket, node));
    copy.on_answer(copy.owner, status, addresses, status == 0 ? LENGTH_OF(addresses) : 0,
                   status == 0 ? "" : "no such name");
}

/* ---- the desk and what it says ---- */

#define SENT_MAX 64
#define GATE     1

struct sent {
    unsigned gate;
    enum message_kind kind;
    uint64_t session;
    enum why why;
    char text[500]; /* of REFUSED, or the bytes of a CHALLENGE */
    uint64_t number;
    struct message_granted granted;
};

static struct {
    struct world world;
    struct broker *broker;
    struct grant_check *grants;
    struct journal *journal;
    struct offers *offers;
    struct desk *desk;
    struct secret password; /* a generated one of account work */
    int64_t grant;          /* its number */
    struct sent sent[SENT_MAX];
    size_t sent_count, looked_at;
    unsigned learned;
} test;

static inline void read_sent(const struct message *message, struct sent *sent)
{
    struct message_refused refused;
    struct slice bytes;
    switch (message->kind) {
    case MESSAGE_REFUSED:
        assert_int_equal(message_read_refused(message, &refused), 0);
        sent->why = refused.why;
        snprintf(sent->text, sizeof(sent->text), "%s", refused.text);
        message_refused_clear(&refused);
        break;
    case MESSAGE_GRANTED:
        assert_int_equal(message_read_granted(message, &sent->granted), 0);
        break;
    case MESSAGE_CHALLENGE:
        assert_int_equal(message_read_bytes(message, &bytes), 0);
        snprintf(sent->text, sizeof(sent->text), "%.*s", SLICE_PRINT(bytes));
        break;
    default:
        assert_int_equal(message->kind, MESSAGE_END_GRANT);
        assert_int_equal(message_read_number(message, &sent->number), 0);
    }
}

static inline void on_send(void *owner, unsigned gate, struct slice bytes)
{
    struct message message;
    assert_ptr_equal(owner, &test);
    assert_true(test.sent_count < SENT_MAX);
    assert_int_equal(message_read(bytes, &message), 0);
    struct sent *sent = &test.sent[test.sent_count++];
    *sent = (struct sent){.gate = gate, .kind = message.kind, .session = message.session};
    read_sent(&message, sent);
}

static inline void on_learn(void *owner, const char *account, enum protocol protocol,
                            const char *capabilities)
{
    assert_ptr_equal(owner, &test);
    test.learned++;
    offers_learn(test.offers, account, protocol, capabilities);
}

/* The next message that the desk has sent; there must be one. */
static inline struct sent *next_sent(void)
{
    assert_true(test.looked_at < test.sent_count);
    return &test.sent[test.looked_at++];
}

static inline void assert_nothing_sent(void)
{
    assert_int_equal(test.looked_at, test.sent_count);
}

static inline struct sent *assert_refused(uint64_t session, enum why why)
{
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_REFUSED);
    assert_int_equal(sent->session, session);
    assert_int_equal(sent->why, why);
    assert_nothing_sent();
    return sent;
}

static inline struct message_granted *assert_granted(uint64_t session)
{
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_GRANTED);
    assert_int_equal(sent->session, session);
    assert_nothing_sent();
    return &sent->granted;
}

static inline struct sent *assert_challenged(uint64_t session)
{
    struct sent *sent = next_sent();
    assert_int_equal(sent->kind, MESSAGE_CHALLENGE);
    assert_int_equal(sent->session, session);
    assert_nothing_sent();
    return sent;
}

static inline void turn(void)
{
    world_turn(&test.world);
}

/* ---- what gates say ---- */

static inline int take(unsigned gate, struct buf *message)
{
    int status = desk_take(test.desk, gate, buf_bytes(message));
    buf_fini(message);
    return status;
}

static inline int say_ask(unsigned gate, uint64_t session, uint16_t listener, const char *mechanism,
                          const struct slice *bytes)
{
    struct message_ask ask = {.listener = listener,
                              .mechanism = mem_copy_string(mechanism),
                              .peer = mem_copy_string("127.0.0.1:40312"),
                              .has_bytes = bytes != NULL};
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    if (bytes != NULL)
        secret_set(&ask.bytes, *bytes);
    assert_int_equal(message_write_ask(&message, session, &ask), 0);
    message_ask_clear(&ask);
    return take(gate, &message);
}

static inline int say_answer(uint64_t session, struct slice bytes)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_bytes(&message, MESSAGE_ANSWER, session, bytes), 0);
    return take(GATE, &message);
}

static inline int say_number(unsigned gate, enum message_kind kind, uint64_t session,
                             uint64_t number)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_number(&message, kind, session, number), 0);
    return take(gate, &message);
}

static inline int say_again(unsigned gate, uint64_t session, uint64_t generation)
{
    return say_number(gate, MESSAGE_AGAIN, session, generation);
}

static inline int say_learned(unsigned gate, uint64_t session, const char *capabilities)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_learned(&message, session, capabilities), 0);
    return take(gate, &message);
}

static inline int say_plain(enum message_kind kind, uint64_t session)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    assert_int_equal(message_write_plain(&message, kind, session), 0);
    return take(GATE, &message);
}

static inline struct slice plain_message(char out[300], const char *identity, const char *user,
                                         struct slice password)
{
    int size = snprintf(out, 300, "%s%c%s%c%.*s", identity, 0, user, 0, SLICE_PRINT(password));
    return slice_of(out, (size_t)size);
}

static inline void log_in_at(unsigned gate, uint64_t session, uint16_t listener, const char *user,
                             struct slice password)
{
    char out[300];
    struct slice bytes = plain_message(out, "", user, password);
    assert_int_equal(say_ask(gate, session, listener, "PLAIN", &bytes), 0);
}

static inline void log_in(uint64_t session, const char *user, const char *password)
{
    log_in_at(GATE, session, 0, user, slice_of_string(password));
}

#define USER "alice@example.test"

static inline void log_in_rightly(uint64_t session)
{
    log_in_at(GATE, session, 0, USER, secret_bytes(&test.password));
}

/* All the way to GRANTED; its generation. */
static inline uint64_t get_granted(uint64_t session)
{
    log_in_rightly(session);
    turn();
    if (!list_is_empty(&script.open))
        answer_token("token-1", 3600, NULL);
    answer_lookup(0);
    return assert_granted(session)->generation;
}

/* ---- set up ---- */

/* The listeners of CONFIGURATION, by their numbers. */
enum { AT_IMAP, AT_BOB, AT_POP3, AT_SMTP, AT_OPEN, NOWHERE };

#define CONFIGURATION                                                                              \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "max_sessions_per_account = 2\n"                                                               \
    "[listen bob]\n"                                                                               \
    "address = 127.0.0.1:1144\n"                                                                   \
    "account = other\n"                                                                            \
    "[listen pop3]\n"                                                                              \
    "protocol = pop3\n"                                                                            \
    "address = 127.0.0.1:1110\n"                                                                   \
    "[listen smtp]\n"                                                                              \
    "protocol = smtp\n"                                                                            \
    "address = 127.0.0.1:1025\n"                                                                   \
    "[listen open]\n"                                                                              \
    "protocol = smtp\n"                                                                            \
    "address = 127.0.0.1:1026\n"                                                                   \
    "account = work\n"                                                                             \
    "auth = none\n"                                                                                \
    "max_sessions_per_account = 2\n"                                                               \
    "[account work]\n"                                                                             \
    "address = " USER "\n"                                                                         \
    "user = mailbox@example.test\n"                                                                \
    "provider = local\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = plain\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[provider plain]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "pop3 = tls://imap.example.test:995\n"                                                         \
    "smtp = tls://imap.example.test:465\n"                                                         \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"                                                             \
    "[provider local]\n"                                                                           \
    "imap = tls://imap.example.test:1993\n"                                                        \
    "pop3 = tls://imap.example.test:995\n"                                                         \
    "smtp = tls://imap.example.test:465\n"                                                         \
    "issuer = " ISSUER_URL "\n"                                                                    \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"                                                             \
    "mechanisms = XOAUTH2 OAUTHBEARER\n"                                                           \
    "ca_file = @/own.pem\n"

static inline void load_grants(void)
{
    const char *const accounts[] = {"work", "other"};
    struct err err;
    assert_int_equal(grant_check_load(test.grants, accounts, LENGTH_OF(accounts), &err), 0);
}

static inline int64_t add_grant(struct vault_grant grant, const struct secret *password)
{
    int64_t number;
    struct err err;
    char none[] = "";
    grant.protocols = grant.protocols != NULL ? grant.protocols : none;
    grant.from = grant.from != NULL ? grant.from : none;
    assert_int_equal(vault_grant_add(test.world.vault, &grant, password, WALL_START, &number, &err),
                     0);
    load_grants();
    if (test.desk != NULL)
        offers_refresh(test.offers);
    return number;
}

/* Another generated password of account work. */
static inline void add_narrow_grant(struct vault_grant grant, struct secret *password_out)
{
    assert_int_equal(grant_password_generate(password_out, NULL), 0);
    grant.account = (char[]){"work"};
    grant.name = (char[]){"narrow"};
    add_grant(grant, password_out);
}

static inline void add_chosen_grant(const char *password)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of_string(password));
    add_grant((struct vault_grant){.account = (char[]){"work"},
                                   .name = (char[]){"chosen"},
                                   .kind = VAULT_GRANT_CHOSEN},
              &secret);
    secret_wipe(&secret);
}

/* A password that is kept itself. */
#define CLEAR "clear password"

static inline int64_t add_clear_grant(const char *account, const char *name, const char *protocols,
                                      bool challenge, bool apop)
{
    struct secret secret = {0};
    char *copies[] = {mem_copy_string(account), mem_copy_string(name), mem_copy_string(protocols)};
    secret_set(&secret, slice_of_string(CLEAR));
    int64_t number = add_grant((struct vault_grant){.account = copies[0],
                                                    .name = copies[1],
                                                    .protocols = copies[2],
                                                    .kind = VAULT_GRANT_CLEAR,
                                                    .classes = {challenge, apop}},
                               &secret);
    secret_wipe(&secret);
    for (size_t i = 0; i < LENGTH_OF(copies); i++)
        mem_free(copies[i]);
    return number;
}

static inline void open_desk(void)
{
    struct err err;
    const struct desk_parts parts = {
        .loop = &test.world.loop,
        .vault = test.world.vault,
        .broker = test.broker,
        .grants = test.grants,
        .offers = test.offers,
        .journal = test.journal,
        .sasl_plugin_folder = SASL_PLUGIN_FOLDER,
        .log = &test.world.log,
        .send = on_send,
        .learn = on_learn,
        .owner = &test,
    };
    assert_int_equal(desk_open(&parts, test.world.config, &test.desk, &err), 0);
    assert_int_equal(offers_load(test.offers, desk_mechanisms(test.desk), test.world.config, &err),
                     0);
}

static inline int set_up(void **state)
{
    struct err err;
    (void)state;
    memset(&test, 0, sizeof(test));
    list_init(&lookups);
    world_init(&test.world, CONFIGURATION);
    world_sign_in(&test.world, "work", "refresh-1");
    test.broker = broker_open(&test.world.loop, test.world.fetcher, test.world.vault,
                              test.world.config, &test.world.log);
    assert_int_equal(grant_check_open(&test.world.loop, test.world.vault, &test.grants, &err), 0);
    assert_int_equal(grant_password_generate(&test.password, &err), 0);
    test.grant = add_grant((struct vault_grant){.account = (char[]){"work"},
                                                .name = (char[]){"mutt"},
                                                .kind = VAULT_GRANT_GENERATED},
                           &test.password);
    test.journal = journal_open_off(&test.world.loop, &test.world.log);
    test.offers = offers_new(test.world.vault, test.grants, &test.world.log);
    open_desk();
    return 0;
}

static inline void on_grants_closed(void *owner)
{
    (void)owner;
}

static inline int tear_down(void **state)
{
    (void)state;
    desk_close(test.desk);
    assert_true(list_is_empty(&lookups));
    broker_close(test.broker);
    journal_close(test.journal);
    offers_free(test.offers);
    grant_check_close(test.grants, on_grants_closed, NULL);
    secret_wipe(&test.password);
    for (size_t i = 0; i < test.sent_count; i++)
        message_granted_clear(&test.sent[i].granted);
    world_fini(&test.world);
    return 0;
}

#define WITHOUT_WORK                                                                               \
    "[listen imap]\n"                                                                              \
    "address = 127.0.0.1:1143\n"                                                                   \
    "[account other]\n"                                                                            \
    "address = bob@example.test\n"                                                                 \
    "provider = plain\n"                                                                           \
    "client_id = test-client\n"                                                                    \
    "[provider plain]\n"                                                                           \
    "imap = tls://imap.example.test:993\n"                                                         \
    "authorization_endpoint = " ISSUER_URL "/auth\n"                                               \
    "token_endpoint = " TOKEN_URL "\n"

static inline void reload(const char *text)
{
    struct config *config = world_config(&test.world, text);
    offers_set_config(test.offers, config);
    desk_set_config(test.desk, config);
    desk_retire_gates(test.desk, GATE + 1);
    broker_set_config(test.broker, config);
    config_free(test.world.config);
    test.world.config = config;
}

/* Refused when the delay is over and not a millisecond earlier; no token was asked for. */
static inline void assert_refused_late(uint64_t session)
{
    assert_nothing_sent();
    turn();
    pass_milliseconds(DESK_FAILURE_DELAY_MILLISECONDS - 1);
    assert_nothing_sent();
    pass_milliseconds(1);
    assert_string_equal(assert_refused(session, WHY_AUTH_REJECTED)->text,
                        "wrong user name or password");
    turn();
    assert_int_equal(script.started, 0);
    assert_true(list_is_empty(&lookups));
}

#endif
