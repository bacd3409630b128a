/*
 * The accounts of an emailproxy.config. For each: a label, its servers, the provider that these and
 * its URLs make, then its own options.
 *
 * Failures are problems of the draft: no flow that is known, a text that is the sample's still, a
 * key of which this version knows nothing to make. Warnings, and no account: a catch-all in which
 * everybody signs in for himself, an address that another section or file has.
 */
#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/emailproxy_cache.h"
#include "conf/emailproxy_look_up.h"
#include "conf/emailproxy_mapping.h"
#include "conf/label.h"
#include "conf/problem.h"

/* Of the keys that Google hands out: their token_uri. */
#define GOOGLE_TOKEN_URL "https://oauth2.googleapis.com/token"

/* ---- the provider ---- */

static bool is_same_upstream(const struct mapping_upstream *a, const struct mapping_upstream *b)
{
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if ((a->servers[i] == NULL) != (b->servers[i] == NULL) ||
            (a->servers[i] != NULL && !mapping_is_same_place(a->servers[i], b->servers[i])))
            return false;
    return a->is_device == b->is_device && strcmp(a->token_url, b->token_url) == 0 &&
           strcmp(a->permission_url, b->permission_url) == 0 &&
           strcmp(a->redirect_host, b->redirect_host) == 0 && a->redirect_port == b->redirect_port;
}

static void put_endpoint(struct mapping *mapping, struct draft_section *provider,
                         const struct mapping_server *server)
{
    const char *host = server->address->value;
    bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    char text[MAPPING_HOST_MAXIMUM + 32];

    (void)snprintf(text, sizeof(text), is_ipv6 ? "%s://[%s]:%u" : "%s://%s:%u",
                   server->starttls ? "starttls" : "tls", host, (unsigned)server->server_port);
    mapping_put(mapping, provider, protocol_name(server->protocol), text, server->address->line);
}

/* What stands behind the host: ":8080", a path of "/" or none. False: more. */
static bool read_redirect_port(struct slice rest, uint64_t *port_out)
{
    *port_out = 0;
    if (rest.size > 0 && rest.data[0] == ':') {
        rest = slice_skip(rest, 1);
        struct slice digits = slice_take(rest, slice_find(rest, '/'));
        if (!slice_read_number(digits, UINT16_MAX, port_out))
            return false;
        rest = slice_skip(rest, digits.size);
    }
    return rest.size == 0 || slice_is(rest, "/");
}

static void read_redirect(struct mapping *mapping, const struct emailproxy_section *section,
                          struct mapping_upstream *upstream)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const struct emailproxy_pair *pair = emailproxy_look_up(mapping->file, section, "redirect_uri");

    upstream->redirect_host = "";
    if (pair == NULL)
        return;
    for (size_t i = 0; i < LENGTH_OF(hosts); i++) {
        struct slice rest = slice_of_string(pair->value);
        struct slice host = slice_of_string(hosts[i]);
        if (!slice_starts_with(rest, "http://"))
            break;
        rest = slice_skip(rest, strlen("http://"));
        if (!slice_equal(slice_take(rest, host.size), host))
            continue;
        if (!read_redirect_port(slice_skip(rest, host.size), &upstream->redirect_port))
            problems_warn(mapping->draft->problems, pair->line,
                          "redirect_uri: its host and port are kept, its path is not: a sign-in "
                          "ends at one of its own");
        upstream->redirect_host = hosts[i];
        return;
    }
    problems_warn(mapping->draft->problems, pair->line,
                  "redirect_uri: only http://localhost, http://127.0.0.1 and http://[::1] are "
                  "served; a sign-in uses http://127.0.0.1");
}

static bool provider_is_taken(const struct mapping *mapping, const char *label)
{
    const struct config *beside = mapping->choice->beside;

    if (draft_find_section(mapping->draft, SECTION_PROVIDER, label) != NULL)
        return true;
    for (size_t i = 0; beside != NULL && i < beside->provider_count; i++)
        if (strcmp(beside->providers[i]->name, label) == 0)
            return true;
    return false;
}

