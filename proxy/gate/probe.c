/*
 * Happy path: the engine is told that its client was approved, and dials, greets and logs in; when
 * it says PASS the question is asked, its answer read up to the end, and goodbye said.
 *
 * Failures, each of which is the end, with the step in which it was:
 *   no connection, no TLS                what dial and stream say
 *   the engine gives up (HANG_UP)        why, and its words
 *   the token is refused (AGAIN)         the server's words; another token is not for us to get
 *   the question is answered by no       the server's words
 *   a step takes too long                timeout
 */
#include "gate/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/quotes.h"
#include "gate/upstream_sasl.h"
#include "mail/dialect.h"
#include "mail/visit.h"

#define FLUSH_MILLISECONDS 1000
#define TEXT_MAX           480
#define CHALLENGE_MAX      4096u

struct probe {
    struct loop *loop;
    struct probe_settings settings;
    const struct probe_ops *ops;
    void *owner;

    struct engine *engine;
    struct sasl_initiator *sasl;
    struct dial *dial;
    struct stream *upstream;
    uv_timer_t timer;
    unsigned open_parts; /* the timer, dials and streams */

    enum diagnosis_step step;
    struct tls_presented presented;
    struct buf held; /* what the engine, or the reader of the answer, has not consumed */
    struct buf challenge;
    char mechanism[32];
    char refusal[200]; /* of the token */
    size_t answered;   /* octets of the answer to the question */
    bool is_secure;
    bool is_asking; /* logged in: the question is on its way */
    bool is_over;

    bool has_failed;
    enum why why;
    char text[TEXT_MAX];
};

/* ---- the end ---- */

static void free_probe(struct probe *probe)
{
    engine_free(probe->engine);
    sasl_initiator_free(probe->sasl);
    buf_fini(&probe->held);
    buf_fini(&probe->challenge);
    mem_free(probe);
}

static bool quotes_token(const struct probe *probe, struct slice text)
{
    const struct secret *token = probe->settings.token;
    return token != NULL && quotes_secret(text, secret_bytes(token));
}

static void hide_token(struct probe *probe)
{
    if (quotes_token(probe, slice_of_string(probe->text)))
        snprintf(probe->text, sizeof(probe->text),
                 "the server repeats what it was told, which is not shown");
    if (quotes_token(probe, buf_bytes(&probe->challenge)))
        buf_clear(&probe->challenge);
}

static void part_closed(struct probe *probe)
{
    if (--probe->open_parts > 0 || !probe->is_over)
        return;
    hide_token(probe);
    const struct probe_end end = {.has_failed = probe->has_failed,
                                  .step = probe->step,
                                  .why = probe->why,
                                  .text = probe->text,
                                  .challenge = buf_bytes(&probe->challenge),
                                  .presented = &probe->presented};
    probe->ops->on_over(probe->owner, &end);
    free_probe(probe);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(CONTAINER_OF(handle, struct probe, timer));
}

/* No goodbye to a server that has not proved who it is. */
static void finish(struct probe *probe)
{
    if (probe->is_over)
        return;
    probe->is_over = true;
    if (probe->dial != NULL)
        dial_close(probe->dial);
    if (probe->upstream != NULL && probe->is_secure) {
        (void)!stream_write(probe->upstream,
                            slice_of_string(visit_of(probe->settings.protocol)->goodbye));
        stream_close_after_flush(probe->upstream, FLUSH_MILLISECONDS);
    } else if (probe->upstream != NULL) {
        stream_close(probe->upstream);
    }
    uv_close((uv_handle_t *)&probe->timer, on_timer_closed);
}

/* Whatever is a server's in it was escaped before; so it is below. */
static void fail(struct probe *probe, enum why why, const char *format, ...) PRINTF_LIKE(3, 4);

static void fail(struct probe *probe, enum why why, const char *format, ...)
{
    va_list arguments;
    if (probe->is_over)
        return;
    va_start(arguments, format);
    vsnprintf(probe->text, sizeof(probe->text), format, arguments);
    va_end(arguments);
    probe->has_failed = true;
    probe->why = why;
    finish(probe);
}

/* ---- steps ---- */

static void on_timer(uv_timer_t *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    fail(probe, WHY_TIMEOUT, "no answer within %lld s",
         (long long)(probe->settings.patience[probe->step] / 1000));
}

static void begin(struct probe *probe, enum diagnosis_step step)
{
    probe->step = step;
    ENSURE(uv_timer_start(&probe->timer, on_timer, (uint64_t)probe->settings.patience[step], 0) ==
           0);
}

static void pass(struct probe *probe, const char *format, ...) PRINTF_LIKE(2, 3);

