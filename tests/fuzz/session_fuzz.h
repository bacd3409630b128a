/*
 * A whole session of the gate against a hostile client, a hostile server, a network that does
 * anything at any time, and a keeper that answers anything, late, or twice: the gate's own session
 * and relay with engine, passage and tap, on the network of session_net.h, and the journal behind.
 *
 * An input is two octets of options and a sequence of steps (make-seeds describes them). It is
 * played with each step in one piece, octet by octet and in pieces of seven: what is said to either
 * side, asked of the keeper and told to the journal must be the same. A fourth time all is said at
 * once, whoever waits for whom.
 *
 * Also: one end and nothing behind it; no login but over TLS; none of the client's password to the
 * server or in the journal, none of the token to the client or in the journal, neither in any other
 * frame; whoever is not read is not read for a reason; memory within maxima, and all of it given
 * back; a journal that verifies.
 *
 * One target for each protocol includes this.
 */
#ifndef ECLUSE_TESTS_SESSION_FUZZ_H
#define ECLUSE_TESTS_SESSION_FUZZ_H

#include "session_world.h"

#define INPUT_MAX    65536u
#define REPEATED_MAX (128u * 1024)
#define BURST        SIZE_MAX

/* ---- the keeper ---- */

static void take_frame(struct world *world, struct buf *frame)
{
    struct message message;
    if (world->session != NULL) {
        ENSURE(message_read(buf_bytes(frame), &message) == 0);
        ENSURE(session_take(world->session, &message) == 0);
    }
    buf_fini(frame);
}

static void challenge(struct world *world, struct slice bytes)
{
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_bytes(&frame, MESSAGE_CHALLENGE, 1, bytes) == 0);
    take_frame(world, &frame);
}

static void grant(struct world *world, bool is_password, uint8_t octet)
{
    static const char *const orders[2][6] = {
        {"", "XOAUTH2", "OAUTHBEARER XOAUTH2", "PLAIN XOAUTH2", " ",
         "A-MECHANISM-WITH-A-VERY-LONG-NAME XOAUTH2"},
        {"", "PLAIN", "LOGIN", "SCRAM-SHA-256", "XOAUTH2 LOGIN", ""}};
    const struct session *session = session_of(world);
    char order[64];
    struct buf frame;
    snprintf(order, sizeof(order), "%s", orders[is_password][octet % 6]);
    world->granted.mechanisms = order;
    world->granted.is_password = is_password;
    world->granted.generation++;
    if (session != NULL && session->engine != NULL && !session->is_closing &&
        engine_patience(session->engine) == PATIENCE_KEEPER)
        world->generation = world->granted.generation;
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_granted(&frame, 1, &world->granted) == 0);
    take_frame(world, &frame);
}

static void refuse(struct world *world, uint8_t octet)
{
    struct buf frame;
    struct message_refused refused = {.why = (enum why)(octet % WHY_COUNT),
                                      .text = octet < 128 ? "no, says the keeper" : ""};
    buf_init(&frame, FRAME_MAX);
    ENSURE(message_write_refused(&frame, 1, &refused) == 0);
    take_frame(world, &frame);
}

/* ---- what the sides say ---- */

/* True while all that the client said behind its login is commands of one line each. */
static bool stays_plain(const struct world *world, struct slice bytes)
{
    static const char *const words[] = {"{", "\"", "data", "bdat", "idle", "\r\n\r\n"};
    char *lower = mem_copy_bytes_as_string(bytes.data, bytes.size);
    bool is_plain = world->is_plain && bytes.size > 0 && bytes.data[bytes.size - 1] == '\n';
    for (size_t i = 0; i < bytes.size; i++)
        lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + 32 : lower[i]);
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        is_plain = is_plain && !contains(slice_of(lower, bytes.size), words[i]);
    mem_free(lower);
    return is_plain;
}

static void say(struct world *world, enum side side, struct slice bytes)
{
    struct stream *stream = side == SIDE_CLIENT ? world->net.client : world->net.upstream;
    if (stream == NULL || stream->is_closed || stream->peer_has_ended || bytes.size == 0)
        return;
    if (side == SIDE_CLIENT)
        world->is_plain = stays_plain(world, bytes);
    else
        ENSURE(buf_append(&world->server_said, bytes) == 0);
    ENSURE(buf_append(&stream->waiting, bytes) == 0);
}

