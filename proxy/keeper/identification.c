/*
 * Happy path: userinfo names one of those whom the account expects.
 *
 * Failures:
 *   another name, another subject             told, and no server is tried
 *   another name, and delegates = yes         tried at the mail servers
 *   no endpoint, no answer, no name in it     tried at the mail servers, whose word it is then
 *
 * A reload may end the configuration under it: what is needed of that is copied at the start.
 */
#include "keeper/identification.h"

#include <stdio.h>

#include "keeper/endpoint.h"
#include "keeper/trial.h"

struct identification {
    struct identification_parts parts;
    char *account; /* its name, for the log */
    char *expected[2];
    char *subject;
    char *stranger; /* who is named; NULL: nobody */
    bool has_delegates;
    struct secret trial_request;
    struct fetch *fetch;
    struct trial *trial;
    void (*on_done)(void *owner, enum identification_verdict verdict, const char *text);
    void *owner;
};

static void identification_free(struct identification *identification)
{
    mem_free(identification->account);
    mem_free(identification->expected[0]);
    mem_free(identification->expected[1]);
    mem_free(identification->subject);
    mem_free(identification->stranger);
    secret_wipe(&identification->trial_request);
    mem_free(identification);
}

void identification_cancel(struct identification *identification)
{
    if (identification->fetch != NULL)
        fetch_cancel(identification->fetch);
    if (identification->trial != NULL)
        trial_cancel(identification->trial);
    identification_free(identification);
}

/* The owner may do what it likes from within; the identification is off its hands already. */
static void end(struct identification *identification, enum identification_verdict verdict,
                const char *text)
{
    void (*on_done)(void *, enum identification_verdict, const char *) = identification->on_done;
    void *owner = identification->owner;
    identification_free(identification);
    on_done(owner, verdict, text);
}

/* ---- by what it opens ---- */

static void on_tried(void *owner, const struct trial_answer *answer)
{
    static const enum identification_verdict verdicts[] = {
        [TRIAL_YES] = IDENTIFICATION_OWN,
        [TRIAL_NO] = IDENTIFICATION_SHUT,
        [TRIAL_UNKNOWN] = IDENTIFICATION_UNKNOWN,
    };
    static const enum identification_verdict of_strangers[] = {
        [TRIAL_YES] = IDENTIFICATION_OWN,
        [TRIAL_NO] = IDENTIFICATION_OTHER_SHUT,
        [TRIAL_UNKNOWN] = IDENTIFICATION_OTHER_UNKNOWN,
    };
    struct identification *identification = owner;
    char text[OAUTH_IDENTITY_TEXT + TRIAL_TEXT_MAX + sizeof(" ()")];
    identification->trial = NULL;
    if (identification->stranger == NULL) {
        end(identification, verdicts[answer->verdict], answer->text);
        return;
    }
    snprintf(text, sizeof(text), "%s (%s)", identification->stranger, answer->text);
    end(identification, of_strangers[answer->verdict], text);
}

static void try_token(struct identification *identification)
{
    log_info(identification->parts.log, "%s: %s; the token is tried", identification->account,
             identification->stranger == NULL ? "nobody tells who has signed in"
                                              : "somebody else has signed in");
    identification->trial = trial_start(identification->parts.loop, &identification->trial_request,
                                        on_tried, identification);
}

/* ---- by userinfo ---- */

static void on_userinfo(void *owner, const struct fetch_answer *answer)
{
    struct identification *identification = owner;
    const struct oauth_identity_question question = {
        .expected = {identification->expected[0], identification->expected[1]}};
    char who[OAUTH_IDENTITY_TEXT] = "";
    enum oauth_identity identity = OAUTH_IDENTITY_UNKNOWN;
    identification->fetch = NULL;
    if (answer->status == 200)
        identity = oauth_identify_userinfo(answer->body, identification->subject, &question, who);
    else
        log_info(identification->parts.log,
                 "%s: userinfo does not tell who has signed in: HTTP %d%s%s",
                 identification->account, answer->status, answer->status == 0 ? ", " : "",
                 answer->status == 0 ? answer->text : "");
    switch (identity) {
    case OAUTH_IDENTITY_IS:
        end(identification, IDENTIFICATION_OWN, "");
        return;
    case OAUTH_IDENTITY_OTHER:
        if (!identification->has_delegates) {
            end(identification, IDENTIFICATION_OTHER, who);
            return;
        }
        identification->stranger = mem_copy_string(who);
        try_token(identification);
        return;
    case OAUTH_IDENTITY_UNSOUND:
        end(identification, IDENTIFICATION_UNSOUND, "");
        return;
    case OAUTH_IDENTITY_UNKNOWN:
        try_token(identification);
        return;
    }
}

static void ask_userinfo(struct identification *identification,
                         const struct identification_question *question)
{
    struct secret authorization = {0};
    oauth_bearer(question->token, &authorization);
    const struct fetch_request request = {
        .url = question->userinfo_endpoint,
        .ca_file = endpoint_ca_file(question->config, question->account),
        .authorization = &authorization,
    };
    identification->fetch =
        fetch_start(identification->parts.fetcher, &request, on_userinfo, identification);
    secret_wipe(&authorization);
}

struct identification *identification_start(
    const struct identification_parts *parts, const struct identification_question *question,
    void (*on_done)(void *owner, enum identification_verdict verdict, const char *text),
    void *owner)
{
    struct identification *identification = mem_new(sizeof(*identification));
    const struct oauth_identity_question names =
        endpoint_identity_question(question->account, question->account->client_id);
    identification->parts = *parts;
    identification->account = mem_copy_string(question->account->name);
    for (size_t i = 0; i < LENGTH_OF(names.expected); i++)
        if (names.expected[i] != NULL)
            identification->expected[i] = mem_copy_string(names.expected[i]);
    if (question->subject != NULL)
        identification->subject = mem_copy_string(question->subject);
    if (question->stranger != NULL)
        identification->stranger = mem_copy_string(question->stranger);
    identification->has_delegates = question->account->delegates;
    /* A token is ASCII. */
    ENSURE(trial_write_request(question->config, question->account, PROTOCOL_COUNT, question->token,
                               &identification->trial_request) == 0);
    identification->on_done = on_done;
    identification->owner = owner;
    if (question->userinfo_endpoint != NULL && question->stranger == NULL)
        ask_userinfo(identification, question);
    else
        try_token(identification);
    return identification;
}
