/*
 * What comes back from a sign-in: the redirect's query, a device authorization answer, the id_token
 * of a token answer, a userinfo answer.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth_authorize.h"
#include "auth/oauth_device.h"
#include "auth/oauth_identity.h"

static void check_text(const char *text)
{
    ENSURE(text == NULL || credential_is_printable(slice_of_string(text)));
}

static void read_redirect(struct slice query)
{
    struct oauth_redirect redirect;
    if (oauth_read_redirect(query, &redirect) != 0) {
        ENSURE(!secret_is_set(&redirect.code) && redirect.state == NULL);
        return;
    }
    ENSURE(query.size <= OAUTH_REDIRECT_MAX);
    ENSURE(secret_is_set(&redirect.code) == (redirect.error == NULL));
    ENSURE(credential_is_printable(secret_bytes(&redirect.code)));
    check_text(redirect.state);
    check_text(redirect.issuer);
    check_text(redirect.error);
    check_text(redirect.description);
    oauth_redirect_clear(&redirect);
}

static void read_device(struct slice body)
{
    struct oauth_device device;
    if (oauth_read_device(body, &device) != 0)
        return;
    ENSURE(device.device_code.size > 0 && oauth_check_url(device.verification_uri) == 0);
    ENSURE(device.complete_uri == NULL || oauth_check_url(device.complete_uri) == 0);
    ENSURE(device.interval >= 1 && device.interval <= 60);
    ENSURE(device.expires_in >= 1 && device.expires_in <= 1800);
    check_text(device.user_code);
    oauth_device_clear(&device);
}

static void check_identity(enum oauth_identity identity, const char *who)
{
    ENSURE(identity != OAUTH_IDENTITY_OTHER || who[0] != '\0');
    check_text(who);
}

static void identify(struct slice body)
{
    const struct oauth_identity_question question = {
        "client", "https://i.test", {"alice@a.test", "team@a.test"}};
    char who[OAUTH_IDENTITY_TEXT], *subject;
    check_identity(oauth_identify(body, &question, who, &subject), who);
    mem_free(subject);
    check_identity(oauth_identify_userinfo(body, "s-1", &question, who), who);
    check_identity(oauth_identify_userinfo(body, NULL, &question, who), who);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    read_redirect(text);
    read_device(text);
    identify(text);
    return 0;
}