/* A name that no row of the provider table has. */
static struct draft_section *add_provider(struct mapping *mapping, int line)
{
    char label[SECTION_LABEL_MAXIMUM + 1] = "emailproxy";

    for (unsigned i = 2; provider_is_taken(mapping, label); i++)
        (void)snprintf(label, sizeof(label), "emailproxy-%u", i);
    struct draft_section *provider =
        draft_add_section(mapping->draft, SECTION_PROVIDER, label, line);
    ENSURE(provider != NULL);
    return provider;
}

/* Its label; borrowed from the draft. */
static const char *put_provider(struct mapping *mapping, const struct emailproxy_section *section,
                                struct mapping_upstream *upstream)
{
    const struct emailproxy_pair *token = emailproxy_look_up(mapping->file, section, "token_url");
    const struct emailproxy_pair *permission =
        emailproxy_look_up(mapping->file, section, "permission_url");

    for (size_t i = 0; i < mapping->upstream_count; i++)
        if (is_same_upstream(&mapping->upstreams[i], upstream))
            return mapping->upstreams[i].label;
    struct draft_section *provider = add_provider(mapping, section->line);
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        if (upstream->servers[i] != NULL)
            put_endpoint(mapping, provider, upstream->servers[i]);
    mapping_put_pair(mapping, provider, "token_endpoint", token);
    mapping_put_pair(mapping, provider,
                     upstream->is_device ? "device_authorization_endpoint"
                                         : "authorization_endpoint",
                     permission);
    if (*upstream->redirect_host != '\0')
        mapping_put(mapping, provider, "redirect_host", upstream->redirect_host, section->line);
    if (upstream->redirect_port != 0) {
        char port[6];
        (void)snprintf(port, sizeof(port), "%u", (unsigned)upstream->redirect_port);
        mapping_put(mapping, provider, "redirect_port", port, section->line);
    }
    upstream->label = ((const struct provider_config *)provider->target)->name;
    mapping->upstreams = mem_resize(mapping->upstreams, (mapping->upstream_count + 1) *
                                                            sizeof(struct mapping_upstream));
    mapping->upstreams[mapping->upstream_count++] = *upstream;
    return upstream->label;
}

/* ---- the label ---- */

static bool label_is_taken(const void *owner, const char *label)
{
    const struct mapping *mapping = owner;
    const struct config *beside = mapping->choice->beside;

    return draft_find_section(mapping->draft, SECTION_ACCOUNT, label) != NULL ||
           (beside != NULL && config_account(beside, label) != NULL);
}

/* ---- the account ---- */

/* The word of ours, or NULL after it was said that there is none. */
static const char *flow_of(struct mapping *mapping, const struct emailproxy_section *section)
{
    static const char *const words[][2] = {{"authorization_code", "code"},
                                           {"device", "device"},
                                           {"client_credentials", "client_credentials"},
                                           {"password", "password"},
                                           {"service_account", "service_account"}};
    const struct emailproxy_pair *flow = emailproxy_look_up(mapping->file, section, "oauth2_flow");
    bool asks_user = emailproxy_look_up(mapping->file, section, "permission_url") != NULL;

    for (size_t i = 0; flow != NULL && i < LENGTH_OF(words); i++)
        if (strcmp(flow->value, words[i][0]) == 0)
            return words[i][1];
    if (asks_user)
        return "code";
    problems_add(mapping->draft->problems, flow == NULL ? section->line : flow->line,
                 "the account has no permission_url and no oauth2_flow that is known: "
                 "authorization_code device client_credentials password service_account");
    return NULL;
}

/* That the account has no jwt_key_file then is no problem of its own. */
static void forgo_key_file(struct draft_section *account)
{
    const struct option_table *table = option_table(account->kind);

    account->values[option_index(table, option_find(table, "jwt_key_file"))].bad = true;
}

