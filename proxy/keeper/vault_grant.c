/*
 * Grants.
 *
 * Happy path: the row is inserted to get its number, then the verifier is sealed for that number
 * and for all that the grant allows, in one transaction.
 *
 * Failures: a name that is taken, or a second clear password where there can be one (ERR_EXISTS); a
 * verifier that does not open, or a grant whose fields were widened behind our back (ERR_CORRUPT):
 * it opens nothing, and stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pack.h"
#include "keeper/grant_verifier.h"
#include "keeper/vault_store.h"

#define TEXT_MAX 255 /* of a grant's name, protocols and sender */

static const char *const kind_names[] = {
    [VAULT_GRANT_GENERATED] = "generated",
    [VAULT_GRANT_CHOSEN] = "chosen",
    [VAULT_GRANT_CLEAR] = "clear",
};

static bool has_classes(const struct vault_grant *grant)
{
    bool has = false;
    for (size_t i = 0; i < VAULT_GRANT_CLASSES; i++)
        has = has || grant->classes[i];
    return has;
}

/* ---- the seal ---- */

static int pack_allowances(const struct vault_grant *grant, struct buf *out)
{
    struct pack_writer writer = pack_writer(out);
    pack_u64(&writer, (uint64_t)grant->number);
    pack_string(&writer, grant->name);
    pack_string(&writer, grant->protocols);
    pack_u8(&writer, grant->read_only);
    pack_string(&writer, grant->from);
    pack_string(&writer, kind_names[grant->kind]);
    /* Grants of version 1 were sealed without. */
    for (size_t i = 0; i < VAULT_GRANT_CLASSES && has_classes(grant); i++)
        pack_u8(&writer, grant->classes[i]);
    return writer.status;
}

static struct seal_place grant_place(const struct vault_grant *grant, const struct buf *allowances)
{
    return (struct seal_place){.table = "grants",
                               .column = "verifier",
                               .account = grant->account,
                               .bound = buf_bytes(allowances)};
}

static int seal_verifier(const struct secret *key, const struct vault_grant *grant,
                         const struct secret *verifier, struct buf *sealed)
{
    struct buf allowances;
    buf_init(&allowances, SEAL_PLACE_MAX);
    int status = pack_allowances(grant, &allowances);
    if (status == 0) {
        struct seal_place place = grant_place(grant, &allowances);
        status = seal_write(key, &place, secret_bytes(verifier), sealed);
    }
    buf_fini(&allowances);
    return status;
}

static bool verifier_fits(enum vault_grant_kind kind, size_t size)
{
    switch (kind) {
    case VAULT_GRANT_GENERATED:
        return size == GRANT_HASH_SIZE;
    case VAULT_GRANT_CHOSEN:
        return size == GRANT_CHOSEN_SIZE;
    case VAULT_GRANT_CLEAR:
        return size <= GRANT_PASSWORD_MAX;
    }
    return false;
}

static int open_verifier(const struct vault *vault, const struct vault_grant *grant,
                         struct slice sealed, struct secret *verifier_out)
{
    struct buf allowances;
    buf_init(&allowances, SEAL_PLACE_MAX);
    /* What does not fit was never sealed. */
    int status = pack_allowances(grant, &allowances) == 0 ? 0 : ERR_CORRUPT;
    if (status == 0) {
        struct seal_place place = grant_place(grant, &allowances);
        status = seal_read(&vault->seal_key, &place, sealed, verifier_out);
    }
    buf_fini(&allowances);
    if (status == 0 && !verifier_fits(grant->kind, verifier_out->size))
        status = ERR_CORRUPT;
    return status;
}

/* ---- adding and removing ---- */

static int check_text(const char *what, const char *text, struct err *err)
{
    struct slice bytes = slice_of_string(text);
    if (bytes.size > TEXT_MAX || slice_has_control(bytes))
        return err_set(err, ERR_SYNTAX,
                       "a grant's %s has at most %d octets, and no control characters", what,
                       TEXT_MAX);
    return 0;
}

static int check_new(const struct vault_grant *grant, struct err *err)
{
    if (grant->account[0] == '\0' || grant->name[0] == '\0')
        return err_set(err, ERR_SYNTAX, "a grant needs an account and a name");
    ENSURE(has_classes(grant) == (grant->kind == VAULT_GRANT_CLEAR));
    int status = check_text("account", grant->account, err);
    if (status == 0)
        status = check_text("name", grant->name, err);
    if (status == 0)
        status = check_text("list of protocols", grant->protocols, err);
    if (status == 0)
        status = check_text("sender address", grant->from, err);
    return status;
}

