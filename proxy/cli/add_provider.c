/*
 * Happy path: a provider that is named; else the one of the domain in the table or the file; else
 * what the domain publishes, or the provider that takes its mail, once the user agrees; else the
 * servers that the user types.
 *
 * Failures: 65 an unknown provider, servers that are none, what was found is declined · 64 nobody
 * can be asked · 69 nothing is found and nobody can be asked.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/add.h"
#include "cli/print.h"
#include "conf/address.h"

static const char *const protocol_words[PROTOCOL_COUNT] = {"IMAP", "POP3", "SMTP"};

/* ---- a row that is there ---- */

static const struct provider_config *find_row(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i]->name, name) == 0)
            return config->providers[i];
    return NULL;
}

static void take_row(struct add *add, const struct provider_config *row)
{
    add->row = row;
    add->row_has_the_domain =
        config_provider_by_domain(add->config, slice_of_string(add->domain)) == row;
    add_tell("The provider is %s.", row->name);
}

/* A domain of one's own at a large provider: where mail is read from tells. */
static const struct provider_config *row_of_servers(const struct config *config,
                                                    const struct mail_service *service)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct endpoint *known = &config->providers[i]->endpoints[PROTOCOL_IMAP];
        const struct endpoint *found = &service->servers[PROTOCOL_IMAP].endpoint;
        if (known->is_set && found->is_set && strcmp(known->host, found->host) == 0)
            return config->providers[i];
    }
    return NULL;
}

/* ---- what is found ---- */

static void show_servers(const struct mail_service *service)
{
    char text[MAIL_SERVER_TEXT];
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        const struct mail_server *server = &service->servers[i];
        if (!server->endpoint.is_set)
            continue;
        mail_server_text(server, text);
        add_tell("  %s  %s%s%s", protocol_words[i], text, server->user == NULL ? "" : ", user ",
                 server->user == NULL ? "" : server->user);
    }
    if (service->token_endpoint != NULL)
        add_tell("  OAuth2 tokens from %s", service->token_endpoint);
    else if (service->issuer != NULL)
        add_tell("  OAuth2 tokens from %s", service->issuer);
}

static void list_servers(const struct mail_service *service, char *out, size_t capacity)
{
    char text[MAIL_SERVER_TEXT];
    size_t used = 0;
    for (size_t i = 0; i < PROTOCOL_COUNT && used < capacity; i++) {
        if (!service->servers[i].endpoint.is_set)
            continue;
        mail_server_text(&service->servers[i], text);
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", used == 0 ? "" : " ", text);
    }
}

/* Without a terminal the option --yes has to say it; `claim` is for the text then. */
static int ask_whether(const struct add *add, const char *claim, bool *is_right_out)
{
    *is_right_out = add_flag(add, "--yes") != NULL;
    if (*is_right_out)
        return EX_OK;
    if (!prompt_is_possible())
        return print_failure(EX_USAGE, "add: %s; give --yes if that is right, or --provider",
                             claim);
    return prompt_yes("Is that right? (y/n)", is_right_out)
               ? EX_OK
               : print_failure(EX_DATAERR, "add: nothing was changed");
}

static int confirm(struct add *add, const struct add_finding *finding)
{
    char servers[400], claim[800];
    bool is_right;
    list_servers(&add->service, servers, sizeof(servers));
    (void)snprintf(claim, sizeof(claim), "%s: mail is at %s, they say", finding->text, servers);
    add_tell("%s:", finding->text);
    show_servers(&add->service);
    if (!finding->is_vouched_for)
        add_tell("Nobody vouches for that: DNS can be forged on the way.%s",
                 mail_service_is_within(&add->service, add->domain)
                     ? ""
                     : " And not all of it lies within your domain: look closely.");
    int exit_code = ask_whether(add, claim, &is_right);
    if (exit_code == EX_OK && !is_right)
        return print_failure(EX_DATAERR,
                             "add: nothing was changed; --provider NAME is for a provider of "
                             "ecluse providers, or of a [provider NAME] section of yours");
    return exit_code;
}

static int take_finding(struct add *add, const struct add_finding *finding)
{
    int exit_code = confirm(add, finding);
    const struct provider_config *row = row_of_servers(add->config, &add->service);
    if (exit_code == EX_OK && row != NULL) {
        mail_service_clear(&add->service);
        take_row(add, row);
    }
    return exit_code;
}

/* ---- what the user types ---- */

