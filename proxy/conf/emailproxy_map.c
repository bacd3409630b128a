/*
 * Servers first, since accounts look for theirs among them; [emailproxy] last. Each value is put
 * into the draft with the line that it came from, so that the checks report that line.
 *
 * Each is mapped for trial first; one that comes to nothing (a server without address or port, a
 * value that the options of ours do not take) is left out, which conf/emailproxy_trial reports.
 *
 * Failures are problems of the draft: an option of [emailproxy] that cannot be taken over, an
 * account that is asked for and not there. What is merely different is a warning.
 */
#include "conf/emailproxy_map.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/emailproxy_look_up.h"
#include "conf/emailproxy_mapping.h"
#include "conf/problem.h"
#include "conf/value.h"

#define LABEL_MAXIMUM 32
#define SHOWN         64

/* ---- what both halves use ---- */

void mapping_put(struct mapping *mapping, struct draft_section *section, const char *key,
                 const char *text, int line)
{
    struct draft *draft = mapping->draft;
    const struct option_table *table = option_table(section->kind);
    const struct option *option = option_find(table, key);
    struct err err = {0};

    ENSURE(option != NULL);
    struct draft_value *value = &section->values[option_index(table, option)];
    value->line = line;
    if (value_set(option, section->target, text, draft->surroundings->home, &err) == 0)
        return;
    value->bad = true;
    problems_add(draft->problems, line, "%s: %s", key, err.text);
}

void mapping_put_pair(struct mapping *mapping, struct draft_section *section, const char *key,
                      const struct emailproxy_pair *pair)
{
    if (pair != NULL)
        mapping_put(mapping, section, key, pair->value, pair->line);
}

bool mapping_flag(const struct mapping *mapping, const struct emailproxy_section *section,
                  const char *key, bool initial)
{
    const struct emailproxy_pair *pair = emailproxy_look_up(mapping->file, section, key);

    bool value = initial;

    if (pair != NULL && !emailproxy_boolean(pair->value, &value))
        problems_add(mapping->draft->problems, pair->line, "%s must be True or False", key);
    return value;
}

/* ---- servers ---- */

static bool read_server_name(const char *name, struct mapping_server *server)
{
    static const struct {
        const char *type;
        enum protocol protocol;
    } types[] = {{"IMAP-", PROTOCOL_IMAP}, {"POP-", PROTOCOL_POP3}, {"SMTP-", PROTOCOL_SMTP}};
    struct slice text = slice_of_string(name);

    for (size_t i = 0; i < LENGTH_OF(types); i++)
        if (slice_starts_with(text, types[i].type) &&
            slice_read_number(slice_skip(text, strlen(types[i].type)), UINT32_MAX, &server->port)) {
            server->protocol = types[i].protocol;
            return true;
        }
    return false;
}

/* "127.0.0.1:1993 [::1]:1993" */
static void put_loopback(struct mapping *mapping, struct draft_section *section,
                         const struct mapping_server *server, int line)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "127.0.0.1:%u [::1]:%u", (unsigned)server->port,
                   (unsigned)server->port);
    mapping_put(mapping, section, "address", text, line);
}

/* Numeric addresses are taken as they are; a name is none that we could open. */
static bool is_numeric(const char *host, unsigned port, char *text_out, size_t capacity,
                       bool *is_local_out)
{
    struct listen_address address = {0};
    bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';

    (void)snprintf(text_out, capacity, is_ipv6 ? "[%.64s]:%u" : "%.64s:%u", host, port);
    if (strlen(host) > 64 || listen_address_parse(text_out, NULL, &address, NULL) != 0)
        return false;
    *is_local_out = listen_address_is_local(&address);
    listen_address_fini(&address);
    return true;
}

/* Without local_address they listen on every interface, most of the time in clear. With TLS that is
 * what we do too; without it the listener stays on loopback. */
