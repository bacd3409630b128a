/*
 * Happy path: the secret is in the configuration, in its file, or was printed by its command, and
 * goes into the body of the request unless client_auth or the issuer says otherwise; with a key an
 * assertion is signed instead.
 *
 * Failures: the secret's file is gone or loose: ERR_SYSTEM, ERR_DENIED, ERR_SYNTAX; a key: see
 * keeper/token_assertion.
 */
#include "keeper/token_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/endpoint.h"
#include "keeper/token_assertion.h"

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
static int find_secret(const struct account_config *account, const struct token_inputs *inputs,
                       struct secret *secret_out, struct err *err)
{
    const struct secret *printed = &inputs->secrets[TOKEN_INPUT_CLIENT_SECRET];

    if (*account->client_secret_file != '\0')
        return client_secret_read(account->client_secret_file, secret_out, err);
    secret_copy(secret_out, secret_is_set(printed) ? printed : &account->client_secret);
    return 0;
}

/* The key of a service account is its own, and not the client's. */
static enum oauth_client_authentication method_of(const struct account_config *account,
                                                  const struct oauth_metadata *metadata)
{
    switch (account->client_auth) {
    case CLIENT_AUTH_NONE:
        return OAUTH_CLIENT_NONE;
    case CLIENT_AUTH_BASIC:
        return OAUTH_CLIENT_BASIC;
    case CLIENT_AUTH_POST:
        return OAUTH_CLIENT_POST;
    case CLIENT_AUTH_JWT:
        return OAUTH_CLIENT_ASSERTION;
    case CLIENT_AUTH_AUTO:
        break;
    }
    if (*account->jwt_key_file != '\0' && account->flow != FLOW_SERVICE_ACCOUNT)
        return OAUTH_CLIENT_ASSERTION;
    bool is_said = metadata != NULL && endpoint_needs_discovery(account, OAUTH_TOKEN_ENDPOINT);
    return is_said && oauth_metadata_wants_basic(metadata) ? OAUTH_CLIENT_BASIC : OAUTH_CLIENT_POST;
}

int token_client_make(const struct account_config *account, const struct oauth_metadata *metadata,
                      const struct token_inputs *inputs, const char *audience,
                      struct token_client *client_out, struct err *err)
{
    enum oauth_client_authentication method = method_of(account, metadata);
    int status;

    *client_out = (struct token_client){0};
    if (method == OAUTH_CLIENT_NONE)
        status = 0; /* what is not sent is not looked at */
    else if (method == OAUTH_CLIENT_ASSERTION)
        status = token_assertion_of_client(account, inputs, audience, &client_out->proof, err);
    else
        status = find_secret(account, inputs, &client_out->proof, err);
    if (status != 0)
        return status;
    client_out->oauth = (struct oauth_client){
        .identifier = account->client_id,
        .secret = &client_out->proof,
        .authentication = method,
        .resource = account->resource,
    };
    return 0;
}

void token_client_clear(struct token_client *client)
{
    secret_wipe(&client->proof);
    *client = (struct token_client){0};
}
