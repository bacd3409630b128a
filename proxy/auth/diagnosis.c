/*
 * Rows are looked at in order, and the first that fits counts: exact words before loose ones, a
 * clue before the words, and at the end a row for each step that fits whatever was said.
 *
 * Microsoft's IMAP says one sentence for nearly everything, and for some things it says yes: what
 * comes then at the first command is a row of its own.
 */
#include "auth/diagnosis.h"

#include <stdio.h>
#include <string.h>

#include "base/slice.h"

#define LATER         DIAGNOSIS_REMEDY_LATER
#define SERVICE       DIAGNOSIS_REMEDY_SERVICE
#define USER          DIAGNOSIS_REMEDY_USER
#define CONFIGURATION DIAGNOSIS_REMEDY_CONFIGURATION

#define ANY_WHY      WHY_COUNT
#define ANY_PROTOCOL PROTOCOL_COUNT

/* `words` NULL: any; `clue` NONE: none is needed. */
struct row {
    enum diagnosis_step step;
    enum why why;
    enum protocol protocol;
    enum diagnosis_clue clue;
    const char *words; /* a part of what was said, in any case of letters */
    struct diagnosis diagnosis;
};

#define SAYS(step, words)  step, ANY_WHY, ANY_PROTOCOL, DIAGNOSIS_CLUE_NONE, words
#define IS(step, why)      step, why, ANY_PROTOCOL, DIAGNOSIS_CLUE_NONE, NULL
#define SHOWS(step, clue)  step, ANY_WHY, ANY_PROTOCOL, clue, NULL
#define OTHERWISE(step)    step, ANY_WHY, ANY_PROTOCOL, DIAGNOSIS_CLUE_NONE, NULL
#define OF(protocol, text) DIAGNOSIS_LOGIN, ANY_WHY, protocol, DIAGNOSIS_CLUE_NONE, text

