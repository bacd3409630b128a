/*
 * What is sent: the body of a token request, the header that goes with it, and the URLs that it may
 * be sent to. What comes back is read in oauth_answer.c.
 */
#include "auth/oauth.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth_form.h"
#include "auth/wiping_memory.h"

#define REQUEST_MAX (4 * OAUTH_TOKEN_MAX)
#define CLIENT_MAX  4096u /* of "id:secret", which then grows by base64 */
#define URL_MAX     2048u

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static enum oauth_client_authentication authentication_of(const struct oauth_client *client)
{
    bool has_secret = client->secret != NULL && secret_is_set(client->secret);
    return has_secret ? client->authentication : OAUTH_CLIENT_NONE;
}

static int append_client(struct buf *out, const struct oauth_client *client)
{
    enum oauth_client_authentication authentication = authentication_of(client);
    int status = 0;
    if (authentication != OAUTH_CLIENT_BASIC && *client->identifier != '\0')
        status = oauth_form_add(out, "client_id", slice_of_string(client->identifier));
    if (status == 0 && authentication == OAUTH_CLIENT_POST)
        status = oauth_form_add(out, "client_secret", secret_bytes(client->secret));
    if (status == 0 && authentication == OAUTH_CLIENT_ASSERTION)
        status = oauth_form_add(out, "client_assertion_type", SLICE_LITERAL(ASSERTION_TYPE));
    if (status == 0 && authentication == OAUTH_CLIENT_ASSERTION)
        status = oauth_form_add(out, "client_assertion", secret_bytes(client->secret));
    return status;
}

static int write_body(struct buf *out, const struct oauth_client *client, const char *grant_type,
                      const struct oauth_field *fields, size_t count, const char *scope)
{
    int status = 0;
    if (grant_type != NULL)
        status = oauth_form_add(out, "grant_type", slice_of_string(grant_type));
    for (size_t i = 0; i < count && status == 0; i++)
        status = oauth_form_add(out, fields[i].name, fields[i].value);
    if (status == 0 && scope != NULL && scope[0] != '\0')
        status = oauth_form_add(out, "scope", slice_of_string(scope));
    if (status == 0 && client->resource != NULL && client->resource[0] != '\0')
        status = oauth_form_add(out, "resource", slice_of_string(client->resource));
    return status != 0 ? status : append_client(out, client);
}

/* "Basic " and base64 of the encoded "id:secret" (RFC 6749 section 2.3.1). */
static int write_authorization(const struct oauth_client *client, struct secret *authorization_out)
{
    struct buf pair;
    buf_init(&pair, CLIENT_MAX);
    int status = oauth_form_encode(&pair, slice_of_string(client->identifier));
    if (status == 0)
        status = buf_append_string(&pair, ":");
    if (status == 0)
        status = oauth_form_encode(&pair, secret_bytes(client->secret));
    if (status == 0) {
        char text[6 + (CLIENT_MAX + 2) / 3 * 4 + 1] = "Basic ";
        int size =
            EVP_EncodeBlock((unsigned char *)text + 6, buf_bytes(&pair).data, (int)buf_size(&pair));
        secret_set(authorization_out, slice_of(text, 6 + (size_t)size));
        mem_wipe(text, sizeof(text));
    }
    buf_fini(&pair);
    return status;
}

int oauth_token_request(const struct oauth_client *client, const char *grant_type,
                        const struct oauth_field *fields, size_t count, const char *scope,
                        struct secret *body_out, struct secret *authorization_out)
{
    struct buf body;
    secret_wipe(body_out);
    secret_wipe(authorization_out);
    buf_init(&body, REQUEST_MAX);
    int status = write_body(&body, client, grant_type, fields, count, scope);
    if (status == 0 && authentication_of(client) == OAUTH_CLIENT_BASIC)
        status = write_authorization(client, authorization_out);
    if (status == 0)
        secret_set(body_out, buf_bytes(&body));
    buf_fini(&body);
    return status;
}

int oauth_refresh_request(const struct oauth_client *client, const struct secret *refresh_token,
                          const char *scope, struct secret *body_out,
                          struct secret *authorization_out)
{
    const struct oauth_field field = {"refresh_token", secret_bytes(refresh_token)};
    if (secret_is_set(refresh_token) && refresh_token->size > 0)
        return oauth_token_request(client, "refresh_token", &field, 1, scope, body_out,
                                   authorization_out);
    secret_wipe(body_out);
    secret_wipe(authorization_out);
    return ERR_SYNTAX;
}

int oauth_revocation_request(const struct oauth_client *client, const struct secret *refresh_token,
                             struct secret *body_out, struct secret *authorization_out)
{
    const struct oauth_field fields[] = {{"token", secret_bytes(refresh_token)},
                                         {"token_type_hint", SLICE_LITERAL("refresh_token")}};
    if (secret_is_set(refresh_token) && refresh_token->size > 0)
        return oauth_token_request(client, NULL, fields, LENGTH_OF(fields), "", body_out,
                                   authorization_out);
    secret_wipe(body_out);
    secret_wipe(authorization_out);
    return ERR_SYNTAX;
}

static bool port_is_valid(struct slice port)
{
    uint64_t number;
    return port.size <= 5 && slice_read_number(port, UINT16_MAX, &number) && number > 0;
}

static bool consists_of(struct slice text, const char *set)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\0' || strchr(set, text.data[i]) == NULL)
            return false;
    return text.size > 0;
}

/* host[:port] or [IPv6][:port] */
static bool authority_is_valid(struct slice authority)
{
    struct slice host, rest;
    if (slice_starts_with(authority, "[")) {
        size_t end = slice_find(authority, ']');
        host = slice_skip(slice_take(authority, end), 1);
        rest = slice_skip(authority, end + 1);
        if (end == authority.size || !consists_of(host, "0123456789abcdefABCDEF:."))
            return false;
    } else {
        size_t end = slice_find(authority, ':');
        host = slice_take(authority, end);
        rest = slice_skip(authority, end);
        if (!consists_of(host, "0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._"))
            return false;
    }
    return rest.size == 0 || (rest.data[0] == ':' && port_is_valid(slice_skip(rest, 1)));
}

int oauth_check_url(const char *url)
{
    static const char scheme[] = "https://";
    struct slice text = slice_of_string(url);
    if (text.size > URL_MAX || !credential_is_printable(text) ||
        !slice_starts_with_ignoring_case(text, scheme))
        return ERR_SYNTAX;
    for (const char *unsafe = " \"#<>\\^`{|}"; *unsafe != '\0'; unsafe++)
        if (slice_find(text, (uint8_t)*unsafe) < text.size)
            return ERR_SYNTAX;
    struct slice authority = slice_skip(text, sizeof(scheme) - 1);
    authority = slice_take(authority, slice_find(authority, '/'));
    authority = slice_take(authority, slice_find(authority, '?'));
    return authority_is_valid(authority) ? 0 : ERR_SYNTAX;
}

void oauth_use_wiping_allocator(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
}
