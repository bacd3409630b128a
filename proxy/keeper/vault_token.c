/*
 * Refresh tokens.
 *
 * Happy path: one row an account; the token is sealed for that account and issuer, and replaced in
 * one transaction, for the time of which it is noted (vault_next.c).
 *
 * Failures:
 *  - a token that does not open is ERR_CORRUPT and stays; when a new one is stored, what was there
 *    goes to damaged_tokens in the same transaction
 *  - another issuer than the one that is configured: ERR_NOT_FOUND, since sending a token to a
 *    server that did not issue it would give it away
 */
#include <stdlib.h>
#include <string.h>

#include "keeper/vault_store.h"

static struct seal_place token_place(const char *account, const char *issuer)
{
    return (struct seal_place){.table = "tokens",
                               .column = "refresh_token",
                               .account = account,
                               .bound = slice_of_string(issuer)};
}

/* Its row: issuer, refresh_token. */
static int select_token(struct vault *vault, const char *account, sqlite3_stmt **statement_out,
                        struct err *err)
{
    int status = vault_prepare(
        vault, "SELECT issuer, refresh_token FROM tokens WHERE account = ? AND state = 'signed-in'",
        statement_out, err);
    if (status == 0)
        vault_bind_text(*statement_out, 1, account);
    return status;
}

static bool is_damaged(const struct vault *vault, const char *account, const char *issuer,
                       struct slice sealed)
{
    struct seal_place place = token_place(account, issuer);
    struct secret token = {0};
    bool damaged = seal_read(&vault->seal_key, &place, sealed, &token) == ERR_CORRUPT;
    secret_wipe(&token);
    return damaged;
}

/* ---- storing ---- */

/* What an account's row is before a new token comes. */
struct present {
    bool same_issuer; /* and signed in */
    bool damaged;
};

static int look(struct vault *vault, const char *account, const char *issuer,
                struct present *present_out, struct err *err)
{
    *present_out = (struct present){0};
    sqlite3_stmt *statement;
    int status = select_token(vault, account, &statement, err);
    if (status != 0)
        return status;
    enum vault_step step = vault_step(statement);
    if (step == VAULT_FAILED)
        status = vault_fail(vault, err);
    if (step == VAULT_ROW) {
        char *stored_issuer = vault_column_copy(statement, 0);
        present_out->damaged =
            is_damaged(vault, account, stored_issuer, vault_column_bytes(statement, 1));
        present_out->same_issuer = strcmp(stored_issuer, issuer) == 0;
        mem_free(stored_issuer);
    }
    sqlite3_finalize(statement);
    return status;
}

static int keep_aside(struct vault *vault, const char *account, int64_t now, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "INSERT INTO damaged_tokens"
                               " SELECT account, issuer, refresh_token, ?2 FROM tokens"
                               " WHERE account = ?1",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    vault_bind_number(statement, 2, now);
    return vault_change(vault, statement, err);
}

