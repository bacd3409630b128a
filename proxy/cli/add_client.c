/*
 * How the account signs in, and with what: the provider's way, unless the user says otherwise.
 *
 * OAuth2 needs the endpoints (add_endpoints.c) and a client_id, unless the issuer gives one out
 * (RFC 7591). A password needs nothing but itself. Who has no client_id may go over to a password.
 *
 * Failures: 64 something is missing and nobody can be asked · 65 what was given cannot be used ·
 * those of the endpoints.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "auth/credential.h"
#include "auth/oauth_registration.h"
#include "cli/add.h"
#include "cli/print.h"
#include "conf/check.h"
#include "conf/table.h"

/* ---- the flow ---- */

static int check_flow(void *owner, const char *text, struct err *err)
{
    (void)owner;
    if (strcmp(text, "code") == 0 || strcmp(text, "device") == 0 || strcmp(text, "none") == 0)
        return 0;
    return err_set(
        err, ERR_SYNTAX,
        "code (OAuth2 in a browser), device (OAuth2 by a code on another device) or none "
        "(a password); accounts of other flows are written into the configuration");
}

static enum flow flow_of_word(const char *word)
{
    if (strcmp(word, "none") == 0)
        return FLOW_NONE;
    return strcmp(word, "device") == 0 ? FLOW_DEVICE : FLOW_CODE;
}

/* Of servers that say nothing, or take both and do not say where tokens are from. */
static int ask_for_flow(struct add *add)
{
    static const struct add_question question = {
        .flag = "--flow",
        .what = "how to sign in",
        .question = "Sign in by OAuth2 (code, or device for another device) or a password (none)",
        .check = check_flow,
    };
    char *answer = NULL;
    int exit_code = add_ask(add, &question, &answer);
    if (exit_code == EX_OK)
        add->flow = flow_of_word(answer);
    mem_free(answer);
    return exit_code;
}

static int choose_flow(struct add *add)
{
    const struct mail_service *service = &add->service;
    bool has_endpoints = service->issuer != NULL || service->token_endpoint != NULL;
    bool takes_token = mail_service_takes(service, true);
    if (add_flag(add, "--flow") != NULL)
        return ask_for_flow(add);
    if (add_flag(add, "--device") != NULL)
        add->flow = FLOW_DEVICE;
    else if (add->row != NULL)
        add->flow = add->row->flow;
    else if (!takes_token)
        add->flow = FLOW_NONE;
    else if (has_endpoints || add_flag(add, "--issuer") != NULL ||
             !mail_service_takes(service, false))
        add->flow = FLOW_CODE;
    else
        return ask_for_flow(add);
    return EX_OK;
}

static bool is_oauth(const struct add *add)
{
    return add->flow == FLOW_CODE || add->flow == FLOW_DEVICE;
}

static int keep_servers(struct add *add)
{
    mail_service_keep(&add->service, is_oauth(add));
    return mail_service_has_server(&add->service)
               ? EX_OK
               : print_failure(EX_DATAERR, "add: none of the servers takes %s; nothing was changed",
                               is_oauth(add) ? "OAuth2 tokens" : "a password");
}

/* ---- the client ---- */

static int check_client(void *owner, const char *text, struct err *err)
{
    (void)owner;
    return credential_is_printable(slice_of_string(text)) && strlen(text) <= OAUTH_CLIENT_ID_MAX
               ? 0
               : err_set(err, ERR_SYNTAX,
                         "a client_id has printable ASCII characters alone, %u at "
                         "most",
                         OAUTH_CLIENT_ID_MAX);
}

static int check_client_needed(void *owner, const char *text, struct err *err)
{
    return *text == '\0' ? err_set(err, ERR_SYNTAX,
                                   "the provider knows this program by it; there "
                                   "is no way without")
                         : check_client(owner, text, err);
}

static bool may_take_password(const struct add *add)
{
    if (add->row == NULL || add_flag(add, "--flow") != NULL)
        return false;
    const struct words *words = &add->row->mechanisms;
    for (size_t i = 0; i < words->count; i++)
        if (mechanism_takes_password(words->items[i]))
            return true;
    return words->count == 0;
}

static int ask_for_client(struct add *add)
{
    bool has_choice = may_take_password(add);
    bool has_hint = add->row != NULL && *add->row->hint != '\0';
    char what[700];
    (void)snprintf(what, sizeof(what), "the client_id%s%s%s", has_hint ? " (" : "",
                   has_hint ? add->row->hint : "", has_hint ? ")" : "");
    const struct add_question question = {
        .flag = "--client-id",
        .what = what,
        .question = has_choice ? "client_id (empty: sign in with a password instead)" : "client_id",
        .check = has_choice ? check_client : check_client_needed,
    };
    char *answer = NULL;
    int exit_code = add_ask(add, &question, &answer);
    if (exit_code == EX_OK && *answer == '\0') {
        add->flow = FLOW_NONE;
        mem_free(answer);
    } else {
        add->client_id = answer;
    }
    return exit_code;
}

static int find_client(struct add *add)
{
    const char *given = add_flag(add, "--client-id");
    /* Who registers (auth/oauth_registration.h) has no device flow. */
    if (given == NULL && add->registers && add->flow != FLOW_DEVICE) {
        add_tell("The provider registers programs by itself: no client_id is needed.");
        return EX_OK;
    }
    if (given == NULL && add->row != NULL && *add->row->hint != '\0')
        add_tell("What %s wants first: %s.", add->row->name, add->row->hint);
    if (given == NULL && add->service.client_id != NULL) {
        add->client_id = mem_copy_string(add->service.client_id);
        return EX_OK;
    }
    int exit_code = ask_for_client(add);
    if (exit_code != EX_OK || add->flow == FLOW_NONE)
        return exit_code;
    return add_ask_secret(add, "--client-secret-stdin", "the client_secret",
                          "client_secret (empty: it has none)", CREDENTIAL_PASSWORD_MAX, true,
                          &add->client_secret);
}

static int find_password(struct add *add)
{
    char question[400];
    (void)snprintf(question, sizeof(question), "the password of %s at the provider", add->address);
    if (add->row != NULL && *add->row->hint != '\0' && add->row->flow == FLOW_NONE)
        add_tell("What %s wants first: %s.", add->row->name, add->row->hint);
    return add_ask_secret(add, "--password-stdin", "the provider's password", question,
                          CREDENTIAL_PASSWORD_MAX, false, &add->password);
}

int add_find_flow(struct add *add)
{
    int exit_code = choose_flow(add);
    if (exit_code == EX_OK && add->row == NULL)
        exit_code = keep_servers(add);
    if (exit_code == EX_OK && !is_oauth(add) && add->flow != FLOW_NONE)
        return print_failure(EX_USAGE,
                             "add: accounts of provider %s have flow = %s, which is written into "
                             "the configuration by hand; or give --flow",
                             add->row->name,
                             option_word(option_table(SECTION_PROVIDER), "flow", add->flow));
    if (exit_code == EX_OK && is_oauth(add))
        exit_code = add_find_endpoints(add);
    if (exit_code == EX_OK && add->flow == FLOW_DEVICE && !add_may_have_device(add))
        return print_failure(EX_DATAERR, "add: the provider has no device flow; nothing was "
                                         "changed");
    if (exit_code == EX_OK && is_oauth(add))
        exit_code = find_client(add);
    if (exit_code == EX_OK && is_oauth(add) && add->row != NULL)
        exit_code = add_find_tenant(add);
    if (exit_code == EX_OK && add->flow == FLOW_NONE)
        exit_code = find_password(add);
    return exit_code;
}