static void say_repeated(struct world *world, enum side side, struct slice *input)
{
    static uint8_t letters[65536];
    size_t size = take_size(input);
    memset(letters, take_octet(input), size);
    world->repeated += size;
    if (world->repeated <= REPEATED_MAX)
        say(world, side, slice_of(letters, size));
}

/* Another login, where the client has one already. */
static void say_password(struct world *world, enum protocol protocol, uint8_t octet)
{
    static const char *const imap[] = {"p LOGIN alice " LATE_PASSWORD "\r\n",
                                       "p LOGIN \"alice\" \"" LATE_PASSWORD "\"\r\n",
                                       "p AUTHENTICATE PLAIN AGEATDhTM0NS\r\n",
                                       "p login alice " LATE_PASSWORD " \r\n",
                                       "p LOGIN {5}\r\nalice {6}\r\n" LATE_PASSWORD "\r\n",
                                       "p LOGIN {5+}\r\nalice {6+}\r\n" LATE_PASSWORD "\r\n",
                                       "p LOGIN alice {8+}\r\n" LATE_PASSWORD "\r\n\r\n",
                                       "p AUTHENTICATE PLAIN\r\nAGEATDhTM0NS\r\n",
                                       "p authenticate LOGIN\nYWxpY2U=\nTDhTM0NS\n",
                                       "LOGIN alice " LATE_PASSWORD "\r\n",
                                       "p  LOGIN  alice " LATE_PASSWORD "\r\n",
                                       "p NOOP\r\np LOGIN\talice " LATE_PASSWORD "\r\np NOOP\r\n"};
    static const char *const pop3[] = {"USER alice\r\nPASS " LATE_PASSWORD "\r\n",
                                       "PASS " LATE_PASSWORD "\r\n",
                                       "AUTH PLAIN AGEATDhTM0NS\r\n",
                                       "APOP alice " LATE_PASSWORD "\r\n",
                                       "AUTH PLAIN\r\nAGEATDhTM0NS\r\n",
                                       "auth login\nYWxpY2U=\nTDhTM0NS\n",
                                       "AUTH LOGIN YWxpY2U=\r\nTDhTM0NS \r\nNOOP\r\n",
                                       "AUTH LOGIN\r\nalice\r\n" LATE_PASSWORD "\r\n",
                                       "AUTH\tLOGIN\r\nYWxpY2U=\r\nTDhTM0NS\r\n",
                                       "LOGIN alice " LATE_PASSWORD "\r\n",
                                       "USER alice\r\nPASS\r\n" LATE_PASSWORD "\r\n"};
    static const char *const smtp[] = {"AUTH PLAIN AGEATDhTM0NS\r\n",
                                       "auth plain AGEATDhTM0NS \r\n",
                                       "AUTH LOGIN YWxpY2U=" LATE_PASSWORD "\r\n",
                                       "AUTH " LATE_PASSWORD "\r\n",
                                       "AUTH PLAIN\r\nAGEATDhTM0NS\r\n",
                                       "auth login\nYWxpY2U=\nTDhTM0NS\n",
                                       "AUTH LOGIN YWxpY2U=\r\nTDhTM0NS \r\nNOOP\r\n",
                                       "AUTH LOGIN\r\nalice\r\n" LATE_PASSWORD "\r\n",
                                       "X-EXPS LOGIN\r\nYWxpY2U=\r\nTDhTM0NS\r\n",
                                       "LOGIN alice " LATE_PASSWORD "\r\n",
                                       "USER alice\r\nPASS " LATE_PASSWORD "\r\n"};
    static const struct {
        const char *const *words;
        size_t count;
    } protocols[] = {{imap, LENGTH_OF(imap)}, {pop3, LENGTH_OF(pop3)}, {smtp, LENGTH_OF(smtp)}};
    if (!world->was_relaying || !world->is_plain)
        return;
    say(world, SIDE_CLIENT,
        slice_of_string(protocols[protocol].words[octet % protocols[protocol].count]));
    world->is_plain = true;
}

/* ---- steps ---- */

static void set_congested(struct stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->is_congested)
        net_drain(stream);
    else
        stream->is_congested = !stream->is_closed && !stream->is_securing;
}

static void set_keeper_congested(struct world *world)
{
    world->gate.is_congested = !world->gate.is_congested;
    if (world->session != NULL)
        session_update_reading(world->session);
}

