/*
 * Failures: what cannot be read stays empty. Names are the server's words: printable, and cut.
 */
#include "net/tls_presented.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAMES_SHOWN 5

/* Seconds since 1970; 0: unreadable. */
static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return 0;
    return (int64_t)timegm(&parts);
}

static void add_name(struct tls_presented *presented, const GENERAL_NAME *name)
{
    char text[TLS_NAMES_CAPACITY];
    size_t used = strlen(presented->names);
    const ASN1_STRING *string = NULL;
    if (name->type == GEN_DNS)
        string = name->d.dNSName;
    if (string == NULL)
        return;
    slice_escape(slice_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)), text,
                 sizeof(text));
    snprintf(presented->names + used, sizeof(presented->names) - used, "%s%s",
             used == 0 ? "" : ", ", text);
}

static void note_names(struct tls_presented *presented, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    presented->names[0] = '\0';
    for (int i = 0; i < count && i < NAMES_SHOWN; i++)
        add_name(presented, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
}

void tls_presented_note(struct tls_presented *presented, X509 *certificate)
{
    if (certificate == NULL)
        return;
    presented->not_before = seconds_of(X509_get0_notBefore(certificate));
    presented->not_after = seconds_of(X509_get0_notAfter(certificate));
    note_names(presented, certificate);
}
