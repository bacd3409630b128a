/*
 * The first round: what an account has in the configuration, whether its token endpoint answers and
 * what time it is there, and whether the keeper has a token.
 *
 * The endpoint is asked by a GET without anything in it, which every server answers somehow: any
 * answer will do. So an outage is told from a refusal, and a clock that is off is seen before it
 * looks like something else.
 */
#include <stdio.h>
#include <sysexits.h>

#include "auth/token_look.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "cli/print.h"
#include "conf/table.h"
#include "keeper/endpoint.h"

#define ENDPOINT_SECONDS 15
#define TEXT_MAX         480

bool doctor_is_over(struct doctor *doctor, const struct diagnosis_names *names,
                    enum diagnosis_step step, const char *what)
{
    if (clock_steady_milliseconds() < doctor->deadline)
        return false;
    doctor_report_begin(&doctor->report, names, step, what);
    doctor_report_skip(&doctor->report, "the time for all of it is over");
    return true;
}

static struct diagnosis_names names_of(const struct doctor_account *account)
{
    const struct account_config *options = account->options;
    return (struct diagnosis_names){.account = options->name,
                                    .provider = options->provider,
                                    .protocol = "",
                                    .host = "",
                                    .user =
                                        *options->user != '\0' ? options->user : options->address};
}

/* ---- the configuration ---- */

static void try_configuration(struct doctor *doctor, const struct doctor_account *account)
{
    const struct account_config *options = account->options;
    const struct diagnosis_names names = names_of(account);
    char text[TEXT_MAX];
    int used =
        snprintf(text, sizeof(text), "provider %s, flow %s", options->provider,
                 option_word(option_table(SECTION_ACCOUNT), "flow", (unsigned)options->flow));
    bool has_server = false;
    doctor_report_begin(&doctor->report, &names, DIAGNOSIS_CONFIGURATION, "configuration");
    for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
        if (!options->provider_row->endpoints[protocol].is_set)
            continue;
        has_server = true;
        used += snprintf(text + used, sizeof(text) - (size_t)used, ", %s",
                         protocol_name((enum protocol)protocol));
    }
    const struct diagnosis_facts facts = {.step = DIAGNOSIS_CONFIGURATION};
    if (has_server)
        doctor_report_pass(&doctor->report, text);
    else
        doctor_report_fail(&doctor->report, DOCTOR_FAILED, diagnosis_find(&facts),
                           "the provider has no server");
}

/* ---- the token endpoint ---- */

struct visitor {
    struct loop *loop;
    int status;
    int64_t date;
    char text[TEXT_MAX];
};

static void on_endpoint(void *owner, const struct fetch_answer *answer)
{
    struct visitor *visitor = owner;
    visitor->status = answer->status;
    visitor->date = answer->date;
    snprintf(visitor->text, sizeof(visitor->text), "%s", answer->status == 0 ? answer->text : "");
    uv_stop(&visitor->loop->uv);
}

/* For mem_free; NULL: this flow has none. Where only the issuer knows the endpoint, the issuer. */
static char *endpoint_of(const struct account_config *account)
{
    if (account->flow == FLOW_NONE || account->flow == FLOW_COMMAND)
        return NULL;
    char *url = endpoint_url(account, NULL, OAUTH_TOKEN_ENDPOINT);
    return url != NULL ? url : endpoint_issuer_url(account);
}

