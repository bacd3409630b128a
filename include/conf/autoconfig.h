/*
 * The autoconfig document of a mail domain, as Thunderbird and others read it (config-v1.1.xml):
 * where it is, and what of it is of use here. Whoever wrote it is believed for nothing but the
 * proposal that it is: a server without TLS is not taken, a name that is none neither.
 */
#ifndef ECLUSE_CONF_AUTOCONFIG_H
#define ECLUSE_CONF_AUTOCONFIG_H

#include "conf/mail_service.h"

#define AUTOCONFIG_DOCUMENT_MAX (64u * 1024)

enum autoconfig_place {
    AUTOCONFIG_OF_HOST,    /* https://autoconfig.DOMAIN/mail/config-v1.1.xml?emailaddress=ADDRESS */
    AUTOCONFIG_WELL_KNOWN, /* https://DOMAIN/.well-known/autoconfig/mail/config-v1.1.xml */
    AUTOCONFIG_PLACES
};

/* The URL for an address, whose domain is a host name (ENSURE). `port` 0 is that of https. For
 * mem_free. */
char *autoconfig_url(const char *address, enum autoconfig_place place, uint16_t port);

/* Of each protocol the best server: one that takes tokens before one that takes passwords alone,
 * TLS from the first octet before STARTTLS, then in the order of the document. ERR_SYNTAX: no such
 * document, or more than one may hold; ERR_NOT_FOUND: it names no server that can be used. Then
 * *service_out is all zero, and the text says which in printable characters. It is for
 * mail_service_clear. */
MUST_CHECK int autoconfig_read(struct slice document, const char *address,
                               struct mail_service *service_out, struct err *err);

#endif
