#include "base/terms.h"

#include <string.h>

#include "base/err.h"

#define X(name, text) [name] = text,
static const char *const protocol_names[] = {PROTOCOLS(X)};
static const char *const tls_mode_names[] = {TLS_MODES(X)};
static const char *const audit_level_names[] = {AUDIT_LEVELS(X)};
static const char *const why_names[] = {WHYS(X)};
#undef X

/* Index of `name`, or `count`. */
static size_t find_name(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

const char *protocol_name(enum protocol protocol)
{
    ENSURE(protocol < PROTOCOL_COUNT);
    return protocol_names[protocol];
}

const char *tls_mode_name(enum tls_mode mode)
{
    ENSURE(mode < TLS_MODE_COUNT);
    return tls_mode_names[mode];
}

const char *audit_level_name(enum audit_level level)
{
    ENSURE(level < AUDIT_LEVEL_COUNT);
    return audit_level_names[level];
}

const char *why_name(enum why why)
{
    ENSURE(why < WHY_COUNT);
    return why_names[why];
}

int protocol_find(const char *name, enum protocol *protocol_out)
{
    size_t i = find_name(protocol_names, PROTOCOL_COUNT, name);
    if (i == PROTOCOL_COUNT)
        return ERR_NOT_FOUND;
    *protocol_out = (enum protocol)i;
    return 0;
}

int tls_mode_find(const char *name, enum tls_mode *mode_out)
{
    size_t i = find_name(tls_mode_names, TLS_MODE_COUNT, name);
    if (i == TLS_MODE_COUNT)
        return ERR_NOT_FOUND;
    *mode_out = (enum tls_mode)i;
    return 0;
}

int audit_level_find(const char *name, enum audit_level *level_out)
{
    size_t i = find_name(audit_level_names, AUDIT_LEVEL_COUNT, name);
    if (i == AUDIT_LEVEL_COUNT)
        return ERR_NOT_FOUND;
    *level_out = (enum audit_level)i;
    return 0;
}

int why_find(const char *name, enum why *why_out)
{
    size_t i = find_name(why_names, WHY_COUNT, name);
    if (i == WHY_COUNT)
        return ERR_NOT_FOUND;
    *why_out = (enum why)i;
    return 0;
}
