/*
 * The options, each written once: see conf/config.h for what a row is.
 */
#ifndef ECLUSE_CONF_OPTION_H
#define ECLUSE_CONF_OPTION_H

#define OPTION_FIELD(type, key, initial, help) OPTION_FIELD_##type(key)
#define OPTION_FIELD_text(key)                 char *key;
#define OPTION_FIELD_path(key)                 char *key;
#define OPTION_FIELD_number(key)               int64_t key;
#define OPTION_FIELD_seconds(key)              int64_t key;
#define OPTION_FIELD_flag(key)                 bool key;
#define OPTION_FIELD_words(key)                struct words key;
#define OPTION_FIELD_secret(key)               struct secret key;
#define OPTION_FIELD_choice_peer(key)          enum peer_rule key;
#define OPTION_FIELD_choice_log(key)           enum log_level key;
#define OPTION_FIELD_choice_audit(key)         enum audit_level key;
#define OPTION_FIELD_choice_audit_failure(key) enum audit_failure key;
#define OPTION_FIELD_choice_audit_sync(key)    enum audit_sync key;
#define OPTION_FIELD_choice_protocol(key)      enum protocol key;
#define OPTION_FIELD_choice_remote(key)        enum remote_rule key;
#define OPTION_FIELD_choice_tls(key)           enum tls_mode key;
#define OPTION_FIELD_choice_newline(key)       enum bare_newline key;
#define OPTION_FIELD_choice_auth(key)          enum listener_auth key;
#define OPTION_FIELD_choice_flow(key)          enum flow key;
#define OPTION_FIELD_choice_confidence(key)    enum confidence key;
#define OPTION_FIELD_choice_client_auth(key)   enum client_auth key;

/* [ecluse]. `workers` is 0 for "auto"; state_dir and runtime_dir are filled from the surroundings.
 */
#define GLOBAL_OPTIONS(X)                                                                          \
    X(path, state_dir, "", "folder of the vault and the journal, 0700")                            \
    X(path, runtime_dir, "", "folder of the control socket, 0700")                                 \
    X(number, workers, "1", "gate processes; auto = one per core")                                 \
    X(seconds, drain, "5", "seconds that open sessions get at a stop")                             \
    X(choice_peer, peer, "owner", "who may connect on loopback: owner (this uid) or any")          \
    X(text, web, "127.0.0.1:8143", "address of the local page; off to disable")                    \
    X(choice_log, log, "info", "error warn info debug")                                            \
    X(text, vault_key, "keyfile", "keyfile, passphrase, credential:NAME or command:CMD")           \
    X(choice_audit, audit, "standard", "off minimal standard full")                                \
    X(choice_audit_failure, audit_failure, "close", "when the journal fails: close block warn")    \
    X(choice_audit_sync, audit_sync, "group", "group (within 10 ms) or strict (before replies)")   \
    X(flag, audit_strict, "no", "yes: a session that cannot be followed any more is ended")        \
    X(number, audit_segment, "64M", "megabytes of one file of the journal")                        \
    X(number, audit_keep, "30d", "days after which a file of the journal is removed")              \
    X(text, audit_anchor, "auto", "where checkpoints go too: auto none syslog or /path/to/file")   \
    X(path, ca_file, "/etc/ssl/certs/ca-certificates.crt", "certificate authorities to trust")     \
    X(text, notify_command, "", "run when an account needs its user; see ECLUSE_ACCOUNT, _REASON") \
    X(text, proxy, "", "socks5h://HOST:PORT for mail and token traffic alike")

/* Add a row here and it is read, checked, defaulted and listed. */
#define LISTENER_OPTIONS(X)                                                                        \
    X(choice_protocol, protocol, "imap", "imap pop3 smtp")                                         \
    X(words, address, "", "HOST:PORT, [HOST]:PORT or unix:/path, any number of them")              \
    X(choice_remote, remote, "no", "not loopback: no, yes (needs tls) or plaintext (needs allow)") \
    X(words, allow, "", "addresses and networks that may connect")                                 \
    X(choice_tls, tls, "off", "off on starttls")                                                   \
    X(path, tls_cert, "", "certificate chain, PEM")                                                \
    X(path, tls_key, "", "its key, PEM")                                                           \
    X(text, tls_min, "1.2", "lowest TLS version: 1.0 1.1 1.2 1.3")                                 \
    X(text, account, "", "serve this account only")                                                \
    X(number, max_sessions, "64", "sessions at once on this listener")                             \
    X(number, max_sessions_per_account, "16", "sessions at once of one account")                   \
    X(choice_newline, bare_newline, "normalize", "bare CR or LF in DATA: normalize or reject")     \
    X(choice_auth, auth, "required", "none: no login; needs account and peer = owner")