static void map_local_address(struct mapping *mapping, struct draft_section *section,
                              const struct mapping_server *server, bool has_tls)
{
    const struct emailproxy_pair *pair =
        emailproxy_look_up(mapping->file, server->section, "local_address");
    int line = pair == NULL ? server->section->line : pair->line;
    unsigned port = (unsigned)server->port;
    char text[96];
    bool is_local = false;

    if (pair != NULL && strcmp(pair->value, "localhost") == 0) {
        put_loopback(mapping, section, server, line);
    } else if (pair != NULL && is_numeric(pair->value, port, text, sizeof(text), &is_local) &&
               (is_local || has_tls)) {
        mapping_put(mapping, section, "address", text, line);
    } else if (pair == NULL && has_tls) {
        (void)snprintf(text, sizeof(text), "0.0.0.0:%u [::]:%u", port, port);
        mapping_put(mapping, section, "address", text, line);
    } else {
        put_loopback(mapping, section, server, line);
        problems_warn(mapping->draft->problems, line,
                      "port %u is opened on 127.0.0.1 and ::1 alone; %s would take passwords from "
                      "the network in clear",
                      port,
                      pair == NULL ? "no local_address stands for every interface, which"
                                   : "this local_address");
    }
    if (has_tls && !is_local && (pair == NULL || strcmp(pair->value, "localhost") != 0))
        mapping_put(mapping, section, "remote", "yes", line);
}

static void map_listener(struct mapping *mapping, const struct mapping_server *server)
{
    const struct emailproxy_pair *certificate =
        emailproxy_look_up(mapping->file, server->section, "local_certificate_path");
    const struct emailproxy_pair *key =
        emailproxy_look_up(mapping->file, server->section, "local_key_path");
    bool has_tls = certificate != NULL && key != NULL;
    int line = server->section->line;
    char label[LABEL_MAXIMUM];

    (void)snprintf(label, sizeof(label), "%s-%u", protocol_name(server->protocol),
                   (unsigned)server->port);
    struct draft_section *section =
        draft_add_section(mapping->draft, SECTION_LISTENER, label, line);
    ENSURE(section != NULL);
    mapping_put(mapping, section, "protocol", protocol_name(server->protocol), line);
    map_local_address(mapping, section, server, has_tls);
    bool upgrades = server->protocol == PROTOCOL_SMTP &&
                    mapping_flag(mapping, server->section, "local_starttls", false);
    if (has_tls) {
        mapping_put_pair(mapping, section, "tls_cert", certificate);
        mapping_put_pair(mapping, section, "tls_key", key);
        mapping_put(mapping, section, "tls", upgrades ? "starttls" : "on", certificate->line);
    } else if (certificate != NULL || key != NULL)
        problems_add(mapping->draft->problems, certificate != NULL ? certificate->line : key->line,
                     "local_certificate_path and local_key_path go together; add the other one");
    else if (upgrades)
        problems_add(mapping->draft->problems, line,
                     "local_starttls needs local_certificate_path and local_key_path; add them");
}

/* The listener of another file that has the port already serves the accounts of this one as well.
 */
static bool is_taken(const struct mapping *mapping, const struct mapping_server *server)
{
    const struct config *beside = mapping->choice->beside;

    for (size_t i = 0; beside != NULL && i < beside->listener_count; i++) {
        const struct listener_config *listener = beside->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++)
            if (listener->addresses[j].path == NULL && listener->addresses[j].port == server->port)
                return true;
    }
    return false;
}

/* False after it was said what is wrong. */
static bool read_server(struct mapping *mapping, struct mapping_server *server)
{
    const struct emailproxy_section *section = server->section;
    struct config_problems *problems = mapping->draft->problems;
    const struct emailproxy_pair *address =
        emailproxy_look_up(mapping->file, section, "server_address");
    const struct emailproxy_pair *port = emailproxy_look_up(mapping->file, section, "server_port");
    const char *starttls = emailproxy_look_up(mapping->file, section, "server_starttls") != NULL
                               ? "server_starttls"
                               : "starttls";
    uint64_t number = 0;

    if (server->port == 0 || server->port > UINT16_MAX)
        problems_add(problems, section->line, "the port in the heading must be 1 to 65535");
    else if (address == NULL || port == NULL)
        problems_add(problems, section->line,
                     "a server needs server_address and server_port; add what is missing");
    else if (!slice_read_number(slice_of_string(port->value), UINT16_MAX, &number) || number == 0)
        problems_add(problems, port->line, "server_port must be a number from 1 to 65535");
    else if (strlen(address->value) > MAPPING_HOST_MAXIMUM)
        problems_add(problems, address->line, "server_address is longer than a name can be");
    if (number == 0 || strlen(address->value) > MAPPING_HOST_MAXIMUM)
        return false;
    server->address = address;
    server->server_port = number;
    server->starttls =
        server->protocol == PROTOCOL_SMTP && mapping_flag(mapping, section, starttls, false);
    const struct emailproxy_pair *plugins = emailproxy_look_up(mapping->file, section, "plugins");
    if (plugins != NULL)
        problems_warn(problems, plugins->line, "plugins of email-oauth2-proxy are not run");
    return true;
}

