/*
 * Happy path: the request is made at once, from the configuration as it is; the endpoint is known
 * or asked for; the provider answers 200, as it does for a token that it does not know.
 *
 * Failures: no endpoint, a client secret that cannot be read, no answer, another answer, ten
 * seconds over. They are told, and nothing is tried again.
 */
#include "keeper/revocation.h"

#include <stdio.h>
#include <string.h>

#include "auth/oauth.h"
#include "keeper/endpoint.h"
#include "keeper/token_request.h"

#define TEXT_MAX 480

struct revocation {
    struct fetcher *fetcher;
    struct secret body, authorization;
    char *ca_file;
    struct discovery_ticket *lookup;
    struct fetch *fetch;
    struct deadline_queue *patience;
    struct deadline deadline;
    struct deferral failed; /* before anything was asked */
    int status;
    char text[TEXT_MAX];
    void (*on_done)(void *owner, int status, const char *text);
    void *owner;
};

void revocation_cancel(struct revocation *revocation)
{
    if (revocation->lookup != NULL)
        discovery_cancel(revocation->lookup);
    if (revocation->fetch != NULL)
        fetch_cancel(revocation->fetch);
    deferral_cancel(&revocation->failed);
    deadline_stop(&revocation->deadline);
    deadline_queue_close(revocation->patience);
    secret_wipe(&revocation->body);
    secret_wipe(&revocation->authorization);
    mem_free(revocation->ca_file);
    mem_free(revocation);
}

static void finish(struct revocation *revocation, int status, const char *text)
{
    void (*on_done)(void *, int, const char *) = revocation->on_done;
    void *owner = revocation->owner;
    char copy[TEXT_MAX];
    slice_escape(slice_of_string(text), copy, sizeof(copy));
    revocation_cancel(revocation);
    on_done(owner, status, copy);
}

/* An error that the standard does not know may quote anything. */
static void finish_refused(struct revocation *revocation, const struct fetch_answer *answer)
{
    struct oauth_answer read = {0};
    char text[TEXT_MAX];
    oauth_read_answer(answer->status, answer->body, &read);
    bool is_known = read.outcome == OAUTH_MISTAKEN || read.outcome == OAUTH_SIGNED_OUT;
    snprintf(text, sizeof(text), "HTTP %d%s%s", answer->status, is_known ? " " : "",
             is_known ? read.error : "");
    oauth_answer_clear(&read);
    finish(revocation, ERR_DENIED, text);
}

static void on_fetched(void *owner, const struct fetch_answer *answer)
{
    struct revocation *revocation = owner;
    revocation->fetch = NULL;
    if (answer->status == 0)
        finish(revocation, ERR_UNAVAILABLE, answer->text);
    else if (answer->status == 200 || answer->status == 204)
        finish(revocation, 0, "");
    else
        finish_refused(revocation, answer);
}

static void post(struct revocation *revocation, const char *url)
{
    const struct fetch_request request = {.url = url,
                                          .ca_file = revocation->ca_file,
                                          .body = &revocation->body,
                                          .authorization = &revocation->authorization,
                                          .timeout_seconds = REVOCATION_SECONDS};
    revocation->fetch = fetch_start(revocation->fetcher, &request, on_fetched, revocation);
}

static void on_discovered(void *owner, int status, const struct oauth_metadata *metadata,
                          const char *text)
{
    struct revocation *revocation = owner;
    revocation->lookup = NULL;
    if (status != 0)
        finish(revocation, status, text);
    else if (metadata->endpoints[OAUTH_REVOCATION_ENDPOINT] == NULL)
        finish(revocation, ERR_NOT_FOUND, "it offers no revocation");
    else
        post(revocation, metadata->endpoints[OAUTH_REVOCATION_ENDPOINT]);
}

static void on_expired(struct deadline *deadline)
{
    finish(CONTAINER_OF(deadline, struct revocation, deadline), ERR_TIMEOUT, "no answer in time");
}

static void on_failed(struct deferral *deferral)
{
    struct revocation *revocation = CONTAINER_OF(deferral, struct revocation, failed);
    char text[TEXT_MAX];
    memcpy(text, revocation->text, sizeof(text));
    finish(revocation, revocation->status, text);
}

static void begin(struct revocation *revocation, const struct revocation_parts *parts,
                  const struct account_config *account, const struct secret *refresh_token)
{
    struct err err = {0};
    char *url = endpoint_url(account, NULL, OAUTH_REVOCATION_ENDPOINT);
    const struct oauth_metadata *metadata =
        discovery_known(parts->discovery, parts->config, account);
    int status = 0;
    if (url == NULL && !endpoint_needs_discovery(account, OAUTH_REVOCATION_ENDPOINT))
        status = err_set(&err, ERR_NOT_FOUND, "provider %s has no revocation_endpoint",
                         account->provider);
    if (status == 0)
        status = token_request_make_revocation(account, metadata, parts->vault, parts->inputs,
                                               refresh_token, &revocation->body,
                                               &revocation->authorization, &err);
    if (status != 0) {
        revocation->status = status;
        snprintf(revocation->text, sizeof(revocation->text), "%s", err.text);
        loop_defer(parts->loop, &revocation->failed);
    } else if (url != NULL) {
        post(revocation, url);
    } else {
        revocation->lookup =
            discovery_ask(parts->discovery, parts->config, account, on_discovered, revocation);
    }
    mem_free(url);
}

struct revocation *revocation_start(const struct revocation_parts *parts,
                                    const struct account_config *account,
                                    const struct secret *refresh_token,
                                    void (*on_done)(void *owner, int status, const char *text),
                                    void *owner)
{
    struct revocation *revocation = mem_new(sizeof(*revocation));
    revocation->fetcher = parts->fetcher;
    revocation->ca_file = mem_copy_string(endpoint_ca_file(parts->config, account));
    revocation->on_done = on_done;
    revocation->owner = owner;
    deferral_init(&revocation->failed, on_failed);
    deadline_init(&revocation->deadline, on_expired);
    revocation->patience = deadline_queue_new(parts->loop, REVOCATION_SECONDS * 1000);
    deadline_start(revocation->patience, &revocation->deadline);
    begin(revocation, parts, account, refresh_token);
    return revocation;
}