static void refuse_key(struct mapping *mapping, struct draft_section *account, int line)
{
    forgo_key_file(account);
    problems_add(mapping->draft->problems, line,
                 "the key of a service account is either client_id = key, with the JSON as "
                 "client_secret, or client_id = file, with the path of a file of mode 0600; one "
                 "that is encrypted is not taken over");
}

/* For a service account: the path of the key's file, or the key itself. */
static void map_service_account(struct mapping *mapping, const struct emailproxy_section *section,
                                struct draft_section *account)
{
    const struct emailproxy_pair *kind = emailproxy_look_up(mapping->file, section, "client_id");
    const struct emailproxy_pair *secret =
        emailproxy_look_up(mapping->file, section, "client_secret");

    if (kind != NULL && strcmp(kind->value, "file") == 0) {
        mapping_put_pair(mapping, account, "jwt_key_file", secret);
    } else if (kind != NULL && strcmp(kind->value, "key") == 0 && secret != NULL) {
        struct account_config *target = account->target;
        forgo_key_file(account);
        secret_set(&target->key, slice_of_string(secret->value));
    } else
        refuse_key(mapping, account, kind == NULL ? section->line : kind->line);
}

static bool has_secret(const struct mapping *mapping, const struct emailproxy_section *section)
{
    return emailproxy_look_up(mapping->file, section, "client_secret") != NULL ||
           emailproxy_look_up(mapping->file, section, "client_secret_encrypted") != NULL;
}

/* A client that acts for itself is nobody without it. */
static void keep_sealed_secret(struct mapping *mapping, struct account_config *account, int line)
{
    void (*say)(struct config_problems * problems, int line, const char *format, ...) =
        account->flow == FLOW_CLIENT_CREDENTIALS ? problems_add : problems_warn;

    account->client_secret_is_sealed = true;
    if (!mapping->choice->opens_secrets)
        say(mapping->draft->problems, line,
            "client_secret_encrypted opens with the local password alone: ecluse import emailproxy "
            "takes it over");
}

static void map_client(struct mapping *mapping, const struct emailproxy_section *section,
                       struct draft_section *account)
{
    const struct emailproxy_pair *secret =
        emailproxy_look_up(mapping->file, section, "client_secret");
    const struct emailproxy_pair *sealed =
        emailproxy_look_up(mapping->file, section, "client_secret_encrypted");

    mapping_put_pair(mapping, account, "client_id",
                     emailproxy_look_up(mapping->file, section, "client_id"));
    mapping_put_pair(mapping, account, "client_secret", secret);
    if (secret == NULL && sealed != NULL)
        keep_sealed_secret(mapping, account->target, sealed->line);
    if (!has_secret(mapping, section)) {
        mapping_put_pair(mapping, account, "jwt_key_file",
                         emailproxy_look_up(mapping->file, section, "jwt_key_path"));
        mapping_put_pair(mapping, account, "jwt_cert_file",
                         emailproxy_look_up(mapping->file, section, "jwt_certificate_path"));
    }
}

/* Kept as it is: only the local password opens it. The other flows have none that is of use. */
static void keep_sealed_token(struct mapping *mapping, const struct emailproxy_section *section,
                              struct account_config *account)
{
    const struct emailproxy_pair *token =
        emailproxy_look_up(mapping->file, section, "refresh_token");
    const struct emailproxy_pair *salt = emailproxy_look_up(mapping->file, section, "token_salt");
    const struct emailproxy_pair *count =
        emailproxy_look_up(mapping->file, section, "token_iterations");
    uint64_t iterations = 0;

    if (token == NULL || salt == NULL ||
        (account->flow != FLOW_CODE && account->flow != FLOW_DEVICE))
        return;
    if (count != NULL && !slice_read_number(slice_of_string(count->value), UINT32_MAX, &iterations))
        problems_add(mapping->draft->problems, count->line, "token_iterations must be a number");
    account->sealed = (struct sealed_token){.token = mem_copy_string(token->value),
                                            .salt = mem_copy_string(salt->value),
                                            .iterations = (unsigned)iterations};
}

