/*
 * The address gets its one spelling, the provider is found, by name or by the domain of the
 * address, and then the flow is asked whether it has what it needs.
 *
 * Failures are problems of the draft: an account for a whole domain with a flow in which one person
 * signs in, or with the name of one; no address, one that is none or another account's; a user
 * name that is too long; no provider for its domain or an unknown one; a flow without endpoint,
 * client_id, key or command, or with a command of another flow; mechanisms that do not fit the
 * flow; a client that cannot prove itself; two sources of a secret; a {tenant} to be filled in and
 * nothing, or nothing fitting, to fill it with.
 */
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/problem.h"
#include "conf/table.h"

#define ADDRESS_MAXIMUM 320 /* RFC 3696 erratum: 64 + "@" + 255 */

static bool is_set(const char *text)
{
    return *text != '\0';
}

static bool address_is_valid(const char *address)
{
    const char *at = strrchr(address, '@');

    return at != NULL && at != address && at[1] != '\0' && strchr(address, ' ') == NULL &&
           strlen(address) <= ADDRESS_MAXIMUM;
}

static void check_address_is_ours(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;

    for (size_t i = 0; draft->config->accounts[i] != account; i++)
        if (strcmp(draft->config->accounts[i]->address, account->address) == 0) {
            problems_add(draft->problems, draft_line(section, "address"),
                         "address: account %s on line %d has the same; an address belongs to one "
                         "account",
                         draft->config->accounts[i]->name, draft->config->accounts[i]->line);
            return;
        }
}

static void check_address(struct draft *draft, const struct draft_section *section)
{
    struct account_config *account = section->target;

    if (draft_value(section, "address")->bad)
        return;
    if (!is_set(account->address)) {
        problems_add(draft->problems, draft_line(section, "address"),
                     "account %s has no address; add address = NAME@DOMAIN", account->name);
    } else if (!address_is_valid(account->address)) {
        problems_add(draft->problems, draft_line(section, "address"),
                     "address must be NAME@DOMAIN, without blanks");
    } else {
        text_to_lower(strrchr(account->address, '@'));
        check_address_is_ours(draft, section);
    }
}

/* What is longer would be refused at each login. */
static void check_users(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    const struct {
        const char *key;
        const char *value;
    } users[] = {
        {"user", account->user},
        {"imap_user", account->imap_user},
        {"pop3_user", account->pop3_user},
        {"smtp_user", account->smtp_user},
    };

    for (size_t i = 0; i < LENGTH_OF(users); i++)
        if (strlen(users[i].value) > ADDRESS_MAXIMUM)
            problems_add(draft->problems, draft_line(section, users[i].key),
                         "%s is longer than %d octets; shorten it", users[i].key, ADDRESS_MAXIMUM);
}

static void replace(char **field, const char *text)
{
    mem_free(*field);
    *field = mem_copy_string(text);
}

/* By the domain of the address. Without one, that is what has to be put right first. */
static void find_provider_by_domain(struct draft *draft, const struct draft_section *section)
{
    struct account_config *account = section->target;
    char shown[64];

    if (!address_is_valid(account->address))
        return;
    struct slice domain = slice_of_string(strrchr(account->address, '@') + 1);
    account->provider_row = config_provider_by_domain(draft->config, domain);
    if (account->provider_row != NULL) {
        replace(&account->provider, account->provider_row->name);
        return;
    }
    slice_escape(domain, shown, sizeof(shown));
    problems_add(draft->problems, draft_line(section, "provider"),
                 "account %s has no provider, and none is known for %s; add provider = NAME, one "
                 "of ecluse providers or of a [provider NAME] section of yours",
                 account->name, shown);
}

static void find_provider(struct draft *draft, const struct draft_section *section)
{
    struct account_config *account = section->target;
    char shown[64];

    if (draft_value(section, "provider")->bad)
        return;
    if (!is_set(account->provider)) {
        find_provider_by_domain(draft, section);
        return;
    }
    const struct draft_section *row =
        draft_find_section(draft, SECTION_PROVIDER, account->provider);
    if (row != NULL) {
        account->provider_row = row->target;
        return;
    }
    slice_escape(slice_of_string(account->provider), shown, sizeof(shown));
    problems_add(draft->problems, draft_line(section, "provider"),
                 "provider \"%s\" is unknown; add a [provider %s] section, or name one of ecluse "
                 "providers",
                 shown, shown);
}

