/*
 * Which requests are the redirect of a sign-in, and what the others are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/redirect_request.h"

struct field {
    const char *name, *value;
};

static void check(const struct field *fields, const char *method, const char *target,
                  enum redirect_status status, const char *query)
{
    struct redirect_request request;
    struct slice told;
    redirect_request_begin(&request, "/p", 4711);
    for (; fields->name != NULL; fields++)
        redirect_request_field(&request, fields->name, fields->value);
    assert_int_equal(redirect_request_judge(&request, method, target, &told), status);
    assert_true(slice_is(told, query));
}

static void check_fields(const struct field *fields, enum redirect_status status)
{
    check(fields, "GET", "/p?a=b", status, status == REDIRECT_TAKEN ? "a=b" : "");
}

#define FIELDS(...)                                                                                \
    (const struct field[])                                                                         \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define OURS                                                                                       \
    {                                                                                              \
        "Host", "127.0.0.1:4711"                                                                   \
    }

static void names_of_ours(void **state)
{
    (void)state;
    const char *taken[] = {"127.0.0.1:4711", "[::1]:4711", "localhost:4711", "LocalHost:4711"};
    const char *refused[] = {"",
                             "127.0.0.1",
                             "127.0.0.1:4712",
                             "127.0.0.1:47110",
                             "127.0.0.1:04711",
                             "127.0.0.1.:4711",
                             " 127.0.0.1:4711",
                             "127.0.0.1:4711 ",
                             "127.0.0.1:4711, evil.test",
                             "127.1:4711",
                             "[0::1]:4711",
                             "evil.test:4711",
                             "localhost.evil.test:4711",
                             "http://127.0.0.1:4711"};
    for (size_t i = 0; i < LENGTH_OF(taken); i++)
        check_fields(FIELDS({"hOsT", taken[i]}), REDIRECT_TAKEN);
    for (size_t i = 0; i < LENGTH_OF(refused); i++)
        check_fields(FIELDS({"Host", refused[i]}), REDIRECT_MALFORMED);
    check_fields(FIELDS({"Accept", "127.0.0.1:4711"}), REDIRECT_MALFORMED);
    check_fields(FIELDS(OURS, OURS), REDIRECT_MALFORMED);
    check_fields(FIELDS({"Host", "evil.test"}, OURS), REDIRECT_MALFORMED);
}

static void origins(void **state)
{
    (void)state;
    const char *taken[] = {"null", "http://127.0.0.1:4711", "http://[::1]:4711",
                           "http://localhost:4711"};
    const char *refused[] = {"",
                             "NULL",
                             "http://",
                             "127.0.0.1:4711",
                             "https://127.0.0.1:4711",
                             "http://127.0.0.1",
                             "http://127.0.0.1:4711/",
                             "http://127.0.0.1:4711.evil.test",
                             "https://evil.test"};
    for (size_t i = 0; i < LENGTH_OF(taken); i++) {
        check_fields(FIELDS(OURS, {"origin", taken[i]}), REDIRECT_TAKEN);
        check_fields(FIELDS({"Origin", "https://evil.test"}, OURS, {"Origin", taken[i]}),
                     REDIRECT_FOREIGN);
    }
    for (size_t i = 0; i < LENGTH_OF(refused); i++)
        check_fields(FIELDS({"Origin", refused[i]}, OURS), REDIRECT_FOREIGN);
}

static void methods_and_targets(void **state)
{
    (void)state;
    const char *methods[] = {"", "get", "HEAD", "POST", "GETS", "OPTIONS"};
    const char *targets[] = {"",     "/",    "/p/",  "/P",    "//p",
                             "/%70", "/p#a", "?a=b", "/q?/p", "http://127.0.0.1:4711/p?a=b"};
    for (size_t i = 0; i < LENGTH_OF(methods); i++)
        check(FIELDS(OURS), methods[i], "/p?a=b", REDIRECT_METHOD, "");
    for (size_t i = 0; i < LENGTH_OF(targets); i++)
        check(FIELDS(OURS), "GET", targets[i], REDIRECT_ELSEWHERE, "");
    check(FIELDS(OURS), "GET", "/p", REDIRECT_TAKEN, "");
    check(FIELDS(OURS), "GET", "/p?", REDIRECT_TAKEN, "");
    check(FIELDS(OURS), "GET", "/p??a=%62?", REDIRECT_TAKEN, "?a=%62?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_ours),
        cmocka_unit_test(origins),
        cmocka_unit_test(methods_and_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
