/*
 * Happy path: the id_token that came with the token names the account's user. Without one, or
 * without a name in it, the new access token tells (keeper/identification.h).
 *
 * Failures:
 *   another name                              somebody else has signed in: the token is refused;
 *                                             with delegates = yes unless it opens the mailbox
 *   an id_token for another client or issuer,
 *   userinfo about another subject            refused
 *   nobody tells, and it opens no mailbox     refused
 *   nobody tells, and no server can be asked  not kept, 75: to sign in again costs nothing
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

static void on_identified(void *owner, enum identification_verdict verdict, const char *text)
{
    struct sign_in *sign_in = owner;
    sign_in->identification = NULL;
    const struct account_config *account = sign_in_account(sign_in);
    if (account == NULL)
        return;
    switch (verdict) {
    case IDENTIFICATION_OWN:
        sign_in_keep_token(sign_in);
        return;
    case IDENTIFICATION_OTHER:
        refuse(sign_in, account, OAUTH_IDENTITY_OTHER, text);
        return;
    case IDENTIFICATION_UNSOUND:
        refuse(sign_in, account, OAUTH_IDENTITY_UNSOUND, text);
        return;
    case IDENTIFICATION_SHUT:
        sign_in_refuse_token(sign_in, account, "",
                             "the provider does not tell who has signed in, and the token does not "
                             "open the mailbox of %s (%s); it is not kept. Sign in as %s, and see "
                             "that mail programs may use the mailbox",
                             account->name, text,
                             endpoint_identity_question(account, sign_in->client_id).expected[0]);
        return;
    case IDENTIFICATION_UNKNOWN:
        sign_in_end(sign_in, EX_TEMPFAIL,
                    "the provider does not tell who has signed in, and whether the token opens the "
                    "mailbox of %s cannot be tried (%s); it is not kept. Try again later",
                    account->name, text);
        return;
    case IDENTIFICATION_OTHER_SHUT:
        sign_in_refuse_token(sign_in, account, "",
                             "signed in as somebody whom the mail server does not let into the "
                             "mailbox of %s: %s; that token is not kept. Sign in as %s",
                             account->name, text,
                             endpoint_identity_question(account, sign_in->client_id).expected[0]);
        return;
    case IDENTIFICATION_OTHER_UNKNOWN:
        sign_in_end(sign_in, EX_TEMPFAIL,
                    "whether the mail server lets whoever has signed in into the mailbox of %s "
                    "cannot be tried: %s; the token is not kept. Try again later",
                    account->name, text);
        return;
    }
}

/* `stranger`: whom the id_token names; or NULL. */
static void identify_by_token(struct sign_in *sign_in, const struct account_config *account,
                              const char *stranger)
{
    const struct sign_ins *all = sign_in->all;
    const struct identification_parts parts = {
        .loop = all->parts.loop, .fetcher = all->parts.fetcher, .log = all->parts.log};
    const struct identification_question question = {
        .config = all->config,
        .account = account,
        .token = &sign_in->granted.access_token,
        .userinfo_endpoint = sign_in->endpoints[OAUTH_USERINFO_ENDPOINT],
        .subject = sign_in->subject,
        .stranger = stranger,
    };
    sign_in->identification = identification_start(&parts, &question, on_identified, sign_in);
}

void sign_in_identify(struct sign_in *sign_in, const struct account_config *account,
                      struct slice body)
{
    const struct oauth_identity_question question =
        endpoint_identity_question(account, sign_in->client_id);
    char who[OAUTH_IDENTITY_TEXT];
    enum oauth_identity identity = oauth_identify(body, &question, who, &sign_in->subject);
    if (identity == OAUTH_IDENTITY_OTHER && account->delegates)
        identify_by_token(sign_in, account, who);
    else if (identity == OAUTH_IDENTITY_OTHER || identity == OAUTH_IDENTITY_UNSOUND)
        refuse(sign_in, account, identity, who);
    else if (identity == OAUTH_IDENTITY_UNKNOWN)
        identify_by_token(sign_in, account, NULL);
    else
        sign_in_keep_token(sign_in);
}