static void map_server(struct mapping *mapping, const struct emailproxy_section *section)
{
    struct mapping_server server = {.section = section};

    if (!read_server_name(section->name, &server) || !read_server(mapping, &server))
        return;
    mapping->servers[mapping->server_count++] = server;
    if (is_taken(mapping, &server))
        problems_warn(mapping->draft->problems, section->line,
                      "port %u is one of our listeners already; its section is not taken over",
                      (unsigned)server.port);
    else
        map_listener(mapping, &server);
}

static void take_server(struct mapping *mapping, const struct emailproxy_section *section)
{
    struct mapping_server server;

    if (!read_server_name(section->name, &server))
        return;
    if (mapping_try(mapping, section, map_server))
        map_server(mapping, section);
    else
        mapping->lacks_servers[server.protocol] = true;
}

/* ---- [emailproxy] ---- */

static void map_general(struct mapping *mapping, const struct emailproxy_section *section)
{
    struct config_problems *problems = mapping->draft->problems;
    const char *secret_key = "use_login_password_as_client_credentials_secret";

    if (mapping_flag(mapping, section, "delete_account_token_on_password_error", false))
        problems_warn(
            problems,
            emailproxy_look_up(mapping->file, section, "delete_account_token_on_password_error")
                ->line,
            "delete_account_token_on_password_error: a wrong password costs nobody the "
            "sign-in here");
    if (mapping_flag(mapping, section, "encrypt_client_secret_on_first_use", false))
        problems_warn(
            problems,
            emailproxy_look_up(mapping->file, section, "encrypt_client_secret_on_first_use")->line,
            "encrypt_client_secret_on_first_use: nothing is written into this file; keep "
            "it at 0600");
    if (mapping_flag(mapping, section, secret_key, false))
        problems_add(problems, emailproxy_look_up(mapping->file, section, secret_key)->line,
                     "%s cannot be taken over: a client's password proves who it is here, and is "
                     "nobody else's secret; remove it and give the account its client_secret",
                     secret_key);
    (void)mapping_flag(mapping, section, "allow_catch_all_accounts", false);
}

/* ---- all ---- */

void emailproxy_map(const struct emailproxy_file *file, const struct emailproxy_choice *choice,
                    struct draft *draft)
{
    struct mapping mapping = {.file = file, .choice = choice, .draft = draft};
    const struct emailproxy_section *general = emailproxy_section(file, "emailproxy");
    const char *ca_file = draft->surroundings->ssl_cert_file;
    bool is_found = choice->address == NULL;

    if (ca_file != NULL)
        mapping_put(&mapping, draft->sections[0], "ca_file", ca_file, 0);
    mapping.servers = mem_new_array(file->count + 1, sizeof(struct mapping_server));
    for (size_t i = 0; i < file->count; i++)
        take_server(&mapping, &file->sections[i]);
    if (general != NULL)
        map_general(&mapping, general);
    for (size_t i = 0; i < file->count; i++) {
        const char *name = file->sections[i].name;
        if (strchr(name, '@') == NULL ||
            (choice->address != NULL && strcmp(choice->address, name) != 0))
            continue;
        is_found = true;
        if (mapping_try(&mapping, &file->sections[i], mapping_account))
            mapping_account(&mapping, &file->sections[i]);
    }
    if (!is_found)
        problems_add(draft->problems, 0, "has no section [%.64s]; names match exactly",
                     choice->address);
    mapping_finish(&mapping);
    mem_free(mapping.servers);
    mem_free(mapping.upstreams);
}

int emailproxy_config(const struct emailproxy_file *file, const char *name,
                      const struct config_surroundings *surroundings,
                      const struct emailproxy_choice *choice, struct config **config_out,
                      struct config_problems *problems)
{
    struct draft draft;

    *config_out = NULL;
    draft_init(&draft, name, surroundings, problems);
    emailproxy_map(file, choice, &draft);
    if (choice->beside == NULL)
        check_draft(&draft);
    else
        check_sections(&draft);
    bool failed = problems_have_error(problems);
    problems_sort(problems);
    draft_fini(&draft, failed ? NULL : config_out);
    return failed ? ERR_CONFIG : 0;
}
