/*
 * Two tables: Microsoft's numbers, and everybody else's words; the number wins, since its sentence
 * says more than the code that comes with it. Nothing fails: what is not in them is not known.
 */
#include "auth/oauth_reason.h"

#include <stdio.h>
#include <string.h>

#define SIGN_IN       OAUTH_REMEDY_SIGN_IN
#define USER          OAUTH_REMEDY_USER
#define CONFIGURATION OAUTH_REMEDY_CONFIGURATION

static const struct {
    int64_t number;
    struct oauth_reason reason;
} numbers[] = {
    {28000, {CONFIGURATION, "the scope names more than one resource", "name one host in scope"}},
    {50020, {CONFIGURATION, "the user is of another directory", "check tenant"}},
    {50034, {CONFIGURATION, "the directory does not know that user", "check user and tenant"}},
    {50053,
     {USER, "the user is locked after too many wrong sign-ins", "wait, or have it unlocked"}},
    {50055, {SIGN_IN, "the user's password has expired", ""}},
    {50057,
     {USER, "the user is disabled in its directory", "have an administrator enable the user"}},
    {50059, {CONFIGURATION, "the request names no directory", "set tenant"}},
    {50074, {USER, "the provider wants a second factor", ""}},
    {50076, {USER, "the provider wants a second factor", ""}},
    {50078, {SIGN_IN, "the second factor has to be shown anew", ""}},
    {50079, {USER, "the user has to set up a second factor", ""}},
    {50097,
     {USER, "the organisation wants a registered device",
      "have an administrator make an exception"}},
    {50105,
     {USER, "the user is not assigned to this program", "have an administrator assign the user"}},
    {50126, {SIGN_IN, "user name or password is wrong", ""}},
    {50128, {CONFIGURATION, "there is no such directory", "check tenant"}},
    {50131,
     {USER, "the organisation does not allow it from here",
      "have an administrator look at the rule"}},
    {50132, {SIGN_IN, "the session was ended by a change of the password", ""}},
    {50133, {SIGN_IN, "the session was ended by a change of the password", ""}},
    {50158, {USER, "the provider wants a second factor", ""}},
    {50173, {SIGN_IN, "the password was changed, or all sessions were ended", ""}},
    {50194, {CONFIGURATION, "the client is for one directory alone", "set tenant"}},
    {53000,
     {USER, "the organisation wants a compliant device",
      "have an administrator make an exception"}},
    {53001,
     {USER, "the organisation wants a device of its domain",
      "have an administrator make an exception"}},
    {53003,
     {USER, "a rule of the organisation (Conditional Access) does not allow it",
      "have an administrator look at the rule"}},
    {53004, {USER, "the user has to set up a second factor", ""}},
    {54005, {SIGN_IN, "the code was used before", ""}},
    {65001,
     {USER, "nobody has consented to this program", "sign in, or have an administrator consent"}},
    {65004, {USER, "the user did not consent to this program", "sign in again and accept"}},
    {70002,
     {CONFIGURATION, "the client's credentials are wrong", "check client_id and client_secret"}},
    {70008, {SIGN_IN, "the sign-in has expired", ""}},
    {70011, {CONFIGURATION, "the scope is not valid", "check scope"}},
    {70043, {SIGN_IN, "the organisation wants a sign-in at intervals", ""}},
    {90002, {CONFIGURATION, "there is no such directory", "check tenant"}},
    {90072, {CONFIGURATION, "the user is of another directory", "check tenant"}},
    {90094,
     {USER, "an administrator has to consent to this program", "have an administrator consent"}},
    {500011,
     {CONFIGURATION, "the directory does not know the resource of the scope",
      "check scope and tenant"}},
    {530003,
     {USER, "the organisation wants a managed device", "have an administrator make an exception"}},
    {700003,
     {USER, "the device was removed from the directory", "have an administrator register it"}},
    {700016,
     {CONFIGURATION, "the directory does not know the client", "check client_id and tenant"}},
    {700024, {CONFIGURATION, "the assertion is not of this time", "set the clock of this machine"}},
    {700025,
     {CONFIGURATION, "the client is public and must not send a secret", "remove client_secret"}},
    {700027,
     {CONFIGURATION, "the certificate is not registered for the client",
      "register jwt_cert_file with the client"}},
    {700082, {SIGN_IN, "the sign-in was not used for 90 days", ""}},
    {700084, {SIGN_IN, "the sign-in was made for a web page and is over after a day", ""}},
    {900144, {CONFIGURATION, "the request lacks something", "set scope"}},
    {1002012,
     {CONFIGURATION, "the scope of a client ends in /.default",
      "set scope, at Microsoft to https://outlook.office365.com/.default"}},
    {7000112, {USER, "the client is disabled in the directory", "have an administrator enable it"}},
    {7000215,
     {CONFIGURATION, "the client secret is wrong",
      "give the secret's value, not its id, as client_secret"}},
    {7000218,
     {CONFIGURATION, "the client has to prove itself",
      "add client_secret, or allow public client flows where it is registered"}},
    {7000222,
     {CONFIGURATION, "the client secret has expired",
      "make a new one where the client is registered"}},
    {7000229,
     {USER, "the client is unknown in this directory",
      "have an administrator consent to it there"}},
};

