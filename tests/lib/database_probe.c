#include "database_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

static sqlite3 *open_file(const char *file)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open_v2(file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    /* No power goes in a test. */
    assert_int_equal(sqlite3_exec(database, "PRAGMA synchronous = OFF", NULL, NULL, NULL), 0);
    return database;
}

size_t database_peek(const char *file, const char *sql, uint8_t *out, size_t capacity)
{
    sqlite3 *database = open_file(file);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    assert_true(size <= capacity);
    if (size > 0)
        memcpy(out, sqlite3_column_blob(statement, 0), size);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return size;
}

void database_poke(const char *file, const char *sql, const uint8_t *bytes, size_t size)
{
    sqlite3 *database = open_file(file);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_bind_blob(statement, 1, bytes, (int)size, SQLITE_TRANSIENT), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(database), 1);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}