static const struct row rows[] = {
    {OTHERWISE(DIAGNOSIS_CONFIGURATION),
     {CONFIGURATION, "the configuration is not complete", "see ecluse check"}},

    /* ---- the token endpoint ---- */
    {SHOWS(DIAGNOSIS_ENDPOINT, DIAGNOSIS_CLUE_CLOCK),
     {CONFIGURATION, "the clock of this machine is off",
      "set it (timedatectl set-ntp true): tokens and certificates hang on it"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "resolve host"),
     {CONFIGURATION, "the name of the token endpoint cannot be looked up",
      "check this machine's network and DNS, then token_endpoint or issuer in [provider "
      "{provider}]"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "not yet valid"),
     {SERVICE, "the certificate of the token endpoint is not valid yet",
      "look at the clock of this machine first"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "has expired"),
     {SERVICE, "the certificate of the token endpoint has expired",
      "look at the clock of this machine; if it is right the provider has to renew it"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "issuer certificate"),
     {CONFIGURATION, "nobody whom ecluse trusts has signed the certificate of the token endpoint",
      "set ca_file, if the provider has an authority of its own; else something on the way "
      "breaks TLS open"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "self-signed"),
     {CONFIGURATION, "nobody whom ecluse trusts has signed the certificate of the token endpoint",
      "set ca_file, if the provider has an authority of its own; else something on the way "
      "breaks TLS open"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "mismatch"),
     {CONFIGURATION, "the certificate of the token endpoint is for another name",
      "check token_endpoint or issuer in [provider {provider}]"}},
    {SAYS(DIAGNOSIS_ENDPOINT, "timed out"),
     {SERVICE, "the token endpoint does not answer",
      "see whether a firewall lets https out, then try again"}},
    {OTHERWISE(DIAGNOSIS_ENDPOINT),
     {SERVICE, "the token endpoint cannot be reached",
      "check this machine's network, its firewall, and token_endpoint or issuer in [provider "
      "{provider}]"}},

    /* ---- the token ---- */
    {SHOWS(DIAGNOSIS_TOKEN, DIAGNOSIS_CLUE_RESOURCE),
     {CONFIGURATION, "the token is for another resource than the mail server",
      "name the mail server's resource in every scope (at Microsoft "
      "https://outlook.office.com/IMAP.AccessAsUser.All and so on), then sign in: ecluse login "
      "{account}"}},
    {SHOWS(DIAGNOSIS_TOKEN, DIAGNOSIS_CLUE_SCOPE),
     {USER, "the provider has not granted the scope that {protocol} needs",
      "sign in again and leave every box ticked: ecluse login {account}; else add the scope where "
      "the client is registered"}},
    {SHOWS(DIAGNOSIS_TOKEN, DIAGNOSIS_CLUE_USER),
     {USER, "the token is of another user than {user}",
      "fine for a shared mailbox that this user may open; else sign in as {user}: ecluse login "
      "{account}"}},
    {SAYS(DIAGNOSIS_TOKEN, "is no UTF-8"),
     {CONFIGURATION, "the password of {account} cannot be tried from here",
      "log in with a mail program, or choose a password of plain characters"}},
    {IS(DIAGNOSIS_TOKEN, WHY_TOKEN_NEEDS_USER),
     {USER, "somebody has to sign in", "ecluse login {account}"}},
    {IS(DIAGNOSIS_TOKEN, WHY_UNREACHABLE),
     {LATER, "no token now", "try again later; ecluse accounts shows the last error"}},
    {OTHERWISE(DIAGNOSIS_TOKEN),
     {CONFIGURATION, "the provider gives no token",
      "check client_id, client_secret and scope of [account {account}] and [provider "
      "{provider}]"}},

    /* ---- the name ---- */
    {SAYS(DIAGNOSIS_DNS, "temporary"),
     {LATER, "the resolver of this machine does not answer",
      "see whether this machine is online, then try again"}},
    {OTHERWISE(DIAGNOSIS_DNS),
     {CONFIGURATION, "there is no address for {host}",
      "check the host of {protocol} in [provider {provider}], and this machine's DNS"}},

    /* ---- the connection ---- */
    {SAYS(DIAGNOSIS_TCP, "refused"),
     {SERVICE, "nobody takes connections at port {port} of {host}",
      "check the port (TLS: imap 993, pop3 995, smtp 465; STARTTLS: 143, 110, 587); else a "
      "firewall is in the way"}},
    {SAYS(DIAGNOSIS_TCP, "unreachable"),
     {LATER, "there is no way to {host} from here", "see whether this machine is online"}},
    {SAYS(DIAGNOSIS_TCP, "no route"),
     {LATER, "there is no way to {host} from here", "see whether this machine is online"}},
    {IS(DIAGNOSIS_TCP, WHY_TIMEOUT),
     {SERVICE, "port {port} of {host} does not answer",
      "see whether a firewall, here or at the network's edge, drops the packets, and whether the "
      "port is right"}},
    {OTHERWISE(DIAGNOSIS_TCP),
     {SERVICE, "no connection to port {port} of {host}", "check host, port, network and firewall"}},

    /* ---- TLS ---- */
    {SHOWS(DIAGNOSIS_TLS, DIAGNOSIS_CLUE_PLAINTEXT),
     {CONFIGURATION, "port {port} of {host} begins in plaintext",
      "write {protocol} = starttls://{host}:{port} in [provider {provider}], or the port that has "
      "TLS from its first octet"}},
    {SHOWS(DIAGNOSIS_TLS, DIAGNOSIS_CLUE_TLS),
     {CONFIGURATION, "port {port} of {host} has TLS from its first octet",
      "write {protocol} = tls://{host}:{port} in [provider {provider}]"}},
    {SHOWS(DIAGNOSIS_TLS, DIAGNOSIS_CLUE_CLOCK),
     {CONFIGURATION,
      "the certificate of {host} is not of this time, and the clock of this machine "
      "is off",
      "set the clock (timedatectl set-ntp true)"}},
    {SAYS(DIAGNOSIS_TLS, "the certificate is not for"),
     {CONFIGURATION, "the certificate is for another name than {host}",
      "write a name that stands in the certificate as the host of {protocol} in [provider "
      "{provider}]; if none of them is the provider's, somebody else answers there"}},
    {SAYS(DIAGNOSIS_TLS, "not yet valid"),
     {SERVICE, "the certificate of {host} is not valid yet",
      "look at the clock of this machine; if it is right the provider has to mend it"}},
    {SAYS(DIAGNOSIS_TLS, "has expired"),
     {SERVICE, "the certificate of {host} has expired",
      "look at the clock of this machine; if it is right the provider has to renew it"}},
    {SAYS(DIAGNOSIS_TLS, "issuer certificate"),
     {CONFIGURATION, "nobody whom ecluse trusts has signed the certificate of {host}",
      "set ca_file in [provider {provider}], if the provider has an authority of its own; else "
      "something on the way (a virus scanner, a company's proxy) breaks TLS open"}},
    {SAYS(DIAGNOSIS_TLS, "self-signed"),
     {CONFIGURATION, "nobody whom ecluse trusts has signed the certificate of {host}",
      "set ca_file in [provider {provider}], if the provider has an authority of its own; else "
      "something on the way (a virus scanner, a company's proxy) breaks TLS open"}},
    {SAYS(DIAGNOSIS_TLS, "TLS 1.2"),
     {SERVICE, "{host} speaks no TLS that is still safe (1.2 or newer)",
      "the provider has to mend it"}},
    {SAYS(DIAGNOSIS_TLS, "did not answer with TLS"),
     {CONFIGURATION, "port {port} of {host} does not speak TLS",
      "check the port, and whether it is starttls:// there"}},
    {SAYS(DIAGNOSIS_TLS, "refuses TLS"),
     {CONFIGURATION, "{host} does not offer STARTTLS at port {port}",
      "use the port with TLS from its first octet (tls://); without TLS ecluse sends nothing"}},
    {SAYS(DIAGNOSIS_TLS, "application protocol"),
     {CONFIGURATION, "port {port} of {host} is for another protocol than {protocol}",
      "check the port"}},
    {IS(DIAGNOSIS_TLS, WHY_TIMEOUT),
     {SERVICE, "{host} does not answer as {protocol} does at port {port}",
      "check the port, and tls:// against starttls://"}},
    {IS(DIAGNOSIS_TLS, WHY_UPSTREAM_PROTOCOL),
     {CONFIGURATION, "what answers at port {port} of {host} is no {protocol} server",
      "check the port"}},
    {OTHERWISE(DIAGNOSIS_TLS),
     {SERVICE, "no TLS with {host}",
      "check the port; something on the way may cut the connection"}},

    /* ---- the greeting, and what the server can do ---- */
    {SAYS(DIAGNOSIS_CAPABILITIES, "no mechanism that takes a token"),
     {CONFIGURATION, "{host} offers no login with a token (XOAUTH2, OAUTHBEARER)",
      "if the provider has app passwords use flow = none; if it takes tokens without saying so "
      "set mechanisms = XOAUTH2 in [provider {provider}]"}},
    {SAYS(DIAGNOSIS_CAPABILITIES, "no mechanism that takes a password"),
     {CONFIGURATION, "{host} offers no login with a password",
      "use a flow with a token, or set mechanisms in [provider {provider}]"}},
    {SAYS(DIAGNOSIS_CAPABILITIES, "PREAUTH"),
     {SERVICE, "{host} says that somebody is logged in already", "check host and port"}},
    {IS(DIAGNOSIS_CAPABILITIES, WHY_UPSTREAM_PROTOCOL),
     {CONFIGURATION, "what answers at port {port} of {host} is no {protocol} server",
      "check the port"}},
    {IS(DIAGNOSIS_CAPABILITIES, WHY_TIMEOUT),
     {LATER, "{host} connects, and then says nothing",
      "check the port; if it is right try again later"}},
    {OTHERWISE(DIAGNOSIS_CAPABILITIES),
     {LATER, "{host} does not want to talk now",
      "try again later; a server that has had too much of this address says so as well"}},

    /* ---- the login: one provider's words ---- */
    {OF(PROTOCOL_SMTP, "SmtpClientAuthentication is disabled"),
     {USER, "SMTP AUTH is disabled for the tenant or the mailbox at Microsoft",
      "have an administrator enable Authenticated SMTP for {user} (Set-CASMailbox "
      "-SmtpClientAuthenticationDisabled $false); security defaults switch it off for all"}},
    {SAYS(DIAGNOSIS_LOGIN, "basic authentication is disabled"),
     {CONFIGURATION, "the provider takes no passwords any more", "use a flow with a token"}},
    {OF(PROTOCOL_SMTP, "did not meet the criteria"),
     {USER, "a rule of the organisation (security defaults, Conditional Access) forbids this login",
      "have an administrator look at the sign-in log of {user}"}},
    {SAYS(DIAGNOSIS_LOGIN, "locked to prevent unauthorized use"),
     {USER, "the user is locked after too many wrong logins",
      "wait, or have an administrator unlock {user}"}},
    {OF(PROTOCOL_SMTP, "5.7.139"),
     {USER, "Microsoft refuses the login over SMTP",
      "see that {user} is the mailbox of whoever has signed in, has a licence, and has "
      "Authenticated SMTP enabled"}},
    {OF(PROTOCOL_IMAP, "authenticated but not connected"),
     {USER, "Microsoft takes the token and opens no mailbox with it",
      "see that {user} is the primary address of a mailbox with a licence, that IMAP is enabled "
      "for it, and that whoever has signed in may open it (a shared mailbox: Full Access)"}},
    {OF(PROTOCOL_IMAP, "not enabled for IMAP"),
     {USER, "IMAP is switched off for {user} at Google",
      "switch it on in Gmail's settings (Forwarding and POP/IMAP), or have the administrator of "
      "the domain do so"}},
    {OF(PROTOCOL_POP3, "not enabled for POP"),
     {USER, "POP is switched off for {user} at Google",
      "switch it on in Gmail's settings (Forwarding and POP/IMAP), or have the administrator of "
      "the domain do so"}},
    {SAYS(DIAGNOSIS_LOGIN, "does not have access rights to this service"),
     {USER, "mail programs are not allowed for {user} at Yandex",
      "allow {protocol} in the settings of the mailbox"}},
    {SAYS(DIAGNOSIS_LOGIN, "Application-specific password"),
     {USER, "the provider wants an app password",
      "make one there and store it: ecluse login {account} --password-stdin"}},
    {SAYS(DIAGNOSIS_LOGIN, "via your web browser"),
     {USER, "the provider wants {user} to log in with a browser first",
      "log in there, answer what is asked, then try again"}},
    {SAYS(DIAGNOSIS_LOGIN, "Web login required"),
     {USER, "the provider wants {user} to log in with a browser first",
      "log in there, answer what is asked, then try again"}},
    {SAYS(DIAGNOSIS_LOGIN, "Too many simultaneous"),
     {LATER, "{user} has too many connections open",
      "close some mail programs, or lower max_sessions_per_account"}},
    {SAYS(DIAGNOSIS_LOGIN, "connections limit exceeded"),
     {LATER, "{user} has too many connections open",
      "close some mail programs, or lower max_sessions_per_account"}},
    {SAYS(DIAGNOSIS_LOGIN, "throttled"),
     {LATER, "the provider slows {user} down", "wait a while, then try again"}},
    {SAYS(DIAGNOSIS_LOGIN, "is no UTF-8"),
     {CONFIGURATION, "the password of {account} cannot be tried from here",
      "log in with a mail program, or choose a password of plain characters"}},
    {SAYS(DIAGNOSIS_LOGIN, "cannot be sent"),
     {CONFIGURATION, "the user name or what the provider gave cannot be sent",
      "check user of [account {account}]"}},
    {SAYS(DIAGNOSIS_LOGIN, "did not prove"),
     {SERVICE, "{host} does not know the password that it says yes to",
      "somebody else may answer there: check the host"}},

    /* ---- the login: what our own look at the token has shown ---- */
    {DIAGNOSIS_LOGIN,
     WHY_TOKEN_REJECTED,
     ANY_PROTOCOL,
     DIAGNOSIS_CLUE_RESOURCE,
     NULL,
     {CONFIGURATION, "the token is for another resource than the mail server",
      "name the mail server's resource in every scope (at Microsoft "
      "https://outlook.office.com/IMAP.AccessAsUser.All and so on), then sign in: ecluse login "
      "{account}"}},
    {DIAGNOSIS_LOGIN,
     WHY_TOKEN_REJECTED,
     ANY_PROTOCOL,
     DIAGNOSIS_CLUE_SCOPE,
     NULL,
     {USER, "the token lacks the scope that {protocol} needs",
      "sign in again and leave every box ticked: ecluse login {account}; else add the scope where "
      "the client is registered"}},
    {DIAGNOSIS_LOGIN,
     WHY_TOKEN_REJECTED,
     ANY_PROTOCOL,
     DIAGNOSIS_CLUE_USER,
     NULL,
     {USER, "the token is of another user than {user}",
      "sign in as {user}: ecluse login {account}; or set user of [account {account}] to the "
      "mailbox of whoever has signed in"}},

    /* ---- the login: anybody's words ---- */
    {OF(PROTOCOL_SMTP, "5.7.3 "),
     {USER, "the provider does not take the token for {user}",
      "see that user is the primary address of whoever has signed in, and that SMTP is allowed "
      "for it"}},
    {OF(PROTOCOL_IMAP, "AUTHENTICATE failed"),
     {USER, "the provider does not take the token for {user}",
      "see that {user} is the mailbox of whoever has signed in, that IMAP is enabled for it, and "
      "that the scope is the mail server's; then sign in: ecluse login {account}"}},
    {OF(PROTOCOL_POP3, "unknown user name or bad password"),
     {USER, "the provider does not take the token for {user}",
      "see that {user} is the mailbox of whoever has signed in, and that POP is enabled for it"}},
    {IS(DIAGNOSIS_LOGIN, WHY_TIMEOUT),
     {LATER, "{host} does not answer the login", "try again later"}},
    {IS(DIAGNOSIS_LOGIN, WHY_UNREACHABLE),
     {LATER, "{host} ends the connection during the login, or is not available",
      "try again later; some servers do so with a token that they find too long"}},
    {IS(DIAGNOSIS_LOGIN, WHY_SERVER_GONE),
     {LATER, "{host} ends the connection after the login", "try again later"}},
    {IS(DIAGNOSIS_LOGIN, WHY_UPSTREAM_PROTOCOL),
     {SERVICE, "{host} does not go on with the login as it should",
      "see what it says; if mechanisms is set in [provider {provider}], try without it"}},
    {OTHERWISE(DIAGNOSIS_LOGIN),
     {USER, "the provider does not take the token for {user}",
      "see that {user} is the mailbox of whoever has signed in and that the scope is for "
      "{protocol}; then sign in again: ecluse login {account}"}},
};

