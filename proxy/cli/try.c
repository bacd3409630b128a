/*
 * The process of a trial (keeper/trial.h): it holds one access token, or password, and listens to
 * servers.
 *
 * Happy path: the request is read to its end, and what needs files is done: the names are looked
 * up, which may block here, the authorities and SASL plug-ins read. Then it confines itself as a
 * gate does, and a probe logs in at one server after the other. The first that lets it in ends it,
 * and so does the last.
 *
 * Failures: by hand, or from something that is no request: 64. What cannot be opened here, a name
 * that is not found, a server that does not answer or cannot be trusted: unknown. Only a server
 * that was asked and refuses the token says no.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/print.h"
#include "cli/secret_input.h"
#include "cli/subcommand.h"
#include "gate/probe.h"
#include "keeper/command_text.h"
#include "keeper/trial.h"
#include "keeper/whole_file.h"
#include "net/confine.h"
#include "net/resolve.h"
#include "net/tls.h"

#define BUNDLE_MAX (4ul * 1024 * 1024)

struct server {
    const json_t *options;
    enum protocol protocol;
    struct dial_address addresses[RESOLVE_ADDRESSES_MAX];
    size_t address_count; /* 0: why not is in the answer */
    struct trial_answer answer;
};

struct attempt {
    struct loop loop;
    struct sasl_initiator_library *sasl;
    struct tls_authorities *authorities;
    const char *mechanisms;
    struct secret token; /* or password */
    bool is_password;
    struct server servers[PROTOCOL_COUNT];
    size_t count;
    struct server *asked;
};

static const int64_t patience[DIAGNOSIS_STEP_COUNT] = {[DIAGNOSIS_TCP] = 10000,
                                                       [DIAGNOSIS_TLS] = 10000,
                                                       [DIAGNOSIS_CAPABILITIES] = 10000,
                                                       [DIAGNOSIS_LOGIN] = 20000};

/* ---- while files can be opened ---- */

static bool take_address(const struct addrinfo *found, struct dial_address *address_out)
{
    *address_out = (struct dial_address){.family = found->ai_family == AF_INET6 ? 6 : 4};
    if (found->ai_family == AF_INET6)
        memcpy(address_out->bytes,
               &((const struct sockaddr_in6 *)(const void *)found->ai_addr)->sin6_addr, 16);
    else if (found->ai_family == AF_INET)
        memcpy(address_out->bytes,
               &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr, 4);
    return found->ai_family == AF_INET6 || found->ai_family == AF_INET;
}

static void look_up(struct server *server)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(ask_text(server->options, "host"), NULL, &hints, &list);
    for (const struct addrinfo *found = list;
         found != NULL && server->address_count < RESOLVE_ADDRESSES_MAX; found = found->ai_next)
        if (take_address(found, &server->addresses[server->address_count]))
            server->address_count++;
    if (server->address_count == 0)
        snprintf(server->answer.text, sizeof(server->answer.text), "%s",
                 status == 0 ? "it has no address" : gai_strerror(status));
    if (list != NULL)
        freeaddrinfo(list);
}

static void take_servers(struct attempt *attempt, const json_t *servers)
{
    for (size_t i = 0; i < json_array_size(servers) && attempt->count < PROTOCOL_COUNT; i++) {
        struct server *server = &attempt->servers[attempt->count];
        server->options = json_array_get(servers, i);
        server->answer.verdict = TRIAL_UNKNOWN;
        server->answer.why = WHY_UNREACHABLE;
        if (protocol_find(ask_text(server->options, "protocol"), &server->protocol) != 0)
            continue;
        look_up(server);
        attempt->count++;
    }
}

static int open_authorities(struct attempt *attempt, const char *ca_file, struct err *err)
{
    struct buf bundle;
    buf_init(&bundle, BUNDLE_MAX);
    int status = whole_file_read(ca_file, false, &bundle, err);
    if (status == 0)
        status = tls_authorities_new(buf_bytes(&bundle), &attempt->authorities, err);
    buf_fini(&bundle);
    return status;
}

static int confine_to_servers(const struct attempt *attempt, struct err *err)
{
    static const struct confine_place places[] = {{"/dev/urandom", CONFINE_READ}};
    uint16_t ports[PROTOCOL_COUNT];
    struct confine_result result;
    for (size_t i = 0; i < attempt->count; i++)
        ports[i] = (uint16_t)ask_number(attempt->servers[i].options, "port");
    const struct confinement confinement = {.role = CONFINE_GATE,
                                            .places = places,
                                            .place_count = LENGTH_OF(places),
                                            .ports = ports,
                                            .port_count = attempt->count};
    return confine(&confinement, &result, err);
}

/* ---- one server ---- */

static void on_passed(void *owner, enum diagnosis_step step, const char *detail)
{
    struct attempt *attempt = owner;
    struct trial_answer *answer = &attempt->asked->answer;
    if (step == DIAGNOSIS_LOGIN)
        snprintf(answer->text, sizeof(answer->text), "%s", detail);
}