/* `subcode` and `words` NULL: any. The first that fits counts. */
static const struct {
    const char *error, *subcode;
    const char *words; /* a part of the description */
    struct oauth_reason reason;
} phrases[] = {
    {"invalid_grant",
     "invalid_rapt",
     NULL,
     {SIGN_IN, "the organisation wants a sign-in at intervals", ""}},
    {"invalid_grant",
     NULL,
     "expired or revoked",
     {SIGN_IN,
      "the sign-in has expired or was withdrawn (a program in testing has 7 days at Google)", ""}},
    {"invalid_grant",
     NULL,
     "Invalid JWT Signature",
     {CONFIGURATION, "the key is not, or no longer, that of the service account",
      "make a new key and set jwt_key_file"}},
    {"invalid_grant",
     NULL,
     "reasonable timeframe",
     {CONFIGURATION, "the assertion is not of this time", "set the clock of this machine"}},
    {"invalid_grant",
     NULL,
     "Invalid email or User ID",
     {CONFIGURATION, "the domain has no such mailbox", "check address and user"}},
    {"invalid_grant",
     NULL,
     "account not found",
     {CONFIGURATION, "there is no such service account", "check jwt_key_file"}},
    {"invalid_grant",
     "consent_required",
     NULL,
     {USER, "nobody has consented to this program", "sign in, or have an administrator consent"}},
    {"invalid_grant",
     "basic_action",
     NULL,
     {USER, "the provider wants to ask the user something", ""}},
    {"invalid_grant",
     "additional_action",
     NULL,
     {USER, "the provider wants to ask the user something", ""}},
    {"invalid_grant",
     "protection_policy_required",
     NULL,
     {USER, "the organisation wants a managed program", "have an administrator make an exception"}},
    {"invalid_grant",
     "client_mismatch",
     NULL,
     {SIGN_IN, "the sign-in was made with another client_id", ""}},
    {"invalid_grant", "token_expired", NULL, {SIGN_IN, "the sign-in has expired", ""}},
    {"invalid_grant", "bad_token", NULL, {SIGN_IN, "the sign-in has expired or was withdrawn", ""}},
    {"unauthorized_client",
     NULL,
     "unauthorized to retrieve access tokens using this method",
     {CONFIGURATION, "the domain has not delegated this scope to the service account",
      "have its administrator add client and scope under domain-wide delegation"}},
    {"deleted_client",
     NULL,
     NULL,
     {CONFIGURATION, "the client was deleted where it was registered",
      "register it anew and set client_id"}},
    {"disabled_client",
     NULL,
     NULL,
     {CONFIGURATION, "the client is disabled where it was registered", "enable it there"}},
    {"admin_policy_enforced",
     NULL,
     NULL,
     {USER, "the organisation does not allow this program", "have an administrator allow it"}},
    {"org_internal",
     NULL,
     NULL,
     {USER, "the program is for members of its organisation", "sign in as one"}},
    {"access_denied", NULL, NULL, {USER, "the sign-in was declined", ""}},
    {"authorization_declined", NULL, NULL, {USER, "the sign-in was declined", ""}},
    {"invalid_client",
     NULL,
     NULL,
     {CONFIGURATION, "the provider does not take the client's credentials",
      "check client_id, client_secret and client_auth"}},
    {"unauthorized_client",
     NULL,
     NULL,
     {CONFIGURATION, "the client may not ask in this way",
      "allow it where it is registered, or choose another flow"}},
    {"invalid_scope", NULL, NULL, {CONFIGURATION, "the scope is not valid", "check scope"}},
    {"unsupported_grant_type",
     NULL,
     NULL,
     {CONFIGURATION, "the provider does not know this flow", "choose another flow"}},
};

static bool fits(size_t i, const struct oauth_answer *answer)
{
    if (strcmp(phrases[i].error, answer->error) != 0)
        return false;
    if (phrases[i].subcode != NULL &&
        (answer->subcode == NULL || strcmp(phrases[i].subcode, answer->subcode) != 0))
        return false;
    return phrases[i].words == NULL ||
           (answer->description != NULL && strstr(answer->description, phrases[i].words) != NULL);
}

const struct oauth_reason *oauth_reason_find(const struct oauth_answer *answer)
{
    if (answer->error == NULL)
        return NULL;
    for (size_t i = 0; i < LENGTH_OF(numbers); i++)
        if (numbers[i].number == answer->number)
            return &numbers[i].reason;
    for (size_t i = 0; i < LENGTH_OF(phrases); i++)
        if (fits(i, answer))
            return &phrases[i].reason;
    return NULL;
}

void oauth_refusal_write_code(const struct oauth_answer *answer, char code_out[OAUTH_CODE_MAX])
{
    if (answer->number > 0)
        snprintf(code_out, OAUTH_CODE_MAX, "AADSTS%lld", (long long)answer->number);
    else
        snprintf(code_out, OAUTH_CODE_MAX, "%s", answer->error);
}

void oauth_refusal_write(const struct oauth_answer *answer, const char *words,
                         char text_out[OAUTH_REFUSAL_MAX])
{
    const struct oauth_reason *reason = oauth_reason_find(answer);
    char code[OAUTH_CODE_MAX];
    bool has_words = words != NULL && (reason == NULL || answer->number == 0);
    if (has_words)
        snprintf(code, sizeof(code), "%s", answer->error);
    else
        oauth_refusal_write_code(answer, code);
    snprintf(text_out, OAUTH_REFUSAL_MAX, "%s%s%s%s%s%s", reason == NULL ? "" : reason->text,
             reason == NULL ? "" : " (", code, has_words ? ": " : "", has_words ? words : "",
             reason == NULL ? "" : ")");
}
