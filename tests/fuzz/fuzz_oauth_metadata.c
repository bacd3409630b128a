/*
 * An issuer and its document: the first line is the issuer that was asked for, the rest what it
 * says of itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth.h"
#include "auth/oauth_metadata.h"

static void check_words(const char *words)
{
    ENSURE(words != NULL && credential_is_printable(slice_of_string(words)));
}

static void check_document(struct slice body, const char *issuer)
{
    struct oauth_metadata metadata;
    struct err err = {0};
    int status = oauth_metadata_read(body, issuer, &metadata, &err);
    ENSURE(status == 0 || status == ERR_SYNTAX || status == ERR_DENIED);
    ENSURE(credential_is_printable(slice_of_string(err.text)));
    for (size_t i = 0; i < OAUTH_ENDPOINTS; i++)
        ENSURE(metadata.endpoints[i] == NULL ||
               (status == 0 && oauth_check_url(metadata.endpoints[i]) == 0));
    if (status == 0) {
        check_words(metadata.grant_types);
        check_words(metadata.code_challenge_methods);
        check_words(metadata.scopes);
    }
    oauth_metadata_clear(&metadata);
}

static void check_url(const char *issuer, enum oauth_metadata_form form)
{
    char *url = oauth_metadata_url(issuer, form);
    ENSURE(strlen(url) <= strlen(issuer) + strlen("/.well-known/oauth-authorization-server"));
    if (oauth_check_url(issuer) == 0 && strchr(issuer, '?') == NULL && strlen(issuer) < 1024)
        ENSURE(oauth_check_url(url) == 0);
    mem_free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    size_t end = slice_find(rest, '\n');
    char *issuer = mem_copy_bytes_as_string(data, end);
    check_document(slice_skip(rest, end + 1), issuer);
    check_url(issuer, OAUTH_METADATA_8414);
    check_url(issuer, OAUTH_METADATA_OPENID);
    mem_free(issuer);
    return 0;
}
