/*
 * The members of one JSON object without spaces, in sequence, each with its whole path: the inverse
 * of audit/json_writer. Nothing is copied but the path.
 */
#ifndef ECLUSE_AUDIT_JSON_READER_H
#define ECLUSE_AUDIT_JSON_READER_H

#include "base/slice.h"

#define JSON_PATH_MAX  128u
#define JSON_DEPTH_MAX 8u

enum json_kind { JSON_TEXT, JSON_NUMBER, JSON_FLAG };

struct json_value {
    struct slice path; /* the reader's; until the next call */
    enum json_kind kind;
    struct slice text; /* of TEXT: what stands between the quotes, escaped */
    bool is_plain;     /* it is its own meaning: escape_plain */
    uint64_t number;   /* of NUMBER (0 to 2^63-1) and FLAG */
};

struct json_reader {
    struct slice rest;
    size_t depth, path_size;
    uint8_t ends[JSON_DEPTH_MAX]; /* of the path of each object that is open */
    bool is_first, is_in_list;
    char path[JSON_PATH_MAX];
};

enum json_status { JSON_MORE, JSON_END, JSON_BAD };

/* ERR_SYNTAX: it does not begin as an object. */
MUST_CHECK int json_open(struct json_reader *reader, struct slice text);
/* MORE: *value_out is the next value; those of a list come one by one, under the same path. END:
 * the text is over; objects that are still open then are the caller's business. */
enum json_status json_next(struct json_reader *reader, struct json_value *value_out);

#endif
