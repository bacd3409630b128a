/*
 * Happy path: the first who asks has the document of RFC 8414 fetched; whoever asks meanwhile waits
 * for the same answer. From then on it is known, until a day has passed.
 *
 * Failure modes:
 *   no such document, or another one there    the one of OpenID Connect is fetched
 *   neither, or no answer                     ERR_UNAVAILABLE; whoever asks next asks anew
 *   another issuer, an endpoint without TLS   ERR_CONFIG, and the other form is not tried: somebody
 *                                             said something false under the issuer's name
 *   everybody cancelled                       the request goes on, and its result is kept
 */
#include "keeper/discovery.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "keeper/endpoint.h"

#define KEPT_MILLISECONDS (24 * 60 * 60 * (int64_t)1000)
#define TIMEOUT_SECONDS   10
#define TEXT_MAX          480

struct discovery {
    struct loop *loop;
    struct fetcher *fetcher;
    const struct log *log;
    struct list issuers; /* one for each that was ever asked for; they stay */
};

struct issuer {
    struct list node;
    struct discovery *discovery;
    char *name;
    char *ca_file; /* whom a document was believed by is part of what it is worth */
    struct oauth_metadata metadata;
    int64_t expires; /* steady milliseconds; 0: nothing is known */
    enum oauth_metadata_form form;
    struct fetch *fetch;
    struct list waiting;
};

struct discovery_ticket {
    struct list node; /* in issuer.waiting, or in none: then it is answered in the next turn */
    struct discovery *discovery;
    struct issuer *issuer; /* NULL: there is none to ask */
    struct deferral turn;
    void (*on_answer)(void *owner, int status, const struct oauth_metadata *metadata,
                      const char *text);
    void *owner;
};

static bool is_known(const struct issuer *issuer)
{
    return issuer != NULL && clock_steady_milliseconds() < issuer->expires;
}

/* ---- answers ---- */

static void ticket_answer(struct discovery_ticket *ticket, int status,
                          const struct oauth_metadata *metadata, const char *text)
{
    struct discovery_ticket copy = *ticket;
    discovery_cancel(ticket);
    copy.on_answer(copy.owner, status, metadata, text);
}

/* Those who are called may cancel others, ask again, and close: the list is our own. */
static void answer_waiting(struct issuer *issuer, int status, const char *text)
{
    const struct oauth_metadata *metadata = status == 0 ? &issuer->metadata : NULL;
    struct list answered;
    list_init(&answered);
    LIST_FOREACH_SAFE (node, &issuer->waiting) {
        list_remove(node);
        list_append(&answered, node);
    }
    while (!list_is_empty(&answered))
        ticket_answer(CONTAINER_OF(answered.next, struct discovery_ticket, node), status, metadata,
                      text);
}

static void issuer_fail(struct issuer *issuer, int status, const char *reason)
{
    char text[TEXT_MAX];
    snprintf(text, sizeof(text),
             status == ERR_CONFIG ? "what %s says of itself cannot be used: %s; check issuer, or "
                                    "write the endpoints into the configuration"
                                  : "%s cannot be asked for its endpoints (%s); try again later",
             issuer->name, reason);
    log_warn(issuer->discovery->log, "%s", text);
    answer_waiting(issuer, status, text);
}

/* ---- the request ---- */

static void ask(struct issuer *issuer, enum oauth_metadata_form form);

static void on_document(struct issuer *issuer, const struct fetch_answer *answer)
{
    struct err err;
    int status = oauth_metadata_read(answer->body, issuer->name, &issuer->metadata, &err);
    if (status == ERR_SYNTAX && issuer->form == OAUTH_METADATA_8414) {
        ask(issuer, OAUTH_METADATA_OPENID);
    } else if (status != 0) {
        issuer_fail(issuer, ERR_CONFIG, err.text);
    } else {
        issuer->expires = clock_steady_milliseconds() + KEPT_MILLISECONDS;
        log_info(issuer->discovery->log, "issuer %s: its endpoints are known", issuer->name);
        answer_waiting(issuer, 0, "");
    }
}

static void on_fetched(void *owner, const struct fetch_answer *answer)
{
    struct issuer *issuer = owner;
    char text[TEXT_MAX];
    issuer->fetch = NULL;
    if (answer->status == 200) {
        on_document(issuer, answer);
    } else if (answer->status != 0 && issuer->form == OAUTH_METADATA_8414) {
        ask(issuer, OAUTH_METADATA_OPENID);
    } else {
        snprintf(text, sizeof(text), "HTTP %d", answer->status);
        issuer_fail(issuer, ERR_UNAVAILABLE, answer->status == 0 ? answer->text : text);
    }
}

