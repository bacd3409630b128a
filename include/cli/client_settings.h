/*
 * What is to be typed into a mail program, or pasted into its configuration.
 */
#ifndef ECLUSE_CLI_CLIENT_SETTINGS_H
#define ECLUSE_CLI_CLIENT_SETTINGS_H

#include <jansson.h>

#include "base/buf.h"
#include "conf/config.h"

struct client_server {
    bool is_set;
    char host[64]; /* a numeric address */
    uint16_t port;
    enum tls_mode tls;
};

/* Texts are borrowed from the configuration and the caller. */
struct client_settings {
    const char *account, *address;
    struct slice password;
    struct client_server servers[PROTOCOL_COUNT];
};

/* Which listener of the configuration serves each protocol that the account's provider has: one
 * without TLS before one with it, on loopback before others. Those on unix sockets alone are none.
 */
void client_settings_of(const struct config *config, const struct account_config *account,
                        struct client_settings *settings_out);

/* Appends the table, what to type into Thunderbird, and sections for mutt, mbsync, msmtp and
 * fetchmail; sections are left out where there is no listener without TLS. ERR_FULL. */
MUST_CHECK int client_settings_print(const struct client_settings *settings, struct buf *out);
/* The same facts: for json_decref. */
json_t *client_settings_json(const struct client_settings *settings);

#endif
