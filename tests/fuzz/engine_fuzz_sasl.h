/*
 * SASL mechanisms like those of the gate, whose messages hold a token that is easily found.
 */
#ifndef ECLUSE_TESTS_ENGINE_FUZZ_SASL_H
#define ECLUSE_TESTS_ENGINE_FUZZ_SASL_H

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/slice.h"

#define LONG_TOKEN 16384u

struct mock {
    bool has_password, is_long_token;
    enum { MOCK_NOT_STARTED, MOCK_UNDER_WAY, MOCK_COMPLETE } state;
    unsigned steps;
    char mechanism[32];
    char token[LONG_TOKEN + 100];
};

static bool is_mechanism(const struct mock *mock, const char *name)
{
    return strcmp(mock->mechanism, name) == 0;
}

static int mock_start(void *owner, const char *mechanism, struct slice *response_out)
{
    struct mock *mock = owner;
    snprintf(mock->mechanism, sizeof(mock->mechanism), "%s", mechanism);
    bool takes_token = is_mechanism(mock, "XOAUTH2") || is_mechanism(mock, "OAUTHBEARER");
    bool takes_password = is_mechanism(mock, "PLAIN") || is_mechanism(mock, "LOGIN") ||
                          is_mechanism(mock, "SCRAM-SHA-256");
    if (mock->has_password ? !takes_password : !takes_token)
        return ERR_NOT_FOUND;
    size_t size = (size_t)snprintf(mock->token, sizeof(mock->token), "user=a\1%s t0Ken", mechanism);
    while (mock->is_long_token && size < LONG_TOKEN)
        mock->token[size++] = 'k';
    mock->steps = 0;
    mock->state = takes_token || is_mechanism(mock, "PLAIN") ? MOCK_COMPLETE : MOCK_UNDER_WAY;
    *response_out = slice_of(mock->token, size);
    if (is_mechanism(mock, "LOGIN"))
        *response_out = SLICE_NONE;
    if (is_mechanism(mock, "SCRAM-SHA-256"))
        *response_out = SLICE_LITERAL("n,,n=a,r=n0nce");
    return 0;
}

static int mock_step(void *owner, struct slice challenge, struct slice *response_out)
{
    struct mock *mock = owner;
    unsigned last = mock->state == MOCK_UNDER_WAY ? 1 : 0;
    *response_out = SLICE_LITERAL("\1");
    /* What is answered to a proof depends on it. */
    if (is_mechanism(mock, "SCRAM-SHA-256") && mock->steps == 1 &&
        !slice_starts_with(challenge, "v="))
        return ERR_DENIED;
    if (is_mechanism(mock, "LOGIN") && mock->steps == 1)
        *response_out = slice_of_string("t0Ken");
    if (mock->steps > last)
        return ERR_SYNTAX;
    if (mock->steps++ == last)
        mock->state = MOCK_COMPLETE;
    return 0;
}

static bool mock_is_complete(void *owner)
{
    const struct mock *mock = owner;
    return mock->state == MOCK_COMPLETE;
}

#endif
