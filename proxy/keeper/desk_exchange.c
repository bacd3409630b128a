/*
 * Happy path: the client's SASL message goes to libsasl2, which asks back whether the password is
 * right; the verdict approves the session.
 *
 * Failure modes:
 *   wrong user, wrong password,     one refusal, when the delay since the client's message is over
 *   a name that is shut
 *   not a message of the mechanism  refused at once: a broken client shall notice
 *   too many derivations            refused at once with "try again"
 *
 * A password is held no longer than its derivation takes.
 */

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

static enum sasl_check check_password(void *exchange, struct slice user, struct slice password)
{
    struct desk_session *session = exchange;
    struct desk *desk = session->desk;
    int64_t now = clock_steady_milliseconds();
    const struct account_config *account = config_account_by_address(desk->config, user);

    session->throttle = key_of(desk, account);
    if (throttle_is_shut(desk->throttle, session->throttle, now))
        return SASL_CHECK_MISMATCH;
    mem_free(session->label);
    session->label = account == NULL ? NULL : mem_copy_string(account->name);
    switch (grant_check_password(desk->parts.grants, session->label, password, &session->grant)) {
    case GRANT_MATCH:
        return SASL_CHECK_MATCH;
    case GRANT_LATER:
        secret_set(&session->password, password);
        return SASL_CHECK_LATER;
    case GRANT_MISMATCH:
        break;
    }
    throttle_count_failure(desk->throttle, session->throttle, now);
    return SASL_CHECK_MISMATCH;
}

const struct sasl_users desk_users = {.check = check_password};

static void on_derived(void *owner, enum grant_verdict verdict, int64_t grant)
{
    struct desk_session *session = owner;
    session->derivation = NULL;
    session->grant = grant;
    if (verdict == GRANT_MATCH) {
        desk_grant_approve(session);
        return;
    }
    throttle_count_failure(session->desk->throttle, session->throttle, clock_steady_milliseconds());
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
        desk_exchange_fail(session);
        return;
    case SASL_VERDICT_MALFORMED:
        break;
    }
    desk_session_refuse(session, WHY_CLIENT_PROTOCOL, "malformed SASL message");
}

void desk_exchange_start(struct desk_session *session, const struct message_ask *ask)
{
    if (sasl_acceptor_new(session->desk->library, services[session->protocol], ask->mechanism,
                          session, &session->acceptor) != 0) {
        desk_session_refuse(session, WHY_CLIENT_PROTOCOL, "this mechanism is not offered");
        return;
    }
    desk_exchange_step(session, ask->has_bytes, secret_bytes(&ask->bytes));
}
