/*
 * What a session tells the audit journal: each function makes one record of what is known and hands
 * it to the gate. Which account it is about the keeper knows better.
 */
#include "base/clock.h"
#include "gate/session_internal.h"
#include "net/tls_facts.h"

void session_record_init(struct record *record, enum record_action action, enum why why,
                         const char *reason, const struct peer_address *peer)
{
    record_init(record, action, why, (uint64_t)clock_wall_microseconds());
    record_add_string(record, FIELD_REASON, reason);
    record_add_string(record, FIELD_CLIENT_IP, peer->ip);
    if (peer->port != 0)
        record_add_number(record, FIELD_CLIENT_PORT, peer->port);
    if (peer->has_user)
        record_add_number(record, FIELD_CLIENT_USER_ID, peer->user_id);
}

static void begin(const struct session *session, struct message_record *record,
                  enum record_action action, enum why why, const char *reason)
{
    record->session = session->number;
    record->listener = session->settings.listener;
    record->receipt = 0;
    session_record_init(&record->record, action, why, reason, &session->settings.peer);
}

void session_record_open(const struct session *session)
{
    struct message_record record FILLED_LATER;
    begin(session, &record, ACTION_SESSION_OPEN, WHY_NONE, NULL);
    gate_record(session->gate, &record);
}

void session_record_foreign(struct session *session, const char *reason, struct slice first_word)
{
    struct message_record record FILLED_LATER;
    begin(session, &record, ACTION_CROSS_PROTOCOL, WHY_CLIENT_PROTOCOL, reason);
    record_add_text(&record.record, FIELD_FIRST_WORD, first_word);
    if (session->gate->configure.audit.is_on) {
        record.receipt = session->number;
        session_await_record(session);
    }
    gate_record(session->gate, &record);
}

void session_record_login(const struct session *session, enum why why, const char *mechanism,
                          const char *reason)
{
    struct message_record record FILLED_LATER;
    begin(session, &record, ACTION_UPSTREAM_AUTH, why, why == WHY_NONE ? NULL : reason);
    record_add_string(&record.record, FIELD_MECHANISM, mechanism);
    gate_record(session->gate, &record);
}

void session_record_close(const struct session *session, enum why why, const char *reason)
{
    struct message_record record FILLED_LATER;
    begin(session, &record, ACTION_SESSION_CLOSE, why, reason);
    record_add_number(&record.record, FIELD_CLIENT_BYTES, session->relay.client_bytes);
    record_add_number(&record.record, FIELD_SERVER_BYTES, session->relay.server_bytes);
    record_add_number(&record.record, FIELD_DURATION, uv_hrtime() - session->began);
    if (session->relay.settings.tap != NULL)
        record_add_number(&record.record, FIELD_COMMANDS, tap_count(session->relay.settings.tap));
    gate_record(session->gate, &record);
}

/* The record borrows the facts' texts. */
static void add_tls(struct record *record, const struct tls_facts *facts, bool by_starttls)
{
    record_add_string(record, FIELD_TLS_VERSION, facts->version);
    record_add_string(record, FIELD_TLS_CIPHER, facts->cipher);
    record_add_flag(record, FIELD_TLS_RESUMED, facts->is_resumed);
    record_add_string(record, FIELD_TLS_CERTIFICATE, facts->certificate);
    record_add_string(record, FIELD_TLS_ISSUER, facts->issuer);
    record_add_string(record, FIELD_TLS_NOT_AFTER, facts->not_after);
    record_add_string(record, FIELD_TLS_KEY, facts->key);
    record_add_flag(record, FIELD_TLS_STARTTLS, by_starttls);
}

void session_record_connect(const struct session *session, enum why why, const char *reason)
{
    struct message_record record FILLED_LATER;
    struct tls_facts facts;
    begin(session, &record, ACTION_UPSTREAM_CONNECT, why, reason);
    if (session->granted != NULL) {
        record_add_string(&record.record, FIELD_SERVER_DOMAIN, session->granted->host);
        record_add_string(&record.record, FIELD_SERVER_IP, session->upstream_ip);
        record_add_number(&record.record, FIELD_SERVER_PORT, session->granted->port);
    }
    if (why == WHY_NONE) {
        ENSURE(session->granted != NULL);
        tls_facts(stream_tls(session->upstream), &facts);
        add_tls(&record.record, &facts, session->granted->tls == TLS_MODE_STARTTLS);
    }
    gate_record(session->gate, &record);
}
