/*
 * The answer of a token endpoint: two octets for the status, then the body. The body is also taken
 * for a URL, and for every part of a request.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/oauth.h"
#include "auth/oauth_reason.h"

static void check_text(const char *text, size_t maximum)
{
    ENSURE(strlen(text) <= maximum && credential_is_printable(slice_of_string(text)));
}

/* Of a refusal, what is known about it. */
static void look_for_reason(const struct oauth_answer *answer)
{
    const struct oauth_reason *reason = oauth_reason_find(answer);
    ENSURE(reason == NULL || (reason->text[0] != '\0' && reason->advice != NULL));
}

static void read_answer(int status, struct slice body)
{
    struct oauth_answer answer;
    oauth_read_answer(status, body, &answer);
    bool is_granted = answer.outcome == OAUTH_GRANTED;
    ENSURE(is_granted == secret_is_set(&answer.access_token));
    ENSURE(is_granted == (answer.error == NULL));
    /* A new refresh token is never lost with an answer that is of no use otherwise. */
    ENSURE(status == 200 || !secret_is_set(&answer.refresh_token));
    ENSURE(answer.refresh_token.size <= OAUTH_TOKEN_MAX);
    ENSURE(credential_is_printable(secret_bytes(&answer.refresh_token)));
    if (is_granted) {
        ENSURE(status == 200 && body.size <= OAUTH_ANSWER_MAX);
        ENSURE(credential_token_is_valid(secret_bytes(&answer.access_token)));
        ENSURE(answer.expires_in >= 1 && answer.expires_in <= 31536000);
    } else {
        check_text(answer.error, 64);
        check_text(answer.description == NULL ? "" : answer.description, 300);
        look_for_reason(&answer);
    }
    ENSURE(answer.outcome != OAUTH_SIGNED_OUT ||
           (status >= 400 && status < 500 && strcmp(answer.error, "invalid_grant") == 0));
    oauth_answer_clear(&answer);
}

static void write_request(const char *text, enum oauth_client_authentication authentication)
{
    struct secret token = {0}, body = {0}, authorization = {0};
    secret_set(&token, slice_of_string(text));
    struct oauth_client client = {text, &token, authentication, NULL};
    if (oauth_refresh_request(&client, &token, text, &body, &authorization) == 0) {
        struct slice rest = secret_bytes(&body), field;
        size_t fields = 0;
        while (slice_next_word(&rest, '&', &field))
            fields++;
        size_t expected = authentication == OAUTH_CLIENT_POST    ? 5
                          : authentication == OAUTH_CLIENT_BASIC ? 3
                                                                 : 4;
        ENSURE(fields == expected && credential_is_printable(secret_bytes(&body)));
        ENSURE(credential_is_printable(secret_bytes(&authorization)));
    }
    secret_wipe(&token);
    secret_wipe(&body);
    secret_wipe(&authorization);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice body = slice_of(data + 2, size - 2);
    char *text = mem_copy_bytes_as_string(body.data, body.size);
    read_answer((data[0] << 8 | data[1]) % 600, body);
    if (oauth_check_url(text) == 0)
        ENSURE(slice_starts_with_ignoring_case(slice_of_string(text), "https://"));
    if (text[0] != '\0')
        write_request(text, (enum oauth_client_authentication)(data[1] % 3));
    mem_free(text);
    return 0;
}
