#include "certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

#define DAY (24 * 60 * 60)

static void set_name(X509_NAME *name, const char *common_name)
{
    ENSURE(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1);
}

static void add_extension(X509 *x509, X509V3_CTX *context, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);
    ENSURE(extension != NULL);
    ENSURE(X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_extensions(X509 *x509, X509 *issuer, const struct certificate_wish *wish)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    add_extension(x509, &context, NID_basic_constraints,
                  wish->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(x509, &context, NID_subject_key_identifier, "hash");
    if (wish->is_authority)
        add_extension(x509, &context, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (wish->names != NULL)
        add_extension(x509, &context, NID_subject_alt_name, wish->names);
}

struct certificate *certificate_new(const struct certificate_wish *wish,
                                    const struct certificate *issuer)
{
    struct certificate *made = mem_new(sizeof(*made));
    made->key = EVP_EC_gen("P-256");
    made->x509 = X509_new();
    ENSURE(made->key != NULL && made->x509 != NULL);
    uint64_t serial;
    ENSURE(RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1);
    X509 *x509 = made->x509;
    bool is_usual = wish->starts == 0 && wish->ends == 0;
    ENSURE(X509_set_version(x509, 2) == 1);
    ENSURE(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1) == 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), is_usual ? -DAY : wish->starts);
    X509_gmtime_adj(X509_getm_notAfter(x509), is_usual ? DAY : wish->ends);
    set_name(X509_get_subject_name(x509), wish->common_name);
    X509 *signer = issuer == NULL ? x509 : issuer->x509;
    ENSURE(X509_set_issuer_name(x509, X509_get_subject_name(signer)) == 1);
    ENSURE(X509_set_pubkey(x509, made->key) == 1);
    add_extensions(x509, signer, wish);
    ENSURE(X509_sign(x509, issuer == NULL ? made->key : issuer->key, EVP_sha256()) > 0);
    return made;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate == NULL)
        return;
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->x509);
    mem_free(certificate);
}

char *certificate_text(const struct certificate *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ENSURE(bio != NULL && PEM_write_bio_X509(bio, certificate->x509) == 1);
    char *bytes;
    long size = BIO_get_mem_data(bio, &bytes);
    char *text = mem_copy_bytes_as_string(bytes, (size_t)size);
    BIO_free(bio);
    return text;
}