static void break_stream(struct stream *stream)
{
    if (stream != NULL)
        stream->is_broken = true;
}

static void end_side(struct stream *stream)
{
    if (stream != NULL)
        stream->peer_has_ended = true;
}

static void fail_upstream(struct world *world, uint8_t octet)
{
    enum why why = octet % 2 == 0 ? WHY_UNREACHABLE : WHY_UPSTREAM_TLS;
    net_refuse(&world->net, why);
    if (world->net.upstream != NULL)
        world->net.upstream->failure = octet % 3 == 0 ? WHY_SERVER_GONE : why;
    net_fail(world->net.upstream);
}

static void dismiss(struct world *world, uint8_t octet)
{
    enum why why = (enum why)(octet % WHY_COUNT);
    if (world->session != NULL)
        session_dismiss(world->session, why == WHY_NONE ? WHY_SHUTDOWN : why, "we are stopping");
}

static void describe(const struct world *world)
{
    struct message_session description;
    if (world->session != NULL)
        ENSURE(session_describe(world->session, &description) != session_of(world)->is_closing);
}

/* What the sides do. */
static bool do_side_step(struct world *world, uint8_t kind, struct slice *input)
{
    struct net *net = &world->net;
    enum side side = kind == 'C' || kind == 'c' ? SIDE_CLIENT : SIDE_UPSTREAM;
    if (kind == 'C' || kind == 'S')
        say(world, side, take_bytes(input, take_size(input)));
    else if (kind == 'c' || kind == 's')
        say_repeated(world, side, input);
    else if (kind == 'P')
        say_password(world, world->listener.protocol, take_octet(input));
    else if (kind == 'x' || kind == 'y')
        end_side(kind == 'x' ? net->client : net->upstream);
    else if (kind == 'F')
        net_fail(net->client);
    else if (kind == 'f')
        fail_upstream(world, take_octet(input));
    else
        return false;
    return true;
}

/* What makes one of them deaf. */
static bool do_disturbing_step(struct world *world, uint8_t kind)
{
    struct net *net = &world->net;
    if (kind == 'z' || kind == 'Z')
        set_congested(kind == 'z' ? net->client : net->upstream);
    else if (kind == 'w' || kind == 'W')
        break_stream(kind == 'w' ? net->client : net->upstream);
    else if (kind == 'p')
        set_keeper_congested(world);
    else
        return false;
    world->is_disturbed = true;
    return true;
}

/* Who is, goes when nobody else is waited for: before the pieces that are to come, and behind those
 * that have. */
static void be_overdue(struct world *world)
{
    world->is_disturbed = world->is_disturbed || !world->was_relaying;
    net_expire(&world->net, QUEUE_LOGIN, QUEUE_LOGIN + 1);
}

static void do_step(struct world *world, struct slice *input)
{
    struct net *net = &world->net;
    uint8_t kind = take_octet(input);
    if (do_side_step(world, kind, input) || do_disturbing_step(world, kind))
        return;
    if (kind == 'h')
        challenge(world, take_bytes(input, take_octet(input)));
    else if (kind == 'g' || kind == 'G')
        grant(world, kind == 'G', take_octet(input));
    else if (kind == 'r')
        refuse(world, take_octet(input));
    else if (kind == 'd')
        dismiss(world, take_octet(input));
    else if (kind == 'k' || kind == 'K')
        net_connect(net);
    else if (kind == 'u' || kind == 'U')
        net_secure(kind == 'u' ? net->client : net->upstream);
    else if (kind == 't')
        net_expire(net, QUEUE_IDLE, QUEUES);
    else if (kind == 'T')
        be_overdue(world);
    else if (kind == 'v')
        (void)release(world);
}

/* ---- playing ---- */

static const struct message_address address = {.family = 4, .bytes = {192, 0, 2, 1}};

static void set_listener(struct world *world, enum protocol protocol, uint8_t options)
{
    static char offers[][32] = {"PLAIN LOGIN", "PLAIN", "SCRAM-SHA-256 PLAIN APOP", ""};
    static const enum tls_mode modes[] = {TLS_MODE_OFF, TLS_MODE_ON, TLS_MODE_STARTTLS,
                                          TLS_MODE_OFF};
    static char capabilities[] = "SIZE 1000\nTOP\n";
    world->listener = (struct message_listener){.protocol = protocol,
                                                .mechanisms = offers[options >> 1 & 3],
                                                .capabilities = capabilities,
                                                .needs_no_login = (options & 64) != 0,
                                                .rejects_bare_newline = (options & 128) != 0,
                                                .tls = modes[options >> 4 & 3]};
    world->sasl.is_long_token = (options & 8) != 0;
}

