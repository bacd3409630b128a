/*
 * Fetches from a server that behaves and misbehaves (tests/lib/https_server).
 */
#include <netdb.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/certificate.h"
#include "../lib/https_server.h"
#include "../lib/scratch_folder.h"
#include "net/fetch.h"
#include "stuck_resolver.h"

#define FETCHES_MAX 60

/* ---- the fixture ---- */

struct caller {
    struct fetch *fetch;
    int answers, status;
    int64_t retry_after;
    char body[256], text[300];
    size_t body_size;
    bool in_start;
    void (*then)(struct caller *caller);
    struct fixture *fixture;
};

struct fixture {
    struct loop loop;
    struct fetcher *fetcher;
    int closings;
    struct https_server *server;
    struct certificate *authority, *certificate;
    char *folder, *ca_file;
    struct caller callers[FETCHES_MAX];
};

static char *write_bundle(struct fixture *fixture, const char *name,
                          const struct certificate *certificate)
{
    char *path = scratch_path(fixture->folder, name);
    char *text = certificate_text(certificate);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    mem_free(text);
    return path;
}

static struct certificate *make_authority(const char *name)
{
    const struct certificate_wish wish = {.common_name = name, .is_authority = true};
    return certificate_new(&wish, NULL);
}

static void start_server(struct fixture *fixture, const struct certificate_wish *wish, bool silent,
                         int version_max)
{
    if (fixture->server != NULL)
        https_server_stop(fixture->server);
    certificate_free(fixture->certificate);
    fixture->certificate = certificate_new(wish, fixture->authority);
    fixture->server = https_server_start(fixture->certificate, silent, version_max);
}

static const struct certificate_wish good_wish = {.common_name = "server",
                                                  .names = "IP:127.0.0.1,DNS:localhost"};

static int set_up(void **state)
{
    struct fixture *fixture = mem_new(sizeof(*fixture));
    struct err err = {0};
    fixture->folder = scratch_folder_new();
    fixture->authority = make_authority("Test authority");
    fixture->ca_file = write_bundle(fixture, "ca.pem", fixture->authority);
    start_server(fixture, &good_wish, false, 0);
    assert_int_equal(loop_init(&fixture->loop, &err), 0);
    assert_int_equal(fetcher_open(&fixture->loop, &fixture->fetcher, &err), 0);
    *state = fixture;
    return 0;
}

static void on_closed(void *owner)
{
    struct fixture *fixture = owner;
    fixture->closings++;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->fetcher != NULL) {
        fetcher_close(fixture->fetcher, on_closed, fixture);
        assert_int_equal(fixture->closings, 0);
    }
    loop_run(&fixture->loop);
    assert_int_equal(fixture->closings, 1);
    loop_fini(&fixture->loop);
    https_server_stop(fixture->server);
    certificate_free(fixture->certificate);
    certificate_free(fixture->authority);
    free(fixture->ca_file);
    scratch_folder_remove(fixture->folder);
    mem_free(fixture);
    return 0;
}

static void on_answer(void *owner, const struct fetch_answer *answer)
{
    struct caller *caller = owner;
    assert_false(caller->in_start);
    caller->answers++;
    caller->fetch = NULL;
    caller->status = answer->status;
    caller->retry_after = answer->retry_after;
    caller->body_size = answer->body.size;
    snprintf(caller->body, sizeof(caller->body), "%.*s",
             SLICE_PRINT(slice_take(answer->body, 255)));
    snprintf(caller->text, sizeof(caller->text), "%s", answer->text == NULL ? "" : answer->text);
    if (caller->then != NULL)
        caller->then(caller);
}

struct wish {
    const char *host, *path, *scheme, *authorization, *ca_file;
    unsigned timeout_seconds;
    bool is_get, is_json;
};

