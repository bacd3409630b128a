/*
 * Happy path: the provider gives a code for the user and one for us; the token endpoint is asked
 * with ours, every few seconds, until the user has typed in the other.
 *
 * Failures:
 *   slow_down                    five seconds more between the questions from there on
 *   no answer, 5xx               passes: asked again
 *   denied, expired, refused     ends it
 */
#include <sysexits.h>

#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"

#define SLOWER_SECONDS 5

static void on_poll(uv_timer_t *timer);

/* Never early: the loop's time is that of the turn's beginning. */
static void poll_later(struct sign_in *sign_in)
{
    uv_update_time(sign_in->poll.loop);
    ENSURE(uv_timer_start(&sign_in->poll, on_poll, (uint64_t)sign_in->device.interval * 1000, 0) ==
           0);
}

static void take_answer(struct sign_in *sign_in, struct oauth_answer *answer, struct slice body)
{
    switch (oauth_poll_of(answer)) {
    case OAUTH_POLL_GRANTED:
        sign_in_take_token(sign_in, answer, body);
        return;
    case OAUTH_POLL_SLOWER:
        sign_in->device.interval += SLOWER_SECONDS;
        poll_later(sign_in);
        return;
    case OAUTH_POLL_WAIT:
        poll_later(sign_in);
        return;
    case OAUTH_POLL_EXPIRED:
        sign_in_end(sign_in, EX_TEMPFAIL, "the code has expired; try again");
        return;
    case OAUTH_POLL_FAILED:
        sign_in_end_refused(sign_in, EX_NOPERM, "the provider says no", answer);
        return;
    }
}

static void on_poll_answer(void *owner, const struct fetch_answer *fetched)
{
    struct sign_in *sign_in = owner;
    struct oauth_answer answer;
    sign_in->fetch = NULL;
    if (fetched->status == 0) {
        poll_later(sign_in);
        return;
    }
    oauth_read_answer(fetched->status, fetched->body, &answer);
    take_answer(sign_in, &answer, fetched->body);
    oauth_answer_clear(&answer);
}

static void on_poll(uv_timer_t *timer)
{
    struct sign_in *sign_in = CONTAINER_OF(timer, struct sign_in, poll);
    const struct account_config *account = sign_in_account(sign_in);
    struct err err;
    if (account == NULL)
        return;
    const struct oauth_field field = {"device_code", secret_bytes(&sign_in->device.device_code)};
    const struct sign_in_request request = {
        .endpoint = OAUTH_TOKEN_ENDPOINT,
        .grant_type = OAUTH_DEVICE_GRANT,
        .fields = &field,
        .count = 1,
        .scope = "",
    };
    if (sign_in_post(sign_in, account, &request, on_poll_answer, &err) != 0)
        sign_in_end(sign_in, EX_CONFIG, "%s", err.text);
}

static void on_device_answer(void *owner, const struct fetch_answer *fetched)
{
    struct sign_in *sign_in = owner;
    struct oauth_answer answer;
    sign_in->fetch = NULL;
    if (fetched->status == 200 && oauth_read_device(fetched->body, &sign_in->device) == 0) {
        sign_in_offer(sign_in);
        poll_later(sign_in);
        return;
    }
    if (fetched->status == 0) {
        sign_in_end(sign_in, EX_TEMPFAIL, "the device endpoint cannot be reached: %s",
                    fetched->text);
        return;
    }
    oauth_read_answer(fetched->status, fetched->body, &answer);
    if (answer.outcome == OAUTH_GRANTED) /* a token is no code */
        sign_in_end(sign_in, EX_NOPERM, "the device endpoint gives no code: HTTP 200");
    else
        sign_in_end_refused(sign_in, answer.outcome == OAUTH_TRY_LATER ? EX_TEMPFAIL : EX_NOPERM,
                            "the device endpoint gives no code", &answer);
    oauth_answer_clear(&answer);
}

int sign_in_begin_device(struct sign_in *sign_in, const struct account_config *account,
                         struct err *err)
{
    const struct sign_in_request request = {
        .endpoint = OAUTH_DEVICE_ENDPOINT,
        .scope = sign_in->scope,
    };
    if (sign_in->endpoints[OAUTH_DEVICE_ENDPOINT] == NULL ||
        sign_in->endpoints[OAUTH_TOKEN_ENDPOINT] == NULL)
        return err_set(err, ERR_CONFIG,
                       "provider %s has no device_authorization_endpoint; sign in by the browser, "
                       "or with --paste",
                       account->provider);
    return sign_in_post(sign_in, account, &request, on_device_answer, err);
}
