/*
 * What somebody says of the mail servers of a domain: its autoconfig document (conf/autoconfig.h),
 * its SRV records (conf/service_record.h), or the user. It is a proposal and no configuration:
 * every value has the form that [provider] wants, and nothing more is known of it.
 */
#ifndef ECLUSE_CONF_MAIL_SERVICE_H
#define ECLUSE_CONF_MAIL_SERVICE_H

#include "conf/config.h"

struct mail_server {
    struct endpoint endpoint; /* not set: none is said */
    char *user;               /* the user name there; NULL: the address */
    bool takes_token, takes_password;
};

/* All zero: nothing is said. */
struct mail_service {
    struct mail_server servers[PROTOCOL_COUNT];
    /* NULL: not said. */
    char *issuer, *authorization_endpoint, *token_endpoint; /* https URLs */
    char *scope, *client_id;
};

void mail_service_clear(struct mail_service *service);
bool mail_service_has_server(const struct mail_service *service);
/* True when there is a server that takes tokens, or passwords. */
bool mail_service_takes(const struct mail_service *service, bool token);
/* Takes the servers away that do not take tokens, or passwords. */
void mail_service_keep(struct mail_service *service, bool token);
/* True when every host is `domain` or lies below it. */
bool mail_service_is_within(const struct mail_service *service, const char *domain);

/* The endpoint of a host that somebody named, which may be anything. ERR_SYNTAX, and nothing is
 * set: it is no name or address, or the port is none. */
MUST_CHECK int mail_server_set(struct mail_server *server, enum protocol protocol,
                               enum tls_mode tls, struct slice host, struct slice port);

/* "tls://HOST:PORT", as a line of [provider] has it. */
#define MAIL_SERVER_TEXT 320
void mail_server_text(const struct mail_server *server, char text_out[MAIL_SERVER_TEXT]);

#endif