static void start(struct fixture *fixture, size_t index, const struct wish *wish)
{
    struct caller *caller = &fixture->callers[index];
    struct secret body = {0}, authorization = {0};
    char url[200];
    *caller = (struct caller){.in_start = true, .then = caller->then, .fixture = fixture};
    snprintf(url, sizeof(url), "%s://%s:%u%s", wish->scheme == NULL ? "https" : wish->scheme,
             wish->host == NULL ? "127.0.0.1" : wish->host, https_server_port(fixture->server),
             wish->path);
    secret_set(&body, SLICE_LITERAL("grant_type=refresh_token&refresh_token=canary"));
    if (wish->authorization != NULL)
        secret_set(&authorization, slice_of_string(wish->authorization));
    const struct fetch_request request = {
        .url = url,
        .ca_file = wish->ca_file == NULL ? fixture->ca_file : wish->ca_file,
        .body = wish->is_get ? NULL : &body,
        .body_is_json = wish->is_json,
        .authorization = &authorization,
        .timeout_seconds = wish->timeout_seconds,
    };
    caller->fetch = fetch_start(fixture->fetcher, &request, on_answer, caller);
    caller->in_start = false;
    assert_non_null(caller->fetch);
    assert_true(secret_is_set(&body) == wish->is_get);
    secret_wipe(&body);
    assert_false(secret_is_set(&authorization));
}

/* A fetcher that does nothing keeps no handle active, so the loop runs until the answer. */
static struct caller *fetch(struct fixture *fixture, const struct wish *wish)
{
    start(fixture, 0, wish);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->callers[0].answers, 1);
    return &fixture->callers[0];
}

static void assert_failure(const struct caller *caller, const char *word)
{
    assert_int_equal(caller->status, 0);
    assert_int_equal(caller->body_size, 0);
    assert_non_null(strcasestr(caller->text, word));
}

/* ---- answers ---- */

