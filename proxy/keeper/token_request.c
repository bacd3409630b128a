/*
 * Happy path: the refresh token comes out of the vault, the client secret out of the configuration
 * or its file, and both go into the body of a POST.
 *
 * Failures:
 *   no refresh token                    ERR_NOT_FOUND: the user has to sign in
 *   no token endpoint, another flow     ERR_CONFIG
 *   the secret's file is gone or loose  ERR_SYSTEM, ERR_DENIED, ERR_SYNTAX
 *   the vault                           what the vault said
 */
#include "keeper/token_request.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/oauth.h"
#include "keeper/endpoint.h"

#define CLIENT_SECRET_MAX 4096

static int check_secret_file(int descriptor, const char *path, struct err *err)
{
    struct stat stat;

    if (fstat(descriptor, &stat) != 0)
        return err_set_errno(err, "%s", path);
    if (!S_ISREG(stat.st_mode))
        return err_set(err, ERR_DENIED, "%s is not a regular file", path);
    if ((stat.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, ERR_DENIED, "%s can be reached by others; chmod 600 %s", path, path);
    if (stat.st_uid != geteuid() && stat.st_uid != 0)
        return err_set(err, ERR_DENIED, "%s belongs to another user", path);
    if (stat.st_size <= 0 || stat.st_size > CLIENT_SECRET_MAX)
        return err_set(err, ERR_SYNTAX, "%s does not hold a client secret", path);
    return 0;
}

static int read_secret(int descriptor, const char *path, struct secret *secret_out, struct err *err)
{
    uint8_t bytes[CLIENT_SECRET_MAX];
    ssize_t size = read(descriptor, bytes, sizeof(bytes));
    int status = 0;

    if (size > 0 && bytes[size - 1] == '\n')
        size--;
    if (size > 0 && bytes[size - 1] == '\r')
        size--;
    if (size < 0)
        status = err_set_errno(err, "%s", path);
    else if (size == 0 || slice_has_control(slice_of(bytes, (size_t)size)))
        status = err_set(err, ERR_SYNTAX, "%s does not hold a client secret", path);
    else
        secret_set(secret_out, slice_of(bytes, (size_t)size));
    mem_wipe(bytes, sizeof(bytes));
    return status;
}

int client_secret_read(const char *path, struct secret *secret_out, struct err *err)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (descriptor < 0)
        return err_set_errno(err, "%s", path);
    int status = check_secret_file(descriptor, path, err);
    if (status == 0)
        status = read_secret(descriptor, path, secret_out, err);
    close(descriptor);
    return status;
}

/* `secret_out` stays unset for a public client. */
static int client_secret(const struct account_config *account, struct secret *secret_out,
                         struct err *err)
{
    secret_copy(secret_out, &account->client_secret);
    if (*account->client_secret_file == '\0')
        return 0;
    return client_secret_read(account->client_secret_file, secret_out, err);
}

static int check_account(const struct account_config *account, struct err *err)
{
    if (!endpoint_has_sign_in(account))
        return err_set(err, ERR_CONFIG, "its flow has no refresh token");
    if (*account->provider_row->token_endpoint == '\0')
        return err_set(err, ERR_CONFIG, "provider %s has no token_endpoint; add it",
                       account->provider);
    return 0;
}

static int make_body(const struct account_config *account, const struct secret *refresh_token,
                     struct token_request *request, struct err *err)
{
    struct secret secret = {0};
    char *scope = endpoint_scope(account);
    int status = client_secret(account, &secret, err);

    if (status == 0) {
        const struct oauth_client client = {
            .identifier = account->client_id,
            .secret = &secret,
            .authentication = secret_is_set(&secret) ? OAUTH_CLIENT_POST : OAUTH_CLIENT_NONE,
        };
        status = oauth_refresh_request(&client, refresh_token, scope, &request->body,
                                       &request->authorization);
        if (status != 0)
            err_set(err, status, "the token request cannot be made: %s", err_code_text(status));
    }
    secret_wipe(&secret);
    mem_free(scope);
    return status;
}

int token_request_make(const struct account_config *account, struct vault *vault,
                       struct token_request *request_out, struct err *err)
{
    struct token_request request = {0};
    struct secret refresh_token = {0};
    int status = check_account(account, err);

    request.issuer = endpoint_issuer(account);
    if (status == 0)
        status = vault_token_load(vault, account->name, request.issuer, &refresh_token, err);
    if (status == 0)
        status = make_body(account, &refresh_token, &request, err);
    secret_wipe(&refresh_token);
    if (status != 0) {
        token_request_clear(&request);
        return status;
    }
    request.url = endpoint_token_url(account);
    *request_out = request;
    return 0;
}

void token_request_clear(struct token_request *request)
{
    mem_free(request->url);
    mem_free(request->issuer);
    secret_wipe(&request->body);
    secret_wipe(&request->authorization);
    *request = (struct token_request){0};
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    if (!secret_is_set(a) || !secret_is_set(b))
        return secret_is_set(a) == secret_is_set(b);
    return secret_equal(a, secret_bytes(b));
}

bool token_request_is_same(const struct account_config *a, const struct account_config *b)
{
    char *scope_a = endpoint_scope(a), *scope_b = endpoint_scope(b);
    char *issuer_a = endpoint_issuer(a), *issuer_b = endpoint_issuer(b);
    bool same = a->flow == b->flow && strcmp(issuer_a, issuer_b) == 0 &&
                strcmp(a->password_command, b->password_command) == 0 &&
                strcmp(a->provider_row->token_endpoint, b->provider_row->token_endpoint) == 0 &&
                strcmp(a->tenant, b->tenant) == 0 && strcmp(a->client_id, b->client_id) == 0 &&
                strcmp(a->client_secret_file, b->client_secret_file) == 0 &&
                same_secret(&a->client_secret, &b->client_secret) && strcmp(scope_a, scope_b) == 0;

    mem_free(issuer_a);
    mem_free(issuer_b);
    mem_free(scope_a);
    mem_free(scope_b);
    return same;
}