static void judge_endpoint(struct doctor *doctor, struct doctor_account *account,
                           const struct visitor *visitor)
{
    struct diagnosis_facts facts = {.step = DIAGNOSIS_ENDPOINT, .words = visitor->text};
    char text[TEXT_MAX];
    if (visitor->status == 0) {
        doctor_report_fail(&doctor->report, DOCTOR_FAILED, diagnosis_find(&facts), visitor->text);
        return;
    }
    int64_t off = visitor->date == 0 ? 0 : clock_wall_seconds() - visitor->date;
    if (off >= DOCTOR_CLOCK_OFF_SECONDS || off <= -DOCTOR_CLOCK_OFF_SECONDS) {
        account->clock_off = off;
        facts.clue = DIAGNOSIS_CLUE_CLOCK;
        snprintf(text, sizeof(text), "it is %lld s %s that of the token endpoint",
                 (long long)(off > 0 ? off : -off), off > 0 ? "ahead of" : "behind");
        doctor_report_fail(&doctor->report, DOCTOR_WARNING, diagnosis_find(&facts), text);
        return;
    }
    snprintf(text, sizeof(text), "it answers, HTTP %d%s", visitor->status,
             visitor->date == 0 ? "" : ", and has our time");
    doctor_report_pass(&doctor->report, text);
}

static void try_endpoint(struct doctor *doctor, struct doctor_account *account)
{
    struct diagnosis_names names = names_of(account);
    char *url = endpoint_of(account->options);
    if (url == NULL)
        return;
    names.host = url;
    if (!doctor_is_over(doctor, &names, DIAGNOSIS_ENDPOINT, "token endpoint {host}")) {
        struct visitor visitor = {.loop = &doctor->loop};
        doctor_report_begin(&doctor->report, &names, DIAGNOSIS_ENDPOINT, "token endpoint {host}");
        fetch_start(
            doctor->fetcher,
            &(struct fetch_request){.url = url,
                                    .ca_file = endpoint_ca_file(doctor->config, account->options),
                                    .timeout_seconds = ENDPOINT_SECONDS},
            on_endpoint, &visitor);
        loop_run(&doctor->loop);
        judge_endpoint(doctor, account, &visitor);
    }
    mem_free(url);
}

/* ---- the token ---- */

static const char *wanted_scope(const struct account_config *account, enum protocol protocol)
{
    const struct provider_config *provider = account->provider_row;
    const char *const scopes[PROTOCOL_COUNT] = {[PROTOCOL_IMAP] = provider->scope_imap,
                                                [PROTOCOL_POP3] = provider->scope_pop3,
                                                [PROTOCOL_SMTP] = provider->scope_smtp};
    return *account->scope != '\0' ? "" : scopes[protocol];
}

enum diagnosis_clue doctor_look_at_token(const struct doctor_account *account,
                                         enum protocol protocol, char *words_out, size_t capacity)
{
    static const enum diagnosis_clue clues[] = {[TOKEN_FLAW_NONE] = DIAGNOSIS_CLUE_NONE,
                                                [TOKEN_FLAW_RESOURCE] = DIAGNOSIS_CLUE_RESOURCE,
                                                [TOKEN_FLAW_SCOPE] = DIAGNOSIS_CLUE_SCOPE,
                                                [TOKEN_FLAW_USER] = DIAGNOSIS_CLUE_USER};
    const struct token_question question = {.token = secret_bytes(&account->token),
                                            .granted = account->scope == NULL ? "" : account->scope,
                                            .wanted = wanted_scope(account->options, protocol),
                                            .user =
                                                account_upstream_user(account->options, protocol)};
    char words[TOKEN_LOOK_TEXT] = "";
    enum token_flaw flaw = TOKEN_FLAW_NONE;
    if (secret_is_set(&account->token) && account->options->flow != FLOW_NONE)
        flaw = token_look(&question, words);
    snprintf(words_out, capacity, "%s", words);
    return clues[flaw];
}

/* True when something was said of it, once for all protocols. */
static bool warn_about_token(struct doctor *doctor, const struct doctor_account *account)
{
    char words[TOKEN_LOOK_TEXT];
    struct diagnosis_facts facts = {.step = DIAGNOSIS_TOKEN};
    for (int i = 0; i < PROTOCOL_COUNT && facts.clue == DIAGNOSIS_CLUE_NONE; i++) {
        facts.protocol = (enum protocol)i;
        if (!account->options->provider_row->endpoints[i].is_set)
            continue;
        facts.clue = doctor_look_at_token(account, facts.protocol, words, sizeof(words));
        doctor->report.names.protocol = protocol_name(facts.protocol);
        doctor->report.names.user = account_upstream_user(account->options, facts.protocol);
    }
    if (facts.clue == DIAGNOSIS_CLUE_NONE)
        return false;
    doctor_report_fail(&doctor->report, DOCTOR_WARNING, diagnosis_find(&facts), words);
    return true;
}

