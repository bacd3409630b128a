/*
 * Happy path: the issuer has said where its endpoints are; the account has a client_id, or the
 * vault has one for the issuer; else one is asked for, and kept before it is told.
 *
 * Failure modes:
 *   the issuer cannot be asked, or not believed   as discovery says
 *   no registration_endpoint                      ERR_CONFIG: client_id has to be configured
 *   no answer, 5xx                                ERR_UNAVAILABLE
 *   a refusal, a client with a secret             ERR_DENIED, with the provider's words
 *   somebody else was faster                      theirs is taken, so that all have the same
 */
#include "keeper/registration.h"

#include <stdio.h>
#include <string.h>

#include "auth/oauth_registration.h"
#include "base/clock.h"
#include "keeper/endpoint.h"

#define TIMEOUT_SECONDS 10
#define TEXT_MAX        480

struct registration {
    struct registration_parts parts;
    char *issuer;    /* what the vault knows it by */
    char *client_id; /* NULL: not yet */
    char *url;       /* of the configuration, or NULL */
    char *scope, *ca_file, *provider;
    bool is_registered;
    bool has_device; /* the provider serves devices (RFC 8628) */
    struct discovery_ticket *lookup;
    struct fetch *fetch;
    struct deferral turn; /* tells what needed no request */
    void (*on_answer)(void *owner, const struct registration_answer *answer);
    void *owner;
};

int registration_client(const struct account_config *account, struct vault *vault,
                        char **client_id_out, struct err *err)
{
    if (*account->client_id != '\0') {
        *client_id_out = mem_copy_string(account->client_id);
        return 0;
    }
    char *issuer = endpoint_issuer(account);
    int status = vault_client_load(vault, issuer, client_id_out, err);
    mem_free(issuer);
    return status;
}

int registration_forget(const struct account_config *account, struct vault *vault, struct err *err)
{
    if (*account->client_id != '\0')
        return 0;
    char *issuer = endpoint_issuer(account);
    int status = vault_client_forget(vault, issuer, err);
    mem_free(issuer);
    return status == ERR_NOT_FOUND ? 0 : status;
}

void registration_cancel(struct registration *registration)
{
    if (registration->lookup != NULL)
        discovery_cancel(registration->lookup);
    if (registration->fetch != NULL)
        fetch_cancel(registration->fetch);
    deferral_cancel(&registration->turn);
    mem_free(registration->issuer);
    mem_free(registration->client_id);
    mem_free(registration->url);
    mem_free(registration->scope);
    mem_free(registration->ca_file);
    mem_free(registration->provider);
    mem_free(registration);
}

/* The owner may do what it likes from within; the registration is off its hands already. */
static void finish(struct registration *registration, int status, const char *text)
{
    struct registration ended = *registration;
    char printable[TEXT_MAX];
    slice_escape(slice_of_string(text), printable, sizeof(printable));
    registration->client_id = NULL;
    registration_cancel(registration);
    ended.on_answer(ended.owner, &(struct registration_answer){
                                     .status = status,
                                     .client_id = status == 0 ? ended.client_id : NULL,
                                     .is_registered = ended.is_registered,
                                     .text = printable,
                                 });
    mem_free(ended.client_id);
}

/* ---- the request ---- */

static int keep(struct registration *registration, const char *client_id, struct err *err)
{
    struct vault *vault = registration->parts.vault;
    int status =
        vault_client_store(vault, registration->issuer, client_id, clock_wall_seconds(), err);
    if (status != 0 && status != ERR_EXISTS)
        return status;
    return vault_client_load(vault, registration->issuer, &registration->client_id, err);
}

static void finish_refused(struct registration *registration, int status, const char *reason)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof(text),
             status == ERR_UNAVAILABLE
                 ? "ecluse could not be registered with provider %s (%s); try again later"
                 : "provider %s did not register ecluse (%s); register it by hand, and give the "
                   "account its client_id",
             registration->provider, reason);
    finish(registration, status, text);
}

