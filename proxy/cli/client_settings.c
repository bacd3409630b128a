/*
 * The sections are those that the tests run the programs with. Each program has its own way to
 * quote; an address may hold any printable character.
 */
#include "cli/client_settings.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"

#define QUOTED_MAX 1400 /* an address of which every octet is escaped */

/* ---- which listener ---- */

static const char *host_to_type(const struct listen_address *address)
{
    if (strcmp(address->host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address->host, "::") == 0 ? "::1" : address->host;
}

/* Lower is better; 0: a listener that cannot be typed. */
static int rank_of(const struct listener_config *listener, const struct listen_address *address)
{
    if (address->path != NULL)
        return 0;
    bool is_ipv4 = strchr(address->host, ':') == NULL;
    bool is_here = listen_address_is_local(address) || host_to_type(address) != address->host;
    return 1 + 4 * (listener->tls != TLS_MODE_OFF) + 2 * !is_here + !is_ipv4;
}

static bool serves(const struct listener_config *listener, enum protocol protocol,
                   const struct account_config *account)
{
    return listener->protocol == protocol && listener->auth == LISTENER_AUTH_REQUIRED &&
           (*listener->account == '\0' || strcmp(listener->account, account->name) == 0);
}

static void choose(const struct config *config, const struct account_config *account,
                   enum protocol protocol, struct client_server *server)
{
    int best = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = config->listeners[i];
        for (size_t j = 0; serves(listener, protocol, account) && j < listener->address_count;
             j++) {
            int rank = rank_of(listener, &listener->addresses[j]);
            if (rank == 0 || (best != 0 && rank >= best))
                continue;
            best = rank;
            server->is_set = true;
            server->port = listener->addresses[j].port;
            server->tls = listener->tls;
            (void)snprintf(server->host, sizeof(server->host), "%s",
                           host_to_type(&listener->addresses[j]));
        }
    }
}

void client_settings_of(const struct config *config, const struct account_config *account,
                        struct client_settings *settings_out)
{
    settings_out->account = account->name;
    settings_out->address = account->address;
    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        if (account->provider_row->endpoints[protocol].is_set)
            choose(config, account, protocol, &settings_out->servers[protocol]);
}

/* ---- texts ---- */

/* With a backslash before each of `special`. */
static const char *quoted(const char *text, const char *special, char out[QUOTED_MAX])
{
    size_t used = 0;
    for (; *text != '\0' && used + 3 < QUOTED_MAX; text++) {
        if (strchr(special, *text) != NULL)
            out[used++] = '\\';
        out[used++] = *text;
    }
    out[used] = '\0';
    return out;
}

/* As the user part of a URL. */
static const char *percent_encoded(const char *text, char out[QUOTED_MAX])
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    size_t used = 0;
    for (; *text != '\0' && used + 4 < QUOTED_MAX; text++)
        used += (size_t)snprintf(out + used, 4, strchr(plain, *text) != NULL ? "%c" : "%%%02X",
                                 strchr(plain, *text) != NULL ? *text : (unsigned char)*text);
    out[used] = '\0';
    return out;
}

static const char *url_host(const struct client_server *server, char out[72])
{
    (void)snprintf(out, 72, strchr(server->host, ':') != NULL ? "[%s]" : "%s", server->host);
    return out;
}

static const char *tls_text(enum tls_mode tls)
{
    switch (tls) {
    case TLS_MODE_ON:
        return "SSL/TLS";
    case TLS_MODE_STARTTLS:
        return "STARTTLS";
    default:
        return "no encryption";
    }
}

static const struct client_server *plain(const struct client_settings *settings,
                                         enum protocol protocol)
{
    const struct client_server *server = &settings->servers[protocol];
    return server->is_set && server->tls == TLS_MODE_OFF ? server : NULL;
}

static const struct client_server *incoming(const struct client_settings *settings,
                                            enum protocol *protocol_out)
{
    *protocol_out = plain(settings, PROTOCOL_IMAP) != NULL ? PROTOCOL_IMAP : PROTOCOL_POP3;
    return plain(settings, *protocol_out);
}