static int verifier_of(const struct vault *vault, const struct vault_grant *grant,
                       const struct secret *password, struct secret *verifier_out)
{
    struct slice bytes = secret_bytes(password);
    switch (grant->kind) {
    case VAULT_GRANT_CHOSEN:
        return grant_verifier_of_chosen(bytes, verifier_out);
    case VAULT_GRANT_CLEAR:
        if (bytes.size == 0 || bytes.size > GRANT_PASSWORD_MAX)
            return ERR_SYNTAX;
        secret_copy(verifier_out, password);
        return 0;
    case VAULT_GRANT_GENERATED:
        break;
    }
    return grant_verifier_of_generated(&vault->grant_key, grant->account, bytes, verifier_out);
}

static int make_verifier(const struct vault *vault, const struct vault_grant *grant,
                         const struct secret *password, struct secret *verifier_out,
                         struct err *err)
{
    int status = verifier_of(vault, grant, password, verifier_out);
    if (status == ERR_SYNTAX)
        return err_set(err, status, "a password has 1 to %d octets", GRANT_PASSWORD_MAX);
    if (status != 0)
        return err_set(err, status, "no verifier can be made of the password");
    return 0;
}

/* Both would be the user's password where there can be one only. */
static bool grants_collide(const struct vault_grant *grant, const struct vault_grant *other)
{
    bool share_class = false, share_protocol = false;
    for (size_t i = 0; i < VAULT_GRANT_CLASSES; i++)
        share_class = share_class || (grant->classes[i] && other->classes[i]);
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        share_protocol = share_protocol || (vault_grant_allows(grant, (enum protocol)i) &&
                                            vault_grant_allows(other, (enum protocol)i));
    return share_class && share_protocol;
}

static int check_collisions(struct vault *vault, const struct vault_grant *grant, struct err *err)
{
    struct vault_grant *others;
    size_t count;
    int status = vault_grant_list(vault, grant->account, &others, &count, err);
    for (size_t i = 0; i < count && status == 0; i++)
        if (grants_collide(grant, &others[i]))
            status = err_set(err, ERR_EXISTS,
                             "account %s has grant %s for these mechanisms already, and a user can "
                             "have one such password a protocol; revoke that one, or give each its "
                             "own --protocols",
                             grant->account, others[i].name);
    vault_grants_free(others, count);
    return status;
}

static int insert_row(struct vault *vault, const struct vault_grant *grant, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "INSERT INTO grants (account, name, protocols, read_only, sender,"
                               " kind, challenge, apop, verifier, created, last_used)"
                               " VALUES (?, ?, ?, ?, ?, ?, ?, ?, x'', ?, 0)",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, grant->account);
    vault_bind_text(statement, 2, grant->name);
    vault_bind_text(statement, 3, grant->protocols);
    vault_bind_number(statement, 4, grant->read_only);
    vault_bind_text(statement, 5, grant->from);
    vault_bind_text(statement, 6, kind_names[grant->kind]);
    vault_bind_number(statement, 7, grant->classes[VAULT_GRANT_CHALLENGE]);
    vault_bind_number(statement, 8, grant->classes[VAULT_GRANT_APOP]);
    vault_bind_number(statement, 9, grant->created);
    status = vault_change(vault, statement, err);
    if (status == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "account %s has a grant named %s already", grant->account,
                       grant->name);
    return status;
}

static int write_verifier(struct vault *vault, const struct secret *key,
                          const struct vault_grant *grant, const struct secret *verifier,
                          struct err *err)
{
    struct buf sealed;
    buf_init(&sealed, SEAL_OVERHEAD + GRANT_PASSWORD_MAX);
    sqlite3_stmt *statement;
    int status = seal_verifier(key, grant, verifier, &sealed);
    if (status != 0)
        (void)err_set(err, status, "the grant cannot be sealed");
    else
        status = vault_prepare(vault, "UPDATE grants SET verifier = ?2 WHERE number = ?1",
                               &statement, err);
    if (status == 0) {
        vault_bind_number(statement, 1, grant->number);
        vault_bind_bytes(statement, 2, buf_bytes(&sealed));
        status = vault_change(vault, statement, err);
    }
    buf_fini(&sealed);
    return status;
}

