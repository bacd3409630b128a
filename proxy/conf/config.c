/*
 * What is done with a configuration once it is there: looked up, and freed by the same tables that
 * filled it. Nothing fails; what is not there is NULL.
 */
#include "conf/config.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/table.h"
#include "conf/value.h"

static void clear_options(enum section_kind kind, void *target)
{
    const struct option_table *table = option_table(kind);

    for (size_t i = 0; i < table->count; i++)
        value_clear(&table->rows[i], target);
}

static void listener_free(struct listener_config *listener)
{
    clear_options(SECTION_LISTENER, listener);
    for (size_t i = 0; i < listener->address_count; i++) {
        mem_free(listener->addresses[i].path);
        mem_free(listener->addresses[i].host);
    }
    mem_free(listener->addresses);
    mem_free(listener->allowed);
    mem_free(listener->name);
    mem_free(listener);
}

static void account_free(struct account_config *account)
{
    clear_options(SECTION_ACCOUNT, account);
    mem_free(account->sealed.token);
    mem_free(account->sealed.salt);
    secret_wipe(&account->key);
    mem_free(account->name);
    mem_free(account);
}

static void provider_free(struct provider_config *provider)
{
    clear_options(SECTION_PROVIDER, provider);
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        mem_free(provider->endpoints[i].host);
    mem_free(provider->name);
    mem_free(provider);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    clear_options(SECTION_GLOBAL, config);
    for (size_t i = 0; i < config->listener_count; i++)
        listener_free(config->listeners[i]);
    for (size_t i = 0; i < config->account_count; i++)
        account_free(config->accounts[i]);
    for (size_t i = 0; i < config->provider_count; i++)
        provider_free(config->providers[i]);
    mem_free(config->listeners);
    mem_free(config->accounts);
    mem_free(config->providers);
    mem_free(config->file);
    mem_free(config);
}

const struct account_config *config_account(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (strcmp(config->accounts[i]->name, name) == 0)
            return config->accounts[i];
    return NULL;
}

/* What stands behind the last '@'. */
static size_t domain_of(struct slice address)
{
    size_t domain = address.size;

    while (domain > 0 && address.data[domain - 1] != '@')
        domain--;
    return domain;
}

/* The domain of `address` is lower case already, so ignoring case there is lower-casing the other.
 */
static bool address_matches(struct slice address, struct slice typed)
{
    size_t domain = domain_of(typed);

    return address.size == typed.size &&
           slice_equal(slice_take(address, domain), slice_take(typed, domain)) &&
           slice_equal_ignoring_case(slice_skip(address, domain), slice_skip(typed, domain));
}

/* The letters of a dot-string (RFC 5321 section 4.1.2, RFC 6531 section 3.3), but for '*', with
 * which some servers separate who logs in from whose mailbox it is. */
static bool is_local_part(struct slice text)
{
    static const char others[] = "!#$%&'+-/=?^_`{|}~.";

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool is_letter = byte >= 0x80 || (byte >= '0' && byte <= '9') ||
                         (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!is_letter && (byte == '\0' || strchr(others, byte) == NULL))
            return false;
    }
    return text.size > 0 && text.data[0] != '.' && text.data[text.size - 1] != '.';
}

static bool is_host_name(struct slice text)
{
    char *name = mem_copy_bytes_as_string(text.data, text.size);
    bool is_valid = strlen(name) == text.size && host_name_is_valid(name);

    mem_free(name);
    return is_valid;
}

bool account_is_domain(const struct account_config *account)
{
    return strncmp(account->address, "*@", 2) == 0;
}

/* The account whose address is "*@" and this. */
static const struct account_config *find_domain(const struct config *config, struct slice domain)
{
    for (size_t i = 0; i < config->account_count; i++)
        if (account_is_domain(config->accounts[i]) &&
            slice_is_ignoring_case(domain, config->accounts[i]->address + 2))
            return config->accounts[i];
    return NULL;
}

const struct account_config *config_account_by_address(const struct config *config,
                                                       struct slice address)
{
    size_t at = domain_of(address);
    struct slice domain = slice_skip(address, at);

    for (size_t i = 0; i < config->account_count; i++)
        if (!account_is_domain(config->accounts[i]) &&
            address_matches(slice_of_string(config->accounts[i]->address), address))
            return config->accounts[i];
    if (at == 0 || !is_local_part(slice_take(address, at - 1)) || !is_host_name(domain))
        return NULL;
    const struct account_config *account = find_domain(config, domain);
    return account != NULL ? account : find_domain(config, SLICE_LITERAL("*"));
}

char *account_mailbox(const struct account_config *account, struct slice address)
{
    if (!account_is_domain(account))
        return mem_copy_string("");
    char *mailbox = mem_copy_bytes_as_string(address.data, address.size);
    text_to_lower(mailbox + domain_of(address));
    return mailbox;
}

/* How many octets of `domain` a name, or a "*.name" below it, says; 0 when it is another one. */
static size_t domain_match(const char *name, struct slice domain)
{
    bool is_pattern = strncmp(name, "*.", 2) == 0;
    struct slice tail = slice_of_string(is_pattern ? name + 1 : name);

    if (is_pattern ? tail.size >= domain.size : tail.size != domain.size)
        return 0;
    struct slice end = slice_skip(domain, domain.size - tail.size);
    return slice_equal_ignoring_case(end, tail) ? tail.size : 0;
}

static size_t best_match(const struct words *names, struct slice domain)
{
    size_t best = 0;

    for (size_t i = 0; i < names->count; i++) {
        size_t match = domain_match(names->items[i], domain);
        best = match > best ? match : best;
    }
    return best;
}

const struct provider_config *config_provider_by_domain(const struct config *config,
                                                        struct slice domain)
{
    const struct provider_config *provider = NULL;
    size_t best = 0;

    for (size_t i = 0; i < config->provider_count; i++) {
        size_t match = best_match(&config->providers[i]->domains, domain);
        if (match > best) {
            best = match;
            provider = config->providers[i];
        }
    }
    return provider;
}

const struct provider_config *config_provider_by_exchanger(const struct config *config,
                                                           struct slice exchanger)
{
    const struct provider_config *provider = NULL;
    size_t best = 0;

    for (size_t i = 0; i < config->provider_count; i++) {
        size_t match = best_match(&config->providers[i]->mx, exchanger);
        if (match > best) {
            best = match;
            provider = config->providers[i];
        }
    }
    return provider;
}

const char *account_upstream_user(const struct account_config *account, enum protocol protocol)
{
    const char *own = protocol == PROTOCOL_IMAP   ? account->imap_user
                      : protocol == PROTOCOL_POP3 ? account->pop3_user
                                                  : account->smtp_user;

    if (*own != '\0')
        return own;
    return *account->user != '\0' ? account->user : account->address;
}

char *words_join(const struct words *words)
{
    size_t size = 1, used = 0;
    for (size_t i = 0; i < words->count; i++)
        size += strlen(words->items[i]) + 1;
    char *text = mem_new(size);
    for (size_t i = 0; i < words->count; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : " ", words->items[i]);
    return text;
}
