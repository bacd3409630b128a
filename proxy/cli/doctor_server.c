/*
 * The second round: one server. Its name is looked up and a probe sent to the addresses; what comes
 * back is a passed step, or the end with its cause, which the table of auth/diagnosis names.
 *
 * With a password that a daemon holds the daemon is asked for the last step.
 *
 * A server that does not do TLS as the configuration says is looked at a second time, the other way
 * and without a login, since the right answer is then one word. A token that is refused is
 * exchanged for another once, as a session would have it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "auth/sasl_error.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "keeper/trial.h"
#include "keeper/whole_file.h"
#include "net/tls.h"

#define TEXT_MAX   480
#define BUNDLE_MAX (4ul * 1024 * 1024)
/* A daemon gives up before. */
#define DAEMON_MILLISECONDS ((TRIAL_SECONDS + 10) * 1000)

struct examination {
    struct doctor *doctor;
    struct doctor_account *account;
    const struct endpoint *endpoint;
    enum protocol protocol;
    struct diagnosis_names names;
    char host[300]; /* as it stands in a URL */
    struct dial_address addresses[RESOLVE_ADDRESSES_MAX];
    size_t address_count;
    struct tls_authorities *authorities;
    char text[TEXT_MAX]; /* of the look-up */
    bool has_looked_up;
    struct deadline_queue *patience;
    struct deadline deadline;

    /* of a probe */
    bool is_silent; /* a second look, of which nothing is said step by step */
    bool has_failed;
    enum diagnosis_step reached;
    enum why why;
    char said[TEXT_MAX], about[TEXT_MAX];
    bool has_certificate;
};

static const int64_t patience[DIAGNOSIS_STEP_COUNT] = {[DIAGNOSIS_DNS] = 10000,
                                                       [DIAGNOSIS_TCP] = 10000,
                                                       [DIAGNOSIS_TLS] = 10000,
                                                       [DIAGNOSIS_CAPABILITIES] = 10000,
                                                       [DIAGNOSIS_LOGIN] = 30000};

static const char *const announcements[DIAGNOSIS_STEP_COUNT] = {
    [DIAGNOSIS_DNS] = "looking up {host}",
    [DIAGNOSIS_TCP] = "connecting to {host}:{port}",
    [DIAGNOSIS_TLS] = "TLS with {host}:{port}",
    [DIAGNOSIS_CAPABILITIES] = "greeting and capabilities",
    [DIAGNOSIS_LOGIN] = "login as {user}",
};

static void begin(struct examination *one, enum diagnosis_step step)
{
    doctor_report_begin(&one->doctor->report, &one->names, step, announcements[step]);
}

/* ---- the name ---- */

static void on_looked_up(void *owner, int status, const struct dial_address *addresses,
                         size_t count, const char *text)
{
    struct examination *one = owner;
    one->has_looked_up = true;
    snprintf(one->text, sizeof(one->text), "%s", status == 0 ? "" : text);
    if (status == 0) {
        memcpy(one->addresses, addresses, count * sizeof(*addresses));
        one->address_count = count;
    }
    uv_stop(&one->doctor->loop.uv);
}

static void on_look_up_over(struct deadline *deadline)
{
    struct examination *one = CONTAINER_OF(deadline, struct examination, deadline);
    uv_stop(&one->doctor->loop.uv);
}

static void list_addresses(const struct examination *one, char *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < one->address_count && used < capacity; i++) {
        const struct dial_address *address = &one->addresses[i];
        char text[INET6_ADDRSTRLEN] = "?";
        inet_ntop(address->family == 6 ? AF_INET6 : AF_INET, address->bytes, text, sizeof(text));
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", i == 0 ? "" : ", ", text);
    }
}

static bool look_up(struct examination *one)
{
    struct doctor *doctor = one->doctor;
    struct diagnosis_facts facts = {.step = DIAGNOSIS_DNS, .words = one->text};
    begin(one, DIAGNOSIS_DNS);
    one->patience = deadline_queue_new(&doctor->loop, patience[DIAGNOSIS_DNS]);
    deadline_init(&one->deadline, on_look_up_over);
    deadline_start(one->patience, &one->deadline);
    struct resolve_ticket *ticket =
        resolve_start(doctor->resolver, one->endpoint->host, on_looked_up, one);
    loop_run(&doctor->loop);
    deadline_stop(&one->deadline);
    deadline_queue_close(one->patience);
    if (!one->has_looked_up) {
        resolve_cancel(ticket);
        snprintf(one->text, sizeof(one->text), "no answer within %lld s: temporary failure",
                 (long long)(patience[DIAGNOSIS_DNS] / 1000));
    }
    if (one->address_count == 0) {
        doctor_report_fail(&doctor->report, DOCTOR_FAILED, diagnosis_find(&facts), one->text);
        return false;
    }
    list_addresses(one, one->text, sizeof(one->text));
    doctor_report_pass(&doctor->report, one->text);
    return true;
}