static void set_granted(struct world *world, uint8_t options)
{
    static char account[] = "work", host[] = "mail.example.com", user[] = "alice@example.test";
    static char nobody[] = "";
    world->granted =
        (struct message_granted){.account = account,
                                 .grant = 7,
                                 .host = host,
                                 .port = 993,
                                 .tls = (options & 64) != 0 ? TLS_MODE_STARTTLS : TLS_MODE_ON,
                                 .addresses = {address},
                                 .address_count = 1,
                                 .user = user,
                                 .is_read_only = (options & 16) != 0,
                                 .senders = (options & 32) != 0 ? user : nobody};
    secret_set(&world->granted.token, SLICE_LITERAL("t0Ken"));
}

static void set_gate(struct world *world, uint8_t options)
{
    static struct tls_identity identity;
    static struct tls_identity *identities[] = {&identity};
    static struct tls_authorities *authorities[] = {NULL};
    struct net *net = &world->net;
    world->gate = (struct gate){
        .loop = &net->loop,
        .settings = {.flush = 1000},
        .configure = {.listeners = &world->listener, .listener_count = 1, .authority_count = 1},
        .authorities = authorities,
        .identities = identities,
        .login = &net->queues[QUEUE_LOGIN],
        .relay_patience = {.idle = &net->queues[QUEUE_IDLE],
                           .content = &net->queues[QUEUE_CONTENT],
                           .verdict = &net->queues[QUEUE_VERDICT],
                           .content_milliseconds = 60000,
                           .taking_milliseconds = 120000}};
    world->gate.sasl = (struct sasl_initiator_library *)(void *)&world->sasl;
    world->gate.configure.audit = (struct message_audit){.is_on = (options & 1) != 0,
                                                         .wants_arguments = (options & 2) != 0,
                                                         .holds_replies = (options & 4) != 0,
                                                         .ends_unparsable = (options & 8) != 0};
    world->is_durable_at_once = (options & 128) != 0;
    for (size_t i = 0; i < PATIENCE_NONE; i++)
        world->gate.patience[i] = &net->queues[QUEUE_PATIENCE + i];
}

static void open_session(struct world *world, uint8_t options, struct list *waiting)
{
    struct session_settings settings = {
        .waiting = waiting,
        .on_over = on_over,
        .owner = world,
        .peer = {.family = 4, .port = 40312, .ip = "127.0.0.1", .text = "127.0.0.1:40312"},
        .refusal = (options & 1) != 0 ? "too many sessions" : NULL,
        .refusal_why = WHY_LIMIT};
    world->heap_before = allocated();
    ENSURE(session_open(&world->gate, 0, &settings, NULL) == 0);
}

/* An input that holds a secret by itself may have it said. */
static void look_for_secrets(struct world *world, struct slice input)
{
    world->token_is_ours = !holds_any(input, token_marks);
    world->late_password_is_ours = !holds_any(input, late_marks);
    world->password_is_ours = true;
    world->is_plain = true;
}

/* All that it waited for happens. */
static void go_on(struct world *world)
{
    world->is_durable_at_once = true;
    if (world->gate.is_congested)
        set_keeper_congested(world);
    if (world->net.client != NULL && world->net.client->is_congested)
        net_drain(world->net.client);
    run(world);
    if (world->net.upstream != NULL && world->net.upstream->is_congested)
        net_drain(world->net.upstream);
    run(world);
}

/* A session that is told to end does. */
static void end_session(struct world *world)
{
    go_on(world);
    if (world->session != NULL)
        session_dismiss(world->session, WHY_SHUTDOWN, "bye");
    run(world);
    ENSURE(world->session == NULL && list_is_empty(&world->net.loop.deferred));
}

static void end_journal(struct world *world)
{
    const char *marks[8];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        if (world->token_is_ours)
            marks[count++] = token_marks[i];
        if (world->late_password_is_ours)
            marks[count++] = late_marks[i];
    }
    journal_end(&world->journal, marks, count);
}