static void on_over(void *owner, const struct probe_end *end)
{
    struct attempt *attempt = owner;
    /* Some take a login with any token of theirs, and refuse what follows. */
    bool is_refused = end->step == DIAGNOSIS_LOGIN &&
                      (end->why == WHY_TOKEN_REJECTED || end->why == WHY_UPSTREAM_PROTOCOL);
    struct trial_answer *answer = &attempt->asked->answer;
    answer->verdict = !end->has_failed ? TRIAL_YES : is_refused ? TRIAL_NO : TRIAL_UNKNOWN;
    answer->why = end->has_failed ? end->why : WHY_NONE;
    if (end->has_failed)
        snprintf(answer->text, sizeof(answer->text), "%s", end->text);
    uv_stop(&attempt->loop.uv);
}

static void ask_server(struct attempt *attempt, struct server *server)
{
    static const struct probe_ops ops = {on_passed, on_over};
    const json_t *options = server->options;
    struct probe_settings settings = {
        .protocol = server->protocol,
        .tls = json_is_true(json_object_get(options, "starttls")) ? TLS_MODE_STARTTLS : TLS_MODE_ON,
        .host = ask_text(options, "host"),
        .port = (uint16_t)ask_number(options, "port"),
        .addresses = server->addresses,
        .address_count = server->address_count,
        .authorities = attempt->authorities,
        .sasl = attempt->sasl,
        .mechanisms = attempt->mechanisms,
        .user = ask_text(options, "user"),
        .token = &attempt->token,
        .is_password = attempt->is_password,
    };
    memcpy(settings.patience, patience, sizeof(patience));
    attempt->asked = server;
    probe_start(&attempt->loop, &settings, &ops, attempt);
    loop_run(&attempt->loop);
}

/* ---- all of them ---- */

static bool is_stronger(enum trial_verdict verdict, enum trial_verdict than)
{
    return verdict == TRIAL_YES || (verdict == TRIAL_NO && than == TRIAL_UNKNOWN);
}

/* Past stdio, which would look at the descriptor first. */
static int give_answer(enum trial_verdict verdict, enum why why, const char *text)
{
    char line[TRIAL_TEXT_MAX + 64];
    snprintf(line, sizeof(line), "%s %s %s", trial_verdict_word(verdict), why_name(why), text);
    return print_secret(slice_of_string(line)) ? EX_OK : EX_IOERR;
}

static int ask_servers(struct attempt *attempt)
{
    struct trial_answer best = {.verdict = TRIAL_UNKNOWN, .why = WHY_INTERNAL};
    for (size_t i = 0; i < attempt->count && best.verdict != TRIAL_YES; i++) {
        struct server *server = &attempt->servers[i];
        if (server->address_count > 0)
            ask_server(attempt, server);
        if (i > 0 && !is_stronger(server->answer.verdict, best.verdict))
            continue;
        best = server->answer;
        snprintf(best.text, sizeof(best.text), "%s%s%s", ask_text(server->options, "host"),
                 server->answer.text[0] == '\0' ? "" : ": ", server->answer.text);
    }
    return give_answer(best.verdict, best.why, best.text);
}

static int open_and_ask(struct attempt *attempt, const json_t *request)
{
    struct err err;
    take_servers(attempt, json_object_get(request, "servers"));
    int status = open_authorities(attempt, ask_text(request, "ca_file"), &err);
    if (status == 0)
        status = sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &attempt->sasl, &err);
    if (status == 0)
        status = confine_to_servers(attempt, &err);
    int exit_code =
        status == 0 ? ask_servers(attempt) : give_answer(TRIAL_UNKNOWN, WHY_INTERNAL, err.text);
    if (attempt->sasl != NULL)
        sasl_initiator_library_close(attempt->sasl);
    tls_authorities_free(attempt->authorities);
    return exit_code;
}

static int try_request(const json_t *request)
{
    struct attempt attempt = {.mechanisms = ask_text(request, "mechanisms"),
                              .is_password = json_is_true(json_object_get(request, "is_password"))};
    struct err err;
    if (loop_init(&attempt.loop, &err) != 0)
        return give_answer(TRIAL_UNKNOWN, WHY_INTERNAL, err.text);
    secret_set(&attempt.token, slice_of_string(ask_text(request, "token")));
    int exit_code = open_and_ask(&attempt, request);
    secret_wipe(&attempt.token);
    loop_fini(&attempt.loop);
    return exit_code;
}

static int run(const struct arguments *arguments)
{
    struct secret text = {0};
    json_t *request = NULL;
    struct err err;
    (void)arguments;
    if (secret_input_read("the request", TRIAL_REQUEST_MAX, &text, &err) != 0)
        return print_failure(EX_USAGE, "try: %s", err.text);
    int exit_code = command_text_read(secret_bytes(&text), &request, &err) == 0
                        ? try_request(request)
                        : print_failure(EX_USAGE, "try: the request: %s", err.text);
    json_decref(request);
    secret_wipe(&text);
    return exit_code;
}

const struct subcommand subcommand_try = {
    .name = "try",
    .operands = "",
    .summary = "the process that tries a token at mail servers; started by the keeper alone",
    .is_hidden = true,
    .run = run,
};
