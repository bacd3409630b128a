/*
 * Happy path: what the flow stands on comes out of the vault or the configuration, the client's
 * proof from keeper/token_client, and both go into the body of a POST.
 *
 * Failures:
 *   no refresh token, no password       ERR_NOT_FOUND: the user has to sign in
 *   no token endpoint, another flow     ERR_CONFIG
 *   a file is gone, loose, or no key    ERR_SYSTEM, ERR_DENIED, ERR_SYNTAX
 *   the vault                           what the vault said
 */
#include "keeper/token_request.h"

#include <string.h>

#include "keeper/endpoint.h"
#include "keeper/registration.h"
#include "keeper/token_assertion.h"
#include "keeper/token_client.h"

#define BEARER_GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"

static int check_account(const struct account_config *account, const char *token_url,
                         struct err *err)
{
    if (account->flow == FLOW_NONE || account->flow == FLOW_COMMAND)
        return err_set(err, ERR_CONFIG, "its flow asks nobody for a token");
    if (token_url == NULL)
        return err_set(err, ERR_CONFIG, "provider %s has no token_endpoint; add it",
                       account->provider);
    return 0;
}

/* `client_out` borrows from *identifier_out. A refresh token is good for the client that it was
 * given to, and no other; that may be one that was registered. */
static int make_client(const struct account_config *account, const struct oauth_metadata *metadata,
                       struct vault *vault, const struct token_inputs *inputs, const char *audience,
                       struct token_client *client_out, char **identifier_out, struct err *err)
{
    int status = token_client_make(account, metadata, inputs, audience, client_out, err);

    if (status != 0 || !endpoint_has_sign_in(account))
        return status;
    status = registration_client(account, vault, identifier_out, err);
    if (status == 0)
        client_out->oauth.identifier = *identifier_out;
    return status;
}

/* What a request is made from. A scope that was only offered is not named again: what was granted
 * of it stays (RFC 6749 section 6). */
struct source {
    const struct account_config *account;
    const char *mailbox;
    struct vault *vault;
    const struct secret *brought;
    const struct token_inputs *inputs;
    struct token_client *client;
};

static int write_request(const struct source *source, const char *grant_type,
                         const struct oauth_field *fields, size_t count,
                         struct token_request *request, struct err *err)
{
    char *scope = endpoint_scope(source->account, NULL);
    int status = oauth_token_request(&source->client->oauth, grant_type, fields, count, scope,
                                     &request->body, &request->authorization);

    mem_free(scope);
    if (status != 0)
        err_set(err, status, "the token request cannot be made: %s", err_code_text(status));
    return status;
}

static int write_refresh(const struct source *source, struct token_request *request,
                         struct err *err)
{
    struct secret token = {0};
    int status = 0;

    if (source->brought == NULL)
        status =
            vault_token_load(source->vault, source->account->name, request->issuer, &token, err);
    else if (secret_is_set(source->brought))
        secret_copy(&token, source->brought);
    else
        status = err_set(err, ERR_NOT_FOUND, "there is no token for this provider any more");
    if (status == 0) {
        const struct oauth_field field = {"refresh_token", secret_bytes(&token)};
        status = write_request(source, "refresh_token", &field, 1, request, err);
    }
    secret_wipe(&token);
    return status;
}

/* RFC 6749 section 4.3. The password is not put into the vault by this, nor is it asked for again
 * when it stands there. */
static int write_password(const struct source *source, struct token_request *request,
                          struct err *err)
{
    const struct account_config *account = source->account;
    const struct secret *printed = &source->inputs->secrets[TOKEN_INPUT_PASSWORD];
    const char *user = *account->login_hint != '\0' ? account->login_hint
                       : *account->user != '\0'     ? account->user
                                                    : account->address;
    int status = 0;

    if (endpoint_has_stored_password(account))
        status = vault_token_load(source->vault, account->name, request->issuer, &request->password,
                                  err);
    else
        secret_copy(&request->password, printed);
    if (status != 0)
        return status;
    const struct oauth_field fields[] = {{"username", slice_of_string(user)},
                                         {"password", secret_bytes(&request->password)}};
    return write_request(source, "password", fields, LENGTH_OF(fields), request, err);
}

/* RFC 7523 section 2.1. The scope is in the assertion, and nobody but it says who asks, unless
 * there is a client's proof, too. */
static int write_assertion(const struct source *source, struct token_request *request,
                           struct err *err)
{
    struct secret assertion = {0};
    char *scope = endpoint_scope(source->account, NULL);
    int status = token_assertion_of_service(source->account, source->mailbox, source->inputs,
                                            request->url, scope, &assertion, err);

    if (!secret_is_set(&source->client->proof))
        source->client->oauth.identifier = "";
    if (status == 0) {
        const struct oauth_field field = {"assertion", secret_bytes(&assertion)};
        status = write_request(source, BEARER_GRANT, &field, 1, request, err);
    }
    secret_wipe(&assertion);
    mem_free(scope);
    return status;
}

