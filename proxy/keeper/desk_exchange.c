/*
 * Happy path: the client's SASL message goes to libsasl2, which asks back whether the password is
 * right, or what it is; the verdict approves the session. APOP is a single message and none of
 * libsasl2's. Where nobody has to log in, EXTERNAL alone approves.
 *
 * Failure modes:
 *   wrong user, wrong password,     one refusal, when the delay since the client's message is over
 *   a name that is shut
 *   not a message of the mechanism  refused at once: a broken client shall notice
 *   too many derivations            refused at once with "try again"
 *
 * A password is held no longer than its derivation takes.
 */
#include <string.h>

#include "auth/apop.h"
#include "auth/sasl_server.h"
#include "base/clock.h"
#include "keeper/desk_session.h"

static const char *const services[] = {
    [PROTOCOL_IMAP] = "imap", [PROTOCOL_POP3] = "pop", [PROTOCOL_SMTP] = "smtp"};

void desk_exchange_end(struct desk_session *session)
{
    sasl_acceptor_free(session->acceptor);
    session->acceptor = NULL;
    secret_wipe(&session->password);
    if (session->derivation != NULL)
        grant_check_derive_cancel(session->derivation);
    session->derivation = NULL;
    session->options = NULL;
}

/* ---- the password ---- */

/* Counted by account, so that writing its domain in other letters wins no tries; names that stand
 * for none are counted together, so that inventing them can neither fill the table nor keep the
 * machine busy. */
static uint64_t key_of(struct desk *desk, const struct account_config *account)
{
    return throttle_key(desk->throttle,
                        account == NULL ? SLICE_NONE : slice_of_string(account->address));
}

static bool name_is_shut(const struct desk_session *session)
{
    return throttle_is_shut(session->desk->throttle, session->throttle,
                            clock_steady_milliseconds());
}

static void count_failure(struct desk_session *session)
{
    throttle_count_failure(session->desk->throttle, session->throttle, clock_steady_milliseconds());
}

/* Whose name it is. False when it is shut: then nothing is looked at. */
static bool take_name(struct desk_session *session, struct slice user)
{
    const struct account_config *account = config_account_by_address(session->desk->config, user);

    session->throttle = key_of(session->desk, account);
    if (name_is_shut(session))
        return false;
    mem_free(session->label);
    mem_free(session->mailbox);
    session->label = account == NULL ? NULL : mem_copy_string(account->name);
    session->mailbox = account == NULL ? mem_copy_string("") : account_mailbox(account, user);
    return true;
}

static enum sasl_check check_password(void *exchange, struct slice user, struct slice password)
{
    struct desk_session *session = exchange;
    struct desk *desk = session->desk;

    if (!take_name(session, user))
        return SASL_CHECK_MISMATCH;
    switch (grant_check_password(desk->parts.grants, session->label, password, &session->grant)) {
    case GRANT_MATCH:
        return SASL_CHECK_MATCH;
    case GRANT_LATER:
        secret_set(&session->password, password);
        return SASL_CHECK_LATER;
    case GRANT_MISMATCH:
        break;
    }
    count_failure(session);
    return SASL_CHECK_MISMATCH;
}

/* ERR_NOT_FOUND also for a name that is shut, or nobody's. */
static int find_password(struct desk_session *session, struct slice user,
                         enum vault_grant_class class, struct secret *password_out)
{
    session->is_challenged = take_name(session, user);
    if (!session->is_challenged || session->label == NULL)
        return ERR_NOT_FOUND;
    return grant_check_clear(session->desk->parts.grants, session->label, session->protocol, class,
                             password_out, &session->grant);
}

static int tell_password(void *exchange, struct slice user, struct secret *password_out)
{
    return find_password(exchange, user, VAULT_GRANT_CHALLENGE, password_out);
}

const struct sasl_users desk_users = {.check = check_password, .password = tell_password};

static void on_derived(void *owner, enum grant_verdict verdict, int64_t grant)
{
    struct desk_session *session = owner;
    session->derivation = NULL;
    session->grant = grant;
    if (verdict == GRANT_MATCH) {
        desk_grant_approve(session);
        return;
    }
    count_failure(session);
    desk_exchange_fail(session);
}

