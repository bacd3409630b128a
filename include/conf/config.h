/*
 * The configuration as the program reads it: plain structs, made by conf/reader from an INI file
 * and checked by conf/check. Every option is one row of the lists below; the row makes the field,
 * the reader's table, the defaults, `ecluse check --defaults` and the manual. A row is
 *
 *     X(type, key, default text, what it is)
 *
 * and `type` one of: text, path (~ is expanded), number, flag (yes/no), words (separated by
 * spaces), choice_NAME (an enum by its words), secret, seconds.
 *
 * Values are owned by the struct config; it does not change after it was read. A reload makes
 * another.
 */
#ifndef ECLUSE_CONF_CONFIG_H
#define ECLUSE_CONF_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/terms.h"

struct words {
    char **items;
    size_t count;
};

/* All of them, a blank between each; for mem_free. */
char *words_join(const struct words *words);

enum peer_rule { PEER_OWNER, PEER_ANY };
enum audit_failure { AUDIT_FAILURE_CLOSE, AUDIT_FAILURE_BLOCK, AUDIT_FAILURE_WARN };
enum audit_sync { AUDIT_SYNC_GROUP, AUDIT_SYNC_STRICT };
enum remote_rule { REMOTE_NO, REMOTE_YES, REMOTE_PLAINTEXT };
enum bare_newline { BARE_NEWLINE_NORMALIZE, BARE_NEWLINE_REJECT };
enum listener_auth { LISTENER_AUTH_REQUIRED, LISTENER_AUTH_NONE };
enum flow {
    FLOW_CODE,
    FLOW_DEVICE,
    FLOW_CLIENT_CREDENTIALS,
    FLOW_PASSWORD,
    FLOW_SERVICE_ACCOUNT,
    FLOW_COMMAND,
    FLOW_NONE
};
enum client_auth {
    CLIENT_AUTH_AUTO,
    CLIENT_AUTH_NONE,
    CLIENT_AUTH_POST,
    CLIENT_AUTH_BASIC,
    CLIENT_AUTH_JWT
};

enum confidence { CONFIDENCE_UNKNOWN, CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };

/* ---- The option lists are in conf/option.h; the structs below are what they fill. ---- */
#include "conf/option.h"

struct endpoint {
    bool is_set;
    enum tls_mode tls; /* ON or STARTTLS, never OFF */
    char *host;        /* a name or an address, lower case, without brackets */
    uint16_t port;
};

/* An address to listen on: "127.0.0.1:1143", "[::1]:1143" or "unix:/path". */
struct listen_address {
    char *path; /* a unix socket, or NULL */
    char *host; /* a numeric address, or NULL */
    uint16_t port;
};

/* A network or address that may connect; IPv4 is kept as ::ffff:0:0/96. */
struct network {
    uint8_t address[16];
    unsigned prefix_length; /* 0..128 */
};

struct listener_config {
    char *name; /* of [listen NAME] */
    int line;
    LISTENER_OPTIONS(OPTION_FIELD)
    /* worked out from the options */
    struct listen_address *addresses;
    size_t address_count;
    struct network *allowed;
    size_t allowed_count;
};

struct provider_config {
    char *name;
    int line; /* 0: only in the built-in table */
    PROVIDER_OPTIONS(OPTION_FIELD)
    struct endpoint endpoints[PROTOCOL_COUNT];
};

/* A refresh token that the local password opens (auth/fernet.h): of an emailproxy.config alone. */
struct sealed_token {
    char *token; /* NULL: there is none */
    char *salt;
    unsigned iterations; /* 0: not known */
};

struct account_config {
    char *name; /* the short label */
    int line;
    struct sealed_token sealed;
    bool client_secret_is_sealed; /* by the local password, of an emailproxy.config alone */
    /* A service account's key that stands in an emailproxy.config itself; no jwt_key_file then. */
    struct secret key;
    ACCOUNT_OPTIONS(OPTION_FIELD)
    /* `provider`, `flow` and `tenant` are filled in from the provider where the file has none. */
    const struct provider_config *provider_row; /* borrowed from the same config */
};

struct config {
    char *file;
    GLOBAL_OPTIONS(OPTION_FIELD)
    struct listener_config **listeners;
    size_t listener_count;
    struct provider_config **providers; /* those of the file, then the built-in ones */
    size_t provider_count;
    struct account_config **accounts;
    size_t account_count;
};

/* What defaults depend on; NULL for what is not set. Floor 1 reads no environment of its own. */
struct config_surroundings {
    const char *home;
    const char *state_directory;   /* $STATE_DIRECTORY, by systemd */
    const char *runtime_directory; /* $RUNTIME_DIRECTORY */
    const char *xdg_state_home;
    const char *xdg_runtime_dir;
    const char *ssl_cert_file; /* ca_file of an emailproxy.config, which has no key for it */
    unsigned user_id;
};

/* One problem of a file; `line` 0 when it is the file as a whole. */
struct config_problem {
    int line;
    bool warning;   /* said, but the configuration is accepted */
    char text[400]; /* what is wrong, and the fix */
};

struct config_problems {
    struct config_problem *items;
    size_t count;
};

/*
 * Reads and checks the whole file: all problems are collected, not only the first. 0 with
 * *config_out, or ERR_CONFIG with NULL; warnings may stand in *problems in either case. Permissions
 * of the file (writable by others, a secret readable by others) are among the checks, by fstat on
 * the open file. Secrets that come from a file or command (client_secret_file, …) are not read
 * here. An emailproxy.config is recognised and read by its own rules (conf/emailproxy_map.h).
 */
MUST_CHECK int config_read(const char *file, const struct config_surroundings *surroundings,
                           struct config **config_out, struct config_problems *problems);
/* The same for an open stream, which stays the caller's, without the permissions. `file` is only a
 * name for struct config. */
MUST_CHECK int config_read_stream(FILE *stream, const char *file,
                                  const struct config_surroundings *surroundings,
                                  struct config **config_out, struct config_problems *problems);
/* The built-in providers and nothing else. */
struct config *config_of_table(void);
void config_free(struct config *config);
void config_problems_free(struct config_problems *problems);

/* Every key with its default and what it is, as an INI file. */
void config_print_defaults(FILE *stream);

/* NULL when there is none. By label; or by what a client types as user name: its domain is
 * lower-cased first, then the name must match an account's `address` exactly. Where none does, the
 * account for its whole domain is meant, and then that for all, if the name is that of a mailbox:
 * dot-string@domain of RFC 5321, or of RFC 6531, without '*'. */
const struct account_config *config_account(const struct config *config, const char *name);
const struct account_config *config_account_by_address(const struct config *config,
                                                       struct slice address);
/* True of an account for a whole domain (address = *@DOMAIN) or for all of them (*@*). */
bool account_is_domain(const struct account_config *account);
/* Of such an account, the mailbox that the name stands for, its domain in lower case; of any other
 * "". For mem_free. */
char *account_mailbox(const struct account_config *account, struct slice address);
/* The provider whose domains hold that domain, in any case of letters; the most exact of them, and
 * the user's before a built-in one. NULL when there is none. */
const struct provider_config *config_provider_by_domain(const struct config *config,
                                                        struct slice domain);
/* The same by the name of a mail exchanger of some domain. */
const struct provider_config *config_provider_by_exchanger(const struct config *config,
                                                           struct slice exchanger);
/* The SASL user upstream: imap_user and so on, else user, else address. Not of an account for a
 * whole domain, where it is the mailbox. */
const char *account_upstream_user(const struct account_config *account, enum protocol protocol);

#endif
