/*
 * One JSON object, written member by member: a member is named by its whole path ("tls.server.
 * issuer"), and objects are opened and closed as paths need it. Members of one object follow one
 * another. What does not fit is not written, and leaves nothing of it behind.
 */
#ifndef ECLUSE_AUDIT_JSON_WRITER_H
#define ECLUSE_AUDIT_JSON_WRITER_H

#include "base/slice.h"

/* Where a member stands: "tls.server." are the objects, and "issuer" is its name. */
struct json_path {
    const char *text; /* as long as the writer lives */
    size_t size;
    size_t objects_size; /* octets of `text` up to the name; 0: it is in no further object */
};

#define JSON_NAME_MAX 72u /* with the brackets before it; ENSUREd */

struct json_writer {
    char *text; /* borrowed */
    size_t size, limit;
    struct json_path path; /* of the last member; empty: none yet */
    bool is_full;          /* something did not fit since the last json_mark */
};

struct json_mark {
    size_t size;
    struct json_path path;
};

/* How a name was written, behind which other one: the same again is a copy. Zero at first. */
struct json_name {
    struct json_path path;
    const char *before; /* text of the path of the member before it; NULL: nothing is kept */
    size_t size;
    char text[JSON_NAME_MAX];
};

/* "{" is written at once. */
void json_begin(struct json_writer *writer, char *text, size_t limit);

struct json_mark json_mark(struct json_writer *writer);
/* True when everything since the mark fitted; else it is taken back. */
bool json_kept(struct json_writer *writer, struct json_mark mark);

/* The name of a member; its value follows by one call of those below. `kept` is of this member
 * alone; where the text of a path stands tells it from others. */
void json_member(struct json_writer *writer, const char *path, struct json_name *kept);
/* What was written before, in the same place; `last` is the path of its last member. */
void json_again(struct json_writer *writer, struct slice text, struct json_path last);

void json_text(struct json_writer *writer, struct slice text); /* escaped */
void json_number(struct json_writer *writer, uint64_t number);
void json_flag(struct json_writer *writer, bool flag);
/* "[", "," and "]". */
void json_punctuation(struct json_writer *writer, char character);

#endif