static void take_flow_of_provider(const struct draft_section *section)
{
    struct account_config *account = section->target;

    if (draft_value(section, "flow")->line == 0 && account->provider_row != NULL)
        account->flow = account->provider_row->flow;
}

/* The client_id comes from the file, or is got by registration (RFC 7591), whose endpoint may have
 * to be discovered. With the endpoints given one by one it would be among them. */
static bool registers_itself(const struct provider_config *provider)
{
    return is_set(provider->registration_endpoint) ||
           (is_set(provider->issuer) && !is_set(provider->authorization_endpoint));
}

static void refuse_missing_client(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    const char *hint = account->provider_row->hint;

    problems_add(draft->problems, draft_line(section, "client_id"),
                 "account %s has no client_id; add the one under which the provider knows this "
                 "program, %s%s",
                 account->name, is_set(hint) ? "to get it: " : "",
                 is_set(hint) ? hint : "or give the provider an issuer or registration_endpoint");
}

static void check_client(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    bool needs_identifier = account->flow == FLOW_CODE || account->flow == FLOW_DEVICE ||
                            account->flow == FLOW_CLIENT_CREDENTIALS;
    int sources = secret_is_set(&account->client_secret) + is_set(account->client_secret_file) +
                  is_set(account->client_secret_command);

    if (sources > 1)
        problems_add(draft->problems, account->line,
                     "account %s has more than one of client_secret, client_secret_file and "
                     "client_secret_command; keep one",
                     account->name);
    if (needs_identifier && !is_set(account->client_id) &&
        !draft_value(section, "client_id")->bad && account->provider_row != NULL &&
        !registers_itself(account->provider_row))
        refuse_missing_client(draft, section);
}

/* How it proves itself is possible, and nothing is there in vain. */
static void check_client_proof(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    bool has_secret = secret_is_set(&account->client_secret) || account->client_secret_is_sealed ||
                      is_set(account->client_secret_file) || is_set(account->client_secret_command);
    bool has_key = is_set(account->jwt_key_file);
    bool sends_secret =
        account->client_auth == CLIENT_AUTH_POST || account->client_auth == CLIENT_AUTH_BASIC;

    if (sends_secret && !has_secret)
        problems_add(draft->problems, draft_line(section, "client_auth"),
                     "client_auth = %s needs client_secret, client_secret_file or "
                     "client_secret_command; add one",
                     account->client_auth == CLIENT_AUTH_POST ? "post" : "basic");
    if (account->client_auth == CLIENT_AUTH_JWT &&
        (!has_key || account->flow == FLOW_SERVICE_ACCOUNT))
        problems_add(draft->problems, draft_line(section, "client_auth"),
                     "client_auth = jwt needs jwt_key_file, and another flow than "
                     "service_account, whose key that is");
    if (!has_key && is_set(account->jwt_cert_file))
        problems_add(draft->problems, draft_line(section, "jwt_cert_file"),
                     "jwt_cert_file needs its jwt_key_file; add that");
    if (!has_key && is_set(account->jwt_passphrase_command))
        problems_add(draft->problems, draft_line(section, "jwt_passphrase_command"),
                     "jwt_passphrase_command needs the jwt_key_file; add that");
    if (account->flow == FLOW_CLIENT_CREDENTIALS && !has_secret && !has_key)
        problems_add(draft->problems, draft_line(section, "flow"),
                     "flow = client_credentials needs a client_secret, client_secret_file, "
                     "client_secret_command or jwt_key_file; add one");
}

static void check_token_source(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    const struct provider_config *provider = account->provider_row;

    if (provider == NULL || account->flow == FLOW_NONE || account->flow == FLOW_COMMAND)
        return;
    if (!is_set(provider->token_endpoint) && !is_set(provider->issuer))
        problems_add(
            draft->problems, draft_line(section, "flow"),
            "provider %s has neither token_endpoint nor issuer; add one, or use flow = none "
            "or command",
            provider->name);
}

static void check_flow_needs(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    const struct {
        enum flow flow;
        const char *key;
        const char *value;
    } needs[] = {
        {FLOW_SERVICE_ACCOUNT, "jwt_key_file", account->jwt_key_file},
        {FLOW_COMMAND, "token_command", account->token_command},
    };

    for (size_t i = 0; i < LENGTH_OF(needs); i++)
        if (account->flow == needs[i].flow && !is_set(needs[i].value) &&
            !draft_value(section, needs[i].key)->bad)
            problems_add(draft->problems, draft_line(section, "flow"), "flow = %s needs %s; add it",
                         option_find(option_table(SECTION_ACCOUNT), "flow")->choices[account->flow],
                         needs[i].key);
    if (account->flow != FLOW_NONE && account->flow != FLOW_PASSWORD &&
        is_set(account->password_command))
        problems_add(draft->problems, draft_line(section, "password_command"),
                     "password_command is for flow = none or password; add that, or remove the "
                     "command");
}