static void derive(struct desk_session *session)
{
    desk_session_set_phase(session, DESK_DERIVING);
    session->derivation = grant_check_derive_start(session->desk->parts.grants, session->label,
                                                   &session->password, on_derived, session);
    if (session->derivation == NULL)
        desk_session_refuse(session, WHY_UNREACHABLE,
                            "too many passwords are being checked; try again");
}

/* ---- refusals ---- */

static void refuse_credentials(struct desk_session *session)
{
    desk_session_refuse(session, WHY_AUTH_REJECTED, "wrong user name or password");
}

void desk_exchange_fail(struct desk_session *session)
{
    desk_exchange_end(session);
    desk_session_set_phase(session, DESK_DELAYED);
    if (!deadline_is_running(&session->delay))
        refuse_credentials(session);
}

void desk_exchange_on_delay(struct deadline *deadline)
{
    struct desk_session *session = CONTAINER_OF(deadline, struct desk_session, delay);
    if (session->phase == DESK_DELAYED)
        refuse_credentials(session);
}

/* Passwords that were sent are counted where they are checked. */
static void fail_challenged(struct desk_session *session)
{
    if (session->is_challenged)
        count_failure(session);
    desk_exchange_fail(session);
}

/* ---- the messages ---- */

static void challenge(struct desk_session *session, struct slice bytes)
{
    struct buf message;
    buf_init(&message, MESSAGE_SIZE_MAX);
    int status = message_write_bytes(&message, MESSAGE_CHALLENGE, session->number, bytes);
    desk_send(session->desk, session->gate->number, &message, status);
}

void desk_exchange_step(struct desk_session *session, bool has_bytes, struct slice bytes)
{
    struct slice answer = SLICE_NONE;

    deadline_start(session->desk->delays, &session->delay);
    /* Many exchanges can be begun before the first of them fails. */
    if (session->is_challenged && name_is_shut(session)) {
        desk_exchange_fail(session);
        return;
    }
    switch (sasl_acceptor_step(session->acceptor, has_bytes, bytes, &answer)) {
    case SASL_VERDICT_CONTINUE:
        challenge(session, answer);
        return;
    case SASL_VERDICT_ACCEPTED:
        desk_grant_approve(session);
        return;
    case SASL_VERDICT_PENDING:
        derive(session);
        return;
    case SASL_VERDICT_REFUSED:
        fail_challenged(session);
        return;
    case SASL_VERDICT_MALFORMED:
        break;
    }
    desk_session_refuse(session, WHY_CLIENT_PROTOCOL, "malformed SASL message");
}

static void take_apop(struct desk_session *session, struct slice bytes)
{
    struct apop apop;
    struct secret password = {0};

    deadline_start(session->desk->delays, &session->delay);
    if (apop_read(bytes, &apop) != 0) {
        desk_session_refuse(session, WHY_CLIENT_PROTOCOL, "malformed APOP");
        return;
    }
    bool is_known = find_password(session, apop.user, VAULT_GRANT_APOP, &password) == 0;
    bool matches = apop_matches(&apop, &password);
    secret_wipe(&password);
    if (is_known && matches)
        desk_grant_approve(session);
    else
        fail_challenged(session);
}

static void refuse_mechanism(struct desk_session *session)
{
    desk_session_refuse(session, WHY_CLIENT_PROTOCOL, "this mechanism is not offered");
}

/* Nobody has to log in here. */
static void take_external(struct desk_session *session, const struct message_ask *ask)
{
    if (strcmp(ask->mechanism, "EXTERNAL") != 0 || ask->has_bytes) {
        refuse_mechanism(session);
        return;
    }
    session->label = mem_copy_string(session->options->account);
    desk_grant_approve(session);
}

void desk_exchange_start(struct desk_session *session, const struct message_ask *ask)
{
    const struct desk *desk = session->desk;

    if (session->options->auth == LISTENER_AUTH_NONE)
        take_external(session, ask);
    else if (!offers_has(desk->parts.offers, ask->listener, ask->mechanism))
        refuse_mechanism(session);
    else if (strcmp(ask->mechanism, "APOP") == 0)
        take_apop(session, secret_bytes(&ask->bytes));
    else if (sasl_acceptor_new(desk->library, services[session->protocol], ask->mechanism, session,
                               &session->acceptor) != 0)
        refuse_mechanism(session);
    else
        desk_exchange_step(session, ask->has_bytes, secret_bytes(&ask->bytes));
}