static int write_grant(const struct source *source, struct token_request *request, struct err *err)
{
    switch (source->account->flow) {
    case FLOW_CODE:
    case FLOW_DEVICE:
        return write_refresh(source, request, err);
    case FLOW_CLIENT_CREDENTIALS:
        return write_request(source, "client_credentials", NULL, 0, request, err);
    case FLOW_PASSWORD:
        return write_password(source, request, err);
    case FLOW_SERVICE_ACCOUNT:
        return write_assertion(source, request, err);
    case FLOW_COMMAND:
    case FLOW_NONE:
        break;
    }
    return err_set(err, ERR_CONFIG, "its flow asks nobody for a token");
}

int token_request_make(const struct account_config *account, const char *mailbox,
                       const struct oauth_metadata *metadata, struct vault *vault,
                       const struct secret *brought, const struct token_inputs *inputs,
                       struct token_request *request_out, struct err *err)
{
    struct token_request request = {0};
    struct token_client client = {0};
    const struct source source = {account, mailbox, vault, brought, inputs, &client};
    char *identifier = NULL;
    int status;

    request.url = endpoint_url(account, metadata, OAUTH_TOKEN_ENDPOINT);
    request.issuer = endpoint_issuer(account);
    status = check_account(account, request.url, err);
    if (status == 0)
        status =
            make_client(account, metadata, vault, inputs, request.url, &client, &identifier, err);
    if (status == 0)
        status = write_grant(&source, &request, err);
    token_client_clear(&client);
    mem_free(identifier);
    if (status != 0) {
        token_request_clear(&request);
        return status;
    }
    *request_out = request;
    return 0;
}

int token_request_make_revocation(const struct account_config *account,
                                  const struct oauth_metadata *metadata, struct vault *vault,
                                  const struct token_inputs *inputs,
                                  const struct secret *refresh_token, struct secret *body_out,
                                  struct secret *authorization_out, struct err *err)
{
    struct token_client client = {0};
    char *identifier = NULL;
    /* An assertion is for the token endpoint, also at another one (RFC 7523 section 3). */
    char *audience = endpoint_url(account, metadata, OAUTH_TOKEN_ENDPOINT);
    if (audience == NULL)
        audience = endpoint_issuer(account);
    int status = make_client(account, metadata, vault, inputs, audience, &client, &identifier, err);
    mem_free(audience);

    if (status == 0) {
        client.oauth.resource = NULL;
        status =
            oauth_revocation_request(&client.oauth, refresh_token, body_out, authorization_out);
        if (status != 0)
            err_set(err, status, "the request cannot be made: %s", err_code_text(status));
    }
    token_client_clear(&client);
    mem_free(identifier);
    return status;
}

void token_request_clear(struct token_request *request)
{
    mem_free(request->url);
    mem_free(request->issuer);
    secret_wipe(&request->body);
    secret_wipe(&request->authorization);
    secret_wipe(&request->password);
    *request = (struct token_request){0};
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    if (!secret_is_set(a) || !secret_is_set(b))
        return secret_is_set(a) == secret_is_set(b);
    return secret_equal(a, secret_bytes(b));
}

/* Where the token is for somebody: whom the request names, or who has signed in. */
static bool same_user(const struct account_config *a, const struct account_config *b)
{
    if (a->flow != FLOW_PASSWORD && a->flow != FLOW_SERVICE_ACCOUNT && !endpoint_has_sign_in(a))
        return true;
    return strcmp(a->address, b->address) == 0 && strcmp(a->user, b->user) == 0 &&
           strcmp(a->login_hint, b->login_hint) == 0 && a->delegates == b->delegates;
}

bool token_request_is_same(const struct account_config *a, const struct account_config *b)
{
    char *scope_a = endpoint_scope(a, NULL), *scope_b = endpoint_scope(b, NULL);
    char *issuer_a = endpoint_issuer(a), *issuer_b = endpoint_issuer(b);
    bool same = a->flow == b->flow && strcmp(issuer_a, issuer_b) == 0 &&
                strcmp(a->password_command, b->password_command) == 0 &&
                strcmp(a->provider_row->token_endpoint, b->provider_row->token_endpoint) == 0 &&
                strcmp(a->tenant, b->tenant) == 0 && strcmp(a->client_id, b->client_id) == 0 &&
                strcmp(a->client_secret_file, b->client_secret_file) == 0 &&
                strcmp(a->client_secret_command, b->client_secret_command) == 0 &&
                strcmp(a->token_command, b->token_command) == 0 &&
                strcmp(a->jwt_key_file, b->jwt_key_file) == 0 &&
                strcmp(a->jwt_cert_file, b->jwt_cert_file) == 0 &&
                strcmp(a->jwt_passphrase_command, b->jwt_passphrase_command) == 0 &&
                same_user(a, b) && a->client_auth == b->client_auth &&
                same_secret(&a->client_secret, &b->client_secret) &&
                same_secret(&a->key, &b->key) && strcmp(scope_a, scope_b) == 0 &&
                strcmp(a->resource, b->resource) == 0;

    mem_free(issuer_a);
    mem_free(issuer_b);
    mem_free(scope_a);
    mem_free(scope_b);
    return same;
}