static enum why why_of(int status)
{
    return status == EX_NOPERM     ? WHY_TOKEN_NEEDS_USER
           : status == EX_TEMPFAIL ? WHY_UNREACHABLE
                                   : WHY_INTERNAL;
}

static void keep_token(struct doctor_account *account, json_t *answer)
{
    json_t *token = json_object_get(answer, "token");
    secret_wipe(&account->token);
    secret_set(&account->token, slice_of(json_string_value(token), json_string_length(token)));
    account->generation = (uint64_t)ask_number(answer, "generation");
    mem_free(account->scope);
    account->scope = mem_copy_string(ask_text(answer, "scope"));
    /* What is left of the JSON is wiped when it is freed. */
}

static void take_answer(struct doctor *doctor, struct doctor_account *account, json_t *answer)
{
    int status = ask_status(answer);
    struct diagnosis_facts facts = {.step = DIAGNOSIS_TOKEN,
                                    .why = why_of(status),
                                    .has_password = account->options->flow == FLOW_NONE,
                                    .words = ask_text(answer, "error")};
    char text[TEXT_MAX], until[PRINT_TIME_CAPACITY];
    account->is_held = status == EX_OK && json_is_true(json_object_get(answer, "held"));
    if (account->is_held) {
        doctor_report_pass(&doctor->report, "");
        return;
    }
    if (status == EX_OK) {
        keep_token(account, answer);
        snprintf(text, sizeof(text), "valid until %s",
                 print_time(ask_number(answer, "expires"), until));
        if (!warn_about_token(doctor, account))
            doctor_report_pass(&doctor->report, facts.has_password ? "" : text);
        return;
    }
    account->absence = "there is nothing to log in with";
    doctor_report_fail(&doctor->report, DOCTOR_FAILED, diagnosis_find(&facts), facts.words);
}

static int ask_for_token(struct doctor *doctor, const struct doctor_account *account,
                         json_t **answer_out)
{
    json_t *request = json_object();
    char refused[24];
    snprintf(refused, sizeof(refused), "%llu", (unsigned long long)account->generation);
    ask_add(request, "account", account->options->name);
    ask_add(request, "refused", account->generation == 0 ? NULL : refused);
    return ask_try(doctor->conversation, "credential", request, 0, answer_out);
}

static int try_token(struct doctor *doctor, struct doctor_account *account)
{
    const struct diagnosis_names names = names_of(account);
    const char *what = account->options->flow == FLOW_NONE ? "password" : "access token";
    json_t *answer = NULL;
    account->absence = "there is nothing to log in with";
    if (doctor_is_over(doctor, &names, DIAGNOSIS_TOKEN, what))
        return EX_OK;
    doctor_report_begin(&doctor->report, &names, DIAGNOSIS_TOKEN, what);
    int exit_code = ask_for_token(doctor, account, &answer);
    if (exit_code == EX_OK)
        take_answer(doctor, account, answer);
    json_decref(answer);
    return exit_code;
}

bool doctor_renew_token(struct doctor *doctor, struct doctor_account *account)
{
    json_t *answer = NULL;
    uint64_t refused = account->generation;
    if (doctor->conversation == NULL || account->options->flow == FLOW_NONE)
        return false;
    if (ask_for_token(doctor, account, &answer) == EX_OK && ask_status(answer) == EX_OK)
        keep_token(account, answer);
    json_decref(answer);
    return account->generation != refused;
}

int doctor_try_account(struct doctor *doctor, struct doctor_account *account)
{
    try_configuration(doctor, account);
    try_endpoint(doctor, account);
    return try_token(doctor, account);
}
