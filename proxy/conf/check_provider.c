/*
 * Endpoints are parsed into the provider, URLs looked at, domains lower-cased.
 *
 * Failures are problems of the draft: an endpoint or URL of the wrong form, a provider without any
 * mail server, a domain that is none or that two providers claim, a redirect that leaves the
 * machine, a mechanism, a pin or a tenant that is none.
 */
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/problem.h"

#define MECHANISM_MAXIMUM 20 /* RFC 4422 section 3.1 */
#define PIN_LENGTH        44 /* 32 octets as base64 */

static void check_endpoint(struct draft *draft, const struct draft_section *section,
                           enum protocol protocol, const char *text)
{
    struct provider_config *provider = section->target;
    const char *key = protocol_name(protocol);
    struct err err = {0};

    if (*text != '\0' && endpoint_parse(text, protocol, &provider->endpoints[protocol], &err) != 0)
        problems_add(draft->problems, draft_line(section, key), "%s: %s", key, err.text);
}

static void check_endpoints(struct draft *draft, const struct draft_section *section)
{
    const struct provider_config *provider = section->target;

    check_endpoint(draft, section, PROTOCOL_IMAP, provider->imap);
    check_endpoint(draft, section, PROTOCOL_POP3, provider->pop3);
    check_endpoint(draft, section, PROTOCOL_SMTP, provider->smtp);
    /* A refused value is its line's problem, not a missing one. */
    if (*provider->imap == '\0' && *provider->pop3 == '\0' && *provider->smtp == '\0' &&
        !draft_value(section, "imap")->bad && !draft_value(section, "pop3")->bad &&
        !draft_value(section, "smtp")->bad)
        problems_add(draft->problems, provider->line,
                     "provider %s has no mail server; add imap = tls://HOST, pop3 or smtp",
                     provider->name);
}

static void check_urls(struct draft *draft, const struct draft_section *section)
{
    const struct provider_config *provider = section->target;
    const struct {
        const char *key;
        const char *url;
        bool query_allowed;
    } urls[] = {
        {"issuer", provider->issuer, false},
        {"authorization_endpoint", provider->authorization_endpoint, true},
        {"token_endpoint", provider->token_endpoint, true},
        {"device_authorization_endpoint", provider->device_authorization_endpoint, true},
        {"revocation_endpoint", provider->revocation_endpoint, true},
        {"registration_endpoint", provider->registration_endpoint, true},
        {"userinfo_endpoint", provider->userinfo_endpoint, true},
    };
    struct err err = {0};

    for (size_t i = 0; i < LENGTH_OF(urls); i++)
        if (*urls[i].url != '\0' && https_url_check(urls[i].url, urls[i].query_allowed, &err) != 0)
            problems_add(draft->problems, draft_line(section, urls[i].key), "%s: %s", urls[i].key,
                         err.text);
}

static bool claims(const struct provider_config *provider, const char *domain)
{
    for (size_t i = 0; i < provider->domains.count; i++)
        if (strcmp(provider->domains.items[i], domain) == 0)
            return true;
    return false;
}

/* The provider before `section` that claims the domain too. What the built-in table claims, the
 * file may claim for another. */
static const struct provider_config *
other_owner(const struct draft *draft, const struct draft_section *section, const char *domain)
{
    if (draft_value(section, "domains")->line == 0)
        return NULL;
    for (size_t i = 0; draft->sections[i] != section; i++) {
        const struct draft_section *other = draft->sections[i];
        if (other->kind == SECTION_PROVIDER && claims(other->target, domain) &&
            draft_value(other, "domains")->line != 0)
            return other->target;
    }
    return NULL;
}

static bool domain_is_valid(const char *domain)
{
    return host_name_is_valid(strncmp(domain, "*.", 2) == 0 ? domain + 2 : domain);
}