static void pass(struct probe *probe, const char *format, ...)
{
    char detail[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    probe->ops->on_passed(probe->owner, probe->step, detail);
}

static void pass_tls(struct probe *probe)
{
    char about[160], until[40] = "";
    struct tm parts;
    time_t end = (time_t)probe->presented.not_after;
    tls_describe(stream_tls(probe->upstream), about, sizeof(about));
    if (end > 0 && gmtime_r(&end, &parts) != NULL)
        strftime(until, sizeof(until), ", certificate valid until %Y-%m-%d", &parts);
    probe->is_secure = true;
    pass(probe, "%s%s%s", probe->settings.tls == TLS_MODE_STARTTLS ? "STARTTLS, " : "", about,
         until);
    begin(probe, DIAGNOSIS_CAPABILITIES);
}

/* ---- SASL, for the engine ---- */

/* Each once: some servers say them twice, for old clients. */
static void list_mechanisms(struct slice offered, char *out, size_t capacity)
{
    struct slice word;
    size_t used = 0;
    out[0] = '\0';
    while (slice_next_word(&offered, ' ', &word)) {
        char name[64];
        slice_escape(word, name, sizeof(name));
        size_t size = strlen(name);
        if (size == 0 || used + size + 2 > capacity ||
            slice_has_word(slice_of(out, used), ' ', slice_of(name, size)))
            continue;
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", used == 0 ? "" : " ", name);
    }
}

/* The engine has chosen a mechanism: the server has said what it can. */
static int sasl_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct probe *probe = owner;
    const struct probe_settings *settings = &probe->settings;
    char offered[300];
    const struct sasl_initiator_identity identity = {
        .service = dialect_of(settings->protocol)->sasl_service,
        .host = settings->host,
        .port = settings->port,
        .user = settings->user,
        .is_password = settings->is_password};
    list_mechanisms(engine_upstream_mechanisms(probe->engine), offered, sizeof(offered));
    pass(probe, "offers %s", offered[0] == '\0' ? "no mechanism by name" : offered);
    if (settings->token == NULL) {
        finish(probe);
        return ERR_CLOSED;
    }
    begin(probe, DIAGNOSIS_LOGIN);
    snprintf(probe->mechanism, sizeof(probe->mechanism), "%s", mechanism);
    return upstream_sasl_start(settings->sasl, mechanism, identity, settings->token, &probe->sasl,
                               response_out);
}

static int sasl_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct probe *probe = owner;
    buf_clear(&probe->challenge);
    (void)!buf_append(&probe->challenge, slice_take(challenge, CHALLENGE_MAX));
    return sasl_initiator_step(probe->sasl, challenge, response_out);
}

static bool sasl_is_complete(void *owner)
{
    const struct probe *probe = owner;
    return sasl_initiator_is_complete(probe->sasl);
}

/* ---- the question ---- */

static void ask(struct probe *probe)
{
    probe->is_asking = true;
    (void)!stream_write(probe->upstream,
                        slice_of_string(visit_of(probe->settings.protocol)->question));
}

static void read_answer(struct probe *probe)
{
    while (!probe->is_over) {
        struct slice held = buf_bytes(&probe->held);
        size_t end = slice_find(held, '\n');
        struct slice line = wire_trim_line_end(slice_take(held, end + 1));
        probe->answered += end == held.size ? 0 : end + 1;
        if (line.size > VISIT_LINE_MAX || probe->answered > VISIT_ANSWER_MAX) {
            fail(probe, WHY_UPSTREAM_PROTOCOL, "the mail server says too much");
            return;
        }
        if (end == held.size)
            return;
        enum visit_answer answer = visit_read(probe->settings.protocol, line);
        if (answer == VISIT_NO) {
            char words[200];
            slice_escape(line, words, sizeof(words));
            fail(probe, WHY_UPSTREAM_PROTOCOL,
                 "the mail server took the login and refuses what follows: %s", words);
        } else if (answer == VISIT_YES) {
            pass(probe, "as %s by %s", probe->settings.user, probe->mechanism);
            finish(probe);
        }
        buf_consume(&probe->held, end + 1);
    }
}

/* ---- the engine's deeds ---- */

static const struct dial_ops dial_ops;

static struct tls *new_tls(struct probe *probe)
{
    return tls_client_new(&(struct tls_settings){.authorities = probe->settings.authorities,
                                                 .host = probe->settings.host,
                                                 .alpn = dialect_of(probe->settings.protocol)->alpn,
                                                 .presented = &probe->presented});
}

/* Without TLS for now: it is a step of its own. */
static void do_dial(struct probe *probe)
{
    const struct probe_settings *settings = &probe->settings;
    probe->open_parts++;
    probe->dial = dial_open(probe->loop,
                            &(struct dial_settings){.addresses = settings->addresses,
                                                    .address_count = settings->address_count,
                                                    .port = settings->port,
                                                    .mode = TLS_MODE_STARTTLS},
                            &dial_ops, probe);
}

static void do_note(struct probe *probe, const struct deed *deed)
{
    if (deed->note == ENGINE_NOTE_UPSTREAM_AUTH)
        snprintf(probe->refusal, sizeof(probe->refusal), "%s", deed->text);
}

