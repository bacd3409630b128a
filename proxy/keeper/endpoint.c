#include "keeper/endpoint.h"

#include <stdio.h>
#include <string.h>

#define TENANT          "{tenant}"
#define PASSWORD_ISSUER "password:" /* no URL starts so */

bool endpoint_has_sign_in(const struct account_config *account)
{
    return account->flow == FLOW_CODE || account->flow == FLOW_DEVICE;
}

bool endpoint_takes_password(const struct account_config *account)
{
    return account->flow == FLOW_NONE || account->flow == FLOW_PASSWORD;
}

bool endpoint_has_stored_password(const struct account_config *account)
{
    return endpoint_takes_password(account) && *account->password_command == '\0';
}

char *endpoint_issuer(const struct account_config *account)
{
    const struct provider_config *provider = account->provider_row;
    if (!endpoint_takes_password(account))
        return mem_copy_string(*provider->issuer != '\0' ? provider->issuer
                                                         : provider->token_endpoint);
    size_t size = strlen(PASSWORD_ISSUER) + strlen(provider->name) + 1;
    char *issuer = mem_new(size);
    snprintf(issuer, size, "%s%s", PASSWORD_ISSUER, provider->name);
    return issuer;
}

/* "" becomes NULL. */
static char *with_tenant(const char *url, const char *tenant)
{
    const char *place = strstr(url, TENANT);

    if (*url == '\0')
        return NULL;
    if (place == NULL)
        return mem_copy_string(url);
    size_t size = strlen(url) + strlen(tenant) + 1;
    char *out = mem_new(size);
    snprintf(out, size, "%.*s%s%s", (int)(place - url), url, tenant, place + strlen(TENANT));
    return out;
}

char *endpoint_issuer_url(const struct account_config *account)
{
    return with_tenant(account->provider_row->issuer, account->tenant);
}

static const char *configured(const struct account_config *account, enum oauth_endpoint which)
{
    const struct provider_config *provider = account->provider_row;
    const char *const urls[OAUTH_ENDPOINTS] = {
        [OAUTH_AUTHORIZATION_ENDPOINT] = provider->authorization_endpoint,
        [OAUTH_TOKEN_ENDPOINT] = provider->token_endpoint,
        [OAUTH_DEVICE_ENDPOINT] = provider->device_authorization_endpoint,
        [OAUTH_REVOCATION_ENDPOINT] = provider->revocation_endpoint,
        [OAUTH_REGISTRATION_ENDPOINT] = provider->registration_endpoint,
        [OAUTH_USERINFO_ENDPOINT] = provider->userinfo_endpoint,
    };

    return urls[which];
}

char *endpoint_url(const struct account_config *account, const struct oauth_metadata *metadata,
                   enum oauth_endpoint which)
{
    char *url = with_tenant(configured(account, which), account->tenant);

    if (url == NULL && metadata != NULL && metadata->endpoints[which] != NULL)
        url = mem_copy_string(metadata->endpoints[which]);
    return url;
}

bool endpoint_needs_discovery(const struct account_config *account, enum oauth_endpoint which)
{
    return *configured(account, which) == '\0' && *account->provider_row->issuer != '\0';
}

static bool has_word(const char *words, struct slice word)
{
    struct slice rest = slice_of_string(words), other;

    while (slice_next_word(&rest, ' ', &other))
        if (slice_equal(other, word))
            return true;
    return false;
}

/* `scope` has room for all of `words` and a separator for each. */
static void add_words(char *scope, const char *words)
{
    struct slice rest = slice_of_string(words), word;

    while (slice_next_word(&rest, ' ', &word)) {
        if (word.size == 0 || has_word(scope, word))
            continue;
        size_t used = strlen(scope);
        if (used > 0)
            scope[used++] = ' ';
        memcpy(scope + used, word.data, word.size);
        scope[used + word.size] = '\0';
    }
}

char *endpoint_scope(const struct account_config *account, const struct oauth_metadata *metadata)
{
    const struct provider_config *provider = account->provider_row;
    const char *const parts[] = {provider->scope, provider->scope_imap, provider->scope_pop3,
                                 provider->scope_smtp};
    size_t size = 1;

    if (*account->scope != '\0')
        return mem_copy_string(account->scope);
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        size += strlen(parts[i]) + 1;
    char *scope = mem_new(size);
    for (size_t i = 0; i < LENGTH_OF(parts); i++)
        add_words(scope, parts[i]);
    if (*scope != '\0' || metadata == NULL)
        return scope;
    mem_free(scope);
    return mem_copy_string(oauth_metadata_mail_scope(metadata));
}

const char *endpoint_ca_file(const struct config *config, const struct account_config *account)
{
    const char *own = account->provider_row->ca_file;
    return *own != '\0' ? own : config->ca_file;
}

struct oauth_identity_question endpoint_identity_question(const struct account_config *account,
                                                          const char *client_id)
{
    const char *issuer = account->provider_row->issuer;
    bool has_hint = *account->login_hint != '\0';
    return (struct oauth_identity_question){
        .client_id = client_id,
        .issuer = strchr(issuer, '{') == NULL ? issuer : "",
        .expected = {has_hint ? account->login_hint : account->address,
                     has_hint || *account->user == '\0' ? NULL : account->user},
    };
}
