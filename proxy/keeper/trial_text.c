/*
 * What the keeper and a trial's process say to each other. The process has listened to servers, and
 * may have been taken over by one: its text is made printable, and its verdict is one of three.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "keeper/command_text.h"
#include "keeper/endpoint.h"
#include "keeper/trial.h"

static const enum protocol order[] = {PROTOCOL_IMAP, PROTOCOL_SMTP, PROTOCOL_POP3};

static const char *const words[] = {
    [TRIAL_YES] = "yes", [TRIAL_NO] = "no", [TRIAL_UNKNOWN] = "unknown"};

const char *trial_verdict_word(enum trial_verdict verdict)
{
    return words[verdict];
}

static json_t *list_servers(const struct account_config *account, enum protocol only)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < LENGTH_OF(order); i++) {
        const struct endpoint *endpoint = &account->provider_row->endpoints[order[i]];
        if (!endpoint->is_set || (only != PROTOCOL_COUNT && only != order[i]))
            continue;
        json_t *server = json_pack("{s:s, s:b, s:s, s:i, s:o}", "protocol", protocol_name(order[i]),
                                   "starttls", endpoint->tls == TLS_MODE_STARTTLS, "host",
                                   endpoint->host, "port", (int)endpoint->port, "user",
                                   command_text_string(account_upstream_user(account, order[i])));
        ENSURE(server != NULL && json_array_append_new(servers, server) == 0);
    }
    return servers;
}

int trial_write_request(const struct config *config, const struct account_config *account,
                        enum protocol only, const struct secret *token, struct secret *request_out)
{
    struct slice bytes = secret_bytes(token);
    json_t *secret = json_stringn((const char *)bytes.data, bytes.size);
    if (secret == NULL)
        return ERR_SYNTAX;
    char *mechanisms = words_join(&account->provider_row->mechanisms);
    json_t *request =
        json_pack("{s:o, s:s, s:o, s:o, s:b}", "servers", list_servers(account, only), "mechanisms",
                  mechanisms, "ca_file", command_text_string(endpoint_ca_file(config, account)),
                  "token", secret, "is_password", account->flow == FLOW_NONE);
    ENSURE(request != NULL);
    command_text_write(request, request_out);
    json_decref(request);
    mem_free(mechanisms);
    return 0;
}

static bool find_verdict(struct slice word, enum trial_verdict *verdict_out)
{
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is(word, words[i])) {
            *verdict_out = (enum trial_verdict)i;
            return true;
        }
    return false;
}

static bool find_why(struct slice word, enum why *why_out)
{
    char name[32];
    snprintf(name, sizeof(name), "%.*s", SLICE_PRINT(word));
    return why_find(name, why_out) == 0;
}

void trial_read_answer(struct slice line, struct trial_answer *answer_out)
{
    struct slice rest = slice_take(line, slice_find(line, '\n')), word;
    bool is_whole = rest.size < line.size;
    if (is_whole && slice_next_word(&rest, ' ', &word) &&
        find_verdict(word, &answer_out->verdict) && slice_next_word(&rest, ' ', &word) &&
        find_why(word, &answer_out->why)) {
        slice_escape(rest, answer_out->text, sizeof(answer_out->text));
        return;
    }
    *answer_out = (struct trial_answer){.verdict = TRIAL_UNKNOWN, .why = WHY_INTERNAL};
    snprintf(answer_out->text, sizeof(answer_out->text),
             "the login could not be tried on this machine");
}