static void on_fetched(void *owner, const struct fetch_answer *answer)
{
    struct registration *registration = owner;
    char *client_id = NULL;
    char text[64];
    struct err err = {0};
    registration->fetch = NULL;
    if (answer->status == 0 || answer->status == 429 || answer->status >= 500) {
        snprintf(text, sizeof(text), "HTTP %d", answer->status);
        finish_refused(registration, ERR_UNAVAILABLE, answer->status == 0 ? answer->text : text);
        return;
    }
    int status = oauth_registration_read(answer->status, answer->body, &client_id, &err);
    if (status != 0) {
        finish_refused(registration, ERR_DENIED, err.text);
        return;
    }
    status = keep(registration, client_id, &err);
    mem_free(client_id);
    finish(registration, status, err.text);
}

static void ask(struct registration *registration, const char *url)
{
    struct secret body = {0};
    if (oauth_registration_request(registration->scope, registration->has_device, &body) != 0) {
        finish_refused(registration, ERR_DENIED, "the scope is too long");
        return;
    }
    const struct fetch_request request = {.url = url,
                                          .ca_file = registration->ca_file,
                                          .body = &body,
                                          .body_is_json = true,
                                          .timeout_seconds = TIMEOUT_SECONDS};
    registration->fetch =
        fetch_start(registration->parts.fetcher, &request, on_fetched, registration);
    secret_wipe(&body);
}

/* ---- what there is already ---- */

/* `url` NULL: nobody says where. */
static void go_on(struct registration *registration, const char *url)
{
    if (registration->client_id != NULL)
        finish(registration, 0, "");
    else if (url != NULL)
        ask(registration, url);
    else
        finish_refused(registration, ERR_CONFIG, "it has no registration_endpoint");
}

static void on_turn(struct deferral *deferral)
{
    struct registration *registration = CONTAINER_OF(deferral, struct registration, turn);
    go_on(registration, registration->url);
}

static void on_discovered(void *owner, int status, const struct oauth_metadata *metadata,
                          const char *text)
{
    struct registration *registration = owner;
    registration->lookup = NULL;
    if (status != 0) {
        finish(registration, status, text);
        return;
    }
    if (*registration->scope == '\0') {
        mem_free(registration->scope);
        registration->scope = mem_copy_string(oauth_metadata_mail_scope(metadata));
    }
    registration->has_device =
        registration->has_device || metadata->endpoints[OAUTH_DEVICE_ENDPOINT] != NULL;
    go_on(registration, registration->url != NULL
                            ? registration->url
                            : metadata->endpoints[OAUTH_REGISTRATION_ENDPOINT]);
}

/* As far as it is known now. */
static bool has_endpoint(const struct registration_parts *parts,
                         const struct account_config *account, enum oauth_endpoint which)
{
    char *url =
        endpoint_url(account, discovery_known(parts->discovery, parts->config, account), which);
    bool is_there = url != NULL;
    mem_free(url);
    return is_there;
}

struct registration *
registration_start(const struct registration_parts *parts, const struct account_config *account,
                   enum oauth_endpoint page,
                   void (*on_answer)(void *owner, const struct registration_answer *answer),
                   void *owner)
{
    struct registration *registration = mem_new(sizeof(*registration));
    registration->parts = *parts;
    registration->parts.config = NULL;
    registration->issuer = endpoint_issuer(account);
    registration->url = endpoint_url(account, NULL, OAUTH_REGISTRATION_ENDPOINT);
    registration->has_device = has_endpoint(parts, account, OAUTH_DEVICE_ENDPOINT);
    registration->scope = endpoint_scope(account, NULL);
    registration->ca_file = mem_copy_string(endpoint_ca_file(parts->config, account));
    registration->provider = mem_copy_string(account->provider);
    registration->is_registered = *account->client_id == '\0';
    registration->on_answer = on_answer;
    registration->owner = owner;
    deferral_init(&registration->turn, on_turn);
    /* What cannot be read is as good as not there: the request that follows tells. */
    bool has_client =
        registration_client(account, parts->vault, &registration->client_id, NULL) == 0;
    if (endpoint_needs_discovery(account, page) ||
        endpoint_needs_discovery(account, OAUTH_TOKEN_ENDPOINT) ||
        (!has_client && endpoint_needs_discovery(account, OAUTH_REGISTRATION_ENDPOINT)))
        registration->lookup =
            discovery_ask(parts->discovery, parts->config, account, on_discovered, registration);
    else
        loop_defer(parts->loop, &registration->turn);
    return registration;
}