/* What has a meaning there, and none here, or another one. */
static void warn_of_the_rest(struct mapping *mapping, const struct emailproxy_section *section,
                             const char *flow)
{
    static const char *const proofs[] = {"jwt_certificate_path", "jwt_key_path"};
    const struct emailproxy_file *file = mapping->file;
    struct config_problems *problems = mapping->draft->problems;
    const struct emailproxy_pair *listens =
        emailproxy_look_up(file, section, "redirect_listen_address");
    const struct emailproxy_pair *token_url = emailproxy_look_up(file, section, "token_url");

    if (listens != NULL)
        problems_warn(problems, listens->line,
                      "redirect_listen_address: a sign-in listens on the loopback address of its "
                      "redirect_uri alone; it is left out");
    for (size_t i = 0; has_secret(mapping, section) && i < LENGTH_OF(proofs); i++) {
        const struct emailproxy_pair *proof = emailproxy_look_up(file, section, proofs[i]);
        if (proof != NULL)
            problems_warn(problems, proof->line,
                          "%s is of use where there is no client_secret; it is left out",
                          proofs[i]);
    }
    if (strcmp(flow, "service_account") == 0 && token_url != NULL &&
        strcmp(token_url->value, GOOGLE_TOKEN_URL) != 0)
        problems_warn(problems, token_url->line,
                      "token_url is where the token of this service account is asked for; "
                      "email-oauth2-proxy asks at the token_uri of its key");
}

static void put_account(struct mapping *mapping, const struct emailproxy_section *section,
                        const char *flow, const char *label, const char *provider)
{
    const struct emailproxy_pair *resource =
        emailproxy_look_up(mapping->file, section, "oauth2_resource");
    struct draft_section *account =
        draft_add_section(mapping->draft, SECTION_ACCOUNT, label, section->line);

    char *address = emailproxy_address(section);

    ENSURE(account != NULL);
    mapping_put(mapping, account, "address", address, section->line);
    mem_free(address);
    mapping_put(mapping, account, "provider", provider, section->line);
    mapping_put(mapping, account, "flow", flow, section->line);
    mapping_put_pair(mapping, account, "scope",
                     emailproxy_look_up(mapping->file, section, "oauth2_scope"));
    /* There nobody looks at who has signed in, and shared mailboxes are served so. */
    if (strcmp(flow, "code") == 0 || strcmp(flow, "device") == 0)
        mapping_put(mapping, account, "delegates", "yes", section->line);
    if (strcmp(flow, "service_account") == 0)
        map_service_account(mapping, section, account);
    else
        map_client(mapping, section, account);
    keep_sealed_token(mapping, section, account->target);
    if (strcmp(flow, "password") == 0)
        mapping_put_pair(mapping, account, "resource", resource);
    else if (resource != NULL)
        problems_warn(mapping->draft->problems, resource->line,
                      "oauth2_resource: only oauth2_flow = password has it sent; it is left out");
    warn_of_the_rest(mapping, section, flow);
}

/* The account of another file that has the very address. */
static const struct account_config *find_beside(const struct mapping *mapping,
                                                const struct emailproxy_section *section)
{
    const struct config *beside = mapping->choice->beside;
    const struct account_config *found = NULL;
    char *address = emailproxy_address(section);

    for (size_t i = 0; beside != NULL && i < beside->account_count; i++)
        if (strcmp(beside->accounts[i]->address, address) == 0)
            found = beside->accounts[i];
    mem_free(address);
    return found;
}

/* The section above that has the same address, since the case of a domain does not count here. When
 * one account is asked for, it is that one. */
static const struct emailproxy_section *find_above(const struct mapping *mapping,
                                                   const struct emailproxy_section *section)
{
    const char *domain = strrchr(section->name, '@');
    size_t local_size = (size_t)(domain - section->name);

    if (mapping->choice->address != NULL)
        return NULL;
    for (const struct emailproxy_section *other = mapping->file->sections; other != section;
         other++) {
        const char *other_domain = strrchr(other->name, '@');
        if (other_domain != NULL && (size_t)(other_domain - other->name) == local_size &&
            memcmp(other->name, section->name, local_size) == 0 &&
            slice_is_ignoring_case(slice_of_string(other_domain), domain))
            return other;
    }
    return NULL;
}