static void do_deed(struct probe *probe, const struct deed *deed)
{
    switch (deed->kind) {
    case DEED_SEND:
        if (deed->side == SIDE_UPSTREAM && probe->upstream != NULL)
            (void)!stream_write(probe->upstream, deed->bytes);
        return;
    case DEED_DIAL:
        do_dial(probe);
        return;
    case DEED_START_TLS:
        /* Octets behind the server's reply are the engine's to refuse. */
        if (buf_size(&probe->held) == 0)
            stream_start_tls(probe->upstream, new_tls(probe));
        return;
    case DEED_NOTE:
        do_note(probe, deed);
        return;
    case DEED_AGAIN:
        fail(probe, WHY_TOKEN_REJECTED, "%s", probe->refusal);
        return;
    case DEED_HANG_UP:
    case DEED_END:
        fail(probe, deed->why, "%s", deed->text);
        return;
    case DEED_PASS:
        ask(probe);
        return;
    case DEED_LEARNED:
        return;
    case DEED_ASK:
    case DEED_ANSWER:
        break; /* of a client */
    }
    UNREACHABLE("the engine has no client");
}

static void do_deeds(struct probe *probe)
{
    struct deed deed;
    while (!probe->is_over && !probe->is_asking && engine_next(probe->engine, &deed))
        do_deed(probe, &deed);
}

static void pump(struct probe *probe)
{
    do_deeds(probe);
    while (!probe->is_over && !probe->is_asking && buf_size(&probe->held) > 0) {
        size_t consumed = engine_feed(probe->engine, SIDE_UPSTREAM, buf_bytes(&probe->held));
        buf_consume(&probe->held, consumed);
        do_deeds(probe);
        if (consumed == 0)
            break;
    }
    if (probe->is_asking)
        read_answer(probe);
}

static void tell(struct probe *probe, const struct fact *fact)
{
    engine_tell(probe->engine, fact);
    pump(probe);
}

/* ---- the connection ---- */

static void on_read(void *owner, struct slice bytes)
{
    struct probe *probe = owner;
    if (probe->is_over)
        return;
    if (buf_append(&probe->held, bytes) != 0)
        fail(probe, WHY_UPSTREAM_PROTOCOL, "the mail server says too much");
    else
        pump(probe);
}

static void on_end(void *owner)
{
    struct probe *probe = owner;
    fail(probe, probe->is_asking ? WHY_SERVER_GONE : WHY_UNREACHABLE,
         "the mail server closed the connection");
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_secured(void *owner)
{
    struct probe *probe = owner;
    if (probe->is_over)
        return;
    pass_tls(probe);
    if (probe->settings.tls == TLS_MODE_ON)
        tell(probe, &(struct fact){.kind = FACT_CONNECTED, .is_secure = true});
    else
        tell(probe, &(struct fact){.kind = FACT_TLS_UP, .side = SIDE_UPSTREAM});
    if (!probe->is_over)
        stream_read_start(probe->upstream);
}

static void on_failed(void *owner, enum why why, const char *text)
{
    fail(owner, why, "%s", text);
}

static void on_part_closed(void *owner)
{
    part_closed(owner);
}

static const struct stream_ops stream_ops = {.on_read = on_read,
                                             .on_end = on_end,
                                             .on_drained = on_drained,
                                             .on_secured = on_secured,
                                             .on_failed = on_failed,
                                             .on_closed = on_part_closed};

static void on_dial_ready(void *owner, struct stream *stream)
{
    struct probe *probe = owner;
    stream_set_owner(stream, &stream_ops, probe);
    probe->open_parts++;
    probe->upstream = stream;
    dial_close(probe->dial);
    probe->dial = NULL;
    pass(probe, "%s", "");
    begin(probe, DIAGNOSIS_TLS);
    if (probe->settings.tls == TLS_MODE_ON) {
        stream_start_tls(stream, new_tls(probe));
        return;
    }
    tell(probe, &(struct fact){.kind = FACT_CONNECTED});
    if (!probe->is_over)
        stream_read_start(stream);
}

static void on_dial_failed(void *owner, enum why why, const char *text)
{
    fail(owner, why, "%s", text);
}

static const struct dial_ops dial_ops = {
    .on_ready = on_dial_ready, .on_failed = on_dial_failed, .on_closed = on_part_closed};

/* ---- the beginning ---- */

void probe_start(struct loop *loop, const struct probe_settings *settings,
                 const struct probe_ops *ops, void *owner)
{
    struct probe *probe = mem_new(sizeof(*probe));
    probe->loop = loop;
    probe->settings = *settings;
    probe->ops = ops;
    probe->owner = owner;
    probe->open_parts = 1;
    /* One read at most is held, and a line of an answer. */
    buf_init(&probe->held, LOOP_SCRATCH_SIZE + VISIT_LINE_MAX);
    buf_init(&probe->challenge, CHALLENGE_MAX);
    ENSURE(uv_timer_init(&loop->uv, &probe->timer) == 0);
    begin(probe, DIAGNOSIS_TCP);
    probe->engine = engine_new(&(struct engine_settings){.dialect = dialect_of(settings->protocol),
                                                         .mechanisms = "",
                                                         .sasl = {.start = sasl_start,
                                                                  .step = sasl_step,
                                                                  .is_complete = sasl_is_complete,
                                                                  .owner = probe}});
    engine_skip_client(probe->engine);
    tell(probe, &(struct fact){.kind = FACT_GRANTED,
                               .text = settings->mechanisms,
                               .is_password = settings->is_password});
}
