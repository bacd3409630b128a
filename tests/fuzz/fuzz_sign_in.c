/*
 * How a sign-in begins: an octet of options (1: a registration was granted, 2: with a device), then
 * lines: endpoint, client_id, scope, login hint, the provider's parameters, a redirect's query; the
 * rest is the answer to a registration.
 *
 * The URL for the browser holds each of its parameters once, with the value that was meant. A
 * secret is found in what quotes it, however it is wrapped.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth_authorize.h"
#include "auth/oauth_form.h"
#include "auth/oauth_registration.h"
#include "auth/quotes.h"
#include "steps.h"

#define LINES      6u
#define FIELD_MAX  2048u
#define SECRET_MIN 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_line(struct slice *rest)
{
    struct slice line = slice_take(*rest, slice_find(*rest, '\n'));
    *rest = slice_skip(*rest, line.size + 1);
    line = slice_take(line, FIELD_MAX);
    return mem_copy_bytes_as_string(line.data, line.size);
}

/* How often it is there; its value is compared. */
static size_t count_field(struct slice query, const char *name, const char *expected)
{
    struct slice field;
    size_t count = 0;
    while (slice_next_word(&query, '&', &field)) {
        size_t end = slice_find(field, '=');
        struct buf value;
        if (!slice_is(slice_take(field, end), name))
            continue;
        buf_init(&value, OAUTH_URL_MAX);
        ENSURE(oauth_form_decode(slice_skip(field, end + 1), &value) == 0);
        ENSURE(slice_is(buf_bytes(&value), expected));
        buf_fini(&value);
        count++;
    }
    return count;
}

static void check_url(struct slice url, const struct oauth_authorization *authorization)
{
    struct slice query = slice_skip(url, strlen(authorization->endpoint) + 1);
    const char *const fields[][2] = {{"response_type", "code"},
                                     {"client_id", authorization->client_id},
                                     {"redirect_uri", authorization->redirect_uri},
                                     {"scope", authorization->scope},
                                     {"login_hint", authorization->login_hint},
                                     {"resource", authorization->resource},
                                     {"state", authorization->proof->state},
                                     {"code_challenge", authorization->proof->challenge},
                                     {"code_challenge_method", "S256"}};
    ENSURE(slice_starts_with(url, authorization->endpoint));
    ENSURE(credential_is_printable(query) && !contains(query, "#") && !contains(query, " "));
    bool is_said = strstr(authorization->client_id, authorization->proof->verifier) != NULL ||
                   strstr(authorization->scope, authorization->proof->verifier) != NULL ||
                   strstr(authorization->login_hint, authorization->proof->verifier) != NULL ||
                   strstr(authorization->parameters, authorization->proof->verifier) != NULL;
    ENSURE(is_said || !contains(query, authorization->proof->verifier));
    for (size_t i = 0; i < LENGTH_OF(fields); i++) {
        size_t count = fields[i][1][0] == '\0' ? 0 : 1;
        ENSURE(count_field(query, fields[i][0], fields[i][1]) == count);
    }
}

static void check_state(const char *query, const struct oauth_proof *proof)
{
    struct oauth_redirect redirect = {0};
    if (oauth_read_redirect(slice_of_string(query), &redirect) != 0)
        return;
    ENSURE(strstr(query, proof->state) != NULL || !oauth_redirect_has_state(&redirect, proof));
    mem_free(redirect.state);
    redirect.state = mem_copy_string(proof->state);
    ENSURE(oauth_redirect_has_state(&redirect, proof));
    oauth_redirect_clear(&redirect);
}

static void begin(char *const *lines)
{
    static const uint8_t random[OAUTH_PROOF_RANDOM] =
        "no chance, but found in no input unless somebody looks for it";
    struct oauth_proof proof;
    struct buf url;
    oauth_proof_make(random, &proof);
    const struct oauth_authorization authorization = {.endpoint = lines[0],
                                                      .client_id = lines[1],
                                                      .redirect_uri = "http://127.0.0.1:7/x",
                                                      .scope = lines[2],
                                                      .login_hint = lines[3],
                                                      .resource = lines[3],
                                                      .parameters = lines[4],
                                                      .proof = &proof};
    buf_init(&url, OAUTH_URL_MAX);
    if (oauth_authorization_url(&authorization, &url) == 0)
        check_url(buf_bytes(&url), &authorization);
    buf_fini(&url);
    check_state(lines[5], &proof);
    oauth_proof_wipe(&proof);
}

static void register_client(bool is_granted, bool has_device, const char *scope, struct slice body)
{
    struct secret request = {0};
    struct err err = {0};
    char *identifier = NULL;
    if (slice_is_utf8(slice_of_string(scope)) &&
        oauth_registration_request(scope, has_device, &request) == 0)
        ENSURE(request.size > 0 && slice_is_utf8(secret_bytes(&request)));
    int status = oauth_registration_read(is_granted ? 201 : 400, body, &identifier, &err);
    ENSURE((status == 0) == (identifier != NULL) && (status != 0 || is_granted));
    ENSURE(identifier == NULL ||
           (*identifier != '\0' && strlen(identifier) <= OAUTH_CLIENT_ID_MAX &&
            credential_is_printable(slice_of_string(identifier))));
    ENSURE(credential_is_printable(slice_of_string(err.text)));
    mem_free(identifier);
    secret_wipe(&request);
}

/* The client_id, as if it were a secret, in what comes around it. */
static void quote(struct slice secret, struct slice around)
{
    char text[FIELD_MAX * 2], encoded[FIELD_MAX * 3];
    if (secret.size < SECRET_MIN)
        return;
    struct slice before = slice_take(around, 50), behind = slice_take(slice_skip(around, 50), 50);
    int size = snprintf(text, sizeof(text), "%.*s%.*s%.*s", SLICE_PRINT(before),
                        SLICE_PRINT(secret), SLICE_PRINT(behind));
    struct slice whole = slice_of(text, (size_t)size);
    ENSURE(quotes_secret(whole, secret));
    int length = EVP_EncodeBlock((unsigned char *)encoded, whole.data, (int)whole.size);
    ENSURE(quotes_secret(slice_of(encoded, (size_t)length), secret));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    char *lines[LINES];
    uint8_t options = take_octet(&rest);
    for (size_t i = 0; i < LINES; i++)
        lines[i] = take_line(&rest);
    begin(lines);
    register_client((options & 1) != 0, (options & 2) != 0, lines[2], rest);
    /* A text ends at its first NUL. */
    if (rest.size == 0 || memchr(rest.data, '\0', rest.size) == NULL)
        quote(slice_of_string(lines[1]), rest);
    for (size_t i = 0; i < LINES; i++)
        mem_free(lines[i]);
    return 0;
}