#define ADD(...)                                                                                   \
    do {                                                                                           \
        int add_status = buf_append_format(out, __VA_ARGS__);                                      \
        if (add_status != 0)                                                                       \
            return add_status;                                                                     \
    } while (0)

/* For what may be longer than a formatted line. */
#define ADD_TEXT(text)                                                                             \
    do {                                                                                           \
        int add_status = buf_append_string(out, text);                                             \
        if (add_status != 0)                                                                       \
            return add_status;                                                                     \
    } while (0)

static int print_table(const struct client_settings *settings, struct buf *out)
{
    static const char *const names[PROTOCOL_COUNT] = {"IMAP", "POP3", "SMTP"};
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        const struct client_server *server = &settings->servers[i];
        if (server->is_set)
            ADD("%-9s %s port %u, %s\n", names[i], server->host, (unsigned)server->port,
                tls_text(server->tls));
    }
    ADD("user      %s\n", settings->address);
    ADD("password  %.*s\n", SLICE_PRINT(settings->password));
    return 0;
}

static int print_thunderbird(const struct client_settings *settings, struct buf *out)
{
    enum protocol protocol =
        settings->servers[PROTOCOL_IMAP].is_set ? PROTOCOL_IMAP : PROTOCOL_POP3;
    const struct client_server *in = &settings->servers[protocol];
    const struct client_server *sent = &settings->servers[PROTOCOL_SMTP];
    ADD("\n# Thunderbird: Account Settings, New Account, Email; enter address and password above, "
        "then Configure manually.\n");
    if (in->is_set)
        ADD("#   incoming  %s, %s, port %u, connection security %s, authentication %s\n",
            protocol == PROTOCOL_IMAP ? "IMAP" : "POP3", in->host, (unsigned)in->port,
            in->tls == TLS_MODE_OFF ? "None" : tls_text(in->tls),
            in->tls == TLS_MODE_OFF ? "Password, transmitted insecurely" : "Normal password");
    if (sent->is_set)
        ADD("#   outgoing  SMTP, %s, port %u, connection security %s, authentication %s\n",
            sent->host, (unsigned)sent->port,
            sent->tls == TLS_MODE_OFF ? "None" : tls_text(sent->tls),
            sent->tls == TLS_MODE_OFF ? "Password, transmitted insecurely" : "Normal password");
    ADD("#   user name %s for both\n", settings->address);
    return 0;
}

/* Inside double quotes mutt looks for variables and commands, too. */
static int print_mutt(const struct client_settings *settings, struct buf *out)
{
    char user[QUOTED_MAX], encoded[QUOTED_MAX], host[72];
    enum protocol protocol;
    const struct client_server *in = incoming(settings, &protocol);
    const struct client_server *sent = plain(settings, PROTOCOL_SMTP);
    const char *kind = protocol == PROTOCOL_IMAP ? "imap" : "pop";
    (void)quoted(settings->address, "\"\\$`", user);
    ADD("\n# mutt, neomutt: ~/.muttrc\n");
    if (in != NULL && protocol == PROTOCOL_IMAP)
        ADD("set folder = \"imap://%s:%u/\"\n", url_host(in, host), (unsigned)in->port);
    if (in != NULL) {
        ADD("set spoolfile = \"%s://%s:%u/%s\"\n", kind, url_host(in, host), (unsigned)in->port,
            protocol == PROTOCOL_IMAP ? "INBOX" : "");
        ADD("set %s_user = \"%s\"\n", kind, user);
        ADD("set %s_pass = \"%.*s\"\n", kind, SLICE_PRINT(settings->password));
    }
    if (sent != NULL) {
        ADD("set smtp_url = \"smtp://");
        ADD_TEXT(percent_encoded(settings->address, encoded));
        ADD("@%s:%u/\"\n", url_host(sent, host), (unsigned)sent->port);
        ADD("set smtp_pass = \"%.*s\"\n", SLICE_PRINT(settings->password));
    }
    ADD("set from = \"%s\"\n", user);
    ADD("set ssl_starttls = no\nset ssl_force_tls = no\n");
    return 0;
}

