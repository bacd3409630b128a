/*
 * Words that several rooms share, each list written once. The names are what the log, the audit
 * journal and the control socket show.
 */
#ifndef ECLUSE_BASE_TERMS_H
#define ECLUSE_BASE_TERMS_H

#include "base/mem.h"

#define PROTOCOLS(X)                                                                               \
    X(PROTOCOL_IMAP, "imap")                                                                       \
    X(PROTOCOL_POP3, "pop3")                                                                       \
    X(PROTOCOL_SMTP, "smtp")

enum protocol {
#define X(name, text) name,
    PROTOCOLS(X)
#undef X
        PROTOCOL_COUNT
};

/* How TLS stands to a connection: from its first byte, after a STARTTLS, or not at all. */
#define TLS_MODES(X)                                                                               \
    X(TLS_MODE_OFF, "off")                                                                         \
    X(TLS_MODE_ON, "on")                                                                           \
    X(TLS_MODE_STARTTLS, "starttls")

enum tls_mode {
#define X(name, text) name,
    TLS_MODES(X)
#undef X
        TLS_MODE_COUNT
};

/* How much the audit journal says. */
#define AUDIT_LEVELS(X)                                                                            \
    X(AUDIT_OFF, "off")                                                                            \
    X(AUDIT_MINIMAL, "minimal")   /* pseudonyms for addresses and folders, no arguments */         \
    X(AUDIT_STANDARD, "standard") /* addresses and folders */                                      \
    X(AUDIT_FULL, "full")         /* and what stood behind commands */

enum audit_level {
#define X(name, text) name,
    AUDIT_LEVELS(X)
#undef X
        AUDIT_LEVEL_COUNT
};

/* Why a login failed or a session ended. The engine and the keeper say why, the dialect says how.
 */
#define WHYS(X)                                                                                    \
    X(WHY_NONE, "none")                                                                            \
    X(WHY_CLIENT_GONE, "client-gone")             /* closed, reset or logged out */                \
    X(WHY_SERVER_GONE, "server-gone")             /* the upstream ended a relayed session */       \
    X(WHY_UNREACHABLE, "unreachable")             /* provider or token endpoint: try again */      \
    X(WHY_UPSTREAM_TLS, "upstream-tls")           /* handshake or certificate */                   \
    X(WHY_UPSTREAM_PROTOCOL, "upstream-protocol") /* it did not speak as it should */              \
    X(WHY_AUTH_REJECTED, "auth-rejected")         /* local: wrong user or password */              \
    X(WHY_TOKEN_REJECTED, "token-rejected")       /* the provider refused a fresh token */         \
    X(WHY_TOKEN_NEEDS_USER, "token-needs-user")   /* somebody must sign in again */                \
    X(WHY_LIMIT, "limit")                                                                          \
    X(WHY_TIMEOUT, "timeout")                                                                      \
    X(WHY_POLICY, "policy")                   /* the grant does not allow it */                    \
    X(WHY_CLIENT_PROTOCOL, "client-protocol") /* HTTP, a TLS hello, an endless line, nonsense */   \
    X(WHY_SHUTDOWN, "shutdown")                                                                    \
    X(WHY_INTERNAL, "internal")                                                                    \
    X(WHY_SERVER_REFUSED, "server-refused") /* the upstream said no to a command */

enum why {
#define X(name, text) name,
    WHYS(X)
#undef X
        WHY_COUNT
};

const char *protocol_name(enum protocol protocol);
const char *tls_mode_name(enum tls_mode mode);
const char *audit_level_name(enum audit_level level);
const char *why_name(enum why why);
/* 0 or ERR_NOT_FOUND; exact, lower case. */
MUST_CHECK int protocol_find(const char *name, enum protocol *protocol_out);
MUST_CHECK int tls_mode_find(const char *name, enum tls_mode *mode_out);
MUST_CHECK int audit_level_find(const char *name, enum audit_level *level_out);
MUST_CHECK int why_find(const char *name, enum why *why_out);

#endif
