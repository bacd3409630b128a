/*
 * A login upstream with no client behind it, to see whether it would work and, if not, where it
 * ends: connect, TLS, greeting and capabilities, login, one question that reads and changes nothing
 * (mail/visit.h), goodbye. It is the engine of a session that logs in, so that what works here
 * works there.
 *
 * It needs no gate and no keeper: whoever has a token may run it, in any process, and it parses
 * what a server says as the gate does. `ecluse doctor` runs it in its own process, after the vault
 * was closed, so that no long-lived secret is near when a hostile server is listened to.
 *
 * Each step has a deadline. It ends by itself, in exactly one on_over.
 */
#ifndef ECLUSE_GATE_PROBE_H
#define ECLUSE_GATE_PROBE_H

#include "auth/diagnosis.h"
#include "auth/sasl_client.h"
#include "net/dial.h"

/* All borrowed until on_over. */
struct probe_settings {
    enum protocol protocol;
    enum tls_mode tls; /* ON or STARTTLS */
    const char *host;
    uint16_t port;
    const struct dial_address *addresses;
    size_t address_count;
    struct tls_authorities *authorities;
    struct sasl_initiator_library *sasl;
    const char *mechanisms; /* in order of preference; "": as the server offers */
    const char *user;
    const struct secret *token; /* NULL: it ends when the server has said what it can */
    bool is_password;
    int64_t patience[DIAGNOSIS_STEP_COUNT]; /* milliseconds, from TCP on */
};

struct probe_end {
    bool has_failed;
    /* all that follows only then, or as far as it got */
    enum diagnosis_step step;
    enum why why;
    const char *text;       /* what was said, by whomever: escaped, without the token */
    struct slice challenge; /* the server's error inside of SASL (JSON), if it gave one */
    const struct tls_presented *presented; /* of the certificate */
};

struct probe_ops {
    /* TCP, TLS, CAPABILITIES or LOGIN; `detail` is printable. Must not call back. */
    void (*on_passed)(void *owner, enum diagnosis_step step, const char *detail);
    /* Nothing of it is left on the loop; `end` is borrowed. */
    void (*on_over)(void *owner, const struct probe_end *end);
};

void probe_start(struct loop *loop, const struct probe_settings *settings,
                 const struct probe_ops *ops, void *owner);

#endif