static int write_token(struct vault *vault, const char *account, const char *issuer,
                       struct slice sealed, bool is_rotation, int64_t now, struct err *err)
{
    static const char sign_in[] = "INSERT OR REPLACE INTO tokens (account, issuer, state,"
                                  " refresh_token, created, last_refresh, last_error)"
                                  " VALUES (?1, ?2, 'signed-in', ?3, ?4, 0, '')";
    static const char rotation[] = "UPDATE tokens SET refresh_token = ?3, last_refresh = ?4,"
                                   " last_error = '' WHERE account = ?1 AND issuer = ?2";
    sqlite3_stmt *statement;
    int status = vault_prepare(vault, is_rotation ? rotation : sign_in, &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    vault_bind_text(statement, 2, issuer);
    vault_bind_bytes(statement, 3, sealed);
    vault_bind_number(statement, 4, now);
    return vault_change(vault, statement, err);
}

static int replace(struct vault *vault, const char *account, const char *issuer,
                   struct slice sealed, int64_t now, struct err *err)
{
    struct present present;
    int status = look(vault, account, issuer, &present, err);
    if (status == 0 && present.damaged)
        status = keep_aside(vault, account, now, err);
    if (status != 0)
        return status;
    bool is_rotation = present.same_issuer && !present.damaged;
    return write_token(vault, account, issuer, sealed, is_rotation, now, err);
}

int vault_token_store(struct vault *vault, const char *account, const char *issuer,
                      const struct secret *refresh_token, int64_t now, struct err *err)
{
    if (!secret_is_set(refresh_token) || refresh_token->size == 0)
        return err_set(err, ERR_SYNTAX, "account %s: an empty token", account);
    struct seal_place place = token_place(account, issuer);
    struct buf sealed;
    vault_next_note(vault, account, issuer, refresh_token);
    buf_init(&sealed, SEAL_OVERHEAD + SEAL_CONTENT_MAX);
    int status = seal_write(&vault->seal_key, &place, secret_bytes(refresh_token), &sealed);
    if (status != 0)
        (void)err_set(err, status, "account %s: the token cannot be sealed: %s", account,
                      err_code_text(status));
    if (status == 0)
        status = vault_begin(vault, err);
    if (status == 0)
        status =
            vault_end(vault, replace(vault, account, issuer, buf_bytes(&sealed), now, err), err);
    if (status == 0)
        vault_next_forget(vault);
    buf_fini(&sealed);
    return status;
}

/* ---- loading ---- */

static int open_token(struct vault *vault, const char *account, const char *issuer,
                      sqlite3_stmt *row, struct secret *refresh_token_out, struct err *err)
{
    char *stored_issuer = vault_column_copy(row, 0);
    bool same_issuer = strcmp(stored_issuer, issuer) == 0;
    int status = 0;
    if (!same_issuer)
        status = err_set(err, ERR_NOT_FOUND,
                         "account %s: its token was obtained from another issuer, %s, not from %s; "
                         "sign in: ecluse login %s",
                         account, stored_issuer, issuer, account);
    mem_free(stored_issuer);
    if (!same_issuer)
        return status;
    struct seal_place place = token_place(account, issuer);
    status = seal_read(&vault->seal_key, &place, vault_column_bytes(row, 1), refresh_token_out);
    if (status == ERR_CORRUPT)
        return err_set(err, ERR_CORRUPT,
                       "account %s: its token in the vault is damaged, or was not put there by "
                       "ecluse; it is left as it is; sign in: ecluse login %s",
                       account, account);
    if (status != 0)
        return err_set(err, status, "account %s: its token cannot be opened", account);
    return 0;
}

int vault_token_load(struct vault *vault, const char *account, const char *issuer,
                     struct secret *refresh_token_out, struct err *err)
{
    sqlite3_stmt *statement;
    int status = select_token(vault, account, &statement, err);
    if (status != 0)
        return status;
    switch (vault_step(statement)) {
    case VAULT_FAILED:
        status = vault_fail(vault, err);
        break;
    case VAULT_DONE:
        status = err_set(err, ERR_NOT_FOUND,
                         "account %s is not signed in; sign in: ecluse login %s", account, account);
        break;
    case VAULT_ROW:
        status = open_token(vault, account, issuer, statement, refresh_token_out, err);
        break;
    }
    sqlite3_finalize(statement);
    return status;
}

/* ---- the rest of the row ---- */

static int wipe_token(struct vault *vault, const char *account, const char *reason, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "UPDATE tokens SET state = 'signed-out', refresh_token = NULL,"
                               " last_error = ?2 WHERE account = ?1",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    vault_bind_text(statement, 2, reason);
    status = vault_change(vault, statement, err);
    if (status != 0)
        return status;
    status = vault_prepare(vault, "DELETE FROM damaged_tokens WHERE account = ?", &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    status = vault_change(vault, statement, err);
    return status == ERR_NOT_FOUND ? 0 : status;
}

static void make_printable(const char *text, char out[VAULT_TEXT_MAX + 1])
{
    slice_escape(slice_of_string(text), out, VAULT_TEXT_MAX + 1);
}

int vault_token_sign_out(struct vault *vault, const char *account, const char *reason,
                         struct err *err)
{
    char printable[VAULT_TEXT_MAX + 1];
    make_printable(reason, printable);
    int status = vault_begin(vault, err);
    if (status != 0)
        return status;
    return vault_end(vault, wipe_token(vault, account, printable, err), err);
}

int vault_token_note(struct vault *vault, const char *account, int64_t last_refresh,
                     const char *last_error, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "UPDATE tokens SET last_refresh = coalesce(?2, last_refresh),"
                               " last_error = coalesce(?3, last_error) WHERE account = ?1",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    if (last_refresh != 0)
        vault_bind_number(statement, 2, last_refresh);
    if (last_error != NULL) {
        char printable[VAULT_TEXT_MAX + 1];
        make_printable(last_error, printable);
        vault_bind_text(statement, 3, printable);
    }
    return vault_change(vault, statement, err);
}

static struct vault_token read_row(const struct vault *vault, sqlite3_stmt *row)
{
    char *state = vault_column_copy(row, 2);
    struct vault_token token = {
        .account = vault_column_copy(row, 0),
        .issuer = vault_column_copy(row, 1),
        .state = strcmp(state, "signed-in") == 0 ? VAULT_SIGNED_IN : VAULT_SIGNED_OUT,
        .created = sqlite3_column_int64(row, 3),
        .last_refresh = sqlite3_column_int64(row, 4),
        .last_error = vault_column_copy(row, 5),
    };
    mem_free(state);
    if (token.state == VAULT_SIGNED_IN &&
        is_damaged(vault, token.account, token.issuer, vault_column_bytes(row, 6)))
        token.state = VAULT_DAMAGED;
    return token;
}

int vault_token_list(struct vault *vault, const char *account, struct vault_token **tokens_out,
                     size_t *count_out, struct err *err)
{
    *tokens_out = NULL;
    *count_out = 0;
    sqlite3_stmt *statement;
    int status = vault_prepare(
        vault,
        "SELECT account, issuer, state, created, last_refresh, last_error,"
        " refresh_token FROM tokens WHERE ?1 IS NULL OR account = ?1 ORDER BY account",
        &statement, err);
    if (status != 0)
        return status;
    if (account != NULL)
        vault_bind_text(statement, 1, account);
    struct vault_token *tokens = NULL;
    size_t count = 0;
    enum vault_step step;
    while ((step = vault_step(statement)) == VAULT_ROW) {
        tokens = mem_resize(tokens, (count + 1) * sizeof(*tokens));
        tokens[count++] = read_row(vault, statement);
    }
    if (step == VAULT_FAILED) {
        status = vault_fail(vault, err);
        vault_tokens_free(tokens, count);
    } else {
        *tokens_out = tokens;
        *count_out = count;
    }
    sqlite3_finalize(statement);
    return status;
}

void vault_tokens_free(struct vault_token *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(tokens[i].account);
        mem_free(tokens[i].issuer);
        mem_free(tokens[i].last_error);
    }
    mem_free(tokens);
}

/* ---- sealing anew ---- */

static int reseal_row(const struct vault *vault, const struct secret *key, sqlite3_stmt *row,
                      struct buf *sealed)
{
    char *account = vault_column_copy(row, 0), *issuer = vault_column_copy(row, 1);
    struct seal_place place = token_place(account, issuer);
    struct secret token = {0};
    int status = seal_read(&vault->seal_key, &place, vault_column_bytes(row, 2), &token);
    if (status == 0)
        status = seal_write(key, &place, secret_bytes(&token), sealed);
    secret_wipe(&token);
    mem_free(account);
    mem_free(issuer);
    return status;
}

static int update_row(struct vault *vault, sqlite3_stmt *row, struct slice sealed, struct err *err)
{
    sqlite3_stmt *update;
    char *account = vault_column_copy(row, 0);
    int status = vault_prepare(vault, "UPDATE tokens SET refresh_token = ?2 WHERE account = ?1",
                               &update, err);
    if (status == 0) {
        vault_bind_text(update, 1, account);
        vault_bind_bytes(update, 2, sealed);
        status = vault_change(vault, update, err);
    }
    mem_free(account);
    return status;
}

static void note_left(struct vault_left *left, sqlite3_stmt *row)
{
    char *account = vault_column_copy(row, 0);
    vault_left_add(left, "the token of", account);
    mem_free(account);
}

int vault_tokens_reseal(struct vault *vault, const struct secret *key, struct vault_left *left,
                        struct err *err)
{
    sqlite3_stmt *rows;
    struct buf sealed;
    /* Sorted, so that SQLite has read all of them before the first changes. */
    int status = vault_prepare(vault,
                               "SELECT account, issuer, refresh_token FROM tokens"
                               " WHERE refresh_token IS NOT NULL ORDER BY +account",
                               &rows, err);
    if (status != 0)
        return status;
    buf_init(&sealed, SEAL_OVERHEAD + SEAL_CONTENT_MAX);
    enum vault_step step = VAULT_DONE;
    while (status == 0 && (step = vault_step(rows)) == VAULT_ROW) {
        status = reseal_row(vault, key, rows, &sealed);
        if (status == 0)
            status = update_row(vault, rows, buf_bytes(&sealed), err);
        else if (status != ERR_CORRUPT)
            (void)err_set(err, status, "a token cannot be sealed");
        else {
            note_left(left, rows);
            status = 0;
        }
    }
    if (status == 0 && step == VAULT_FAILED)
        status = vault_fail(vault, err);
    buf_fini(&sealed);
    sqlite3_finalize(rows);
    return status;
}
