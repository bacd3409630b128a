/*
 * Failure modes: an answer that lacks a field, or has one of a wrong type or with characters that
 * must not cross, is none. "verification_url" and the error words that are no RFC's are those of
 * providers in use.
 */
#include "auth/oauth_device.h"

#include <string.h>

#include "auth/credential.h"
#include "auth/oauth_json.h"

#define USER_CODE_MAX    64u
#define EXPIRES_DEFAULT  600
#define EXPIRES_MAX      1800
#define INTERVAL_DEFAULT 5
#define INTERVAL_MAX     60
#define SLOWER_SECONDS   5
#define PAUSE_MAX        60

static int64_t read_seconds(const json_t *root, const char *key, int64_t initial, int64_t maximum)
{
    const json_t *value = json_object_get(root, key);
    double seconds = json_is_number(value) ? json_number_value(value) : (double)initial;
    if (seconds < 1)
        seconds = 1;
    return seconds > (double)maximum ? maximum : (int64_t)seconds;
}

/* NULL when it is no https URL. */
static char *copy_url(struct slice text)
{
    char *url = mem_copy_bytes_as_string(text.data, text.size);
    if (slice_find(text, 0) == text.size && oauth_check_url(url) == 0)
        return url;
    mem_free(url);
    return NULL;
}

static bool is_sound(struct slice text, size_t maximum)
{
    return text.size > 0 && text.size <= maximum && credential_is_printable(text);
}

static bool take(const json_t *root, struct oauth_device *device)
{
    struct slice code, user_code, uri, url, complete;
    if (!oauth_json_string(root, "device_code", &code) ||
        !oauth_json_string(root, "user_code", &user_code) ||
        !oauth_json_string(root, "verification_uri", &uri) ||
        !oauth_json_string(root, "verification_url", &url) ||
        !oauth_json_string(root, "verification_uri_complete", &complete) ||
        !is_sound(code, OAUTH_TOKEN_MAX) || !is_sound(user_code, USER_CODE_MAX))
        return false;
    secret_set(&device->device_code, code);
    device->user_code = mem_copy_bytes_as_string(user_code.data, user_code.size);
    device->verification_uri = copy_url(uri.size > 0 ? uri : url);
    device->complete_uri = copy_url(complete);
    device->expires_in = read_seconds(root, "expires_in", EXPIRES_DEFAULT, EXPIRES_MAX);
    device->interval = read_seconds(root, "interval", INTERVAL_DEFAULT, INTERVAL_MAX);
    return device->verification_uri != NULL;
}

int oauth_read_device(struct slice body, struct oauth_device *device_out)
{
    *device_out = (struct oauth_device){0};
    json_t *root = oauth_json_read(body);
    bool is_taken = root != NULL && take(root, device_out);
    json_decref(root);
    if (is_taken)
        return 0;
    oauth_device_clear(device_out);
    return ERR_SYNTAX;
}

void oauth_device_clear(struct oauth_device *device)
{
    secret_wipe(&device->device_code);
    mem_free(device->user_code);
    mem_free(device->verification_uri);
    mem_free(device->complete_uri);
    *device = (struct oauth_device){0};
}

enum oauth_poll oauth_poll_of(const struct oauth_answer *answer)
{
    static const struct {
        const char *error;
        enum oauth_poll poll;
    } words[] = {
        {"authorization_pending", OAUTH_POLL_WAIT},  {"slow_down", OAUTH_POLL_SLOWER},
        {"access_denied", OAUTH_POLL_FAILED},        {"authorization_declined", OAUTH_POLL_FAILED},
        {"expired_token", OAUTH_POLL_EXPIRED},       {"code_expired", OAUTH_POLL_EXPIRED},
        {"bad_verification_code", OAUTH_POLL_FAILED}};
    if (answer->outcome == OAUTH_GRANTED)
        return OAUTH_POLL_GRANTED;
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (strcmp(answer->error, words[i].error) == 0)
            return words[i].poll;
    return answer->outcome == OAUTH_TRY_LATER ? OAUTH_POLL_WAIT : OAUTH_POLL_FAILED;
}

int64_t oauth_device_pause(struct oauth_device *device, enum oauth_poll poll)
{
    if (poll == OAUTH_POLL_SLOWER)
        device->interval += SLOWER_SECONDS;
    device->unanswered = poll == OAUTH_POLL_UNANSWERED ? device->unanswered + 1 : 0;
    int64_t pause = device->interval;
    for (unsigned i = 0; i < device->unanswered && pause < PAUSE_MAX; i++)
        pause *= 2;
    if (pause > PAUSE_MAX)
        pause = PAUSE_MAX;
    return pause > device->interval ? pause : device->interval;
}
