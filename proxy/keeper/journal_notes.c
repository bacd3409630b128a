/*
 * Each makes one record and hands it on. A token is told by its fingerprint.
 */
#include "keeper/journal_notes.h"

#include "base/clock.h"

static void begin(struct record *record, enum record_action action, enum why why,
                  const char *account)
{
    record_init(record, action, why, (uint64_t)clock_wall_microseconds());
    record_add_string(record, FIELD_USER_NAME, account);
}

void journal_note_sign_in(struct journal *journal, enum why why, const char *account,
                          const char *grant, const char *issuer, const char *scope)
{
    struct record record;
    if (journal == NULL)
        return;
    begin(&record, ACTION_OAUTH_AUTHORIZE, why, account);
    record_add_string(&record, FIELD_OAUTH_ISSUER, issuer);
    record_add_string(&record, FIELD_OAUTH_GRANT, grant);
    record_add_string(&record, FIELD_OAUTH_SCOPE, scope);
    journal_write(journal, NULL, &record);
}

static enum why why_of(const struct oauth_answer *read)
{
    if (read == NULL)
        return WHY_UNREACHABLE;
    switch (read->outcome) {
    case OAUTH_GRANTED:
        return WHY_NONE;
    case OAUTH_SIGNED_OUT:
        return WHY_TOKEN_NEEDS_USER;
    case OAUTH_MISTAKEN:
        return WHY_INTERNAL;
    case OAUTH_TRY_LATER:
        break;
    }
    return WHY_UNREACHABLE;
}

static void add_token(struct journal *journal, const struct journal_refresh *refresh,
                      char fingerprint[JOURNAL_FINGERPRINT], struct record *record)
{
    journal_fingerprint(journal, &refresh->read->access_token, fingerprint);
    record_add_string(record, FIELD_OAUTH_TOKEN, fingerprint);
    record_add_number(record, FIELD_OAUTH_EXPIRES_IN, (uint64_t)refresh->read->expires_in);
    record_add_flag(record, FIELD_OAUTH_ROTATED, refresh->has_rotated);
    record_add_string(record, FIELD_OAUTH_SCOPE, refresh->read->scope);
}

void journal_note_refresh(struct journal *journal, const struct journal_refresh *refresh)
{
    char fingerprint[JOURNAL_FINGERPRINT];
    struct record record;
    if (journal == NULL)
        return;
    enum why why = why_of(refresh->read);
    begin(&record, ACTION_TOKEN_REFRESH, why, refresh->account);
    record_add_string(&record, FIELD_REASON, refresh->reason);
    record_add_string(&record, FIELD_OAUTH_ISSUER, refresh->issuer);
    if (why == WHY_NONE)
        add_token(journal, refresh, fingerprint, &record);
    if (refresh->http_status > 0)
        record_add_number(&record, FIELD_OAUTH_STATUS, (uint64_t)refresh->http_status);
    record_add_number(&record, FIELD_OAUTH_WAITERS, refresh->waiters);
    journal_write(journal, NULL, &record);
}

void journal_note_command(struct journal *journal, enum why why, const char *account,
                          const char *option, const struct secret *token)
{
    char fingerprint[JOURNAL_FINGERPRINT] = "";
    struct record record;
    if (journal == NULL)
        return;
    begin(&record, ACTION_TOKEN_REFRESH, why, account);
    record_add_string(&record, FIELD_OAUTH_GRANT, option);
    if (token != NULL && why == WHY_NONE)
        journal_fingerprint(journal, token, fingerprint);
    record_add_string(&record, FIELD_OAUTH_TOKEN, fingerprint);
    journal_write(journal, NULL, &record);
}

void journal_note_revoked(struct journal *journal, enum why why, const char *account,
                          const char *text)
{
    struct record record;
    if (journal == NULL)
        return;
    begin(&record, ACTION_TOKEN_REVOKE, why, account);
    record_add_string(&record, FIELD_REASON, text);
    journal_write(journal, NULL, &record);
}

void journal_note_grant(struct journal *journal, enum record_action action, const char *account,
                        const char *name)
{
    struct record record;
    if (journal == NULL)
        return;
    begin(&record, action, WHY_NONE, account);
    record_add_string(&record, FIELD_GRANT, name);
    journal_write(journal, NULL, &record);
}
