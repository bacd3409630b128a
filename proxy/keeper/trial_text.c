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

static json_t *list_servers(const struct account_config *account)
{
    json_t *servers = json_array();
    for (size_t i = 0; i < LENGTH_OF(order); i++) {
        const struct endpoint *endpoint = &account->provider_row->endpoints[order[i]];
        if (!endpoint->is_set)
            continue;
        json_t *server = json_pack("{s:s, s:b, s:s, s:i, s:o}", "protocol", protocol_name(order[i]),
                                   "starttls", endpoint->tls == TLS_MODE_STARTTLS, "host",
                                   endpoint->host, "port", (int)endpoint->port, "user",
                                   command_text_string(account_upstream_user(account, order[i])));
        ENSURE(server != NULL && json_array_append_new(servers, server) == 0);
    }
    return servers;
}

void trial_write_request(const struct config *config, const struct account_config *account,
                         const struct secret *token, struct secret *request_out)
{
    struct slice bytes = secret_bytes(token);
    char *mechanisms = words_join(&account->provider_row->mechanisms);
    json_t *request =
        json_pack("{s:o, s:s, s:o, s:s%}", "servers", list_servers(account), "mechanisms",
                  mechanisms, "ca_file", command_text_string(endpoint_ca_file(config, account)),
                  "token", (const char *)bytes.data, bytes.size);
    ENSURE(request != NULL);
    command_text_write(request, request_out);
    json_decref(request);
    mem_free(mechanisms);
}

enum trial_verdict trial_read_answer(struct slice answer, char text_out[TRIAL_TEXT_MAX])
{
    struct slice rest = slice_take(answer, slice_find(answer, '\n')), word = SLICE_NONE;
    bool is_whole = rest.size < answer.size && slice_next_word(&rest, ' ', &word);
    for (size_t i = 0; is_whole && i < LENGTH_OF(words); i++)
        if (slice_is(word, words[i])) {
            slice_escape(rest, text_out, TRIAL_TEXT_MAX);
            return (enum trial_verdict)i;
        }
    snprintf(text_out, TRIAL_TEXT_MAX, "the login could not be tried on this machine");
    return TRIAL_UNKNOWN;
}
