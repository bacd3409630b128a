/*
 * The server side of SASL, for the local client: libsasl2 as a calculator. No file in /etc is read
 * (options, plug-in path and users come from callbacks), no security layer is ever negotiated
 * (max_ssf 0: the bytes after login are relayed), and of the mechanisms only those that the caller
 * lists are offered or accepted.
 *
 * Users are looked up through `struct sasl_users`, given once. The library's own state is global to
 * the process, so there is one `struct sasl_acceptor_library` a process.
 */
#ifndef ECLUSE_AUTH_SASL_SERVER_H
#define ECLUSE_AUTH_SASL_SERVER_H

#include "base/err.h"
#include "base/secret.h"

struct sasl_acceptor_library;
struct sasl_acceptor; /* one exchange */

enum sasl_verdict {
    SASL_VERDICT_CONTINUE, /* send the challenge */
    SASL_VERDICT_ACCEPTED,
    SASL_VERDICT_PENDING, /* complete and well-formed, but `check` said LATER: the caller decides */
    SASL_VERDICT_REFUSED, /* wrong user or password: one word for both; also a user that is not 1 to
                             320 octets of UTF-8 without controls, an empty password, and an
                             authorization identity other than the user */
    SASL_VERDICT_MALFORMED /* not a message of this mechanism */
};

enum sasl_check { SASL_CHECK_MATCH, SASL_CHECK_MISMATCH, SASL_CHECK_LATER };

struct sasl_users {
    /* A clear password came (PLAIN, LOGIN): any octets but NUL, at least one. `exchange` is what
     * sasl_acceptor_new got. Takes equal time for users that exist and that do not. */
    enum sasl_check (*check)(void *exchange, struct slice user, struct slice password);
    /* The clear password that a challenge mechanism needs: 0, or ERR_NOT_FOUND for users that have
     * none (then the exchange runs to its end and is refused as if the password were wrong). NULL:
     * nobody has one. */
    int (*password)(void *exchange, struct slice user, struct secret *password_out);
};

/* Neither a file of options is read nor the environment; libsasl2's own log goes nowhere, and the
 * process's syslog is shut for good (setlogmask), because libsasl2 writes to it where it has no
 * connection at hand.
 *
 * `plugin_folder` is where libsasl2's mechanisms are (Debian: /usr/lib/<triplet>/sasl2); only the
 * plug-ins that serve `mechanisms` (upper case, separated by spaces) are loaded. ERR_CONFIG: none
 * of them can be had; ERR_SYSTEM: one is there and cannot be loaded; ERR_EXISTS: the process has
 * one already. `users` is copied. */
MUST_CHECK int sasl_acceptor_library_open(const char *plugin_folder, const char *mechanisms,
                                          const struct sasl_users *users,
                                          struct sasl_acceptor_library **library_out,
                                          struct err *err);
/* After the last sasl_acceptor_free (ENSUREd). NULL is fine. */
void sasl_acceptor_library_close(struct sasl_acceptor_library *library);
/* Those of the list that the installed library can really do, separated by spaces. */
const char *sasl_acceptor_library_mechanisms(const struct sasl_acceptor_library *library);

/* `service` as registered: imap, pop, smtp. ERR_NOT_FOUND: the mechanism is not on the list. */
MUST_CHECK int sasl_acceptor_new(struct sasl_acceptor_library *library, const char *service,
                                 const char *mechanism, void *exchange,
                                 struct sasl_acceptor **acceptor_out);
void sasl_acceptor_free(struct sasl_acceptor *acceptor);

/* `has_bytes` false: the client sent no initial response. *challenge_out is borrowed until the next
 * call. Success data of a mechanism that has it (SCRAM) becomes a last CONTINUE, which the client
 * answers with an empty response: the mail protocols have no other place for it. Every verdict but
 * CONTINUE is the last; what comes after it is MALFORMED. */
MUST_CHECK enum sasl_verdict sasl_acceptor_step(struct sasl_acceptor *acceptor, bool has_bytes,
                                                struct slice bytes, struct slice *challenge_out);
/* The authenticated name, as typed; NULL unless ACCEPTED or PENDING. */
const char *sasl_acceptor_user(const struct sasl_acceptor *acceptor);

#endif
