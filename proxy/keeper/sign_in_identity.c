/*
 * Happy path: the id_token that came with the token names the account's user. Without one, or
 * without a name in it, the userinfo endpoint is asked with the new access token. Where nobody
 * tells whose it is, it has to open the account's mailbox.
 *
 * Failures:
 *   another name                              somebody else has signed in: the token is refused
 *   an id_token for another client or issuer,
 *   userinfo about another subject            refused
 *   no endpoint, no answer, no name in it     tried at the mail servers
 *   they do not let it in                     refused
 *   none of them can be asked                 not kept, 75
 */
#include <string.h>
#include <sysexits.h>

#include "auth/oauth_identity.h"
#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"

static void refuse(struct sign_in *sign_in, const struct account_config *account,
                   enum oauth_identity identity, const char *who)
{
    const struct oauth_identity_question question =
        endpoint_identity_question(account, sign_in->client_id);
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

/* ---- by what it opens ---- */

static void on_tried(void *owner, enum trial_verdict verdict, const char *text)
{
    struct sign_in *sign_in = owner;
    const struct account_config *account = sign_in_account(sign_in);
    sign_in->trial = NULL;
    if (account == NULL)
        return;
    switch (verdict) {
    case TRIAL_YES:
        sign_in_keep_token(sign_in);
        return;
    case TRIAL_NO:
        sign_in_refuse_token(sign_in, account, "",
                             "the provider does not tell who has signed in, and the token does not "
                             "open the mailbox of %s (%s); it is not kept. Sign in as %s, and see "
                             "that mail programs may use the mailbox",
                             account->name, text,
                             endpoint_identity_question(account, sign_in->client_id).expected[0]);
        return;
    case TRIAL_UNKNOWN:
        sign_in_end(sign_in, EX_TEMPFAIL,
                    "the provider does not tell who has signed in, and whether the token opens the "
                    "mailbox of %s cannot be tried (%s); it is not kept. Try again later",
                    account->name, text);
        return;
    }
}

static void try_token(struct sign_in *sign_in, const struct account_config *account)
{
    const struct sign_ins *all = sign_in->all;
    log_info(all->parts.log, "%s: nobody tells who has signed in; the token is tried",
             sign_in->account);
    sign_in->trial = trial_start(all->parts.loop, all->config, account,
                                 &sign_in->granted.access_token, on_tried, sign_in);
}

/* ---- by userinfo ---- */

static void on_userinfo(void *owner, const struct fetch_answer *answer)
{
    struct sign_in *sign_in = owner;
    const struct account_config *account = sign_in_account(sign_in);
    char who[OAUTH_IDENTITY_TEXT] = "";
    enum oauth_identity identity = OAUTH_IDENTITY_UNKNOWN;
    sign_in->fetch = NULL;
    if (account == NULL)
        return;
    const struct oauth_identity_question question =
        endpoint_identity_question(account, sign_in->client_id);
    if (answer->status == 200)
        identity = oauth_identify_userinfo(answer->body, sign_in->subject, &question, who);
    else
        log_info(sign_in->all->parts.log,
                 "%s: userinfo does not tell who has signed in: HTTP %d%s%s", sign_in->account,
                 answer->status, answer->status == 0 ? ", " : "",
                 answer->status == 0 ? answer->text : "");
    if (identity == OAUTH_IDENTITY_IS)
        sign_in_keep_token(sign_in);
    else if (identity == OAUTH_IDENTITY_UNKNOWN)
        try_token(sign_in, account);
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
    const struct oauth_identity_question question =
        endpoint_identity_question(account, sign_in->client_id);
    char who[OAUTH_IDENTITY_TEXT];
    enum oauth_identity identity = oauth_identify(body, &question, who, &sign_in->subject);
    if (identity == OAUTH_IDENTITY_OTHER || identity == OAUTH_IDENTITY_UNSOUND)
        refuse(sign_in, account, identity, who);
    else if (identity == OAUTH_IDENTITY_UNKNOWN &&
             sign_in->endpoints[OAUTH_USERINFO_ENDPOINT] != NULL)
        ask_userinfo(sign_in, account);
    else if (identity == OAUTH_IDENTITY_UNKNOWN)
        try_token(sign_in, account);
    else
        sign_in_keep_token(sign_in);
}