static void the_request_is_what_was_given(void **state)
{
    struct fixture *fixture = *state;
    char head[2048];
    const struct caller *caller = fetch(
        fixture, &(struct wish){.path = "/echo", .authorization = "Basic Y2xpZW50OnNlY3JldA=="});
    assert_int_equal(caller->status, 200);
    assert_string_equal(caller->body, "grant_type=refresh_token&refresh_token=canary");
    assert_int_equal(caller->retry_after, 0);
    https_server_last_head(fixture->server, head, sizeof(head));
    assert_int_equal(strncmp(head, "POST /echo HTTP/1.1\r\n", 21), 0);
    assert_non_null(strstr(head, "\r\nAuthorization: Basic Y2xpZW50OnNlY3JldA==\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(head, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(head, "\r\nUser-Agent: ecluse/"));
    assert_null(strcasestr(head, "\r\nExpect:"));
    assert_null(strcasestr(head, "\r\nCookie:"));
    assert_null(strcasestr(head, "\r\nAccept-Encoding:"));
    fetch(fixture, &(struct wish){.path = "/echo", .is_json = true});
    https_server_last_head(fixture->server, head, sizeof(head));
    assert_null(strcasestr(head, "\r\nAuthorization:"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/json\r\n"));
    assert_null(strcasestr(head, "urlencoded"));
    caller = fetch(fixture, &(struct wish){.path = "/echo", .is_get = true});
    assert_int_equal(caller->status, 200);
    assert_string_equal(caller->body, "");
    https_server_last_head(fixture->server, head, sizeof(head));
    assert_int_equal(strncmp(head, "GET /echo HTTP/1.1\r\n", 20), 0);
    assert_null(strcasestr(head, "\r\nContent-"));
}

static void any_status_is_an_answer(void **state)
{
    struct fixture *fixture = *state;
    static const int statuses[] = {200, 400, 401, 429, 500, 503};
    for (size_t i = 0; i < LENGTH_OF(statuses); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/status/%d", statuses[i]);
        const struct caller *caller = fetch(fixture, &(struct wish){.path = path});
        assert_int_equal(caller->status, statuses[i]);
        assert_string_equal(caller->body, "the words");
        assert_int_equal(caller->retry_after, 0);
        assert_string_equal(caller->text, "");
    }
}

static void retry_after_is_read_and_bounded(void **state)
{
    struct fixture *fixture = *state;
    const struct caller *caller = fetch(fixture, &(struct wish){.path = "/busy"});
    assert_int_equal(caller->status, 503);
    assert_int_equal(caller->retry_after, 7);
    caller = fetch(fixture, &(struct wish){.path = "/busy-for-ever"});
    assert_int_equal(caller->status, 503);
    assert_int_equal(caller->retry_after, 24 * 60 * 60);
}

static void a_redirect_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    const struct caller *caller = fetch(fixture, &(struct wish){.path = "/redirect"});
    assert_int_equal(caller->status, 302);
    assert_string_equal(caller->body, "elsewhere");
    assert_int_equal(https_server_request_count(fixture->server), 1);
}

static void an_endless_answer_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_failure(fetch(fixture, &(struct wish){.path = "/long"}), "too long");
    assert_failure(fetch(fixture, &(struct wish){.path = "/announced"}), "too long");
    const struct caller *caller = fetch(fixture, &(struct wish){.path = "/most"});
    assert_int_equal(caller->status, 200);
    assert_int_equal(caller->body_size, FETCH_ANSWER_MAX);
}

static void nothing_is_unpacked(void **state)
{
    struct fixture *fixture = *state;
    const struct caller *caller = fetch(fixture, &(struct wish){.path = "/zipped"});
    assert_int_equal(caller->status, 200);
    assert_string_equal(caller->body, "not gzip");
}

static void what_breaks_off_is_no_answer(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/cut", "/reset", "/garbage"};
    for (size_t i = 0; i < LENGTH_OF(paths); i++) {
        size_t before = https_server_request_count(fixture->server);
        assert_failure(fetch(fixture, &(struct wish){.path = paths[i]}), "");
        assert_true(strlen(fixture->callers[0].text) > 0);
        assert_int_equal(https_server_request_count(fixture->server), before + 1);
    }
}

static void a_server_that_hangs_is_left(void **state)
{
    struct fixture *fixture = *state;
    assert_failure(fetch(fixture, &(struct wish){.path = "/hang", .timeout_seconds = 1}),
                   "timed out");
    start_server(fixture, &good_wish, true, 0);
    assert_failure(fetch(fixture, &(struct wish){.path = "/echo", .timeout_seconds = 1}),
                   "timed out");
}

static void nobody_there_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct https_server *gone = https_server_start(fixture->certificate, false, 0);
    unsigned port = https_server_port(gone);
    https_server_stop(gone);
    char host[64];
    snprintf(host, sizeof(host), "127.0.0.1:%u/?", port);
    assert_failure(fetch(fixture, &(struct wish){.host = host, .path = "/"}), "connect");
    assert_failure(fetch(fixture, &(struct wish){.host = "missing.example.test", .path = "/"}),
                   "resolve");
}

/* ---- trust ---- */

static void certificates_must_be_right(void **state)
{
    struct fixture *fixture = *state;
    static const struct certificate_wish wishes[] = {
        {.common_name = "127.0.0.1", .names = "DNS:other.example.test"},
        {.common_name = "127.0.0.1"},
        {.common_name = "server", .names = "IP:127.0.0.1", .starts = -7200, .ends = -3600},
        {.common_name = "server", .names = "IP:127.0.0.1", .starts = 3600, .ends = 7200},
    };
    for (size_t i = 0; i < LENGTH_OF(wishes); i++) {
        start_server(fixture, &wishes[i], false, 0);
        assert_failure(fetch(fixture, &(struct wish){.path = "/echo"}), "SSL");
        assert_int_equal(https_server_request_count(fixture->server), 0);
    }
    start_server(fixture, &good_wish, false, 0);
    assert_int_equal(fetch(fixture, &(struct wish){.path = "/echo"})->status, 200);
    assert_int_equal(fetch(fixture, &(struct wish){.host = "localhost", .path = "/echo"})->status,
                     200);
}

static void a_common_name_is_not_enough(void **state)
{
    struct fixture *fixture = *state;
    const struct certificate_wish wish = {.common_name = "localhost"};
    start_server(fixture, &wish, false, 0);
    assert_failure(fetch(fixture, &(struct wish){.host = "localhost", .path = "/echo"}), "SSL");
    assert_int_equal(https_server_request_count(fixture->server), 0);
}

static void only_the_given_bundle_is_trusted(void **state)
{
    struct fixture *fixture = *state;
    struct certificate *other = make_authority("Other authority");
    char *bundle = write_bundle(fixture, "other.pem", other);
    char *missing = scratch_path(fixture->folder, "missing.pem");
    assert_failure(fetch(fixture, &(struct wish){.path = "/echo", .ca_file = bundle}), "SSL");
    assert_failure(fetch(fixture, &(struct wish){.path = "/echo", .ca_file = missing}), "");
    /* The folder that OpenSSL and libcurl would look into by themselves. */
    setenv("SSL_CERT_FILE", fixture->ca_file, 1);
    assert_failure(fetch(fixture, &(struct wish){.path = "/echo", .ca_file = bundle}), "SSL");
    unsetenv("SSL_CERT_FILE");
    assert_int_equal(https_server_request_count(fixture->server), 0);
    certificate_free(other);
    free(missing);
    free(bundle);
}

static void old_TLS_is_refused(void **state)
{
    struct fixture *fixture = *state;
    start_server(fixture, &good_wish, false, TLS1_1_VERSION);
    assert_failure(fetch(fixture, &(struct wish){.path = "/echo"}), "SSL");
    start_server(fixture, &good_wish, false, TLS1_2_VERSION);
    assert_int_equal(fetch(fixture, &(struct wish){.path = "/echo"})->status, 200);
}

static void only_https_is_spoken(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *scheme, *word;
    } cases[] = {{"http", "Protocol \"http\" not supported"},
                 {"ftp", "Protocol \"ftp\" not supported"},
                 {"file", ""},
                 {"ecluse", ""}};
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct wish wish = {.path = "/echo", .scheme = cases[i].scheme};
        assert_failure(fetch(fixture, &wish), cases[i].word);
    }
    assert_failure(fetch(fixture, &(struct wish){.host = "user:word@127.0.0.1", .path = "/echo"}),
                   "URL");
    assert_failure(fetch(fixture, &(struct wish){.host = "", .path = "/echo"}), "URL");
    assert_int_equal(https_server_request_count(fixture->server), 0);
}