static void check_domains(struct draft *draft, const struct draft_section *section)
{
    const struct provider_config *provider = section->target;
    int line = draft_line(section, "domains");
    char shown[64];

    for (size_t i = 0; i < provider->domains.count; i++) {
        char *domain = provider->domains.items[i];
        text_to_lower(domain);
        const struct provider_config *other = other_owner(draft, section, domain);
        if (!domain_is_valid(domain)) {
            slice_escape(slice_of_string(domain), shown, sizeof(shown));
            problems_add(draft->problems, line,
                         "domains: \"%s\" is no domain; give names such as example.org, or "
                         "*.example.org for all below it",
                         shown);
        } else if (other != NULL) {
            problems_add(draft->problems, line,
                         "domains: %.64s belongs to provider %s already; leave it to one of them",
                         domain, other->name);
        }
    }
}

static void check_exchangers(struct draft *draft, const struct draft_section *section)
{
    const struct words *names = &((const struct provider_config *)section->target)->mx;
    char shown[64];

    for (size_t i = 0; i < names->count; i++) {
        text_to_lower(names->items[i]);
        if (domain_is_valid(names->items[i]))
            continue;
        slice_escape(slice_of_string(names->items[i]), shown, sizeof(shown));
        problems_add(draft->problems, draft_line(section, "mx"),
                     "mx: \"%s\" is no name; give names such as mx.example.org, or *.example.org "
                     "for all below it",
                     shown);
    }
}

bool tenant_is_valid(const char *tenant)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

    return tenant[strspn(tenant, allowed)] == '\0';
}

static void check_default_tenant(struct draft *draft, const struct draft_section *section)
{
    if (!tenant_is_valid(((const struct provider_config *)section->target)->tenant))
        problems_add(draft->problems, draft_line(section, "tenant"),
                     "tenant becomes part of a URL: letters, digits, '.' and '-' only");
}

static void check_redirect(struct draft *draft, const struct draft_section *section)
{
    const char *host = ((const struct provider_config *)section->target)->redirect_host;

    if (strcmp(host, "127.0.0.1") != 0 && strcmp(host, "[::1]") != 0 &&
        strcmp(host, "localhost") != 0)
        problems_add(draft->problems, draft_line(section, "redirect_host"),
                     "redirect_host must be 127.0.0.1, [::1] or localhost");
}

static bool has_word(const char *list, const char *name)
{
    struct slice rest = slice_of_string(list), word;

    while (slice_next_word(&rest, ' ', &word))
        if (slice_is(word, name))
            return true;
    return false;
}

bool mechanism_takes_token(const char *name)
{
    return has_word(MECHANISMS_WITH_TOKEN, name);
}

bool mechanism_takes_password(const char *name)
{
    return has_word(MECHANISMS_WITH_PASSWORD, name);
}

static void check_mechanisms(struct draft *draft, const struct draft_section *section)
{
    const struct words *words = &((const struct provider_config *)section->target)->mechanisms;

    for (size_t i = 0; i < words->count; i++) {
        size_t length = strspn(words->items[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
        if (words->items[i][length] == '\0' && length <= MECHANISM_MAXIMUM)
            continue;
        problems_add(draft->problems, draft_line(section, "mechanisms"),
                     "mechanisms: a SASL name is in capitals; write OAUTHBEARER XOAUTH2");
        return;
    }
}

static bool pin_is_valid(struct slice pin)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (pin.size != PIN_LENGTH || pin.data[PIN_LENGTH - 1] != '=')
        return false;
    for (size_t i = 0; i < PIN_LENGTH - 1; i++)
        if (memchr(alphabet, pin.data[i], sizeof(alphabet) - 1) == NULL)
            return false;
    return true;
}

static void check_pins(struct draft *draft, const struct draft_section *section)
{
    struct slice rest =
        slice_of_string(((const struct provider_config *)section->target)->pin_sha256);
    struct slice pin;

    while (slice_next_word(&rest, ' ', &pin)) {
        if (pin.size == 0 || pin_is_valid(pin))
            continue;
        problems_add(draft->problems, draft_line(section, "pin_sha256"),
                     "pin_sha256: each is the SHA-256 of a public key in base64, %d characters",
                     PIN_LENGTH);
        return;
    }
}

void check_provider(struct draft *draft, const struct draft_section *section)
{
    check_endpoints(draft, section);
    check_urls(draft, section);
    check_domains(draft, section);
    check_exchangers(draft, section);
    check_default_tenant(draft, section);
    check_redirect(draft, section);
    check_mechanisms(draft, section);
    check_pins(draft, section);
}
