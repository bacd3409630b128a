/*
 * Happy path: after each change all offers are worked out anew, out of the configuration, the
 * grants in memory and what is remembered of the upstreams.
 *
 * Failure modes:
 *   the vault does not take what was learned   it is known until the end of the process
 *   the account has another server by now      what was learned of the one before does not count
 */
#include "keeper/offer.h"

#include <string.h>

#include "auth/capability_lines.h"
#include "base/clock.h"

/* In the order in which a client shall prefer them. */
static const struct {
    const char *mechanism;
    bool needs_password; /* one that is kept */
} known[] = {
    {"SCRAM-SHA-256", true}, {"SCRAM-SHA-1", true}, {"DIGEST-MD5", true},
    {"CRAM-MD5", true},      {"PLAIN", false},      {"LOGIN", false},
};

/* Until an upstream was asked. */
static const char *const cautious[PROTOCOL_COUNT] = {
    [PROTOCOL_IMAP] = "",
    [PROTOCOL_POP3] = "TOP\nUIDL\n",
    [PROTOCOL_SMTP] = "8BITMIME\nENHANCEDSTATUSCODES\nPIPELINING\nSIZE\n",
};

struct offers {
    struct vault *vault;
    const struct grant_check *grants;
    const struct log *log;
    const struct config *config;
    char *mechanisms; /* of libsasl2 */
    struct vault_upstream *upstreams;
    size_t upstream_count;
    struct message_offer *list;
    size_t count;
};

static bool serves(const struct listener_config *listener, const struct account_config *account)
{
    return (*listener->account == '\0' || strcmp(listener->account, account->name) == 0) &&
           account->provider_row->endpoints[listener->protocol].is_set;
}

/* ---- mechanisms ---- */

static bool serves_class(const struct offers *offers, const struct listener_config *listener,
                         enum vault_grant_class class)
{
    for (size_t i = 0; i < offers->config->account_count; i++) {
        const struct account_config *account = offers->config->accounts[i];
        if (serves(listener, account) &&
            grant_check_has_clear(offers->grants, account->name, listener->protocol, class))
            return true;
    }
    return false;
}

static void add_word(struct buf *list, const char *word)
{
    ENSURE(buf_append_format(list, "%s%s", buf_size(list) == 0 ? "" : " ", word) == 0);
}

static char *mechanisms_of(const struct offers *offers, const struct listener_config *listener)
{
    bool has_password = serves_class(offers, listener, VAULT_GRANT_CHALLENGE);
    struct slice installed = slice_of_string(offers->mechanisms);
    struct buf list;
    if (listener->auth == LISTENER_AUTH_NONE)
        return mem_copy_string("");
    buf_init(&list, MESSAGE_TEXT_MAX);
    for (size_t i = 0; i < LENGTH_OF(known); i++)
        if ((has_password || !known[i].needs_password) &&
            slice_has_word(installed, ' ', slice_of_string(known[i].mechanism)))
            add_word(&list, known[i].mechanism);
    if (listener->protocol == PROTOCOL_POP3 && serves_class(offers, listener, VAULT_GRANT_APOP))
        add_word(&list, "APOP");
    char *text = mem_copy_bytes_as_string(buf_bytes(&list).data, buf_size(&list));
    buf_fini(&list);
    return text;
}

/* ---- capabilities ---- */

static struct vault_upstream *find_upstream(const struct offers *offers, const char *account,
                                            enum protocol protocol)
{
    for (size_t i = 0; i < offers->upstream_count; i++) {
        struct vault_upstream *upstream = &offers->upstreams[i];
        if (upstream->protocol == protocol && strcmp(upstream->account, account) == 0)
            return upstream;
    }
    return NULL;
}

static const char *capabilities_of_account(const struct offers *offers,
                                           const struct account_config *account,
                                           enum protocol protocol)
{
    const struct vault_upstream *upstream = find_upstream(offers, account->name, protocol);
    bool is_known = upstream != NULL &&
                    strcmp(upstream->host, account->provider_row->endpoints[protocol].host) == 0;
    return is_known ? upstream->capabilities : cautious[protocol];
}