/* True after it was said that the section is left out. */
static bool is_left_out(struct mapping *mapping, const struct emailproxy_section *section)
{
    const struct account_config *beside = find_beside(mapping, section);
    const struct emailproxy_section *above = find_above(mapping, section);
    struct config_problems *problems = mapping->draft->problems;

    mapping->is_served_elsewhere = mapping->is_served_elsewhere || beside != NULL;
    if (beside != NULL)
        problems_warn(problems, section->line,
                      "account %s has this address already; the section is not taken over",
                      beside->name);
    else if (above != NULL)
        problems_warn(problems, section->line,
                      "the section on line %d has the same address, but for the case of its "
                      "domain; this one is left out",
                      above->line);
    else if (section->name[0] == '@' && !emailproxy_has_catch_all(mapping->file))
        problems_warn(problems, section->line,
                      "a catch-all account is of no use without allow_catch_all_accounts; the "
                      "section is left out");
    else
        return false;
    return true;
}

/* Nobody has filled in what the sample says. */
static bool is_of_sample(struct mapping *mapping, const struct emailproxy_section *section)
{
    static const char *const keys[] = {"permission_url", "token_url", "client_id", "client_secret"};

    for (size_t i = 0; i < LENGTH_OF(keys); i++) {
        const struct emailproxy_pair *pair = emailproxy_look_up(mapping->file, section, keys[i]);
        if (pair == NULL || strstr(pair->value, "*** your ") == NULL)
            continue;
        problems_add(mapping->draft->problems, pair->line,
                     "%s has the text of the sample; put in your own", keys[i]);
        return true;
    }
    return false;
}

/* Nothing but what the program writes for somebody whom a catch-all section serves. */
static bool is_cache(const struct emailproxy_section *section)
{
    for (size_t i = 0; i < section->count; i++)
        if (!emailproxy_is_cached(section->pairs[i].key))
            return false;
    return true;
}

/* Where nobody signs in, a catch-all section serves all, whatever was written for one of them.
 * Where everybody signs in for himself, those who have a section become accounts. */
static bool is_served_otherwise(struct mapping *mapping, const struct emailproxy_section *section,
                                const char *flow)
{
    bool is_catch_all = section->name[0] == '@';
    bool signs_in = strcmp(flow, "client_credentials") != 0 && strcmp(flow, "service_account") != 0;

    if (is_catch_all && signs_in)
        problems_warn(mapping->draft->problems, section->line,
                      "a catch-all account in which users sign in serves those alone that have a "
                      "section; give the others one each");
    return is_catch_all ? signs_in
                        : emailproxy_has_catch_all(mapping->file) && !signs_in && is_cache(section);
}

void mapping_account(struct mapping *mapping, const struct emailproxy_section *section)
{
    const struct emailproxy_pair *token = emailproxy_look_up(mapping->file, section, "token_url");
    const struct emailproxy_pair *permission =
        emailproxy_look_up(mapping->file, section, "permission_url");
    char label[SECTION_LABEL_MAXIMUM + 1];

    if (is_left_out(mapping, section) || is_of_sample(mapping, section))
        return;
    const char *flow = flow_of(mapping, section);
    if (flow == NULL || is_served_otherwise(mapping, section, flow))
        return;
    struct mapping_upstream upstream = {
        .token_url = token == NULL ? "" : token->value,
        .permission_url = permission == NULL ? "" : permission->value,
        .is_device = strcmp(flow, "device") == 0,
    };
    read_redirect(mapping, section, &upstream);
    if (!mapping_choose_servers(mapping, section, &upstream))
        return;
    label_make(section->name, label_is_taken, mapping, label);
    put_account(mapping, section, flow, label, put_provider(mapping, section, &upstream));
}
