/*
 * Happy path: [provider NAME], when it was found, and [account NAME] are appended to the
 * configuration. Where there is none it is made, with a listener for each protocol on ports that
 * are free.
 *
 * Failures, with nothing changed: 65 a value that the configuration does not take · 73 the file
 * cannot be written · 78 the configuration would have a problem.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/add.h"
#include "cli/configuration_append.h"
#include "cli/print.h"
#include "conf/draft.h"
#include "conf/printer.h"
#include "conf/value.h"
#include "keeper/surroundings.h"

#define TEXT_MAXIMUM (1u << 20u)
/* The next that is tried when a port is taken. */
#define PORT_STEP  1000u
#define PORT_TRIES 10u

/* ---- a file where there is none ---- */

static bool can_bind(const struct sockaddr *address, socklen_t size)
{
    int yes = 1, descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool done = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
                bind(descriptor, address, size) == 0 && listen(descriptor, 1) == 0;
    close(descriptor);
    return done;
}

static bool is_free_on_ipv4(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return can_bind((const struct sockaddr *)&address, sizeof(address));
}

static bool is_free_on_ipv6(uint16_t port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return can_bind((const struct sockaddr *)&address, sizeof(address));
}

/* The usual one when none is free: a listener that cannot be opened says so. */
static uint16_t choose_port(uint16_t usual, bool has_ipv6)
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint16_t port = (uint16_t)(usual + i * PORT_STEP);
        if (is_free_on_ipv4(port) && (!has_ipv6 || is_free_on_ipv6(port)))
            return port;
    }
    return usual;
}

static int print_listeners(struct buf *text)
{
    static const uint16_t usual[PROTOCOL_COUNT] = {1143, 1110, 1025};
    bool has_ipv6 = is_free_on_ipv6(0);
    int status = 0;
    for (enum protocol protocol = 0; status == 0 && protocol < PROTOCOL_COUNT; protocol++) {
        const char *name = protocol_name(protocol);
        unsigned port = choose_port(usual[protocol], has_ipv6);
        if (port != usual[protocol])
            print_complaint("Port %u is taken by another program; %u is used instead.",
                            (unsigned)usual[protocol], port);
        status = buf_append_format(text, "\n[listen %s]\nprotocol = %s\naddress = 127.0.0.1:%u",
                                   name, name, port);
        if (status == 0 && has_ipv6)
            status = buf_append_format(text, " [::1]:%u", port);
        if (status == 0)
            status = buf_append_string(text, "\n");
    }
    return status;
}

/* Of a session that has no folder for sockets the default would not work. */
static int print_runtime_folder(struct buf *text)
{
    char folder[48];
    (void)snprintf(folder, sizeof(folder), "/run/user/%u", (unsigned)getuid());
    if (surroundings_variable("XDG_RUNTIME_DIR") != NULL ||
        surroundings_variable("RUNTIME_DIRECTORY") != NULL || access(folder, W_OK) == 0)
        return 0;
    return buf_append_string(text, "runtime_dir = ~/.local/state/ecluse/run\n");
}

static int print_new_file(struct buf *text)
{
    int status =
        buf_append_string(text, "; Made by \"ecluse add\". \"ecluse check --defaults\" lists every "
                                "key, \"ecluse reload\" has\n; the daemon read it again.\n"
                                "[ecluse]\n");
    if (status == 0)
        status = print_runtime_folder(text);
    return status == 0 ? print_listeners(text) : status;
}

/* ---- the sections ---- */

/* ENSURE: the key is of that section. NULL and "" put nothing. */
static int put(const struct draft_section *section, const char *key, const char *text)
{
    const struct option *option = option_find(option_table(section->kind), key);
    struct err err;
    ENSURE(option != NULL);
    if (text == NULL || *text == '\0' || value_set(option, section->target, text, NULL, &err) == 0)
        return EX_OK;
    return print_failure(EX_DATAERR, "add: %s: %s; nothing was changed", key, err.text);
}

static bool provider_is_taken(const void *owner, const char *label)
{
    const struct config *config = owner;
    for (size_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i]->name, label) == 0)
            return true;
    return false;
}

static bool account_is_taken(const void *owner, const char *label)
{
    return config_account(owner, label) != NULL;
}

