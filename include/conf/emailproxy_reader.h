/*
 * The grammar of an emailproxy.config, the file of email-oauth2-proxy: INI as Python's configparser
 * reads it, without interpolation and without comments behind a value. It knows nothing of what the
 * keys mean; conf/emailproxy_map does.
 *
 * Where configparser gives the whole file up for a section or key that stands twice, or for a byte
 * order mark, this reader goes on: the first one holds, and a warning says so.
 */
#ifndef ECLUSE_CONF_EMAILPROXY_READER_H
#define ECLUSE_CONF_EMAILPROXY_READER_H

#include <stdio.h>

#include "conf/config.h"

#define EMAILPROXY_FILE_MAXIMUM     (1u << 20u) /* octets */
#define EMAILPROXY_VALUE_MAXIMUM    (64u << 10u)
#define EMAILPROXY_SECTIONS_MAXIMUM 1024
#define EMAILPROXY_PAIRS_MAXIMUM    128 /* in one section */

struct emailproxy_pair {
    char *key; /* lower case */
    /* Its lines joined by LF; "" when nothing follows the '='. It may be a secret. */
    char *value;
    int line;
};

struct emailproxy_section {
    char *name; /* case counts */
    int line;
    struct emailproxy_pair *pairs;
    size_t count;
};

struct emailproxy_file {
    struct emailproxy_section defaults; /* [DEFAULT] */
    struct emailproxy_section *sections;
    size_t count;
};

/* True when one of the headings is of such a file, [IMAP-1993], [emailproxy] or [alice@mail.test],
 * and none is of ours. The stream is rewound. */
bool emailproxy_is_recognised(FILE *stream);

/* Reads to the end of `stream`, which stays the caller's. 0, or ERR_CONFIG with NULL and at least
 * one error among the problems. */
MUST_CHECK int emailproxy_read(FILE *stream, struct emailproxy_file **file_out,
                               struct config_problems *problems);
/* Wipes every value. NULL is fine. */
void emailproxy_free(struct emailproxy_file *file);

/* NULL when there is none. */
struct emailproxy_section *emailproxy_section(const struct emailproxy_file *file, const char *name);
/* Of the section, else of [DEFAULT]. NULL when it is not there or empty, which is the same. */
const struct emailproxy_pair *emailproxy_find(const struct emailproxy_file *file,
                                              const struct emailproxy_section *section,
                                              const char *key);

#endif
