/*
 * Happy path: read here, through the passage, written there, nothing kept.
 *
 *   the receiver is full            its source stops until on_drained
 *   the passage wants to wait       the client's bytes are held, and it is not read, until the
 *                                   server has answered
 *   a record is awaited             what was read with it is held, and the server not read, until
 *                                   it and others that are awaited of the same read are on disk; a
 *                                   server that breaks meanwhile is dealt with then
 *   the client ends                 half-close upstream; the server finishes and ends
 *   the server ends                 on_over(SERVER_GONE): the session flushes to the client, closes
 *   either side fails               on_over at once
 *   silence, a message that stalls  the client is told, on_over(TIMEOUT)
 *   on either side, or whose answer
 *   does not come
 */
#include "gate/relay.h"

#include "base/clock.h"

/* One read, and at the beginning what the login had left. */
#define HELD_MAX    (2 * LOOP_SCRATCH_SIZE)
#define AWAITED_MAX (2 * LOOP_SCRATCH_SIZE)
#define VERB_MAX    32u /* of a command that was denied */

/* ---- the tap ---- */

static void on_tap_record(void *owner, const struct record *record, bool is_awaited)
{
    struct relay *relay = owner;
    relay->settings.ops->on_record(relay->settings.owner, record, is_awaited);
}

static struct tap_sink tap_sink_of(struct relay *relay)
{
    return (struct tap_sink){.record = on_tap_record, .owner = relay};
}

static struct tap_time now(void)
{
    return (struct tap_time){.wall = (uint64_t)clock_wall_microseconds(), .steady = uv_hrtime()};
}

/* How much of the server's bytes may pass: less than all when an answer is awaited. */
static size_t tap_upstream(struct relay *relay, struct slice bytes, bool *is_awaited_out)
{
    struct tap_sink sink = tap_sink_of(relay);
    *is_awaited_out = false;
    if (relay->settings.tap == NULL)
        return bytes.size;
    size_t size = tap_feed(relay->settings.tap, SIDE_UPSTREAM, bytes, now(), &sink);
    *is_awaited_out = tap_is_awaited(relay->settings.tap);
    return size;
}

static void tap_client(struct relay *relay, struct slice bytes)
{
    struct tap_sink sink = tap_sink_of(relay);
    if (relay->settings.tap != NULL)
        (void)!tap_feed(relay->settings.tap, SIDE_CLIENT, bytes, now(), &sink);
}

static void finish_tap(struct relay *relay, enum why why)
{
    struct tap_sink sink = tap_sink_of(relay);
    if (relay->settings.tap != NULL)
        tap_finish(relay->settings.tap, why, now(), &sink);
}

/* Then nothing more may pass: it would not be told of. */
static bool cannot_be_followed(const struct relay *relay)
{
    return relay->settings.ends_unparsable && relay->settings.tap != NULL &&
           tap_is_off(relay->settings.tap);
}

/* ---- reading ---- */

static void update_reading(struct relay *relay)
{
    struct stream *client = relay->settings.client, *upstream = relay->settings.upstream;
    bool goes_on = !relay->is_paused;
    if (relay->is_over)
        return;
    if (goes_on && buf_size(&relay->held) == 0 && !stream_is_congested(upstream))
        stream_read_start(client);
    else
        stream_read_stop(client);
    if (goes_on && relay->answer_size == 0 && !stream_is_congested(client))
        stream_read_start(upstream);
    else
        stream_read_stop(upstream);
}

static void over(struct relay *relay, enum why why, const char *text)
{
    if (relay->is_over)
        return;
    relay->is_over = true;
    finish_tap(relay, why);
    deadline_stop(&relay->deadline);
    stream_read_stop(relay->settings.client);
    stream_read_stop(relay->settings.upstream);
    relay->settings.ops->on_over(relay->settings.owner, why, text);
}

/* ---- passing ---- */

/* A write that fails is told again by the receiver's on_failed, which ends the relay. A piece that
 * the tap cannot follow stays here as a whole. */