static void a_header_cannot_be_smuggled(void **state)
{
    struct fixture *fixture = *state;
    assert_failure(
        fetch(fixture, &(struct wish){.path = "/echo", .authorization = "Basic x\r\nX-Evil: 1"}),
        "credentials");
    assert_int_equal(https_server_request_count(fixture->server), 0);
}

static void the_environments_proxy_is_ignored(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        setenv(names[i], "http://127.0.0.1:1", 1);
    assert_int_equal(fetch(fixture, &(struct wish){.path = "/echo"})->status, 200);
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        unsetenv(names[i]);
}

/* ---- many, cancelled, closed ---- */

static void many_at_once_are_all_answered(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < FETCHES_MAX; i++)
        start(fixture, i, &(struct wish){.path = i % 3 == 0 ? "/status/400" : "/echo"});
    loop_run(&fixture->loop);
    for (size_t i = 0; i < FETCHES_MAX; i++) {
        assert_int_equal(fixture->callers[i].answers, 1);
        assert_int_equal(fixture->callers[i].status, i % 3 == 0 ? 400 : 200);
    }
    assert_int_equal(https_server_request_count(fixture->server), FETCHES_MAX);
}

static int count_answers(const struct fixture *fixture)
{
    int count = 0;
    for (size_t i = 0; i < FETCHES_MAX; i++)
        count += fixture->callers[i].answers;
    return count;
}

/* After every number of turns of the loop, until only the one that hangs is left. */
static void cancelling_works_at_any_time(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/echo", "/hang", "/long", "/reset"};
    for (int turns = 0; turns < 14; turns++) {
        for (size_t i = 0; i < LENGTH_OF(paths); i++)
            start(fixture, i, &(struct wish){.path = paths[i], .timeout_seconds = 1});
        for (int i = 0; i < turns && count_answers(fixture) < (int)LENGTH_OF(paths) - 1; i++)
            uv_run(&fixture->loop.uv, UV_RUN_ONCE);
        for (size_t i = 0; i < LENGTH_OF(paths); i++) {
            int answers = fixture->callers[i].answers;
            if (answers == 0)
                fetch_cancel(fixture->callers[i].fetch);
            fixture->callers[i].answers = -answers;
        }
        loop_run(&fixture->loop);
        for (size_t i = 0; i < LENGTH_OF(paths); i++)
            assert_true(fixture->callers[i].answers <= 0);
    }
    start(fixture, 0, &(struct wish){.host = "", .path = "/"});
    fetch_cancel(fixture->callers[0].fetch);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->callers[0].answers, 0);
}