static int insert_grant(struct vault *vault, struct vault_grant *grant,
                        const struct secret *verifier, struct err *err)
{
    int status = check_collisions(vault, grant, err);
    if (status == 0)
        status = insert_row(vault, grant, err);
    if (status != 0)
        return status;
    grant->number = sqlite3_last_insert_rowid(vault->database);
    return write_verifier(vault, &vault->seal_key, grant, verifier, err);
}

int vault_grant_add(struct vault *vault, const struct vault_grant *grant,
                    const struct secret *password, int64_t now, int64_t *number_out,
                    struct err *err)
{
    *number_out = 0;
    int status = check_new(grant, err);
    if (status != 0)
        return status;
    struct secret verifier = {0};
    status = make_verifier(vault, grant, password, &verifier, err);
    struct vault_grant added = *grant;
    added.created = now;
    if (status == 0)
        status = vault_begin(vault, err);
    if (status == 0)
        status = vault_end(vault, insert_grant(vault, &added, &verifier, err), err);
    secret_wipe(&verifier);
    if (status == 0)
        *number_out = added.number;
    return status;
}

int vault_grant_remove(struct vault *vault, const char *account, const char *name,
                       int64_t *number_out, struct err *err)
{
    *number_out = 0;
    sqlite3_stmt *statement;
    int status =
        vault_prepare(vault, "DELETE FROM grants WHERE account = ? AND name = ? RETURNING number",
                      &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    vault_bind_text(statement, 2, name);
    int64_t number = 0;
    enum vault_step step = vault_step(statement);
    bool found = step == VAULT_ROW;
    if (found) {
        number = sqlite3_column_int64(statement, 0);
        step = vault_step(statement);
    }
    if (step == VAULT_FAILED)
        status = vault_fail(vault, err);
    else if (!found)
        status = err_set(err, ERR_NOT_FOUND, "account %s has no grant named %s", account, name);
    else
        *number_out = number;
    sqlite3_finalize(statement);
    return status;
}

/* ---- reading ---- */

static int64_t last_use(const struct vault *vault, int64_t number, int64_t stored)
{
    for (size_t i = 0; i < vault->use_count; i++) {
        if (vault->uses[i].number == number && vault->uses[i].when > stored)
            return vault->uses[i].when;
    }
    return stored;
}

static enum vault_grant_kind find_kind(const char *name)
{
    size_t kind = 0;
    while (kind + 1 < LENGTH_OF(kind_names) && strcmp(kind_names[kind], name) != 0)
        kind++;
    return (enum vault_grant_kind)kind;
}

static struct vault_grant read_row(const struct vault *vault, sqlite3_stmt *row)
{
    char *kind = vault_column_copy(row, 6);
    struct vault_grant grant = {
        .number = sqlite3_column_int64(row, 0),
        .account = vault_column_copy(row, 1),
        .name = vault_column_copy(row, 2),
        .protocols = vault_column_copy(row, 3),
        .read_only = sqlite3_column_int(row, 4) != 0,
        .from = vault_column_copy(row, 5),
        .kind = find_kind(kind),
        .classes = {[VAULT_GRANT_CHALLENGE] = sqlite3_column_int(row, 7) != 0,
                    [VAULT_GRANT_APOP] = sqlite3_column_int(row, 8) != 0},
        .created = sqlite3_column_int64(row, 9),
    };
    grant.last_used = last_use(vault, grant.number, sqlite3_column_int64(row, 10));
    mem_free(kind);
    return grant;
}

int vault_grant_list(struct vault *vault, const char *account, struct vault_grant **grants_out,
                     size_t *count_out, struct err *err)
{
    *grants_out = NULL;
    *count_out = 0;
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "SELECT number, account, name, protocols, read_only, sender, kind,"
                               " challenge, apop, created, last_used FROM grants"
                               " WHERE ?1 IS NULL OR account = ?1 ORDER BY account, number",
                               &statement, err);
    if (status != 0)
        return status;
    if (account != NULL)
        vault_bind_text(statement, 1, account);
    struct vault_grant *grants = NULL;
    size_t count = 0;
    enum vault_step step;
    while ((step = vault_step(statement)) == VAULT_ROW) {
        grants = mem_resize(grants, (count + 1) * sizeof(*grants));
        grants[count++] = read_row(vault, statement);
    }
    if (step == VAULT_FAILED) {
        status = vault_fail(vault, err);
        vault_grants_free(grants, count);
    } else {
        *grants_out = grants;
        *count_out = count;
    }
    sqlite3_finalize(statement);
    return status;
}

