/*
 * What the parts of conf/emailproxy_map share; nobody else includes it.
 */
#ifndef ECLUSE_CONF_EMAILPROXY_MAPPING_H
#define ECLUSE_CONF_EMAILPROXY_MAPPING_H

#include "conf/emailproxy_map.h"

#define MAPPING_HOST_MAXIMUM 255

struct mapping_server {
    const struct emailproxy_section *section;
    enum protocol protocol;
    uint64_t port; /* of the heading: where clients connect */
    const struct emailproxy_pair *address;
    uint64_t server_port;
    bool starttls;
};

/* What makes a provider; accounts with the same one share its section. */
struct mapping_upstream {
    const struct mapping_server *servers[PROTOCOL_COUNT]; /* NULL: none */
    const char *token_url, *permission_url;               /* or "" */
    bool is_device;
    const char *redirect_host;
    uint64_t redirect_port; /* 0: any */
    const char *label;      /* of its section */
};

/* A section that our checks refuse, and what they say. */
struct mapping_left_out {
    const struct emailproxy_section *section;
    struct config_problems problems;
};

struct mapping {
    const struct emailproxy_file *file;
    const struct emailproxy_choice *choice;
    struct draft *draft;
    struct mapping_server *servers; /* has room for all of the file */
    size_t server_count;
    bool lacks_servers[PROTOCOL_COUNT]; /* one was left out, and whose it is nobody knows */
    struct mapping_upstream *upstreams;
    size_t upstream_count;
    bool is_served_elsewhere; /* an account of the file is one of `choice->beside` already */
    struct mapping_left_out *left_out;
    size_t left_out_count;
};

/* ---- emailproxy_map.c ---- */

/* Sets an option to a text; what is wrong with it becomes a problem of the line. */
void mapping_put(struct mapping *mapping, struct draft_section *section, const char *key,
                 const char *text, int line);
/* The same with the value and line of a pair; NULL puts nothing. */
void mapping_put_pair(struct mapping *mapping, struct draft_section *section, const char *key,
                      const struct emailproxy_pair *pair);
/* What is no word for a boolean becomes a problem of the line. */
bool mapping_flag(const struct mapping *mapping, const struct emailproxy_section *section,
                  const char *key, bool initial);

/* ---- emailproxy_trial.c ---- */

/* Maps the section alone, for trial. False: our checks refuse what comes of it, and it is not to be
 * mapped. */
bool mapping_try(struct mapping *mapping, const struct emailproxy_section *section,
                 void (*map)(struct mapping *mapping, const struct emailproxy_section *section));
/* When all are mapped: why those sections were left out, or that they cannot be. */
void mapping_finish(struct mapping *mapping);

/* ---- emailproxy_choice.c ---- */

bool mapping_is_same_place(const struct mapping_server *a, const struct mapping_server *b);
/* Of each protocol the server of the account, by `token_url`. False after it was said that it has
 * none. */
bool mapping_choose_servers(struct mapping *mapping, const struct emailproxy_section *section,
                            struct mapping_upstream *upstream);

/* ---- emailproxy_account.c ---- */

/* After all servers. */
void mapping_account(struct mapping *mapping, const struct emailproxy_section *section);

#endif