/* ---- a probe ---- */

static void on_passed(void *owner, enum diagnosis_step step, const char *detail)
{
    struct examination *one = owner;
    one->reached = step;
    if (one->is_silent)
        return;
    doctor_report_pass(&one->doctor->report, detail);
    if (step == DIAGNOSIS_LOGIN)
        return;
    bool has_login = step < DIAGNOSIS_CAPABILITIES || one->account->is_held ||
                     secret_is_set(&one->account->token);
    begin(one, (enum diagnosis_step)(step + 1));
    if (!has_login)
        doctor_report_skip(&one->doctor->report, one->account->absence);
}

static void format_date(int64_t seconds, char *out, size_t capacity)
{
    struct tm parts;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts) == NULL || strftime(out, capacity, "%Y-%m-%d %H:%M", &parts) == 0)
        snprintf(out, capacity, "?");
}

/* What a certificate that was refused says of itself, for the step TLS. */
static void describe_certificate(const struct tls_presented *presented, char *out, size_t capacity)
{
    char from[40], until[40], now[40];
    format_date(presented->not_before, from, sizeof(from));
    format_date(presented->not_after, until, sizeof(until));
    format_date(clock_wall_seconds(), now, sizeof(now));
    snprintf(out, capacity, " (the certificate is for %s, from %s until %s; it is %s UTC here)",
             presented->names[0] == '\0' ? "no name" : presented->names, from, until, now);
}

static void on_over(void *owner, const struct probe_end *end)
{
    struct examination *one = owner;
    one->has_failed = end->has_failed;
    if (end->has_failed)
        one->reached = end->step;
    one->why = end->why;
    one->has_certificate = end->presented->not_after != 0;
    snprintf(one->said, sizeof(one->said), "%s", end->text);
    one->about[0] = '\0';
    if (end->step == DIAGNOSIS_TLS && one->has_certificate)
        describe_certificate(end->presented, one->about, sizeof(one->about));
    if (end->step == DIAGNOSIS_LOGIN)
        sasl_error_describe(end->challenge, one->about, sizeof(one->about));
    uv_stop(&one->doctor->loop.uv);
}

static void probe(struct examination *one, enum tls_mode tls, const struct secret *token)
{
    static const struct probe_ops ops = {on_passed, on_over};
    struct doctor *doctor = one->doctor;
    char *mechanisms = words_join(&one->account->options->provider_row->mechanisms);
    struct probe_settings settings = {.protocol = one->protocol,
                                      .tls = tls,
                                      .host = one->endpoint->host,
                                      .port = one->endpoint->port,
                                      .addresses = one->addresses,
                                      .address_count = one->address_count,
                                      .authorities = one->authorities,
                                      .sasl = doctor->sasl,
                                      .mechanisms = mechanisms,
                                      .user = one->names.user,
                                      .token = token,
                                      .is_password = one->account->options->flow == FLOW_NONE};
    memcpy(settings.patience, patience, sizeof(patience));
    probe_start(&doctor->loop, &settings, &ops, one);
    loop_run(&doctor->loop);
    mem_free(mechanisms);
}

/* ---- a login by the daemon ---- */

/* It names the host, as one of several. */
static const char *without_host(const struct examination *one, const char *text)
{
    size_t size = strlen(one->endpoint->host);
    bool is_named = strncmp(text, one->endpoint->host, size) == 0 && text[size] == ':';
    return is_named ? text + size + strspn(text + size, ": ") : text;
}

static void take_trial(struct examination *one, const json_t *answer)
{
    const char *text = without_host(one, ask_text(answer, "text"));
    bool has_answer = ask_status(answer) == 0;
    one->has_failed = !has_answer || strcmp(ask_text(answer, "verdict"), "yes") != 0;
    one->reached = DIAGNOSIS_LOGIN;
    one->why = WHY_INTERNAL;
    snprintf(one->said, sizeof(one->said), "%s", has_answer ? text : ask_text(answer, "error"));
    if (!one->has_failed)
        doctor_report_pass(&one->doctor->report, text);
    else if (why_find(ask_text(answer, "why"), &one->why) != 0)
        one->why = WHY_INTERNAL;
}

static void log_in_by_daemon(struct examination *one)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", one->account->options->name);
    ask_add(request, "protocol", protocol_name(one->protocol));
    if (ask_try(one->doctor->conversation, "try", request, DAEMON_MILLISECONDS, &answer) == 0)
        take_trial(one, answer);
    else
        doctor_report_skip(&one->doctor->report, "the daemon does not answer");
    json_decref(answer);
}

/* ---- causes ---- */

/* Nothing that is said in plaintext, or by whoever has no good certificate, goes further than into
 * this yes or no. */
