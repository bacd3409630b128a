/*
 * Happy path: read here, written there, nothing kept.
 *
 *   the receiver is full       its source stops until on_drained
 *   the client ends            half-close upstream; the server finishes and ends
 *   the server ends            on_over(SERVER_GONE): the session flushes to the client and closes
 *   either side fails          on_over at once
 */
#include "gate/relay.h"

static void over(struct relay *relay, enum why why, const char *text)
{
    if (relay->is_over)
        return;
    relay->is_over = true;
    stream_read_stop(relay->client);
    stream_read_stop(relay->upstream);
    relay->ops->on_over(relay->owner, why, text);
}

/* A write that fails is told again by the receiver's on_failed, which ends the relay. */
static void pass(struct stream *from, struct stream *to, struct slice bytes)
{
    if (stream_write(to, bytes) != 0 || stream_is_congested(to))
        stream_read_stop(from);
}

static void on_client_read(void *owner, struct slice bytes)
{
    struct relay *relay = owner;
    if (relay->is_over)
        return;
    relay->client_bytes += bytes.size;
    pass(relay->client, relay->upstream, bytes);
}

static void pass_to_client(void *owner, struct slice bytes)
{
    struct relay *relay = owner;
    pass(relay->upstream, relay->client, bytes);
}

static void on_upstream_read(void *owner, struct slice bytes)
{
    struct relay *relay = owner;
    if (relay->is_over)
        return;
    relay->server_bytes += bytes.size;
    if (relay->filter.rule == NULL)
        pass_to_client(relay, bytes);
    else
        capability_filter_feed(&relay->filter, bytes, pass_to_client, relay);
}

static void on_client_end(void *owner)
{
    struct relay *relay = owner;
    relay->client_has_ended = true;
    if (!relay->is_over)
        stream_end(relay->upstream);
}

static void over_by_upstream(struct relay *relay, enum why why, const char *text)
{
    struct slice rest = capability_filter_rest(&relay->filter);
    if (!relay->is_over && rest.size > 0)
        pass_to_client(relay, rest);
    if (relay->client_has_ended)
        over(relay, WHY_CLIENT_GONE, "the client closed the connection");
    else
        over(relay, why, text);
}

static void on_upstream_end(void *owner)
{
    over_by_upstream(owner, WHY_SERVER_GONE, "the mail server closed the connection");
}

static void on_client_drained(void *owner)
{
    struct relay *relay = owner;
    if (!relay->is_over)
        stream_read_start(relay->upstream);
}

static void on_upstream_drained(void *owner)
{
    struct relay *relay = owner;
    if (!relay->is_over)
        stream_read_start(relay->client);
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
    relay->ops->on_stream_closed(relay->owner);
}

static const struct stream_ops client_ops = {.on_read = on_client_read,
                                             .on_end = on_client_end,
                                             .on_drained = on_client_drained,
                                             .on_failed = on_client_failed,
                                             .on_closed = on_closed};
static const struct stream_ops upstream_ops = {.on_read = on_upstream_read,
                                               .on_end = on_upstream_end,
                                               .on_drained = on_upstream_drained,
                                               .on_failed = on_upstream_failed,
                                               .on_closed = on_closed};

void relay_start(struct relay *relay, struct stream *client, struct stream *upstream,
                 const struct capability_rule *rule, struct slice from_client,
                 struct slice from_upstream, bool client_has_ended, const struct relay_ops *ops,
                 void *owner)
{
    *relay = (struct relay){.client = client, .upstream = upstream, .ops = ops, .owner = owner};
    capability_filter_init(&relay->filter, rule);
    stream_set_owner(client, &client_ops, relay);
    stream_set_owner(upstream, &upstream_ops, relay);
    stream_read_start(client);
    stream_read_start(upstream);
    if (from_client.size > 0)
        on_client_read(relay, from_client);
    if (from_upstream.size > 0)
        on_upstream_read(relay, from_upstream);
    if (client_has_ended)
        on_client_end(relay);
}

void relay_fini(struct relay *relay)
{
    capability_filter_fini(&relay->filter);
}
