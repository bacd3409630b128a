/*
 * Happy path: the provider gives a code for the user and one for us; the token endpoint is asked
 * with ours, every few seconds, until the user has typed in the other.
 *
 * Failures:
 *   slow_down                    five seconds more between the questions from there on
 *   5xx                          passes: asked again
 *   no answer                    the same, after a pause that doubles
 *   denied, refused              ends it
 *   expired                      ends it, whether the provider says so or the code's time is over
 */
#include <sysexits.h>

#include "base/clock.h"
#include "keeper/endpoint.h"
#include "keeper/sign_in_parts.h"

static void on_poll(uv_timer_t *timer);

/* Never early: the loop's time is that of the turn's beginning. */
static void poll_later(struct sign_in *sign_in, enum oauth_poll poll)
{
    int64_t pause = oauth_device_pause(&sign_in->device, poll);
    uv_update_time(sign_in->poll.loop);
    ENSURE(uv_timer_start(&sign_in->poll, on_poll, (uint64_t)pause * 1000, 0) == 0);
    log_debug(sign_in->all->parts.log, "%s: its code is asked about in %lld s", sign_in->account,
              (long long)pause);
}

static void take_answer(struct sign_in *sign_in, struct oauth_answer *answer, struct slice body)
{
    enum oauth_poll poll = oauth_poll_of(answer);
    switch (poll) {
    case OAUTH_POLL_GRANTED:
        sign_in_take_token(sign_in, answer, body);
        return;
    case OAUTH_POLL_SLOWER:
    case OAUTH_POLL_WAIT:
    case OAUTH_POLL_UNANSWERED:
        poll_later(sign_in, poll);
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
        poll_later(sign_in, OAUTH_POLL_UNANSWERED);
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
        if (sign_in->device.expires_in > SIGN_IN_SECONDS)
            sign_in->device.expires_in = SIGN_IN_SECONDS;
        sign_in->code_ends = clock_steady_milliseconds() + sign_in->device.expires_in * 1000;
        sign_in_offer(sign_in);
        poll_later(sign_in, OAUTH_POLL_WAIT);
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
