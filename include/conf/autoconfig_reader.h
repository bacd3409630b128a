/*
 * The grammar of an autoconfig document: XML by expat, without a document type and so without
 * entities of its own, in bounded depth. Knows the elements, and not what they are worth.
 */
#ifndef ECLUSE_CONF_AUTOCONFIG_READER_H
#define ECLUSE_CONF_AUTOCONFIG_READER_H

#include "base/buf.h"
#include "base/terms.h"

#define AUTOCONFIG_DEPTH_MAX 16
/* Of the text of one element. */
#define AUTOCONFIG_TEXT_MAX 2048u

enum autoconfig_field {
    AUTOCONFIG_HOSTNAME,
    AUTOCONFIG_PORT,
    AUTOCONFIG_SOCKET_TYPE,
    AUTOCONFIG_USERNAME,
    AUTOCONFIG_AUTHENTICATION, /* several: all of them, each with a blank behind it */
    AUTOCONFIG_SERVER_FIELDS,
    AUTOCONFIG_ISSUER = AUTOCONFIG_SERVER_FIELDS, /* of <oAuth2> */
    AUTOCONFIG_SCOPE,
    AUTOCONFIG_AUTHORIZATION_URL,
    AUTOCONFIG_TOKEN_URL,
    AUTOCONFIG_CLIENT_ID,
    AUTOCONFIG_FIELDS
};

/* One <incomingServer>, <outgoingServer> or <oAuth2>, whole. A field that is not there is empty;
 * of one that stands there twice the first counts. */
struct autoconfig_element {
    bool is_server;
    enum protocol protocol; /* of a server */
    struct buf fields[AUTOCONFIG_FIELDS];
};

/* Calls `on_element` for each in the order of the document; servers of other protocols are left
 * out. ERR_SYNTAX, with a printable text: it is no such document, or has a document type, more
 * depth or longer texts than allowed. What was called before then is void. */
MUST_CHECK int autoconfig_reader_run(struct slice document,
                                     void (*on_element)(void *owner,
                                                        const struct autoconfig_element *element),
                                     void *owner, struct err *err);

#endif
