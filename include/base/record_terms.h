/*
 * What the audit journal can say, each list written once: the actions, with their category and type
 * in the Elastic Common Schema (event.category, event.type), and the fields, each with its place in
 * the JSON of a line, its kind and what it means; what every line says besides is in
 * audit/line_terms.h. The journal's code, its reader and its manual page are made from these lists.
 * Fields stand in the order in which a line shows them: those of one object follow one another.
 */
#ifndef ECLUSE_BASE_RECORD_TERMS_H
#define ECLUSE_BASE_RECORD_TERMS_H

/* X(name, action, categories, types): lists are separated by spaces. */
#define RECORD_ACTIONS(X)                                                                          \
    X(ACTION_SESSION_OPEN, "session-open", "session", "start")                                     \
    X(ACTION_SESSION_CLOSE, "session-close", "session", "end")                                     \
    X(ACTION_PEER_REJECTED, "peer-rejected", "intrusion_detection network", "denied")              \
    X(ACTION_CROSS_PROTOCOL, "cross-protocol", "intrusion_detection network", "denied")            \
    X(ACTION_CLIENT_AUTH, "client-auth", "authentication", "start")                                \
    X(ACTION_UPSTREAM_CONNECT, "upstream-connect", "network", "connection start")                  \
    X(ACTION_UPSTREAM_AUTH, "upstream-auth", "authentication", "start")                            \
    X(ACTION_OAUTH_AUTHORIZE, "oauth-authorize", "iam authentication", "change")                   \
    X(ACTION_TOKEN_REFRESH, "token-refresh", "iam authentication", "change")                       \
    X(ACTION_TOKEN_REVOKE, "token-revoke", "iam authentication", "deletion")                       \
    X(ACTION_GRANT_CREATE, "grant-create", "iam", "creation")                                      \
    X(ACTION_GRANT_REVOKE, "grant-revoke", "iam", "deletion")                                      \
    X(ACTION_COMMAND, "command", "network", "protocol access")                                     \
    X(ACTION_MESSAGE_SEND, "message-send", "email", "info end")                                    \
    X(ACTION_MESSAGE_FETCH, "message-fetch", "email", "access")                                    \
    X(ACTION_MESSAGE_DELETE, "message-delete", "email", "deletion")                                \
    X(ACTION_MESSAGE_APPEND, "message-append", "email", "creation")                                \
    X(ACTION_FLAG_CHANGE, "flag-change", "email", "change")                                        \
    X(ACTION_POLICY, "policy", "network", "denied")                                                \
    X(ACTION_TAP_OFF, "tap-off", "network", "error")                                               \
    X(ACTION_START, "start", "process", "start")                                                   \
    X(ACTION_STOP, "stop", "process", "end")                                                       \
    X(ACTION_CONFIG_LOAD, "config-load", "configuration", "info")                                  \
    X(ACTION_CONFIG_RELOAD, "config-reload", "configuration", "change")                            \
    X(ACTION_KEY_ROTATE, "key-rotate", "configuration", "change")                                  \
    X(ACTION_AUDIT_OPEN, "audit-open", "process", "start")                                         \
    X(ACTION_AUDIT_CHECKPOINT, "audit-checkpoint", "process", "info")                              \
    X(ACTION_AUDIT_RECOVERED, "audit-recovered", "process", "error")                               \
    X(ACTION_AUDIT_GAP, "audit-gap", "process", "error")                                           \
    X(ACTION_AUDIT_EXPIRE, "audit-expire", "process", "deletion")                                  \
    X(ACTION_AUDIT_ERASE, "audit-erase", "process", "deletion")                                    \
    X(ACTION_AUDIT_CLOSE, "audit-close", "process", "end")

/*
 * X(name, path, kind, meaning). Kinds:
 *   TEXT       words of ours or of a protocol, escaped, shown at every level
 *   NUMBER     0 to 2^63-1
 *   FLAG       true or false
 *   ADDRESS    somebody's address: a pseudonym of its account's key at the level minimal. Added
 * more than once it is a list. MAILBOX    the name of a folder: likewise ARGUMENTS  what a client
 * wrote behind a command: at the level full only
 */
