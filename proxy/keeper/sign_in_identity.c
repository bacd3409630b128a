/*
 * Happy path: the id_token that came with the token names the account's user. Without one, or
 * without a name in it, the userinfo endpoint is asked with the new access token.
 *
 * Failures:
 *   another name                              somebody else has signed in: the token is refused
 *   an id_token for another client or issuer,
 *   userinfo about another subject            refused
 *   no endpoint, no answer, no name in it     nobody tells whose it is
 */
#include <string.h>

#include "auth/oauth_identity.h"
#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"

/* Who is to sign in: login_hint, where the mailbox is another's. Else the account's own user, under
 * either of the names that it may have. */
static struct oauth_identity_question question_of(const struct sign_in *sign_in,
                                                  const struct account_config *account)
{
    const char *issuer = account->provider_row->issuer;
    bool has_hint = *account->login_hint != '\0';
    return (struct oauth_identity_question){
        .client_id = sign_in->client_id,
        .issuer = strchr(issuer, '{') == NULL ? issuer : "",
        .expected = {has_hint ? account->login_hint : account->address,
                     has_hint || *account->user == '\0' ? NULL : account->user},
    };
}

static void refuse(struct sign_in *sign_in, const struct account_config *account,
                   enum oauth_identity identity, const char *who)
{
    const struct oauth_identity_question question = question_of(sign_in, account);
    if (identity == OAUTH_IDENTITY_OTHER)
        sign_in_refuse_token(sign_in, account, who,
                             "signed in as %s, but the account is %s; that token is not kept. Sign "
                             "in as %s, or set login_hint = %s if that user may read the mailbox",
                             who, question.expected[0], question.expected[0], who);
    else
        sign_in_refuse_token(sign_in, account, "",
                             "what the provider says of who signed in is not for this client, or "
                             "not about this sign-in; the token is not kept");
}

static void on_userinfo(void *owner, const struct fetch_answer *answer)
{
    struct sign_in *sign_in = owner;
    const struct account_config *account = sign_in_account(sign_in);
    char who[OAUTH_IDENTITY_TEXT] = "";
    enum oauth_identity identity = OAUTH_IDENTITY_UNKNOWN;
    sign_in->fetch = NULL;
    if (account == NULL)
        return;
    const struct oauth_identity_question question = question_of(sign_in, account);
    if (answer->status == 200)
        identity = oauth_identify_userinfo(answer->body, sign_in->subject, &question, who);
    else
        log_info(sign_in->all->parts.log,
                 "%s: userinfo does not tell who has signed in: HTTP %d%s%s", sign_in->account,
                 answer->status, answer->status == 0 ? ", " : "",
                 answer->status == 0 ? answer->text : "");
    if (identity == OAUTH_IDENTITY_IS || identity == OAUTH_IDENTITY_UNKNOWN)
        sign_in_keep_token(sign_in, identity == OAUTH_IDENTITY_IS);
    else
        refuse(sign_in, account, identity, who);
}

static void ask_userinfo(struct sign_in *sign_in, const struct account_config *account)
{
    struct secret authorization = {0};
    oauth_bearer(&sign_in->granted.access_token, &authorization);
    const struct fetch_request request = {
        .url = sign_in->endpoints[OAUTH_USERINFO_ENDPOINT],
        .ca_file = endpoint_ca_file(sign_in->all->config, account),
        .authorization = &authorization,
    };
    sign_in->fetch = fetch_start(sign_in->all->parts.fetcher, &request, on_userinfo, sign_in);
    secret_wipe(&authorization);
}

void sign_in_identify(struct sign_in *sign_in, const struct account_config *account,
                      struct slice body)
{
    const struct oauth_identity_question question = question_of(sign_in, account);
    char who[OAUTH_IDENTITY_TEXT];
    enum oauth_identity identity = oauth_identify(body, &question, who, &sign_in->subject);
    if (identity == OAUTH_IDENTITY_OTHER || identity == OAUTH_IDENTITY_UNSOUND)
        refuse(sign_in, account, identity, who);
    else if (identity == OAUTH_IDENTITY_UNKNOWN &&
             sign_in->endpoints[OAUTH_USERINFO_ENDPOINT] != NULL)
        ask_userinfo(sign_in, account);
    else
        sign_in_keep_token(sign_in, identity == OAUTH_IDENTITY_IS);
}
