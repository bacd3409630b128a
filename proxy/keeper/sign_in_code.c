/*
 * Happy path: the URL is made, the browser comes back with our state and a code, and the code is
 * exchanged at once.
 *
 * Failures:
 *   another state, none, a second answer      not ours: refused, the sign-in goes on
 *   iss that is not the provider's, or none    ends it (RFC 9207): with our state, and so in the
 *   where it says that there always is one     name of another, it is an attack
 *   error= with our state                     ends it
 *   the token endpoint refuses, or is silent  ends it; a code is good for one try
 */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/hex.h"
#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"

#define PATH_OCTETS 16u
#define PATH_TEXT   (1 + 2 * PATH_OCTETS + 1)

/* ---- the URL ---- */

/* Providers that allow any loopback address by its number compare no path (RFC 8252 section 7.3);
 * those that want "localhost" compare all but the port with what was registered; so may one
 * with which we have registered ourselves, and one to which the port matters. */
static void make_path(const struct provider_config *provider, bool is_registered,
                      const uint8_t random[PATH_OCTETS], char path[PATH_TEXT])
{
    path[0] = '/';
    path[1] = '\0';
    if (is_registered || provider->redirect_port != 0 ||
        strcmp(provider->redirect_host, "localhost") == 0)
        return;
    hex_write(slice_of(random, PATH_OCTETS), path + 1);
    path[1 + 2 * PATH_OCTETS] = '\0';
}

static bool on_redirect(void *owner, struct slice query)
{
    return sign_in_take_redirect(owner, query);
}

/* For PASTE nobody listens: a port of the machine where the browser is, 80 unless one is
 * configured; it shows an error page and the address that is to be pasted. */
static int open_redirect(struct sign_in *sign_in, const struct provider_config *provider,
                         const char *path, struct err *err)
{
    const char *host = provider->redirect_host;
    uint16_t port = (uint16_t)provider->redirect_port;
    const struct redirect_catcher_options options = {
        .host = host,
        .port = port,
        .path = path,
        .owner_only = sign_in->all->config->peer == PEER_OWNER,
        .log = sign_in->all->parts.log,
        .on_redirect = on_redirect,
        .owner = sign_in,
    };
    if (sign_in->way == SIGN_IN_PASTE) {
        char colon[8] = "";
        size_t size = strlen("http://") + strlen(host) + sizeof(colon) + strlen(path) + 1;
        sign_in->redirect_uri = mem_new(size);
        if (port != 0)
            snprintf(colon, sizeof(colon), ":%u", (unsigned)port);
        snprintf(sign_in->redirect_uri, size, "http://%s%s%s", host, colon, path);
        return 0;
    }
    int status = redirect_catcher_open(sign_in->all->parts.loop, &options, &sign_in->catcher, err);
    if (status == 0)
        sign_in->redirect_uri = mem_copy_string(redirect_catcher_uri(sign_in->catcher));
    return status;
}

static const char *hint_of(const struct account_config *account)
{
    if (*account->login_hint != '\0')
        return account->login_hint;
    return strchr(account->address, '*') == NULL ? account->address : "";
}

static int make_url(struct sign_in *sign_in, const struct account_config *account,
                    const char *endpoint, struct err *err)
{
    const struct oauth_authorization authorization = {
        .endpoint = endpoint,
        .client_id = sign_in->client_id,
        .redirect_uri = sign_in->redirect_uri,
        .scope = sign_in->scope,
        .login_hint = hint_of(account),
        .resource = account->resource,
        .parameters = account->provider_row->authorize_params,
        .proof = &sign_in->proof,
    };
    struct buf url;
    buf_init(&url, OAUTH_URL_MAX);
    int status = oauth_authorization_url(&authorization, &url);
    if (status == 0)
        sign_in->url = mem_copy_bytes_as_string(buf_bytes(&url).data, buf_size(&url));
    else
        err_set(err, ERR_CONFIG, "%s: provider %s: authorize_params cannot be used",
                err_code_text(status), account->provider);
    buf_fini(&url);
    return status == 0 ? 0 : ERR_CONFIG;
}

