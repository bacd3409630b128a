#include "audit/line_terms.h"

#define L(name, path, kind, meaning)                                                               \
    {path, sizeof(path) - 1, RECORD_##kind, meaning, name, RECORD_FIELD_COUNT},
#define R(name, path, kind, meaning)                                                               \
    {path, sizeof(path) - 1, RECORD_##kind, meaning, LINE_FIELD_COUNT, name},
static const struct line_member members[] = {LINE_HEAD_FIELDS(L) RECORD_BODY_FIELDS(
    R) LINE_MIDDLE_FIELDS(L) RECORD_EVENT_FIELDS(R) LINE_TAIL_FIELDS(L) LINE_SEAL_FIELDS(L)};
#undef L
#undef R

#define X(name, path, kind, meaning) [name] = (path),
static const char *const line_paths[] = {LINE_FIELDS(X)};
#undef X

size_t line_member_count(void)
{
    return LENGTH_OF(members);
}

const struct line_member *line_member(size_t i)
{
    ENSURE(i < LENGTH_OF(members));
    return &members[i];
}

const char *line_field_path(enum line_field field)
{
    ENSURE(field < LINE_FIELD_COUNT);
    return line_paths[field];
}