#define ACCOUNT_OPTIONS(X)                                                                         \
    X(text, address, "", "what the client types as user name")                                     \
    X(text, provider, "", "a [provider NAME] or row of ecluse providers; default: by domain")      \
    X(choice_flow, flow, "code", "how to sign in: code device none …; default: the provider's")    \
    X(text, client_id, "", "OAuth2 client identifier")                                             \
    X(secret, client_secret, "", "OAuth2 client secret; the file must then be 0600")               \
    X(path, client_secret_file, "", "or a file that holds it")                                     \
    X(text, client_secret_command, "", "or a command that prints it")                              \
    X(choice_client_auth, client_auth, "auto",                                                     \
      "none post basic jwt; auto: jwt with a key, post with a secret")                             \
    X(text, user, "", "SASL user upstream; default: address")                                      \
    X(text, imap_user, "", "the same for IMAP only (shared mailboxes)")                            \
    X(text, pop3_user, "", "for POP3 only")                                                        \
    X(text, smtp_user, "", "for SMTP only")                                                        \
    X(text, login_hint, "", "account name to suggest on the sign-in page")                         \
    X(flag, delegates, "no", "yes: others may sign in whom the mail server lets into the mailbox") \
    X(text, scope, "", "scopes to ask for; default: the provider's")                               \
    X(text, resource, "", "what tokens are for, where the provider wants it said (RFC 8707)")      \
    X(text, tenant, "", "directory (Microsoft) for {tenant} in URLs; default: the provider's")     \
    X(path, jwt_key_file, "", "key for assertions, PEM; or a service account's JSON file")         \
    X(path, jwt_cert_file, "", "its certificate, PEM; assertions are then signed as PS256")        \
    X(text, jwt_passphrase_command, "", "prints the passphrase of the key")                        \
    X(text, token_command, "", "flow command: prints an access token")                             \
    X(text, password_command, "", "flows none, password: prints it; else ecluse login stores it")

#define PROVIDER_OPTIONS(X)                                                                        \
    X(words, domains, "", "mail domains that this provider serves; *.NAME: all below NAME")        \
    X(words, mx, "", "mail exchangers of further domains that it serves, for ecluse add; *.NAME")  \
    X(text, imap, "", "tls://HOST:993 or starttls://HOST:143")                                     \
    X(text, pop3, "", "tls://HOST:995 or starttls://HOST:110")                                     \
    X(text, smtp, "", "tls://HOST:465 or starttls://HOST:587")                                     \
    X(words, mechanisms, "", "SASL mechanisms in order; default: what the server offers")          \
    X(text, issuer, "", "issuer for discovery (RFC 8414)")                                         \
    X(text, authorization_endpoint, "", "https URL")                                               \
    X(text, token_endpoint, "", "https URL")                                                       \
    X(text, device_authorization_endpoint, "", "https URL")                                        \
    X(text, revocation_endpoint, "", "https URL")                                                  \
    X(text, registration_endpoint, "", "https URL")                                                \
    X(text, userinfo_endpoint, "", "https URL; tells who has signed in")                           \
    X(choice_flow, flow, "code", "how its accounts sign in unless they say otherwise")             \
    X(text, tenant, "", "for {tenant} in its URLs where the account has none")                     \
    X(text, scope, "", "scopes of a sign-in")                                                      \
    X(text, scope_imap, "", "scopes added for IMAP")                                               \
    X(text, scope_pop3, "", "scopes added for POP3")                                               \
    X(text, scope_smtp, "", "scopes added for SMTP")                                               \
    X(text, authorize_params, "", "parameters added to the authorization request")                 \
    X(text, redirect_host, "127.0.0.1", "host part of the loopback redirect")                      \
    X(number, redirect_port, "0", "its port, where the provider compares it; 0: any that is free") \
    X(path, ca_file, "", "certificate authorities for this provider alone")                        \
    X(text, pin_sha256, "", "SPKI hashes, base64, of which one must match")                        \
    X(choice_confidence, confidence, "unknown", "how sure the row is: unknown low medium high")    \
    X(text, hint, "", "what has to be done at the provider first")

#endif