static void a_stuck_look_up_does_not_hold_us(void **state)
{
    struct fixture *fixture = *state;
    resolver_stick();
    start(fixture, 0, &(struct wish){.host = "stuck.example.test", .path = "/"});
    while (resolver_callers() == 0)
        uv_run(&fixture->loop.uv, UV_RUN_NOWAIT);
    /* Were it waited for, this would never return. */
    fetch_cancel(fixture->callers[0].fetch);
    assert_failure(
        fetch(fixture,
              &(struct wish){.host = "stuck.example.test", .path = "/", .timeout_seconds = 1}),
        "timed out");
    assert_int_equal(fetch(fixture, &(struct wish){.path = "/echo"})->status, 200);
    fetcher_close(fixture->fetcher, on_closed, fixture);
    fixture->fetcher = NULL;
    loop_run(&fixture->loop);
    assert_int_equal(fixture->closings, 1);
    assert_int_equal(resolver_callers(), 2);
    resolver_let_go();
}

static void start_another(struct caller *caller)
{
    caller->then = NULL;
    fetch_cancel(caller[1].fetch);
    start(caller->fixture, 2, &(struct wish){.path = "/status/401"});
}

static void an_answer_may_cancel_and_start(void **state)
{
    struct fixture *fixture = *state;
    fixture->callers[0].then = start_another;
    start(fixture, 0, &(struct wish){.path = "/echo"});
    start(fixture, 1, &(struct wish){.path = "/hang"});
    loop_run(&fixture->loop);
    assert_int_equal(fixture->callers[0].status, 200);
    assert_int_equal(fixture->callers[1].answers, 0);
    assert_int_equal(fixture->callers[2].answers, 1);
    assert_int_equal(fixture->callers[2].status, 401);
}

static void close_fetcher(struct caller *caller)
{
    fetcher_close(caller->fixture->fetcher, on_closed, caller->fixture);
    caller->fixture->fetcher = NULL;
    assert_int_equal(caller->fixture->closings, 0);
}

static void an_answer_may_close(void **state)
{
    struct fixture *fixture = *state;
    fixture->callers[0].then = close_fetcher;
    const struct caller *caller = fetch(fixture, &(struct wish){.path = "/echo"});
    assert_int_equal(caller->status, 200);
    assert_int_equal(fixture->closings, 1);
}

static void a_refusal_may_close(void **state)
{
    struct fixture *fixture = *state;
    fixture->callers[0].then = close_fetcher;
    assert_failure(fetch(fixture, &(struct wish){.host = "", .path = "/"}), "URL");
    assert_int_equal(fixture->closings, 1);
}

static void closing_after_a_cancel_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0, &(struct wish){.path = "/hang"});
    while (https_server_request_count(fixture->server) == 0)
        uv_run(&fixture->loop.uv, UV_RUN_NOWAIT);
    fetch_cancel(fixture->callers[0].fetch);
    fetcher_close(fixture->fetcher, on_closed, fixture);
    fixture->fetcher = NULL;
    loop_run(&fixture->loop);
    assert_int_equal(fixture->closings, 1);
    assert_int_equal(fixture->callers[0].answers, 0);
}

#define FETCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    const struct CMUnitTest tests[] = {
        FETCH_TEST(the_request_is_what_was_given),
        FETCH_TEST(any_status_is_an_answer),
        FETCH_TEST(retry_after_is_read_and_bounded),
        FETCH_TEST(a_redirect_is_not_followed),
        FETCH_TEST(an_endless_answer_is_refused),
        FETCH_TEST(nothing_is_unpacked),
        FETCH_TEST(what_breaks_off_is_no_answer),
        FETCH_TEST(a_server_that_hangs_is_left),
        FETCH_TEST(nobody_there_is_told),
        FETCH_TEST(certificates_must_be_right),
        FETCH_TEST(a_common_name_is_not_enough),
        FETCH_TEST(only_the_given_bundle_is_trusted),
        FETCH_TEST(old_TLS_is_refused),
        FETCH_TEST(only_https_is_spoken),
        FETCH_TEST(a_header_cannot_be_smuggled),
        FETCH_TEST(the_environments_proxy_is_ignored),
        FETCH_TEST(many_at_once_are_all_answered),
        FETCH_TEST(cancelling_works_at_any_time),
        FETCH_TEST(a_stuck_look_up_does_not_hold_us),
        FETCH_TEST(an_answer_may_cancel_and_start),
        FETCH_TEST(an_answer_may_close),
        FETCH_TEST(a_refusal_may_close),
        FETCH_TEST(closing_after_a_cancel_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