static void ask(struct issuer *issuer, enum oauth_metadata_form form)
{
    char *url = oauth_metadata_url(issuer->name, form);
    const struct fetch_request request = {
        .url = url, .ca_file = issuer->ca_file, .timeout_seconds = TIMEOUT_SECONDS};
    issuer->form = form;
    log_debug(issuer->discovery->log, "asking %s", url);
    issuer->fetch = fetch_start(issuer->discovery->fetcher, &request, on_fetched, issuer);
    mem_free(url);
}

/* ---- asking ---- */

static struct issuer *find(const struct discovery *discovery, const char *name, const char *ca_file)
{
    LIST_FOREACH (node, &discovery->issuers) {
        struct issuer *issuer = CONTAINER_OF(node, struct issuer, node);
        if (strcmp(issuer->name, name) == 0 && strcmp(issuer->ca_file, ca_file) == 0)
            return issuer;
    }
    return NULL;
}

/* Takes over the name. */
static struct issuer *find_or_make(struct discovery *discovery, char *name, const char *ca_file)
{
    struct issuer *issuer = find(discovery, name, ca_file);
    if (issuer != NULL) {
        mem_free(name);
        return issuer;
    }
    issuer = mem_new(sizeof(*issuer));
    issuer->discovery = discovery;
    issuer->name = name;
    issuer->ca_file = mem_copy_string(ca_file);
    list_init(&issuer->waiting);
    list_init(&issuer->node);
    list_append(&discovery->issuers, &issuer->node);
    return issuer;
}

const struct oauth_metadata *discovery_known(const struct discovery *discovery,
                                             const struct config *config,
                                             const struct account_config *account)
{
    char *name = endpoint_issuer_url(account);
    if (name == NULL)
        return NULL;
    const struct issuer *issuer = find(discovery, name, endpoint_ca_file(config, account));
    mem_free(name);
    return is_known(issuer) ? &issuer->metadata : NULL;
}

static void on_turn(struct deferral *deferral)
{
    struct discovery_ticket *ticket = CONTAINER_OF(deferral, struct discovery_ticket, turn);
    struct issuer *issuer = ticket->issuer;
    if (issuer == NULL) {
        ticket_answer(ticket, ERR_CONFIG, NULL, "its provider has no issuer; add it");
    } else if (is_known(issuer)) {
        ticket_answer(ticket, 0, &issuer->metadata, "");
    } else {
        list_append(&issuer->waiting, &ticket->node);
        oauth_metadata_clear(&issuer->metadata);
        if (issuer->fetch == NULL)
            ask(issuer, OAUTH_METADATA_8414);
    }
}

struct discovery_ticket *discovery_ask(struct discovery *discovery, const struct config *config,
                                       const struct account_config *account,
                                       void (*on_answer)(void *owner, int status,
                                                         const struct oauth_metadata *metadata,
                                                         const char *text),
                                       void *owner)
{
    struct discovery_ticket *ticket = mem_new(sizeof(*ticket));
    char *name = endpoint_issuer_url(account);
    ticket->discovery = discovery;
    if (name != NULL)
        ticket->issuer = find_or_make(discovery, name, endpoint_ca_file(config, account));
    ticket->on_answer = on_answer;
    ticket->owner = owner;
    list_init(&ticket->node);
    deferral_init(&ticket->turn, on_turn);
    loop_defer(discovery->loop, &ticket->turn);
    return ticket;
}

void discovery_cancel(struct discovery_ticket *ticket)
{
    list_remove(&ticket->node);
    deferral_cancel(&ticket->turn);
    mem_free(ticket);
}

/* ---- open and close ---- */

struct discovery *discovery_open(struct loop *loop, struct fetcher *fetcher, const struct log *log)
{
    struct discovery *discovery = mem_new(sizeof(*discovery));
    discovery->loop = loop;
    discovery->fetcher = fetcher;
    discovery->log = log;
    list_init(&discovery->issuers);
    return discovery;
}

void discovery_close(struct discovery *discovery)
{
    LIST_FOREACH_SAFE (node, &discovery->issuers) {
        struct issuer *issuer = CONTAINER_OF(node, struct issuer, node);
        ENSURE(list_is_empty(&issuer->waiting));
        if (issuer->fetch != NULL)
            fetch_cancel(issuer->fetch);
        oauth_metadata_clear(&issuer->metadata);
        mem_free(issuer->name);
        mem_free(issuer->ca_file);
        mem_free(issuer);
    }
    mem_free(discovery);
}