int sign_in_begin_code(struct sign_in *sign_in, const struct account_config *account,
                       struct err *err)
{
    const struct provider_config *provider = account->provider_row;
    uint8_t random[OAUTH_PROOF_RANDOM + PATH_OCTETS] = {0};
    char path[PATH_TEXT];
    const char *endpoint = sign_in->endpoints[OAUTH_AUTHORIZATION_ENDPOINT];
    int status = 0;
    if (endpoint == NULL || sign_in->endpoints[OAUTH_TOKEN_ENDPOINT] == NULL)
        status = err_set(err, ERR_CONFIG,
                         "provider %s lacks authorization_endpoint or token_endpoint; add it",
                         account->provider);
    else if (RAND_priv_bytes(random, sizeof(random)) != 1)
        status = err_set(err, ERR_CRYPTO, "no random numbers");
    if (status == 0) {
        oauth_proof_make(random, &sign_in->proof);
        make_path(provider, sign_in->is_registered, random + OAUTH_PROOF_RANDOM, path);
        status = open_redirect(sign_in, provider, path, err);
    }
    if (status == 0)
        status = make_url(sign_in, account, endpoint, err);
    mem_wipe(random, sizeof(random));
    if (status == 0)
        sign_in_offer(sign_in);
    return status;
}

/* ---- the code ---- */

static void on_answer(void *owner, const struct fetch_answer *fetched)
{
    struct sign_in *sign_in = owner;
    struct oauth_answer answer;
    sign_in->fetch = NULL;
    if (fetched->status == 0) {
        sign_in_end(sign_in, EX_TEMPFAIL, "the token endpoint cannot be reached: %s",
                    fetched->text);
        return;
    }
    oauth_read_answer(fetched->status, fetched->body, &answer);
    if (answer.outcome == OAUTH_GRANTED)
        sign_in_take_token(sign_in, &answer, fetched->body);
    else
        sign_in_end_refused(sign_in, answer.outcome == OAUTH_TRY_LATER ? EX_TEMPFAIL : EX_NOPERM,
                            "the token endpoint refuses the code", &answer);
    oauth_answer_clear(&answer);
}

static void exchange(struct sign_in *sign_in, const struct account_config *account,
                     const struct oauth_redirect *redirect)
{
    const struct oauth_field fields[] = {
        {"code", secret_bytes(&redirect->code)},
        {"redirect_uri", slice_of_string(sign_in->redirect_uri)},
        {"code_verifier", slice_of_string(sign_in->proof.verifier)},
    };
    const struct sign_in_request request = {
        .endpoint = OAUTH_TOKEN_ENDPOINT,
        .grant_type = "authorization_code",
        .fields = fields,
        .count = LENGTH_OF(fields),
        .scope = "",
    };
    struct err err;
    if (sign_in_post(sign_in, account, &request, on_answer, &err) != 0)
        sign_in_end(sign_in, EX_CONFIG, "%s", err.text);
}

static bool is_of_provider(const struct sign_in *sign_in, const char *issuer)
{
    if (issuer == NULL)
        return !sign_in->wants_answer_issuer;
    return sign_in->answer_issuer == NULL || strcmp(issuer, sign_in->answer_issuer) == 0;
}

bool sign_in_take_redirect(struct sign_in *sign_in, struct slice query)
{
    struct oauth_redirect redirect;
    if (sign_in->has_ended || sign_in->has_answer || oauth_read_redirect(query, &redirect) != 0)
        return false;
    bool is_ours = oauth_redirect_has_state(&redirect, &sign_in->proof);
    const struct account_config *account = is_ours ? sign_in_account(sign_in) : NULL;
    if (account != NULL && !is_of_provider(sign_in, redirect.issuer)) {
        sign_in_end(sign_in, EX_NOPERM,
                    "the answer to the sign-in came %s, so that it may be another provider's; "
                    "nothing was signed in",
                    redirect.issuer == NULL ? "without the issuer's name"
                                            : "in the name of another issuer");
    } else if (account != NULL && redirect.error != NULL) {
        struct oauth_answer refusal;
        oauth_answer_refuse(redirect.error, redirect.description, &refusal);
        sign_in_end_refused(sign_in, EX_NOPERM, "the provider says no", &refusal);
        oauth_answer_clear(&refusal);
    } else if (account != NULL) {
        sign_in->has_answer = true;
        exchange(sign_in, account, &redirect);
    }
    oauth_redirect_clear(&redirect);
    return is_ours;
}