static int print_mbsync(const struct client_settings *settings, struct buf *out)
{
    char user[QUOTED_MAX];
    const struct client_server *server = plain(settings, PROTOCOL_IMAP);
    const char *name = settings->account;
    if (server == NULL)
        return 0;
    ADD("\n# mbsync: ~/.mbsyncrc, after mkdir -p ~/Mail/%s\n", name);
    ADD("IMAPAccount %s\nHost %s\nPort %u\nUser \"%s\"\n", name, server->host,
        (unsigned)server->port, quoted(settings->address, "\"\\", user));
    ADD("Pass \"%.*s\"\nSSLType None\nAuthMechs LOGIN\n\n", SLICE_PRINT(settings->password));
    ADD("IMAPStore %s-far\nAccount %s\n\n", name, name);
    ADD("MaildirStore %s-near\nPath ~/Mail/%s/\nInbox ~/Mail/%s/INBOX\nSubFolders Verbatim\n\n",
        name, name, name);
    ADD("Channel %s\nFar :%s-far:\nNear :%s-near:\nPatterns *\nCreate Near\nSyncState *\n", name,
        name, name);
    return 0;
}

/* msmtp takes away the first and the last quote, and nothing between them. */
static int print_msmtp(const struct client_settings *settings, struct buf *out)
{
    const struct client_server *server = plain(settings, PROTOCOL_SMTP);
    if (server == NULL)
        return 0;
    ADD("\n# msmtp: ~/.msmtprc, mode 0600; msmtp -a %s RECIPIENT\n", settings->account);
    ADD("account %s\nhost %s\nport %u\n", settings->account, server->host, (unsigned)server->port);
    ADD("from \"%s\"\nuser \"%s\"\n", settings->address, settings->address);
    ADD("password \"%.*s\"\nauth plain\ntls off\n", SLICE_PRINT(settings->password));
    return 0;
}

static int print_fetchmail(const struct client_settings *settings, struct buf *out)
{
    char user[QUOTED_MAX];
    enum protocol protocol;
    const struct client_server *server = incoming(settings, &protocol);
    if (server == NULL)
        return 0;
    ADD("\n# fetchmail: ~/.fetchmailrc, mode 0600; without keep the mails are taken away\n");
    ADD("poll %s via %s service %u protocol %s\n", settings->account, server->host,
        (unsigned)server->port, protocol_name(protocol));
    ADD("  username \"%s\"\n", quoted(settings->address, "\"\\", user));
    ADD("  password \"%.*s\"\n  sslproto \"\" keep\n", SLICE_PRINT(settings->password));
    return 0;
}

int client_settings_print(const struct client_settings *settings, struct buf *out)
{
    enum protocol protocol;
    int status = print_table(settings, out);
    if (status == 0)
        status = print_thunderbird(settings, out);
    if (incoming(settings, &protocol) == NULL && plain(settings, PROTOCOL_SMTP) == NULL)
        return status;
    if (status == 0)
        status = print_mutt(settings, out);
    if (status == 0)
        status = print_mbsync(settings, out);
    if (status == 0)
        status = print_msmtp(settings, out);
    return status == 0 ? print_fetchmail(settings, out) : status;
}

json_t *client_settings_json(const struct client_settings *settings)
{
    json_t *servers = json_object();
    for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
        const struct client_server *server = &settings->servers[protocol];
        if (server->is_set)
            json_object_set_new(servers, protocol_name(protocol),
                                json_pack("{s:s, s:i, s:s}", "host", server->host, "port",
                                          (int)server->port, "tls", tls_mode_name(server->tls)));
    }
    return json_pack("{s:s, s:s, s:s%, s:o}", "account", settings->account, "user",
                     settings->address, "password", (const char *)settings->password.data,
                     settings->password.size, "servers", servers);
}