static char *capabilities_of(const struct offers *offers, const struct listener_config *listener)
{
    char *common = NULL;
    for (size_t i = 0; i < offers->config->account_count; i++) {
        const struct account_config *account = offers->config->accounts[i];
        if (!serves(listener, account))
            continue;
        const char *lines = capabilities_of_account(offers, account, listener->protocol);
        char *before = common;
        common = before == NULL ? mem_copy_string(lines) : capability_lines_common(before, lines);
        mem_free(before);
    }
    return common != NULL ? common : mem_copy_string(cautious[listener->protocol]);
}

/* ---- the list ---- */

static void clear_list(struct offers *offers)
{
    for (size_t i = 0; i < offers->count; i++)
        message_offer_clear(&offers->list[i]);
    mem_free(offers->list);
    offers->list = NULL;
    offers->count = 0;
}

void offers_refresh(struct offers *offers)
{
    clear_list(offers);
    offers->count = offers->config->listener_count;
    offers->list = mem_new_array(offers->count, sizeof(*offers->list));
    for (size_t i = 0; i < offers->count; i++)
        offers->list[i] = (struct message_offer){
            .listener = (uint16_t)i,
            .mechanisms = mechanisms_of(offers, offers->config->listeners[i]),
            .capabilities = capabilities_of(offers, offers->config->listeners[i]),
        };
}

const struct message_offer *offers_list(const struct offers *offers)
{
    return offers->list;
}

bool offers_has(const struct offers *offers, size_t listener, const char *mechanism)
{
    return listener < offers->count &&
           slice_has_word(slice_of_string(offers->list[listener].mechanisms), ' ',
                          slice_of_string(mechanism));
}

/* ---- what changes it ---- */

void offers_set_config(struct offers *offers, const struct config *config)
{
    offers->config = config;
    offers_refresh(offers);
}

static struct vault_upstream *hold_upstream(struct offers *offers, const char *account,
                                            enum protocol protocol)
{
    struct vault_upstream *upstream = find_upstream(offers, account, protocol);
    if (upstream != NULL)
        return upstream;
    size_t count = offers->upstream_count++;
    offers->upstreams =
        mem_resize(offers->upstreams, offers->upstream_count * sizeof(*offers->upstreams));
    offers->upstreams[count] = (struct vault_upstream){
        .account = mem_copy_string(account),
        .protocol = protocol,
        .host = mem_copy_string(""),
        .capabilities = mem_copy_string(""),
    };
    return &offers->upstreams[count];
}

static void replace_text(char **text, const char *with)
{
    mem_free(*text);
    *text = mem_copy_string(with);
}

void offers_learn(struct offers *offers, const char *label, enum protocol protocol,
                  const char *capabilities)
{
    const struct account_config *account = config_account(offers->config, label);
    struct err err;
    if (account == NULL || !account->provider_row->endpoints[protocol].is_set)
        return;
    const char *host = account->provider_row->endpoints[protocol].host;
    struct vault_upstream *upstream = hold_upstream(offers, label, protocol);
    if (strcmp(upstream->host, host) == 0 && strcmp(upstream->capabilities, capabilities) == 0)
        return;
    replace_text(&upstream->host, host);
    replace_text(&upstream->capabilities, capabilities);
    upstream->learned = clock_wall_seconds();
    log_debug(offers->log, "account %s: what its %s server can do was learned", label,
              protocol_name(protocol));
    if (vault_upstream_store(offers->vault, upstream, &err) != 0)
        log_error(offers->log, "account %s: what its server can do is not remembered: %s", label,
                  err.text);
    offers_refresh(offers);
}

/* ---- open and close ---- */

struct offers *offers_new(struct vault *vault, const struct grant_check *grants,
                          const struct log *log)
{
    struct offers *offers = mem_new(sizeof(*offers));
    offers->vault = vault;
    offers->grants = grants;
    offers->log = log;
    return offers;
}

int offers_load(struct offers *offers, const char *mechanisms, const struct config *config,
                struct err *err)
{
    ENSURE(offers->mechanisms == NULL);
    int status =
        vault_upstream_list(offers->vault, &offers->upstreams, &offers->upstream_count, err);
    if (status != 0)
        return status;
    offers->mechanisms = mem_copy_string(mechanisms);
    offers_set_config(offers, config);
    return 0;
}

void offers_free(struct offers *offers)
{
    if (offers == NULL)
        return;
    clear_list(offers);
    vault_upstreams_free(offers->upstreams, offers->upstream_count);
    mem_free(offers->mechanisms);
    mem_free(offers);
}