static void pass(void *owner, enum side to, struct slice bytes)
{
    struct relay *relay = owner;
    struct stream *client = relay->settings.client, *upstream = relay->settings.upstream;
    struct stream *receiver = to == SIDE_CLIENT ? client : upstream;
    struct stream *source = to == SIDE_CLIENT ? upstream : client;
    if (to == SIDE_UPSTREAM)
        tap_client(relay, bytes);
    if (to == SIDE_UPSTREAM && cannot_be_followed(relay))
        return;
    if (stream_write(receiver, bytes) != 0 || stream_is_congested(receiver))
        stream_read_stop(source);
}

/* Without a journal there is nothing to wait for. */
static bool deny(void *owner, const char *rule, struct slice verb)
{
    struct relay *relay = owner;
    struct record record;
    bool is_awaited = relay->settings.tap != NULL;
    record_init(&record, ACTION_POLICY, WHY_POLICY, now().wall);
    record_add_text(&record, FIELD_VERB, slice_take(verb, VERB_MAX));
    record_add_string(&record, FIELD_POLICY_RULE, rule);
    record_add_string(&record, FIELD_POLICY_ACTION, "deny");
    relay->denial_is_due = is_awaited;
    relay->denial_is_first = is_awaited && relay->answer_size == 0;
    relay->settings.ops->on_record(relay->settings.owner, &record, is_awaited);
    return is_awaited;
}

static struct passage_sink sink_of(struct relay *relay)
{
    return (struct passage_sink){.pass = pass, .deny = deny, .owner = relay};
}

enum { AWAITS_LIFE, AWAITS_CONTENT, AWAITS_VERDICT };

static void begin_window(struct relay *relay)
{
    relay->window_bytes = relay->client_bytes;
    relay->window_taken = stream_taken(relay->settings.upstream);
    deadline_start(relay->settings.patience->content, &relay->deadline);
}

/* A message has windows in which enough of it must come; they are not begun anew by each read. Nor
 * is the time for the answer to it: the client may chatter meanwhile. */
static void note_life(struct relay *relay)
{
    const struct passage *passage = relay->settings.passage;
    uint8_t before = relay->awaits;
    relay->awaits = passage->content_is_due   ? AWAITS_CONTENT
                    : passage->verdict_is_due ? AWAITS_VERDICT
                                              : AWAITS_LIFE;
    if (relay->awaits == AWAITS_LIFE) {
        deadline_start(relay->settings.patience->idle, &relay->deadline);
    } else if (relay->awaits == before) {
        return;
    } else if (relay->awaits == AWAITS_VERDICT) {
        deadline_start(relay->settings.patience->verdict, &relay->deadline);
    } else {
        relay->untaken_milliseconds = 0;
        begin_window(relay);
    }
}

static void after_feeding(struct relay *relay)
{
    const struct passage *passage = relay->settings.passage;
    if (passage->is_over)
        over(relay, passage->why, passage->text);
    else if (cannot_be_followed(relay))
        relay_dismiss(relay, WHY_POLICY, "what is said cannot be followed, as the audit wants it");
    else if (!relay->is_over)
        note_life(relay);
}

static void hold(struct relay *relay, struct slice rest)
{
    if (rest.size == 0 || relay->is_over)
        return;
    ENSURE(buf_append(&relay->held, rest) == 0);
    stream_read_stop(relay->settings.client);
}

static void feed_client(struct relay *relay, struct slice bytes)
{
    struct passage_sink sink = sink_of(relay);
    size_t consumed = passage_feed(relay->settings.passage, SIDE_CLIENT, bytes, &sink);
    after_feeding(relay);
    hold(relay, slice_skip(bytes, consumed));
}

static void pass_on_end(struct relay *relay)
{
    if (!relay->is_over && relay->client_has_ended && buf_size(&relay->held) == 0)
        stream_end(relay->settings.upstream);
}

/* The server has spoken: the passage may now know what the client's next bytes are. */
static void feed_held(struct relay *relay)
{
    if (relay->is_over || buf_size(&relay->held) == 0)
        return;
    struct buf held = relay->held;
    buf_init(&relay->held, HELD_MAX);
    feed_client(relay, buf_bytes(&held));
    buf_fini(&held);
    if (relay->is_over || buf_size(&relay->held) > 0)
        return;
    update_reading(relay);
    pass_on_end(relay);
}

static void pass_upstream(struct relay *relay, struct slice bytes)
{
    struct passage_sink sink = sink_of(relay);
    size_t consumed = passage_feed(relay->settings.passage, SIDE_UPSTREAM, bytes, &sink);
    ENSURE(consumed == bytes.size);
    after_feeding(relay);
    feed_held(relay);
}