/* In place of the last row for an account whose password it is. */
static const struct diagnosis wrong_password = {
    USER, "the provider does not take the password of {user}",
    "store the right one (ecluse login {account} --password-stdin), or have its command print it; "
    "many providers want an app password"};

static bool has_words(const char *text, const char *words)
{
    return words == NULL || strcasestr(text, words) != NULL;
}

static bool fits(const struct row *row, const struct diagnosis_facts *facts)
{
    return row->step == facts->step && (row->why == ANY_WHY || row->why == facts->why) &&
           (row->protocol == ANY_PROTOCOL || row->protocol == facts->protocol) &&
           (row->clue == DIAGNOSIS_CLUE_NONE || row->clue == facts->clue) &&
           has_words(facts->words == NULL ? "" : facts->words, row->words);
}

const struct diagnosis *diagnosis_find(const struct diagnosis_facts *facts)
{
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        bool is_about_a_token = i + 1 == LENGTH_OF(rows) || rows[i].why == WHY_TOKEN_REJECTED;
        if (!fits(&rows[i], facts))
            continue;
        return is_about_a_token && facts->has_password ? &wrong_password : &rows[i].diagnosis;
    }
    UNREACHABLE("every step has a row");
}

/* ---- names ---- */

static const char *find_name(struct slice word, const struct diagnosis_names *names,
                             const char *port)
{
    const struct {
        const char *word, *value;
    } known[] = {{"account", names->account},   {"provider", names->provider},
                 {"protocol", names->protocol}, {"host", names->host},
                 {"user", names->user},         {"port", port}};
    for (size_t i = 0; i < LENGTH_OF(known); i++)
        if (slice_is(word, known[i].word))
            return known[i].value == NULL ? "" : known[i].value;
    UNREACHABLE("an unknown name in the table");
}

void diagnosis_write(const char *text, const struct diagnosis_names *names, char *out,
                     size_t capacity)
{
    struct slice rest = slice_of_string(text), plain, word;
    char port[8];
    size_t used = 0;
    snprintf(port, sizeof(port), "%u", names->port);
    out[0] = '\0';
    while (used + 1 < capacity && slice_next_word(&rest, '{', &plain)) {
        /* There is none behind the last piece. */
        bool has_name = slice_next_word(&rest, '}', &word);
        int size = snprintf(out + used, capacity - used, "%.*s%s", SLICE_PRINT(plain),
                            has_name ? find_name(word, names, port) : "");
        used += (size_t)size < capacity - used ? (size_t)size : capacity - used - 1;
    }
}

const char *diagnosis_step_name(enum diagnosis_step step)
{
    static const char *const names[] = {
#define X(name, text) text,
        DIAGNOSIS_STEPS(X)
#undef X
    };
    ENSURE((size_t)step < LENGTH_OF(names));
    return names[step];
}