void vault_grants_free(struct vault_grant *grants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(grants[i].account);
        mem_free(grants[i].name);
        mem_free(grants[i].protocols);
        mem_free(grants[i].from);
    }
    mem_free(grants);
}

bool vault_grant_allows(const struct vault_grant *grant, enum protocol protocol)
{
    struct slice protocols = slice_of_string(grant->protocols);
    return protocols.size == 0 ||
           slice_has_word(protocols, ',', slice_of_string(protocol_name(protocol)));
}

int vault_grant_verifier(struct vault *vault, const struct vault_grant *grant,
                         struct secret *verifier_out, struct err *err)
{
    sqlite3_stmt *statement;
    int status =
        vault_prepare(vault, "SELECT verifier FROM grants WHERE number = ?", &statement, err);
    if (status != 0)
        return status;
    vault_bind_number(statement, 1, grant->number);
    switch (vault_step(statement)) {
    case VAULT_FAILED:
        status = vault_fail(vault, err);
        break;
    case VAULT_DONE:
        status = err_set(err, ERR_NOT_FOUND, "grant %s of account %s is gone", grant->name,
                         grant->account);
        break;
    case VAULT_ROW:
        status = open_verifier(vault, grant, vault_column_bytes(statement, 0), verifier_out);
        if (status == ERR_CORRUPT)
            (void)err_set(err, status,
                          "grant %s of account %s is damaged, or was changed by something else "
                          "than ecluse; it opens nothing; remove it: ecluse revoke %s %s",
                          grant->name, grant->account, grant->account, grant->name);
        else if (status != 0)
            (void)err_set(err, status, "grant %s of account %s cannot be opened", grant->name,
                          grant->account);
        break;
    }
    sqlite3_finalize(statement);
    return status;
}

static void note_left(struct vault_left *left, const struct vault_grant *grant)
{
    char what[VAULT_TEXT_MAX + 16];
    snprintf(what, sizeof(what), "password %s of", grant->name);
    vault_left_add(left, what, grant->account);
}

int vault_grants_reseal(struct vault *vault, const struct secret *key, struct vault_left *left,
                        struct err *err)
{
    struct vault_grant *grants;
    size_t count;
    int status = vault_grant_list(vault, NULL, &grants, &count, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct secret verifier = {0};
        status = vault_grant_verifier(vault, &grants[i], &verifier, err);
        if (status == 0)
            status = write_verifier(vault, key, &grants[i], &verifier, err);
        else if (status == ERR_CORRUPT) {
            note_left(left, &grants[i]);
            status = 0;
        }
        secret_wipe(&verifier);
    }
    vault_grants_free(grants, count);
    return status;
}

/* ---- last_used ---- */

void vault_grant_used(struct vault *vault, int64_t number, int64_t now)
{
    for (size_t i = 0; i < vault->use_count; i++) {
        if (vault->uses[i].number == number) {
            vault->uses[i].when = now;
            return;
        }
    }
    vault->uses = mem_resize(vault->uses, (vault->use_count + 1) * sizeof(*vault->uses));
    vault->uses[vault->use_count++] = (struct vault_use){number, now};
}

static int write_uses(struct vault *vault, struct err *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < vault->use_count; i++) {
        sqlite3_stmt *statement;
        status = vault_prepare(vault, "UPDATE grants SET last_used = ?2 WHERE number = ?1",
                               &statement, err);
        if (status != 0)
            break;
        vault_bind_number(statement, 1, vault->uses[i].number);
        vault_bind_number(statement, 2, vault->uses[i].when);
        status = vault_change(vault, statement, err);
        if (status == ERR_NOT_FOUND) /* it was removed meanwhile */
            status = 0;
    }
    return status;
}

int vault_flush(struct vault *vault, struct err *err)
{
    if (vault->use_count == 0)
        return 0;
    int status = vault_begin(vault, err);
    if (status == 0)
        status = vault_end(vault, write_uses(vault, err), err);
    if (status == 0) {
        mem_free(vault->uses);
        vault->uses = NULL;
        vault->use_count = 0;
    }
    return status;
}