static int put_provider(const struct add *add, const struct draft_section *section)
{
    const struct mail_service *service = &add->service;
    char servers[PROTOCOL_COUNT][MAIL_SERVER_TEXT] = {""};
    int exit_code = put(section, "domains", add->domain);
    for (enum protocol protocol = 0; exit_code == EX_OK && protocol < PROTOCOL_COUNT; protocol++) {
        if (service->servers[protocol].endpoint.is_set)
            mail_server_text(&service->servers[protocol], servers[protocol]);
        exit_code = put(section, protocol_name(protocol), servers[protocol]);
    }
    if (add->flow == FLOW_NONE)
        return exit_code == EX_OK ? put(section, "flow", "none") : exit_code;
    const char *const values[][2] = {
        {"issuer", service->issuer},
        {"authorization_endpoint", service->authorization_endpoint},
        {"token_endpoint", service->token_endpoint},
        {"scope", add->scope != NULL ? add->scope : service->scope},
    };
    for (size_t i = 0; exit_code == EX_OK && i < LENGTH_OF(values); i++)
        exit_code = put(section, values[i][0], values[i][1]);
    return exit_code;
}

static int put_users(const struct add *add, const struct draft_section *section)
{
    static const char *const keys[PROTOCOL_COUNT] = {"imap_user", "pop3_user", "smtp_user"};
    int exit_code = EX_OK;
    for (size_t i = 0; exit_code == EX_OK && i < PROTOCOL_COUNT; i++)
        exit_code = put(section, keys[i], add->service.servers[i].user);
    return exit_code;
}

static int put_account(const struct add *add, const struct draft_section *section,
                       const char *provider)
{
    struct account_config *account = section->target;
    int exit_code = put(section, "address", add->address);
    if (exit_code == EX_OK && !add->row_has_the_domain)
        exit_code = put(section, "provider", provider);
    if (exit_code == EX_OK)
        exit_code = put(section, "client_id", add->client_id);
    if (exit_code == EX_OK && add->row != NULL)
        exit_code = put(section, "scope", add->scope);
    if (exit_code == EX_OK)
        exit_code = put(section, "tenant", add->tenant);
    if (exit_code == EX_OK)
        exit_code = put_users(add, section);
    if (secret_is_set(&add->client_secret))
        secret_copy(&account->client_secret, &add->client_secret);
    account->flow = add->flow;
    return exit_code;
}

static int put_sections(struct add *add, struct draft *draft)
{
    const struct provider_config *row = add->row;
    int exit_code = EX_OK;
    if (row == NULL) {
        char label[SECTION_LABEL_MAXIMUM + 1];
        label_make(add->domain, provider_is_taken, add->config, label);
        const struct draft_section *provider = draft_add_section(draft, SECTION_PROVIDER, label, 0);
        row = provider->target;
        exit_code = put_provider(add, provider);
    }
    const struct draft_section *account = draft_add_section(draft, SECTION_ACCOUNT, add->label, 0);
    /* The printer leaves a flow out that is the provider's. */
    ((struct account_config *)account->target)->provider_row = row;
    return exit_code == EX_OK ? put_account(add, account, row->name) : exit_code;
}

/* ---- all ---- */

static int print_sections(const struct add *add, const struct config *config, struct buf *text)
{
    struct err err = {0};
    int status = add->is_there ? 0 : print_new_file(text);
    if (status == 0)
        status = config_print(config, true, text, &err);
    return status == 0 ? EX_OK
                       : print_failure(EX_DATAERR, "add: %s; nothing was changed",
                                       *err.text == '\0' ? err_code_text(status) : err.text);
}

static void choose_label(struct add *add)
{
    const char *name = add_flag(add, "--name");
    if (name == NULL)
        label_make(add->address, account_is_taken, add->config, add->label);
    else
        (void)snprintf(add->label, sizeof(add->label), "%s", name);
}

int add_write(struct add *add)
{
    struct config_problems none = {0};
    struct draft draft;
    struct buf text;
    choose_label(add);
    draft_init(&draft, add->place, NULL, &none);
    buf_init(&text, TEXT_MAXIMUM);
    int exit_code = put_sections(add, &draft);
    if (exit_code == EX_OK)
        exit_code = print_sections(add, draft.config, &text);
    if (exit_code == EX_OK)
        exit_code = configuration_append(add->place, buf_bytes(&text));
    buf_fini(&text);
    draft_fini(&draft, NULL);
    if (exit_code == EX_OK)
        print_complaint("%s: account %s is added.", add->place, add->label);
    return exit_code;
}
