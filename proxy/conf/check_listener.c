/*
 * Addresses and networks are parsed into the listener; then who could reach it is held against what
 * protects it.
 *
 * Failures are problems of the draft: no address, one that is none or that another listener has; an
 * address that others can reach without TLS or without a list of who may connect; an unknown
 * account; no login without account and peer = owner, or of a protocol that has none without; half
 * of a certificate.
 */
#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/problem.h"

#define SHOWN 64

static void parse_addresses(struct draft *draft, const struct draft_section *section)
{
    struct listener_config *listener = section->target;
    char shown[SHOWN];

    if (listener->address.count == 0 && !draft_value(section, "address")->bad)
        problems_add(draft->problems, draft_line(section, "address"),
                     "listener %s has no address; add address = 127.0.0.1:1143", listener->name);
    listener->addresses = mem_new_array(listener->address.count, sizeof(struct listen_address));
    for (size_t i = 0; i < listener->address.count; i++) {
        struct err err = {0};
        if (listen_address_parse(listener->address.items[i], draft->surroundings->home,
                                 &listener->addresses[listener->address_count], &err) == 0) {
            listener->address_count++;
            continue;
        }
        slice_escape(slice_of_string(listener->address.items[i]), shown, sizeof(shown));
        problems_add(draft->problems, draft_line(section, "address"), "address \"%s\": %s", shown,
                     err.text);
    }
}

static void parse_networks(struct draft *draft, const struct draft_section *section)
{
    struct listener_config *listener = section->target;
    char shown[SHOWN];

    listener->allowed = mem_new_array(listener->allow.count, sizeof(struct network));
    for (size_t i = 0; i < listener->allow.count; i++) {
        struct err err = {0};
        if (network_parse(listener->allow.items[i], &listener->allowed[listener->allowed_count],
                          &err) == 0) {
            listener->allowed_count++;
            continue;
        }
        slice_escape(slice_of_string(listener->allow.items[i]), shown, sizeof(shown));
        problems_add(draft->problems, draft_line(section, "allow"), "allow \"%s\": %s", shown,
                     err.text);
    }
}

/* True when `address` is taken by this listener before it, or by one of an earlier section. */
static const struct listener_config *taken_by(const struct draft *draft,
                                              const struct listener_config *listener,
                                              const struct listen_address *address)
{
    for (size_t i = 0; i < draft->config->listener_count; i++) {
        const struct listener_config *other = draft->config->listeners[i];
        for (size_t j = 0; j < other->address_count; j++) {
            if (&other->addresses[j] == address)
                return NULL;
            if (listen_address_collides(&other->addresses[j], address))
                return other;
        }
        if (other == listener)
            return NULL;
    }
    return NULL;
}

static void check_collisions(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;
    char shown[SHOWN];

    for (size_t i = 0; i < listener->address_count; i++) {
        const struct listen_address *address = &listener->addresses[i];
        const struct listener_config *other = taken_by(draft, listener, address);
        if (other == NULL)
            continue;
        if (address->path != NULL)
            slice_escape(slice_of_string(address->path), shown, sizeof(shown));
        else
            (void)snprintf(shown, sizeof(shown), "port %u of %s", (unsigned)address->port,
                           address->host);
        problems_add(draft->problems, draft_line(section, "address"),
                     "address: %s is taken by [listen %s] on line %d; choose another", shown,
                     other->name, other->line);
    }
}

static bool is_reachable(const struct listener_config *listener)
{
    for (size_t i = 0; i < listener->address_count; i++)
        if (!listen_address_is_local(&listener->addresses[i]))
            return true;
    return false;
}

static void check_plaintext(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;

    if (listener->allow.count == 0 && !draft_value(section, "allow")->bad)
        problems_add(draft->problems, draft_line(section, "allow"),
                     "remote = plaintext needs allow with the addresses that may connect; add "
                     "allow = 192.168.1.20");
    else if (listener->tls == TLS_MODE_OFF)
        problems_warn(
            draft->problems, draft_line(section, "remote"),
            "listener %s takes passwords and mail over the network without TLS; whoever is "
            "on the way reads them",
            listener->name);
}

