/*
 * Failures: no endpoint in the configuration, a client secret that cannot be read.
 */
#include "auth/oauth_reason.h"
#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"
#include "keeper/token_client.h"

int sign_in_post(struct sign_in *sign_in, const struct account_config *account,
                 const struct sign_in_request *request,
                 void (*on_answer)(void *owner, const struct fetch_answer *answer), struct err *err)
{
    struct secret body = {0}, authorization = {0};
    struct token_client client;
    const char *url = sign_in->endpoints[request->endpoint];
    const char *audience = sign_in->endpoints[OAUTH_TOKEN_ENDPOINT];
    const struct sign_ins *all = sign_in->all;
    const struct oauth_metadata *metadata =
        discovery_known(broker_discovery(all->parts.broker), all->config, account);
    int status =
        url == NULL || audience == NULL
            ? err_set(err, ERR_CONFIG, "provider %s lacks an endpoint", account->provider)
            : token_client_make(account, metadata, &sign_in->inputs, audience, &client, err);
    if (status == 0) {
        client.oauth.identifier = sign_in->client_id;
        status = oauth_token_request(&client.oauth, request->grant_type, request->fields,
                                     request->count, request->scope, &body, &authorization);
        if (status != 0)
            err_set(err, status, "the request cannot be made: %s", err_code_text(status));
        token_client_clear(&client);
    }
    if (status == 0) {
        const struct fetch_request sent = {
            .url = url,
            .ca_file = endpoint_ca_file(all->config, account),
            .body = &body,
            .authorization = &authorization,
        };
        sign_in->fetch = fetch_start(all->parts.fetcher, &sent, on_answer, sign_in);
    }
    secret_wipe(&body);
    secret_wipe(&authorization);
    return status;
}

void sign_in_end_refused(struct sign_in *sign_in, int exit_code, const char *who,
                         const struct oauth_answer *answer)
{
    const struct oauth_reason *reason = oauth_reason_find(answer);
    const char *advice = reason == NULL ? "" : reason->advice;
    char text[OAUTH_REFUSAL_MAX];
    oauth_refusal_write(answer, answer->description, text);
    sign_in_end(sign_in, exit_code, "%s: %s%s%s", who, text, *advice == '\0' ? "" : "; ", advice);
}
