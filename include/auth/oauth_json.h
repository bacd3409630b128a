/*
 * What authorization servers answer, read as JSON: one object, no key twice, nesting within 16,
 * nothing behind it.
 */
#ifndef ECLUSE_AUTH_OAUTH_JSON_H
#define ECLUSE_AUTH_OAUTH_JSON_H

#include <jansson.h>

#include "base/slice.h"

/* NULL when it is no such object, or longer than OAUTH_ANSWER_MAX. For json_decref. */
json_t *oauth_json_read(struct slice text);
/* False when `key` is there and is no string. Absent, null: an empty slice without data. The value
 * is borrowed, and may hold any character. */
bool oauth_json_string(const json_t *root, const char *key, struct slice *value_out);

#endif
