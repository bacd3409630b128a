/*
 * Where tokens are from: the provider has the endpoints, or its issuer tells them, or the user.
 *
 * Failures: 64 something is missing and nobody can be asked · 65 what was given cannot be used ·
 * 78, 75 what the issuer says, or its silence.
 */
#include <string.h>
#include <sysexits.h>

#include "auth/credential.h"
#include "cli/add.h"
#include "cli/print.h"
#include "conf/address.h"
#include "conf/check.h"
#include "keeper/exit_code.h"

/* ---- of a provider that was found ---- */

static void replace(char **text, char *by)
{
    mem_free(*text);
    *text = by;
}

/* What the issuer says makes its endpoints superfluous only where it registers clients: with
 * endpoints of one's own a client_id has to come with them. */
static void take_metadata(struct add *add, struct oauth_metadata *metadata)
{
    add->registers = metadata->endpoints[OAUTH_REGISTRATION_ENDPOINT] != NULL;
    add->has_device = metadata->endpoints[OAUTH_DEVICE_ENDPOINT] != NULL;
    if (add->registers) {
        replace(&add->service.authorization_endpoint, NULL);
        replace(&add->service.token_endpoint, NULL);
    }
    if (add->service.scope == NULL && *metadata->scopes != '\0')
        add_tell("The issuer knows these scopes: %s", metadata->scopes);
    oauth_metadata_clear(metadata);
}

static int check_issuer(void *owner, const char *text, struct err *err)
{
    struct add *add = owner;
    struct oauth_metadata metadata;
    int status = *text == '\0' ? 0 : https_url_check(text, false, err);
    if (status != 0 || *text == '\0')
        return status;
    status = add_ask_issuer(add, text, NULL, &metadata, err);
    if (status == 0)
        take_metadata(add, &metadata);
    return status;
}

static int check_endpoint(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return https_url_check(text, true, err);
}

static int ask_for_endpoints(struct add *add)
{
    static const struct add_question questions[] = {
        {.what = "the authorization endpoint",
         .question = "Authorization endpoint (https URL)",
         .check = check_endpoint},
        {.what = "the token endpoint",
         .question = "Token endpoint (https URL)",
         .check = check_endpoint},
    };
    int exit_code = add_ask(add, &questions[0], &add->service.authorization_endpoint);
    return exit_code == EX_OK ? add_ask(add, &questions[1], &add->service.token_endpoint)
                              : exit_code;
}

static int ask_for_issuer(struct add *add)
{
    static const struct add_question question = {
        .flag = "--issuer",
        .what = "the issuer of tokens",
        .question = "Issuer, the https URL of the provider's OAuth2 (empty: endpoints one by one)",
        .check = check_issuer,
    };
    char *issuer = NULL;
    int exit_code = add_ask(add, &question, &issuer);
    if (exit_code != EX_OK || *issuer != '\0') {
        replace(&add->service.issuer, issuer);
        return exit_code;
    }
    mem_free(issuer);
    return prompt_is_possible()
               ? ask_for_endpoints(add)
               : print_failure(EX_DATAERR, "add: --issuer: is empty; nothing was changed");
}

static int check_scope(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return credential_is_printable(slice_of_string(text))
               ? 0
               : err_set(err, ERR_SYNTAX, "a scope has printable ASCII characters alone");
}

static int ask_for_scope(struct add *add)
{
    static const struct add_question question = {
        .flag = "--scope",
        .what = "the scope",
        .question = "Scope that gives access to mail (empty: the provider decides)",
        .initial = "",
        .check = check_scope,
    };
    return add_ask(add, &question, &add->scope);
}

/* An issuer beside endpoints is a hint: when it says nothing, they do without it. */
static int find_endpoints(struct add *add)
{
    struct oauth_metadata metadata;
    struct err err;
    bool has_endpoints = add->service.token_endpoint != NULL;
    int exit_code = EX_OK;
    if (add->service.issuer == NULL && !has_endpoints)
        exit_code = ask_for_issuer(add);
    else if (add->service.issuer != NULL &&
             add_ask_issuer(add, add->service.issuer, NULL, &metadata, &err) == 0)
        take_metadata(add, &metadata);
    else if (has_endpoints)
        replace(&add->service.issuer, NULL);
    else if (add->service.issuer != NULL)
        return print_failure(exit_code_of(err.code), "add: %s", err.text);
    if (exit_code == EX_OK && (add->service.scope == NULL || add_flag(add, "--scope") != NULL))
        exit_code = ask_for_scope(add);
    return exit_code;
}

/* ---- of a row ---- */

static int check_tenant(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return *text != '\0' && tenant_is_valid(text)
               ? 0
               : err_set(err, ERR_SYNTAX, "it becomes part of a URL: letters, digits, '.' and '-'");
}

int add_find_tenant(struct add *add)
{
    const struct add_question question = {
        .flag = "--tenant",
        .what = "the tenant",
        .question = "Tenant: the directory of the app, by name or number",
        .initial = add->row->tenant,
        .check = check_tenant,
    };
    if (strstr(add->row->token_endpoint, "{tenant}") == NULL &&
        add_flag(add, question.flag) == NULL)
        return EX_OK;
    int exit_code = add_ask(add, &question, &add->tenant);
    /* What is the provider's need not be the account's. */
    if (exit_code == EX_OK && strcmp(add->tenant, add->row->tenant) == 0)
        replace(&add->tenant, NULL);
    return exit_code;
}

/* The configuration has all of a row but what its issuer says. */
static int find_endpoints_of_row(struct add *add)
{
    const struct provider_config *row = add->row;
    struct oauth_metadata metadata;
    struct err err;
    if (add_flag(add, "--scope") != NULL) {
        int exit_code = ask_for_scope(add);
        if (exit_code != EX_OK)
            return exit_code;
    }
    add->has_device = *row->device_authorization_endpoint != '\0';
    add->registers = *row->registration_endpoint != '\0';
    if (add->registers || *row->issuer == '\0' || *row->authorization_endpoint != '\0')
        return EX_OK;
    if (add_ask_issuer(add, row->issuer, row, &metadata, &err) != 0)
        return print_failure(exit_code_of(err.code), "add: %s", err.text);
    add->registers = metadata.endpoints[OAUTH_REGISTRATION_ENDPOINT] != NULL;
    add->has_device |= metadata.endpoints[OAUTH_DEVICE_ENDPOINT] != NULL;
    oauth_metadata_clear(&metadata);
    return EX_OK;
}

/* An issuer beside endpoints was not asked; the sign-in will. */
bool add_may_have_device(const struct add *add)
{
    return add->has_device || (add->row != NULL && *add->row->issuer != '\0');
}

int add_find_endpoints(struct add *add)
{
    return add->row != NULL ? find_endpoints_of_row(add) : find_endpoints(add);
}
