/*
 * The address forms of the configuration: endpoints of providers, URLs of authorization servers,
 * addresses to listen on, networks that may connect. Only text is read here; no name is resolved.
 * A failure is ERR_SYNTAX with what would be right, and leaves the output untouched.
 */
#ifndef ECLUSE_CONF_ADDRESS_H
#define ECLUSE_CONF_ADDRESS_H

#include "conf/config.h"

/* "tls://HOST[:PORT]" or "starttls://HOST[:PORT]"; without a port that of the protocol: 993 995
 * 465, 143 110 587. Freed by mem_free(endpoint_out->host). */
MUST_CHECK int endpoint_parse(const char *text, enum protocol protocol,
                              struct endpoint *endpoint_out, struct err *err);

/* An https URL with a host, without user info and fragment (RFC 3986); "{tenant}" may stand in its
 * path. An issuer has no query either (RFC 8414 section 2). */
MUST_CHECK int https_url_check(const char *url, bool query_allowed, struct err *err);

/* The strings of *address_out are for listen_address_fini. */
MUST_CHECK int listen_address_parse(const char *text, const char *home,
                                    struct listen_address *address_out, struct err *err);
void listen_address_fini(struct listen_address *address);
/* True of 127.0.0.0/8, ::1 and unix sockets: nobody on another machine reaches it. */
bool listen_address_is_local(const struct listen_address *address);
/* True when the second cannot be opened while the first is: equal, or one is the "any" of its
 * family. */
bool listen_address_collides(const struct listen_address *a, const struct listen_address *b);

/* "192.168.1.20", "172.17.0.0/16", "fd00::/8". Bits behind the prefix must be zero. */
MUST_CHECK int network_parse(const char *text, struct network *network_out, struct err *err);

/* A DNS name: labels of letters, digits, '-' and '_', 253 octets, the last label not all digits. */
bool host_name_is_valid(const char *name);
/* ASCII letters, in place. */
void text_to_lower(char *text);

#endif
