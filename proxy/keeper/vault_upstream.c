/*
 * What upstreams can do.
 *
 * Failures: a row that was written by something else: it is left out, and replaced at the account's
 * next login.
 */
#include <string.h>

#include "auth/capability_lines.h"
#include "keeper/vault_store.h"

int vault_upstream_store(struct vault *vault, const struct vault_upstream *upstream,
                         struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "INSERT OR REPLACE INTO upstreams"
                               " (account, protocol, host, capabilities, learned)"
                               " VALUES (?, ?, ?, ?, ?)",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, upstream->account);
    vault_bind_text(statement, 2, protocol_name(upstream->protocol));
    vault_bind_text(statement, 3, upstream->host);
    vault_bind_text(statement, 4, upstream->capabilities);
    vault_bind_number(statement, 5, upstream->learned);
    return vault_change(vault, statement, err);
}

static void upstream_clear(struct vault_upstream *upstream)
{
    mem_free(upstream->account);
    mem_free(upstream->host);
    mem_free(upstream->capabilities);
}

/* False, with nothing allocated, when it cannot be. */
static bool read_row(sqlite3_stmt *row, struct vault_upstream *upstream)
{
    char *protocol = vault_column_copy(row, 1);
    *upstream = (struct vault_upstream){
        .account = vault_column_copy(row, 0),
        .host = vault_column_copy(row, 2),
        .capabilities = vault_column_copy(row, 3),
        .learned = sqlite3_column_int64(row, 4),
    };
    bool is_valid = protocol_find(protocol, &upstream->protocol) == 0 &&
                    capability_lines_are_valid(vault_column_bytes(row, 3));
    mem_free(protocol);
    if (!is_valid)
        upstream_clear(upstream);
    return is_valid;
}

int vault_upstream_list(struct vault *vault, struct vault_upstream **upstreams_out,
                        size_t *count_out, struct err *err)
{
    *upstreams_out = NULL;
    *count_out = 0;
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "SELECT account, protocol, host, capabilities, learned"
                               " FROM upstreams ORDER BY account, protocol",
                               &statement, err);
    if (status != 0)
        return status;
    struct vault_upstream *upstreams = NULL, upstream;
    size_t count = 0;
    enum vault_step step;
    while ((step = vault_step(statement)) == VAULT_ROW) {
        if (!read_row(statement, &upstream))
            continue;
        upstreams = mem_resize(upstreams, (count + 1) * sizeof(*upstreams));
        upstreams[count++] = upstream;
    }
    if (step == VAULT_FAILED) {
        status = vault_fail(vault, err);
        vault_upstreams_free(upstreams, count);
    } else {
        *upstreams_out = upstreams;
        *count_out = count;
    }
    sqlite3_finalize(statement);
    return status;
}

void vault_upstreams_free(struct vault_upstream *upstreams, size_t count)
{
    for (size_t i = 0; i < count; i++)
        upstream_clear(&upstreams[i]);
    mem_free(upstreams);
}
