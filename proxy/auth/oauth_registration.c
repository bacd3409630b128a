/*
 * Happy path: the server answers 201 with a client_id, for a client without a secret.
 *
 * Failures: an error in its own words; a client of another kind, which somebody has to be given by
 * hand; an answer that is no JSON.
 */
#include "auth/oauth_registration.h"

#include <string.h>

#include "auth/credential.h"
#include "auth/oauth.h"
#include "auth/oauth_device.h"
#include "auth/oauth_json.h"

#define SHOWN_MAX 200

int oauth_registration_request(const char *scope, bool has_device, struct secret *body_out)
{
    if (strlen(scope) > OAUTH_REGISTRATION_SCOPE)
        return ERR_FULL;
    json_t *root = json_pack(
        "{s:[s, s, s], s:[s, s], s:[s], s:s, s:s, s:s, s:s, s:s}", "redirect_uris",
        "http://127.0.0.1" OAUTH_REGISTRATION_PATH, "http://[::1]" OAUTH_REGISTRATION_PATH,
        "http://localhost" OAUTH_REGISTRATION_PATH, "grant_types", "authorization_code",
        "refresh_token", "response_types", "code", "token_endpoint_auth_method", "none",
        "application_type", "native", "client_name", "ecluse", "software_id", "ecluse",
        "software_version", ECLUSE_VERSION);
    ENSURE(root != NULL);
    if (has_device)
        ENSURE(json_array_append_new(json_object_get(root, "grant_types"),
                                     json_string(OAUTH_DEVICE_GRANT)) == 0);
    if (*scope != '\0')
        ENSURE(json_object_set_new(root, "scope", json_string(scope)) == 0);
    char *text = json_dumps(root, JSON_COMPACT);
    ENSURE(text != NULL);
    secret_set(body_out, slice_of_string(text));
    mem_free_wiped_string(text);
    json_decref(root);
    return 0;
}

static int read_refusal(int http_status, const json_t *root, struct err *err)
{
    char error[SHOWN_MAX + 1], description[SHOWN_MAX + 1];
    struct slice text;
    if (root == NULL || !oauth_json_string(root, "error", &text) || text.size == 0)
        return err_set(err, ERR_DENIED, "HTTP %d", http_status);
    slice_escape(text, error, sizeof(error));
    if (!oauth_json_string(root, "error_description", &text) || text.size == 0)
        return err_set(err, ERR_DENIED, "%s", error);
    slice_escape(text, description, sizeof(description));
    return err_set(err, ERR_DENIED, "%s: %s", error, description);
}

static int read_client(const json_t *root, char **client_id_out, struct err *err)
{
    struct slice identifier, method;
    if (root == NULL)
        return err_set(err, ERR_SYNTAX, "the answer cannot be read as JSON");
    if (!oauth_json_string(root, "client_id", &identifier) || identifier.size == 0 ||
        identifier.size > OAUTH_CLIENT_ID_MAX || !credential_is_printable(identifier))
        return err_set(err, ERR_SYNTAX, "there is no client_id of use in the answer");
    if (!oauth_json_string(root, "token_endpoint_auth_method", &method))
        return err_set(err, ERR_SYNTAX, "a field of the answer has the wrong type");
    if (method.size > 0 && !slice_is(method, "none"))
        return err_set(err, ERR_DENIED, "it registers clients with a secret alone");
    *client_id_out = mem_copy_bytes_as_string(identifier.data, identifier.size);
    return 0;
}

int oauth_registration_read(int http_status, struct slice body, char **client_id_out,
                            struct err *err)
{
    json_t *root = oauth_json_read(body);
    bool is_granted = http_status == 200 || http_status == 201;
    int status =
        is_granted ? read_client(root, client_id_out, err) : read_refusal(http_status, root, err);
    json_decref(root);
    return status;
}