#define RECORD_BODY_FIELDS(X)                                                                      \
    X(FIELD_SESSION, "trace.id", TEXT, "the session: gate and number")                             \
    X(FIELD_COMMAND_NUMBER, "transaction.id", NUMBER, "number of the command in its session")      \
    X(FIELD_PROTOCOL, "network.protocol", TEXT, "imap, pop3 or smtp")                              \
    X(FIELD_CLIENT_IP, "client.ip", TEXT, "address of the mail client")                            \
    X(FIELD_CLIENT_PORT, "client.port", NUMBER, "its port")                                        \
    X(FIELD_CLIENT_BYTES, "client.bytes", NUMBER, "octets that the client sent")                   \
    X(FIELD_CLIENT_USER_ID, "client.user.id", NUMBER, "uid of a client on this machine")           \
    X(FIELD_SERVER_DOMAIN, "server.domain", TEXT, "name of the mail server or token endpoint")     \
    X(FIELD_SERVER_IP, "server.ip", TEXT, "its address")                                           \
    X(FIELD_SERVER_PORT, "server.port", NUMBER, "its port")                                        \
    X(FIELD_SERVER_BYTES, "server.bytes", NUMBER, "octets that it sent")                           \
    X(FIELD_USER_NAME, "user.name", TEXT, "the account, by its name in the configuration")         \
    X(FIELD_TLS_VERSION, "tls.version", TEXT, "of the connection to the server")                   \
    X(FIELD_TLS_CIPHER, "tls.cipher", TEXT, "cipher suite")                                        \
    X(FIELD_TLS_RESUMED, "tls.resumed", FLAG, "an earlier TLS session went on")                    \
    X(FIELD_TLS_CERTIFICATE, "tls.server.hash.sha256", TEXT, "of the certificate, hexadecimal")    \
    X(FIELD_TLS_ISSUER, "tls.server.issuer", TEXT, "who signed it")                                \
    X(FIELD_TLS_NOT_AFTER, "tls.server.not_after", TEXT, "until when it is valid")                 \
    X(FIELD_LISTENER, "ecluse.listener", TEXT, "name of the listener in the configuration")        \
    X(FIELD_GRANT, "ecluse.grant", TEXT, "name of the local password")                             \
    X(FIELD_FIRST_WORD, "ecluse.first_word", TEXT, "what a stranger's protocol began with")        \
    X(FIELD_COMMANDS, "ecluse.commands", NUMBER, "commands of the session")                        \
    X(FIELD_TLS_KEY, "ecluse.tls.spki_sha256", TEXT, "of the public key, hexadecimal")             \
    X(FIELD_TLS_STARTTLS, "ecluse.tls.starttls", FLAG, "TLS began by STARTTLS")                    \
    X(FIELD_MECHANISM, "ecluse.auth.mechanism", TEXT, "SASL mechanism")                            \
    X(FIELD_LOGIN, "ecluse.auth.login", ADDRESS, "user name that was given")                       \
    X(FIELD_ATTEMPT, "ecluse.auth.attempt", NUMBER, "which try of the connection")                 \
    X(FIELD_OAUTH_ISSUER, "ecluse.oauth.issuer", TEXT, "who gave the token")                       \
    X(FIELD_OAUTH_GRANT, "ecluse.oauth.grant", TEXT, "by which flow")                              \
    X(FIELD_OAUTH_SCOPE, "ecluse.oauth.scope", TEXT, "for what")                                   \
    X(FIELD_OAUTH_TOKEN, "ecluse.oauth.token", TEXT, "fingerprint of the access token, keyed")     \
    X(FIELD_OAUTH_EXPIRES_IN, "ecluse.oauth.expires_in", NUMBER, "seconds that it is valid")       \
    X(FIELD_OAUTH_STATUS, "ecluse.oauth.http_status", NUMBER, "of the token endpoint")             \
    X(FIELD_OAUTH_ROTATED, "ecluse.oauth.rotated", FLAG, "a new refresh token came with it")       \
    X(FIELD_OAUTH_WAITERS, "ecluse.oauth.waiters", NUMBER, "logins that waited for it")            \
    X(FIELD_VERB, "ecluse.command.verb", TEXT, "name of the command")                              \
    X(FIELD_ARGUMENTS, "ecluse.command.arguments", ARGUMENTS, "what stood behind it")              \
    X(FIELD_STATUS, "ecluse.command.status", TEXT, "OK NO BAD, +OK -ERR, or a code")               \
    X(FIELD_LITERAL_BYTES, "ecluse.command.literal_bytes", NUMBER, "octets in its literals")       \
    X(FIELD_MAIL_FROM, "ecluse.smtp.mail_from", ADDRESS, "sender of the envelope")                 \
    X(FIELD_RECIPIENT, "ecluse.smtp.rcpt", ADDRESS, "recipients that the server took")             \
    X(FIELD_RECIPIENT_COUNT, "ecluse.smtp.rcpt_count", NUMBER, "how many, when not all are named") \
    X(FIELD_SMTP_SIZE, "ecluse.smtp.size", NUMBER, "octets of the message")                        \
    X(FIELD_QUEUE_REPLY, "ecluse.smtp.queue_reply", TEXT, "the server's last word on it")          \
    X(FIELD_MAILBOX, "ecluse.mailbox", MAILBOX, "the folder")                                      \
    X(FIELD_MESSAGE_UIDS, "ecluse.message.uids", TEXT, "which messages, as ranges")                \
    X(FIELD_MESSAGE_COUNT, "ecluse.message.count", NUMBER, "how many")                             \
    X(FIELD_MESSAGE_BYTES, "ecluse.message.bytes", NUMBER, "octets of their content that passed")  \
    X(FIELD_MESSAGE_FLAGS, "ecluse.message.flags", TEXT, "flags that were set or taken away")      \
    X(FIELD_POLICY_RULE, "ecluse.policy.rule", TEXT, "which rule")                                 \
    X(FIELD_POLICY_ACTION, "ecluse.policy.action", TEXT, "what was done")                          \
    X(FIELD_CONFIG_HASH, "ecluse.config.sha256", TEXT, "of the configuration file")                \
    X(FIELD_AUDIT_FIRST, "ecluse.audit.first", NUMBER, "first record that it is about")            \
    X(FIELD_AUDIT_LAST, "ecluse.audit.last", NUMBER, "last record")                                \
    X(FIELD_AUDIT_COUNT, "ecluse.audit.count", NUMBER, "how many")                                 \
    X(FIELD_AUDIT_FILE, "ecluse.audit.file", TEXT, "segment of the journal")                       \
    X(FIELD_AUDIT_HEAD, "ecluse.audit.head", TEXT, "seal of the record before it")                 \
    X(FIELD_AUDIT_DIGEST, "ecluse.audit.digest", TEXT, "SHA-256 over all records before it")       \
    X(FIELD_AUDIT_SEED, "ecluse.audit.seed", TEXT, "fingerprint of the seed of the seals")         \
    X(FIELD_AUDIT_SEED_EPOCH, "ecluse.audit.seed_epoch", NUMBER, "epoch that began with it")       \
    X(FIELD_AUDIT_KEY, "ecluse.audit.key", TEXT,                                                   \
      "public key of the signatures, Ed25519, hexadecimal")

/* Of the object "event", which is the last of a line. */
#define RECORD_EVENT_FIELDS(X)                                                                     \
    X(FIELD_REASON, "event.reason", TEXT, "why it failed or ended, in words")                      \
    X(FIELD_DURATION, "event.duration", NUMBER, "nanoseconds")

#define RECORD_FIELDS(X) RECORD_BODY_FIELDS(X) RECORD_EVENT_FIELDS(X)

#endif