static void check_remote(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;

    if (!is_reachable(listener) || draft_value(section, "remote")->bad ||
        draft_value(section, "tls")->bad)
        return;
    if (listener->remote == REMOTE_NO)
        problems_add(draft->problems, draft_line(section, "address"),
                     "listener %s can be reached from other machines; listen on 127.0.0.1, or set "
                     "remote = yes with tls = on, or remote = plaintext with allow",
                     listener->name);
    else if (listener->remote == REMOTE_PLAINTEXT)
        check_plaintext(draft, section);
    else if (listener->tls == TLS_MODE_OFF)
        problems_add(
            draft->problems, draft_line(section, "tls"),
            "remote = yes needs tls = on or starttls; without TLS it is remote = plaintext "
            "with allow");
}

static void check_tls(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;
    bool has_certificate = *listener->tls_cert != '\0', has_key = *listener->tls_key != '\0';
    static const char *const versions[] = {"1.0", "1.1", "1.2", "1.3"};
    bool is_known = false;

    for (size_t i = 0; i < LENGTH_OF(versions); i++)
        is_known = is_known || strcmp(listener->tls_min, versions[i]) == 0;
    if (!is_known)
        problems_add(draft->problems, draft_line(section, "tls_min"),
                     "tls_min must be 1.0, 1.1, 1.2 or 1.3");
    if (has_certificate != has_key && !draft_value(section, "tls_cert")->bad &&
        !draft_value(section, "tls_key")->bad)
        problems_add(draft->problems, draft_line(section, has_key ? "tls_key" : "tls_cert"),
                     "tls_cert and tls_key go together; add %s", has_key ? "tls_cert" : "tls_key");
}

static void check_account_of(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;
    char shown[SHOWN];

    if (*listener->account == '\0')
        return;
    const struct account_config *account = config_account(draft->config, listener->account);
    if (account == NULL) {
        slice_escape(slice_of_string(listener->account), shown, sizeof(shown));
        problems_add(draft->problems, draft_line(section, "account"),
                     "account \"%s\" is unknown; name one of the [account NAME] sections", shown);
    } else if (account->provider_row != NULL &&
               !account->provider_row->endpoints[listener->protocol].is_set &&
               !draft_value(section, "protocol")->bad) {
        problems_add(draft->problems, draft_line(section, "account"),
                     "provider %s of account %s has no %s server; add %s = tls://HOST to it",
                     account->provider, account->name, protocol_name(listener->protocol),
                     protocol_name(listener->protocol));
    }
}

static void check_auth(struct draft *draft, const struct draft_section *section)
{
    const struct listener_config *listener = section->target;
    int line = draft_line(section, "auth");

    if (listener->auth != LISTENER_AUTH_NONE)
        return;
    if (*listener->account == '\0' && !draft_value(section, "account")->bad)
        problems_add(draft->problems, line, "auth = none needs account = NAME in this section");
    const struct account_config *account = config_account(draft->config, listener->account);
    if (account != NULL && account_is_domain(account))
        problems_add(draft->problems, line,
                     "auth = none needs an account with one mailbox; %s has %s", account->name,
                     account->address);
    if (draft->config->peer != PEER_OWNER)
        problems_add(draft->problems, line, "auth = none needs peer = owner in [ecluse]");
    if (listener->protocol != PROTOCOL_SMTP && !draft_value(section, "protocol")->bad)
        problems_add(draft->problems, line,
                     "auth = none is for protocol = smtp; %s clients always log in",
                     protocol_name(listener->protocol));
    if (is_reachable(listener))
        problems_add(draft->problems, line,
                     "auth = none works on loopback only; take the other addresses away");
}

void check_listener(struct draft *draft, const struct draft_section *section)
{
    parse_addresses(draft, section);
    parse_networks(draft, section);
    check_collisions(draft, section);
    check_remote(draft, section);
    check_tls(draft, section);
    check_account_of(draft, section);
    check_auth(draft, section);
}
