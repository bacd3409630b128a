/*
 * Happy path: the document is a JSON object, its issuer is ours, every endpoint that it names is an
 * https URL, and the lists are words.
 *
 * Failures: another document (ERR_SYNTAX), or one that must not be used (ERR_DENIED). A list that
 * does not fit its type is a document that must not be used, too: half of it is not believed.
 */
#include "auth/oauth_metadata.h"

#include <stdio.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth.h"
#include "auth/oauth_json.h"

#define SHOWN_MAX 120

static const char *const endpoint_keys[OAUTH_ENDPOINTS] = {
    [OAUTH_AUTHORIZATION_ENDPOINT] = "authorization_endpoint",
    [OAUTH_TOKEN_ENDPOINT] = "token_endpoint",
    [OAUTH_DEVICE_ENDPOINT] = "device_authorization_endpoint",
    [OAUTH_REVOCATION_ENDPOINT] = "revocation_endpoint",
    [OAUTH_REGISTRATION_ENDPOINT] = "registration_endpoint",
    [OAUTH_USERINFO_ENDPOINT] = "userinfo_endpoint",
};

/* ---- where it is ---- */

/* RFC 8414 section 3.1 and OpenID Connect Discovery 1.0 section 4.1: a slash at the end of the
 * issuer is taken away. */
char *oauth_metadata_url(const char *issuer, enum oauth_metadata_form form)
{
    static const char scheme[] = "https://";
    static const char inserted[] = "/.well-known/oauth-authorization-server";
    static const char appended[] = "/.well-known/openid-configuration";
    size_t length = strlen(issuer), host = length;
    if (length > 0 && issuer[length - 1] == '/')
        host = --length;
    if (length > sizeof(scheme) - 1)
        host =
            sizeof(scheme) - 1 +
            slice_find(slice_of(issuer + sizeof(scheme) - 1, length - (sizeof(scheme) - 1)), '/');
    size_t size = length + sizeof(inserted);
    char *url = mem_new(size);
    if (form == OAUTH_METADATA_OPENID)
        snprintf(url, size, "%.*s%s", (int)length, issuer, appended);
    else
        snprintf(url, size, "%.*s%s%.*s", (int)host, issuer, inserted, (int)(length - host),
                 issuer + host);
    return url;
}

/* ---- what it says ---- */

static int read_endpoint(const json_t *root, const char *key, char **url_out, struct err *err)
{
    struct slice value;
    if (!oauth_json_string(root, key, &value))
        return err_set(err, ERR_DENIED, "its %s is no text", key);
    if (value.size == 0)
        return 0;
    if (!credential_is_printable(value))
        return err_set(err, ERR_DENIED, "its %s holds what a URL must not hold", key);
    char *url = mem_copy_bytes_as_string(value.data, value.size);
    if (oauth_check_url(url) != 0) {
        mem_free(url);
        return err_set(err, ERR_DENIED, "its %s is no https URL", key);
    }
    *url_out = url;
    return 0;
}

static bool is_word(const json_t *value)
{
    struct slice word = slice_of(json_string_value(value), json_string_length(value));
    return json_is_string(value) && word.size > 0 && credential_is_printable(word) &&
           slice_find(word, ' ') == word.size;
}

/* A list of texts becomes words. */
static int read_words(const json_t *root, const char *key, const char *otherwise, char **words_out,
                      struct err *err)
{
    const json_t *list = json_object_get(root, key), *value;
    size_t index;
    struct buf words;
    if (list == NULL || json_is_null(list)) {
        *words_out = mem_copy_string(otherwise);
        return 0;
    }
    if (!json_is_array(list))
        return err_set(err, ERR_DENIED, "its %s is no list", key);
    buf_init(&words, OAUTH_ANSWER_MAX);
    int status = 0;
    json_array_foreach(list, index, value)
    {
        if (status == 0 && !is_word(value))
            status = err_set(err, ERR_DENIED, "its %s holds what is no word", key);
        if (status == 0)
            status = buf_append_string(&words, index == 0 ? "" : " ");
        if (status == 0)
            status = buf_append_string(&words, json_string_value(value));
    }
    struct slice bytes = buf_bytes(&words);
    if (status == 0)
        *words_out = mem_copy_bytes_as_string(bytes.data, bytes.size);
    buf_fini(&words);
    return status;
}

static int check_issuer(const json_t *root, const char *issuer, struct err *err)
{
    struct slice named;
    if (!oauth_json_string(root, "issuer", &named) || named.size == 0)
        return err_set(err, ERR_SYNTAX, "it names no issuer");
    if (slice_is(named, issuer))
        return 0;
    if (!credential_is_printable(named))
        return err_set(err, ERR_DENIED, "its issuer holds what a URL must not hold");
    named = slice_take(named, SHOWN_MAX);
    return err_set(err, ERR_DENIED, "its issuer is %.*s", SLICE_PRINT(named));
}

static int read_document(const json_t *root, const char *issuer, struct oauth_metadata *metadata,
                         struct err *err)
{
    int status = check_issuer(root, issuer, err);
    for (size_t i = 0; i < OAUTH_ENDPOINTS && status == 0; i++)
        status = read_endpoint(root, endpoint_keys[i], &metadata->endpoints[i], err);
    if (status == 0)
        status = read_words(root, "grant_types_supported", "authorization_code implicit",
                            &metadata->grant_types, err);
    if (status == 0)
        status = read_words(root, "code_challenge_methods_supported", "",
                            &metadata->code_challenge_methods, err);
    if (status == 0)
        status = read_words(root, "scopes_supported", "", &metadata->scopes, err);
    if (status == 0)
        status = read_words(root, "token_endpoint_auth_methods_supported", "client_secret_basic",
                            &metadata->token_authentications, err);
    metadata->has_issuer_parameter =
        json_is_true(json_object_get(root, "authorization_response_iss_parameter_supported"));
    return status;
}

int oauth_metadata_read(struct slice body, const char *issuer, struct oauth_metadata *metadata_out,
                        struct err *err)
{
    json_t *root = oauth_json_read(body);
    *metadata_out = (struct oauth_metadata){0};
    int status = root == NULL ? err_set(err, ERR_SYNTAX, "it cannot be read as JSON")
                              : read_document(root, issuer, metadata_out, err);
    if (status != 0)
        oauth_metadata_clear(metadata_out);
    json_decref(root);
    return status;
}

#define MAIL_SCOPE    "urn:ietf:params:oauth:scope:mail"
#define OFFLINE_SCOPE "offline_access"

static bool has_word(const char *words, const char *word)
{
    return words != NULL && slice_has_word(slice_of_string(words), ' ', slice_of_string(word));
}

const char *oauth_metadata_mail_scope(const struct oauth_metadata *metadata)
{
    if (!has_word(metadata->scopes, MAIL_SCOPE))
        return "";
    return has_word(metadata->scopes, OFFLINE_SCOPE) ? MAIL_SCOPE " " OFFLINE_SCOPE : MAIL_SCOPE;
}

bool oauth_metadata_wants_basic(const struct oauth_metadata *metadata)
{
    return has_word(metadata->token_authentications, "client_secret_basic") &&
           !has_word(metadata->token_authentications, "client_secret_post");
}

void oauth_metadata_clear(struct oauth_metadata *metadata)
{
    for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
        mem_free(metadata->endpoints[i]);
    mem_free(metadata->grant_types);
    mem_free(metadata->code_challenge_methods);
    mem_free(metadata->scopes);
    mem_free(metadata->token_authentications);
    *metadata = (struct oauth_metadata){0};
}
