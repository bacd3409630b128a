/*
 * One value of a SQLite file, looked at or changed behind the back of who has it open.
 */
#ifndef ECLUSE_TESTS_DATABASE_PROBE_H
#define ECLUSE_TESTS_DATABASE_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* The one value that `sql` selects, as octets; its size. */
size_t database_peek(const char *file, const char *sql, uint8_t *out, size_t capacity);
/* `sql` changes one row; its one parameter is `bytes`. */
void database_poke(const char *file, const char *sql, const uint8_t *bytes, size_t size);

#endif