/* A password does not fit a mechanism for tokens, nor a token one for passwords. */
static void check_mechanisms_fit(struct draft *draft, const struct draft_section *section)
{
    const struct account_config *account = section->target;
    bool has_password = account->flow == FLOW_NONE;

    if (account->provider_row == NULL)
        return;
    const struct words *words = &account->provider_row->mechanisms;
    const struct draft_section *row =
        draft_find_section(draft, SECTION_PROVIDER, account->provider);
    int row_line = draft_line(row, "mechanisms"); /* 0 of the built-in table */
    for (size_t i = 0; i < words->count; i++) {
        const char *name = words->items[i];
        if (has_password ? !mechanism_takes_token(name) : !mechanism_takes_password(name))
            continue;
        problems_add(draft->problems, row_line != 0 ? row_line : account->line,
                     "mechanisms: %s takes a %s, and account %s on line %d has a %s; name %s, or "
                     "give the account a provider of its own",
                     name, has_password ? "token" : "password", account->name, account->line,
                     has_password ? "password (flow = none)" : "token",
                     has_password ? MECHANISMS_WITH_PASSWORD : MECHANISMS_WITH_TOKEN);
        return;
    }
}

static bool wants_tenant(const struct provider_config *provider)
{
    const char *const urls[] = {provider->issuer,
                                provider->authorization_endpoint,
                                provider->token_endpoint,
                                provider->device_authorization_endpoint,
                                provider->revocation_endpoint,
                                provider->registration_endpoint,
                                provider->userinfo_endpoint};

    for (size_t i = 0; i < LENGTH_OF(urls); i++)
        if (strstr(urls[i], "{tenant}") != NULL)
            return true;
    return false;
}

/* A token of one person opens that person's mailbox; the mailbox is the one that the client names.
 */
static void check_domain(struct draft *draft, const struct draft_section *section)
{
    static const char *const names[] = {"user", "imap_user", "pop3_user", "smtp_user",
                                        "login_hint"};
    const struct account_config *account = section->target;

    if (!account_is_domain(account))
        return;
    if (!draft_value(section, "flow")->bad && account->flow != FLOW_CLIENT_CREDENTIALS &&
        account->flow != FLOW_SERVICE_ACCOUNT)
        problems_add(draft->problems, draft_line(section, "address"),
                     "address = %s, a whole domain, needs flow = client_credentials or "
                     "service_account: with any other, a token is one person's",
                     account->address);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        if (draft_value(section, names[i])->line != 0)
            problems_add(draft->problems, draft_line(section, names[i]),
                         "%s has no meaning with address = %s: the mailbox is the one that the "
                         "client names; remove it",
                         names[i], account->address);
}

static void check_tenant(struct draft *draft, const struct draft_section *section)
{
    struct account_config *account = section->target;

    if (draft_value(section, "tenant")->bad)
        return;
    if (!is_set(account->tenant) && account->provider_row != NULL)
        replace(&account->tenant, account->provider_row->tenant);
    if (!tenant_is_valid(account->tenant))
        problems_add(draft->problems, draft_line(section, "tenant"),
                     "tenant becomes part of a URL: letters, digits, '.' and '-' only");
    else if (!is_set(account->tenant) && account->provider_row != NULL &&
             wants_tenant(account->provider_row))
        problems_add(draft->problems, draft_line(section, "tenant"),
                     "account %s has no tenant, and the URLs of provider %s hold {tenant}; add it",
                     account->name, account->provider_row->name);
}

void check_account(struct draft *draft, const struct draft_section *section)
{
    check_address(draft, section);
    check_users(draft, section);
    find_provider(draft, section);
    take_flow_of_provider(section);
    check_client(draft, section);
    if (!draft_value(section, "flow")->bad) {
        check_token_source(draft, section);
        check_flow_needs(draft, section);
        check_client_proof(draft, section);
        check_mechanisms_fit(draft, section);
    }
    check_domain(draft, section);
    check_tenant(draft, section);
}
