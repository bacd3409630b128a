/*
 * SRV records (RFC 2782) of mail services (RFC 6186, RFC 8314), and the mail exchanger of a domain
 * (RFC 5321 section 5.1), which tells at whose house it is: the answer of a name server, which is
 * hostile input, and what it comes to. DNS is nobody's word: what is found here is shown to the
 * user before it is used.
 */
#ifndef ECLUSE_CONF_SERVICE_RECORD_H
#define ECLUSE_CONF_SERVICE_RECORD_H

#include "conf/mail_service.h"

#define SERVICE_RECORD_TYPE 33 /* RFC 2782 */
#define MAIL_EXCHANGER_TYPE 15 /* RFC 1035 section 3.3.9 */

enum service_record_kind {
    SERVICE_IMAPS,
    SERVICE_IMAP,
    SERVICE_POP3S,
    SERVICE_POP3,
    SERVICE_SUBMISSIONS,
    SERVICE_SUBMISSION,
    SERVICE_RECORD_KINDS
};

#define SERVICE_NAME_MAX 300
/* "_imaps._tcp.DOMAIN". ENSURE: the domain is a host name. */
void service_record_name(enum service_record_kind kind, const char *domain,
                         char name_out[SERVICE_NAME_MAX]);

/* Takes the best record of an answer (the whole message, RFC 1035 section 4) for the protocol of
 * its kind, unless there is a server already: kinds are given in their order, TLS from the first
 * octet comes first (RFC 8314). The best has the lowest priority, then the highest weight. Nothing
 * is taken when the service is said not to be there ("."). ERR_SYNTAX: the answer is none, and
 * nothing was taken. */
MUST_CHECK int service_record_take(struct slice answer, enum service_record_kind kind,
                                   struct mail_service *service);

#define MAIL_EXCHANGER_MAX 256
/* The name of the exchanger that is tried first, "" when there is none. ERR_SYNTAX: the answer is
 * none. */
MUST_CHECK int mail_exchanger_read(struct slice answer, char name_out[MAIL_EXCHANGER_MAX]);

#endif
