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

/* "{" is written at once. */
void json_begin(struct json_writer *writer, char *text, size_t limit);

struct json_mark json_mark(struct json_writer *writer);
/* True when everything since the mark fitted; else it is taken back. */
bool json_kept(struct json_writer *writer, struct json_mark mark);

/* The name of a member; its value follows by one call of those below. */
void json_member(struct json_writer *writer, const char *path);

void json_text(struct json_writer *writer, struct slice text); /* escaped */
void json_number(struct json_writer *writer, uint64_t number);
void json_flag(struct json_writer *writer, bool flag);
/* "[", "," and "]". */
void json_punctuation(struct json_writer *writer, char character);

#endif