/* The first of its answers waits for the disk: so do the others, together. */
static void await(struct relay *relay, struct slice bytes, size_t answer_size)
{
    bool is_awaited = true;
    ENSURE(buf_append(&relay->awaited, bytes) == 0);
    relay->answer_size = answer_size;
    relay->awaited_count = 1;
    while (relay->answer_size < bytes.size) {
        size_t size = tap_upstream(relay, slice_skip(bytes, relay->answer_size), &is_awaited);
        if (!is_awaited && cannot_be_followed(relay))
            break;
        relay->answer_size += size;
        relay->awaited_count += is_awaited;
    }
    update_reading(relay);
}

static void feed_upstream(struct relay *relay, struct slice bytes)
{
    bool is_awaited;
    if (bytes.size == 0 || relay->is_over)
        return;
    size_t size = tap_upstream(relay, bytes, &is_awaited);
    if (is_awaited)
        await(relay, bytes, size);
    else if (cannot_be_followed(relay))
        after_feeding(relay);
    else
        pass_upstream(relay, bytes);
}

/* What comes behind an answer that is held nobody has looked at yet. */
static void expect(struct relay *relay)
{
    bool is_known = relay->answer_size == 0;
    stream_expect(relay->settings.upstream, is_known ? passage_due(relay->settings.passage) : 0);
}

static void feed_side(struct relay *relay, enum side from, struct slice bytes)
{
    if (from == SIDE_UPSTREAM) {
        relay->server_bytes += bytes.size;
        if (relay->answer_size > 0)
            ENSURE(buf_append(&relay->awaited, bytes) == 0);
        else
            feed_upstream(relay, bytes);
        return;
    }
    relay->client_bytes += bytes.size;
    if (buf_size(&relay->held) == 0)
        feed_client(relay, bytes);
    else
        hold(relay, bytes);
}

void relay_feed(struct relay *relay, enum side from, struct slice bytes)
{
    if (relay->is_over || bytes.size == 0)
        return;
    feed_side(relay, from, bytes);
    if (!relay->is_over)
        expect(relay);
}

/* ---- what the streams say ---- */

static void on_client_read(void *owner, struct slice bytes)
{
    relay_feed(owner, SIDE_CLIENT, bytes);
}

static void on_upstream_read(void *owner, struct slice bytes)
{
    relay_feed(owner, SIDE_UPSTREAM, bytes);
}

void relay_client_ended(struct relay *relay)
{
    relay->client_has_ended = true;
    pass_on_end(relay);
}

static void on_client_end(void *owner)
{
    relay_client_ended(owner);
}

static void over_by_upstream(struct relay *relay, enum why why, const char *text)
{
    struct passage_sink sink = sink_of(relay);
    if (relay->answer_size > 0) {
        relay->upstream_has_failed = true;
        return;
    }
    if (!relay->is_over)
        passage_finish(relay->settings.passage, &sink);
    if (relay->client_has_ended)
        over(relay, WHY_CLIENT_GONE, "the client closed the connection");
    else
        over(relay, why, text);
}

static void on_upstream_end(void *owner)
{
    over_by_upstream(owner, WHY_SERVER_GONE, "the mail server closed the connection");
}

static void on_drained(void *owner)
{
    update_reading(owner);
}

static void on_client_failed(void *owner, enum why why, const char *text)
{
    (void)why;
    over(owner, WHY_CLIENT_GONE, text);
}

static void on_upstream_failed(void *owner, enum why why, const char *text)
{
    over_by_upstream(owner, why == WHY_UPSTREAM_TLS ? why : WHY_SERVER_GONE, text);
}

static void on_closed(void *owner)
{
    struct relay *relay = owner;
    relay->settings.ops->on_stream_closed(relay->settings.owner);
}

static const struct stream_ops client_ops = {.on_read = on_client_read,
                                             .on_end = on_client_end,
                                             .on_drained = on_drained,
                                             .on_failed = on_client_failed,
                                             .on_closed = on_closed};
static const struct stream_ops upstream_ops = {.on_read = on_upstream_read,
                                               .on_end = on_upstream_end,
                                               .on_drained = on_drained,
                                               .on_failed = on_upstream_failed,
                                               .on_closed = on_closed};

