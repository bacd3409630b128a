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

char *endpoint_token_url(const struct account_config *account)
{
    const char *url = account->provider_row->token_endpoint;
    const char *place = strstr(url, TENANT);

    if (*url == '\0')
        return NULL;
    if (place == NULL)
        return mem_copy_string(url);
    size_t size = strlen(url) + strlen(account->tenant) + 1;
    char *out = mem_new(size);
    snprintf(out, size, "%.*s%s%s", (int)(place - url), url, account->tenant,
             place + strlen(TENANT));
    return out;
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

char *endpoint_scope(const struct account_config *account)
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
    return scope;
}

const char *endpoint_ca_file(const struct config *config, const struct account_config *account)
{
    const char *own = account->provider_row->ca_file;
    return *own != '\0' ? own : config->ca_file;
}