static void play(struct world *world, enum protocol protocol, struct slice input, size_t piece)
{
    struct list waiting;
    list_init(&waiting);
    *world = (struct world){0};
    look_for_secrets(world, input);
    net_init(&world->net, piece == 0 ? SIZE_MAX : piece);
    world->net.on_said = on_said;
    world->net.is_burst = piece == BURST;
    struct buf *const records[] = {&world->said[SIDE_CLIENT], &world->said[SIDE_UPSTREAM],
                                   &world->asked, &world->told, &world->server_said};
    for (size_t i = 0; i < LENGTH_OF(records); i++)
        buf_init(records[i], RECORD_MAX);
    uint8_t options = take_octet(&input), more = take_octet(&input);
    set_listener(world, protocol, options);
    set_gate(world, more);
    set_granted(world, more);
    if (piece == 0)
        journal_init(&world->journal, (more & 2) != 0 ? AUDIT_FULL : AUDIT_STANDARD);
    open_session(world, options, &waiting);
    run(world);
    while (input.size > 0 && world->session != NULL) {
        do_step(world, &input);
        run(world);
        describe(world);
    }
    end_session(world);
    ENSURE(list_is_empty(&waiting));
    end_journal(world);
    secret_wipe(&world->granted.token);
}

static void clear(struct world *world)
{
    buf_fini(&world->said[SIDE_CLIENT]);
    buf_fini(&world->said[SIDE_UPSTREAM]);
    buf_fini(&world->asked);
    buf_fini(&world->told);
    buf_fini(&world->server_said);
}

/* What ecluse itself answers in an IMAP session's relay, by its last words. */
static bool is_own_line(struct slice line)
{
    static const char *const words[] = {"BAD a command is expected",
                                        "BAD you are logged in already", "BAD not available here",
                                        "+ go on"};
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (contains(line, words[i]))
            return true;
    return false;
}

static void pick_lines(struct slice said, bool own, struct buf *lines)
{
    while (said.size > 0) {
        struct slice line = slice_take(said, slice_find(said, '\n') + 1);
        said = slice_skip(said, line.size);
        if (is_own_line(line) == own)
            ENSURE(buf_append(lines, line) == 0);
    }
}

/* IMAP's server may speak whenever it likes, so where our own answers stand among its responses
 * hangs on who is read first; but not what each says, and in which order. */
static void compare_mixed(struct slice whole, struct slice cut)
{
    for (int own = 0; own <= 1; own++) {
        struct buf lines[2];
        buf_init(&lines[0], RECORD_MAX);
        buf_init(&lines[1], RECORD_MAX);
        pick_lines(whole, own == 1, &lines[0]);
        pick_lines(cut, own == 1, &lines[1]);
        ENSURE(slice_equal(buf_bytes(&lines[0]), buf_bytes(&lines[1])));
        buf_fini(&lines[0]);
        buf_fini(&lines[1]);
    }
}

static void compare(const struct world *whole, const struct world *cut)
{
    /* How much passes of a piece hangs on where it ends, when its session does. */
    if (cut->net.is_burst || whole->is_disturbed || whole->is_unfollowed || whole->has_unsaid ||
        cut->has_unsaid)
        return;
    compare_mixed(buf_bytes(&whole->said[SIDE_CLIENT]), buf_bytes(&cut->said[SIDE_CLIENT]));
    ENSURE(
        slice_equal(buf_bytes(&whole->said[SIDE_UPSTREAM]), buf_bytes(&cut->said[SIDE_UPSTREAM])));
    ENSURE(slice_equal(buf_bytes(&whole->asked), buf_bytes(&cut->asked)));
    ENSURE(slice_equal(buf_bytes(&whole->told), buf_bytes(&cut->told)));
}

static int fuzz_session(enum protocol protocol, const uint8_t *data, size_t size)
{
    static struct world whole, cut;
    static const size_t pieces[] = {1, 7, BURST};
    if (size > INPUT_MAX)
        return 0;
    struct slice input = slice_of(data, size);
    play(&whole, protocol, input, 0);
    for (size_t i = 0; i < LENGTH_OF(pieces); i++) {
        play(&cut, protocol, input, pieces[i]);
        compare(&whole, &cut);
        clear(&cut);
    }
    clear(&whole);
    return 0;
}

/* What libFuzzer, or the replayer, calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