static enum diagnosis_clue look_again(struct examination *one)
{
    bool was_tls = one->endpoint->tls == TLS_MODE_ON;
    struct examination second = *one;
    second.is_silent = true;
    if (was_tls && strstr(one->said, "did not answer with TLS") == NULL)
        return DIAGNOSIS_CLUE_NONE;
    probe(&second, was_tls ? TLS_MODE_STARTTLS : TLS_MODE_ON, NULL);
    bool has_greeted = !second.has_failed || second.reached > DIAGNOSIS_TLS ||
                       (second.reached == DIAGNOSIS_TLS && second.why == WHY_UPSTREAM_TLS);
    if (was_tls && has_greeted)
        return DIAGNOSIS_CLUE_PLAINTEXT;
    return !was_tls && second.has_certificate ? DIAGNOSIS_CLUE_TLS : DIAGNOSIS_CLUE_NONE;
}

static enum diagnosis_clue find_clue(struct examination *one)
{
    char words[TEXT_MAX];
    bool is_about_time =
        strstr(one->said, "not yet valid") != NULL || strstr(one->said, "has expired") != NULL;
    if (one->reached == DIAGNOSIS_TLS && is_about_time && one->account->clock_off != 0)
        return DIAGNOSIS_CLUE_CLOCK;
    if (one->reached == DIAGNOSIS_TLS && !one->has_certificate)
        return look_again(one);
    if (one->reached == DIAGNOSIS_LOGIN)
        return doctor_look_at_token(one->account, one->protocol, words, sizeof(words));
    return DIAGNOSIS_CLUE_NONE;
}

static void report_failure(struct examination *one)
{
    const struct diagnosis_facts facts = {.step = one->reached,
                                          .why = one->why,
                                          .protocol = one->protocol,
                                          .tls = one->endpoint->tls,
                                          .clue = find_clue(one),
                                          .has_password = one->account->options->flow == FLOW_NONE,
                                          .words = one->said};
    char said[2 * TEXT_MAX];
    snprintf(said, sizeof(said), "%s%s", one->said, one->about);
    doctor_report_fail(&one->doctor->report, DOCTOR_FAILED, diagnosis_find(&facts), said);
}

/* ---- the whole ---- */

static bool open_authorities(struct examination *one, struct err *err)
{
    const char *own = one->account->options->provider_row->ca_file;
    struct buf bundle;
    buf_init(&bundle, BUNDLE_MAX);
    int status =
        whole_file_read(*own != '\0' ? own : one->doctor->config->ca_file, false, &bundle, err);
    if (status == 0)
        status = tls_authorities_new(buf_bytes(&bundle), &one->authorities, err);
    buf_fini(&bundle);
    return status == 0;
}

static void examine(struct examination *one)
{
    const struct secret *token = &one->account->token;
    bool has_token = secret_is_set(token);
    begin(one, DIAGNOSIS_TCP);
    probe(one, one->endpoint->tls, has_token ? token : NULL);
    bool is_refused = one->has_failed && one->why == WHY_TOKEN_REJECTED;
    if (is_refused && doctor_renew_token(one->doctor, one->account)) {
        one->is_silent = true;
        probe(one, one->endpoint->tls, token);
        if (!one->has_failed)
            doctor_report_pass(&one->doctor->report, "with a new token; the old one was refused");
    }
    if (!one->has_failed && one->account->is_held)
        log_in_by_daemon(one);
    if (one->has_failed)
        report_failure(one);
}

void doctor_try_server(struct doctor *doctor, struct doctor_account *account,
                       enum protocol protocol)
{
    const struct account_config *options = account->options;
    struct examination one = {.doctor = doctor,
                              .account = account,
                              .protocol = protocol,
                              .endpoint = &options->provider_row->endpoints[protocol]};
    struct err err;
    bool is_six = strchr(one.endpoint->host, ':') != NULL;
    snprintf(one.host, sizeof(one.host), is_six ? "[%s]" : "%s", one.endpoint->host);
    one.names = (struct diagnosis_names){.account = options->name,
                                         .provider = options->provider,
                                         .protocol = protocol_name(protocol),
                                         .host = one.host,
                                         .user = account_upstream_user(options, protocol),
                                         .port = one.endpoint->port};
    if (doctor_is_over(doctor, &one.names, DIAGNOSIS_DNS, announcements[DIAGNOSIS_DNS]))
        return;
    if (!open_authorities(&one, &err)) {
        const struct diagnosis_facts facts = {.step = DIAGNOSIS_CONFIGURATION};
        doctor_report_begin(&doctor->report, &one.names, DIAGNOSIS_CONFIGURATION, "ca_file");
        doctor_report_fail(&doctor->report, DOCTOR_FAILED, diagnosis_find(&facts), err.text);
        return;
    }
    if (look_up(&one))
        examine(&one);
    tls_authorities_free(one.authorities);
}