/* ---- what is awaited ---- */

static void release_denial(struct relay *relay)
{
    struct passage_sink sink = sink_of(relay);
    relay->denial_is_due = false;
    relay->denial_is_first = false;
    passage_release(relay->settings.passage, &sink);
    after_feeding(relay);
    feed_held(relay);
}

static void release_answer(struct relay *relay)
{
    struct buf awaited = relay->awaited;
    size_t size = relay->answer_size;
    relay->answer_size = 0;
    relay->denial_is_first = relay->denial_is_due;
    buf_init(&relay->awaited, AWAITED_MAX);
    pass_upstream(relay, slice_take(buf_bytes(&awaited), size));
    feed_upstream(relay, slice_skip(buf_bytes(&awaited), size));
    buf_fini(&awaited);
    if (relay->answer_size == 0 && relay->upstream_has_failed)
        over_by_upstream(relay, WHY_SERVER_GONE, "the connection to the mail server broke");
}

void relay_release(struct relay *relay)
{
    if (relay->is_over)
        return;
    if (relay->denial_is_due && (relay->denial_is_first || relay->answer_size == 0))
        release_denial(relay);
    else if (relay->answer_size > 0 && --relay->awaited_count == 0)
        release_answer(relay);
    if (relay->is_over)
        return;
    expect(relay);
    update_reading(relay);
}

void relay_set_paused(struct relay *relay, bool is_paused)
{
    relay->is_paused = is_paused;
    update_reading(relay);
}

/* ---- the end ---- */

void relay_dismiss(struct relay *relay, enum why why, const char *text)
{
    struct passage_sink sink = sink_of(relay);
    if (!relay->is_over)
        passage_say_bye(relay->settings.passage, why, text, &sink);
    over(relay, why, text);
}

/* The window of a message is over. */
static void on_window_over(struct relay *relay)
{
    const struct relay_patience *patience = relay->settings.patience;
    uint64_t came = relay->client_bytes - relay->window_bytes;
    uint64_t owed =
        RELAY_CONTENT_OCTETS_PER_SECOND * (uint64_t)patience->content_milliseconds / 1000;
    bool is_congested = stream_is_congested(relay->settings.upstream);
    bool is_untaken = is_congested && !relay->is_paused && came == 0 &&
                      stream_taken(relay->settings.upstream) == relay->window_taken;
    relay->untaken_milliseconds =
        is_untaken ? relay->untaken_milliseconds + patience->content_milliseconds : 0;
    if (relay->untaken_milliseconds >= patience->taking_milliseconds)
        relay_dismiss(relay, WHY_TIMEOUT, "the mail server does not take the message");
    else if (is_congested || relay->is_paused || came >= owed)
        begin_window(relay);
    else
        relay_dismiss(relay, WHY_TIMEOUT, "the message comes too slowly");
}

static void on_deadline(struct deadline *deadline)
{
    struct relay *relay = CONTAINER_OF(deadline, struct relay, deadline);
    bool waits_for_others = relay->is_paused || relay->answer_size > 0;
    if (relay->awaits == AWAITS_CONTENT) {
        on_window_over(relay);
    } else if (waits_for_others) {
        relay->awaits = AWAITS_LIFE;
        note_life(relay);
    } else if (relay->awaits == AWAITS_VERDICT) {
        relay_dismiss(relay, WHY_TIMEOUT, "the mail server does not answer to the message");
    } else {
        relay_dismiss(relay, WHY_TIMEOUT, "nothing was said for too long");
    }
}

void relay_start(struct relay *relay, const struct relay_settings *settings)
{
    *relay = (struct relay){.settings = *settings, .is_paused = settings->is_paused};
    buf_init(&relay->held, HELD_MAX);
    buf_init(&relay->awaited, AWAITED_MAX);
    deadline_init(&relay->deadline, on_deadline);
    stream_set_owner(settings->client, &client_ops, relay);
    stream_set_owner(settings->upstream, &upstream_ops, relay);
    update_reading(relay);
    note_life(relay);
}

void relay_fini(struct relay *relay)
{
    passage_close(relay->settings.passage);
    tap_close(relay->settings.tap);
    buf_fini(&relay->held);
    buf_fini(&relay->awaited);
}