static int check_server(const char *text, enum protocol protocol, struct err *err)
{
    struct endpoint endpoint = {0};
    int status = *text == '\0' ? 0 : endpoint_parse(text, protocol, &endpoint, err);
    mem_free(endpoint.host);
    return status;
}

static int check_imap(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return check_server(text, PROTOCOL_IMAP, err);
}

static int check_pop3(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return check_server(text, PROTOCOL_POP3, err);
}

static int check_smtp(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return check_server(text, PROTOCOL_SMTP, err);
}

static int ask_for_server(struct add *add, enum protocol protocol)
{
    static prompt_check *const checks[PROTOCOL_COUNT] = {check_imap, check_pop3, check_smtp};
    struct mail_server *server = &add->service.servers[protocol];
    char question[80], *answer = NULL;
    (void)snprintf(question, sizeof(question), "%s server (empty: none)", protocol_words[protocol]);
    const struct add_question asked = {
        .what = "the mail server", .question = question, .initial = "", .check = checks[protocol]};
    int exit_code = add_ask(add, &asked, &answer);
    if (exit_code == EX_OK && *answer != '\0') {
        int status = endpoint_parse(answer, protocol, &server->endpoint, NULL);
        ENSURE(status == 0);
        server->takes_token = server->takes_password = true;
    }
    mem_free(answer);
    return exit_code;
}

static int ask_for_servers(struct add *add, const char *why)
{
    if (!prompt_is_possible())
        return print_failure(EX_UNAVAILABLE,
                             "add: no mail server of %s is known (%s); give --provider, or write a "
                             "[provider NAME] section",
                             add->domain, why);
    add_tell("No mail server of %s is known:", add->domain);
    add_tell("  %s", why);
    add_tell("Its provider can tell; write tls://HOST, or starttls://HOST where TLS begins "
             "later, with :PORT if it is an unusual one.");
    int exit_code = EX_OK;
    for (enum protocol protocol = 0; exit_code == EX_OK && protocol < PROTOCOL_COUNT; protocol++)
        exit_code = ask_for_server(add, protocol);
    if (exit_code == EX_OK && !mail_service_has_server(&add->service))
        return print_failure(EX_DATAERR, "add: without any server there is nothing to add; nothing "
                                         "was changed");
    return exit_code;
}

/* ---- a domain at somebody's house ---- */

static int take_exchanger(struct add *add, const struct add_finding *finding,
                          const struct provider_config *row)
{
    char claim[400];
    bool is_right;
    (void)snprintf(claim, sizeof(claim), "%s takes the mail of %s (its MX record): that is %s",
                   finding->exchanger, add->domain, row->name);
    add_tell("%s.", claim);
    int exit_code = ask_whether(add, claim, &is_right);
    if (exit_code == EX_OK && is_right)
        take_row(add, row);
    else if (exit_code == EX_OK)
        exit_code = ask_for_servers(add, finding->text);
    return exit_code;
}

static int look_further(struct add *add, const struct add_finding *finding)
{
    const struct provider_config *row = NULL;
    if (finding->exchanger != NULL)
        row = config_provider_by_exchanger(add->config, slice_of_string(finding->exchanger));
    return row != NULL ? take_exchanger(add, finding, row) : ask_for_servers(add, finding->text);
}

/* ---- all ---- */

static int look_around(struct add *add)
{
    struct add_finding finding = {0};
    int exit_code;
    if (!host_name_is_valid(add->domain))
        return ask_for_servers(add, "the domain is no host name that can be asked; one with other "
                                    "letters has a form that begins with xn--");
    add_tell("Looking for the mail servers of %s ...", add->domain);
    if (add_search(add, &add->service, &finding))
        exit_code = take_finding(add, &finding);
    else
        exit_code = look_further(add, &finding);
    mem_free(finding.text);
    mem_free(finding.exchanger);
    return exit_code;
}

int add_find_provider(struct add *add)
{
    const char *name = add_flag(add, "--provider");
    const struct provider_config *row =
        name != NULL ? find_row(add->config, name)
                     : config_provider_by_domain(add->config, slice_of_string(add->domain));
    if (name != NULL && row == NULL)
        return print_failure(EX_DATAERR,
                             "add: there is no provider %s; ecluse providers lists "
                             "those that there are",
                             name);
    if (row == NULL)
        return look_around(add);
    take_row(add, row);
    return EX_OK;
}
