/*
 * The resolver with a scripted getaddrinfo and a clock that stands still until it is moved: both
 * are defined here and found before the real ones. A look-up can be held in its thread until the
 * test lets it go.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/resolve.h"

#define DEFAULT_VISIBILITY __attribute__((visibility("default")))
#define TICKETS_MAX        50

/* ---- the world of these tests ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *families; /* of the answer, one digit an address; the nth address ends in n */
    int failure;          /* EAI_*, instead of an answer */
    bool held;
    int calls, inside;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int64_t now_milliseconds;

int64_t clock_steady_milliseconds(void)
{
    return now_milliseconds;
}

int64_t clock_wall_seconds(void)
{
    return now_milliseconds / 1000;
}

int64_t clock_wall_microseconds(void)
{
    return now_milliseconds * 1000;
}

static struct addrinfo *make_info(char family, uint8_t number)
{
    struct addrinfo *info = mem_new(sizeof(*info));
    struct sockaddr_storage *address = mem_new(sizeof(*address));
    info->ai_addr = (void *)address;
    if (family == '6') {
        info->ai_family = AF_INET6;
        ((struct sockaddr_in6 *)(void *)address)->sin6_addr.s6_addr[15] = number;
    } else {
        info->ai_family = family == '4' ? AF_INET : AF_UNIX;
        uint8_t bytes[4] = {192, 0, 2, number};
        memcpy(&((struct sockaddr_in *)(void *)address)->sin_addr, bytes, sizeof(bytes));
    }
    return info;
}

DEFAULT_VISIBILITY int getaddrinfo(const char *node, const char *service,
                                   const struct addrinfo *hints, struct addrinfo **list_out)
{
    struct addrinfo **tail = list_out;
    (void)service;
    *list_out = NULL;
    pthread_mutex_lock(&script.lock);
    script.calls++;
    script.inside++;
    pthread_cond_broadcast(&script.changed);
    while (script.held)
        pthread_cond_wait(&script.changed, &script.lock);
    script.inside--;
    int status = script.failure;
    if (hints->ai_socktype != SOCK_STREAM || node[0] == '\0')
        status = EAI_BADFLAGS;
    for (size_t i = 0; status == 0 && script.families[i] != '\0'; i++) {
        bool repeated = script.families[i] == '=';
        *tail = repeated ? make_info('4', 1) : make_info(script.families[i], (uint8_t)(i + 1));
        tail = &(*tail)->ai_next;
    }
    pthread_mutex_unlock(&script.lock);
    return status;
}

DEFAULT_VISIBILITY void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        mem_free(list->ai_addr);
        mem_free(list);
        list = next;
    }
}

static void hold(bool held)
{
    pthread_mutex_lock(&script.lock);
    script.held = held;
    pthread_cond_broadcast(&script.changed);
    pthread_mutex_unlock(&script.lock);
}

static void wait_until_inside(int count)
{
    pthread_mutex_lock(&script.lock);
    while (script.inside < count)
        pthread_cond_wait(&script.changed, &script.lock);
    pthread_mutex_unlock(&script.lock);
}

/* ---- who asks ---- */

struct asker {
    struct resolve_ticket *ticket;
    int answers, status;
    struct dial_address addresses[RESOLVE_ADDRESSES_MAX];
    size_t count;
    char text[200];
    bool in_start;
    void (*then)(struct asker *asker);
    struct fixture *fixture;
};

struct fixture {
    struct loop loop;
    struct resolver *resolver;
    struct asker askers[TICKETS_MAX];
};

static void on_answer(void *owner, int status, const struct dial_address *addresses, size_t count,
                      const char *text)
{
    struct asker *asker = owner;
    assert_false(asker->in_start);
    asker->answers++;
    asker->status = status;
    asker->count = count;
    asker->ticket = NULL;
    assert_true(count <= RESOLVE_ADDRESSES_MAX);
    if (count > 0)
        memcpy(asker->addresses, addresses, count * sizeof(*addresses));
    snprintf(asker->text, sizeof(asker->text), "%s", text == NULL ? "" : text);
    if (asker->then != NULL)
        asker->then(asker);
}

static void ask(struct fixture *fixture, size_t index, const char *host)
{
    struct asker *asker = &fixture->askers[index];
    *asker = (struct asker){.in_start = true, .then = asker->then, .fixture = fixture};
    asker->ticket = resolve_start(fixture->resolver, host, on_answer, asker);
    asker->in_start = false;
    assert_non_null(asker->ticket);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_new(sizeof(*fixture));
    script.families = "4";
    script.failure = 0;
    script.held = false;
    script.calls = 0;
    now_milliseconds = 1000000;
    assert_int_equal(loop_init(&fixture->loop, NULL), 0);
    fixture->resolver = resolver_open(&fixture->loop);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->resolver != NULL)
        resolver_close(fixture->resolver);
    loop_run(&fixture->loop);
    loop_fini(&fixture->loop);
    mem_free(fixture);
    return 0;
}

static void ask_and_wait(struct fixture *fixture, const char *host)
{
    ask(fixture, 0, host);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->askers[0].answers, 1);
}

/* `expected` as the families of the script. */
static void assert_answer(const struct asker *asker, const char *families, const char *numbers)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->status, 0);
    assert_int_equal(asker->count, strlen(families));
    for (size_t i = 0; i < asker->count; i++) {
        assert_int_equal(asker->addresses[i].family, families[i] - '0');
        size_t last = asker->addresses[i].family == 6 ? 15 : 3;
        assert_int_equal(asker->addresses[i].bytes[last], numbers[i] - '0');
    }
}

static void assert_unavailable(const struct asker *asker, const char *host)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->status, ERR_UNAVAILABLE);
    assert_int_equal(asker->count, 0);
    assert_non_null(strstr(asker->text, host));
}

/* ---- the tests ---- */

static void literals_need_no_look_up(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t four[16] = {192, 0, 2, 7};
    static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
    ask_and_wait(fixture, "192.0.2.7");
    assert_int_equal(fixture->askers[0].count, 1);
    assert_int_equal(fixture->askers[0].addresses[0].family, 4);
    assert_memory_equal(fixture->askers[0].addresses[0].bytes, four, sizeof(four));
    ask_and_wait(fixture, "2001:db8::9");
    assert_int_equal(fixture->askers[0].count, 1);
    assert_int_equal(fixture->askers[0].addresses[0].family, 6);
    assert_memory_equal(fixture->askers[0].addresses[0].bytes, six, sizeof(six));
    assert_int_equal(script.calls, 0);
}

static void families_come_in_turn(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *host, *script, *families, *numbers;
    } cases[] = {
        {"a", "4", "4", "1"},          {"b", "66644", "64646", "14253"},
        {"c", "4466", "4646", "1324"}, {"d", "46666", "46666", "12345"},
        {"e", "4=6=", "46", "13"},     {"f", "u6u4", "64", "24"},
    };
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        script.families = cases[i].script;
        ask_and_wait(fixture, cases[i].host);
        assert_answer(&fixture->askers[0], cases[i].families, cases[i].numbers);
    }
}

static void no_more_than_sixteen_are_given(void **state)
{
    struct fixture *fixture = *state;
    script.families = "66666666666666666666444444";
    ask_and_wait(fixture, "a");
    assert_int_equal(fixture->askers[0].count, RESOLVE_ADDRESSES_MAX);
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(fixture->askers[0].addresses[i].family, i % 2 == 0 ? 6 : 4);
}

static void all_who_ask_share_one_look_up(void **state)
{
    struct fixture *fixture = *state;
    hold(true);
    for (size_t i = 0; i < TICKETS_MAX; i++)
        ask(fixture, i, i == 1 ? "B" : "b");
    hold(false);
    loop_run(&fixture->loop);
    for (size_t i = 0; i < TICKETS_MAX; i++)
        assert_answer(&fixture->askers[i], "4", "1");
    assert_int_equal(script.calls, 2);
}

static void an_answer_is_kept_for_a_minute(void **state)
{
    struct fixture *fixture = *state;
    ask_and_wait(fixture, "a");
    script.families = "6";
    now_milliseconds += 59999;
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "4", "1");
    assert_int_equal(script.calls, 1);
    now_milliseconds += 1;
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "6", "1");
    assert_int_equal(script.calls, 2);
}

static void the_last_good_answer_serves_for_an_hour(void **state)
{
    struct fixture *fixture = *state;
    ask_and_wait(fixture, "a");
    script.failure = EAI_AGAIN;
    now_milliseconds += 60000;
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "4", "1");
    assert_int_equal(script.calls, 2);
    now_milliseconds += 9999;
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "4", "1");
    assert_int_equal(script.calls, 2);
    now_milliseconds += 3600000 - 69999;
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "4", "1");
    assert_int_equal(script.calls, 3);
    now_milliseconds += 10001;
    ask_and_wait(fixture, "a");
    assert_unavailable(&fixture->askers[0], "a");
    script.failure = 0;
    script.families = "6";
    ask_and_wait(fixture, "a");
    assert_answer(&fixture->askers[0], "6", "1");
}

static void a_failure_is_told_and_tried_again(void **state)
{
    struct fixture *fixture = *state;
    script.failure = EAI_NONAME;
    ask_and_wait(fixture, "missing.example.test");
    assert_unavailable(&fixture->askers[0], "missing.example.test");
    script.failure = 0;
    script.families = "";
    ask_and_wait(fixture, "missing.example.test");
    assert_unavailable(&fixture->askers[0], "no address");
    script.families = "6";
    ask_and_wait(fixture, "missing.example.test");
    assert_answer(&fixture->askers[0], "6", "1");
    assert_int_equal(script.calls, 3);
}

static void a_name_that_cannot_be_one_fails_later(void **state)
{
    struct fixture *fixture = *state;
    char host[400];
    memset(host, 'a', sizeof(host));
    host[sizeof(host) - 1] = '\0';
    ask_and_wait(fixture, host);
    assert_int_equal(fixture->askers[0].status, ERR_UNAVAILABLE);
    assert_int_equal(script.calls, 0);
}

static void who_cancels_is_not_answered(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, "192.0.2.7");
    resolve_cancel(fixture->askers[0].ticket);
    hold(true);
    ask(fixture, 1, "a");
    ask(fixture, 2, "a");
    ask(fixture, 3, "b");
    wait_until_inside(2);
    resolve_cancel(fixture->askers[1].ticket);
    resolve_cancel(fixture->askers[3].ticket);
    hold(false);
    loop_run(&fixture->loop);
    assert_int_equal(fixture->askers[0].answers, 0);
    assert_int_equal(fixture->askers[1].answers, 0);
    assert_int_equal(fixture->askers[3].answers, 0);
    assert_answer(&fixture->askers[2], "4", "1");
    ask_and_wait(fixture, "b");
    assert_int_equal(script.calls, 2);
}

static void cancel_neighbour(struct asker *asker)
{
    resolve_cancel(asker[1].ticket);
}

static void ask_again(struct asker *asker)
{
    asker->then = NULL;
    ask(asker->fixture, 5, "a");
    ask(asker->fixture, 6, "c");
}

static void an_answer_may_cancel_and_ask(void **state)
{
    struct fixture *fixture = *state;
    fixture->askers[0].then = cancel_neighbour;
    fixture->askers[2].then = ask_again;
    for (size_t i = 0; i < 4; i++)
        ask(fixture, i, "a");
    loop_run(&fixture->loop);
    assert_answer(&fixture->askers[0], "4", "1");
    assert_int_equal(fixture->askers[1].answers, 0);
    for (size_t i = 2; i < 7; i += i == 3 ? 2 : 1)
        assert_answer(&fixture->askers[i], "4", "1");
    assert_int_equal(script.calls, 2);
}

static void close_resolver(struct asker *asker)
{
    resolver_close(asker->fixture->resolver);
    asker->fixture->resolver = NULL;
}

static void the_last_answer_may_close(void **state)
{
    struct fixture *fixture = *state;
    fixture->askers[1].then = close_resolver;
    ask(fixture, 0, "a");
    ask(fixture, 1, "a");
    loop_run(&fixture->loop);
    assert_int_equal(fixture->askers[1].answers, 1);
    assert_null(fixture->resolver);
}

static void closing_waits_for_running_look_ups_only(void **state)
{
    struct fixture *fixture = *state;
    hold(true);
    for (size_t i = 0; i < 10; i++) {
        char host[24];
        snprintf(host, sizeof(host), "h%zu", i);
        ask(fixture, i, host);
    }
    wait_until_inside(2);
    for (size_t i = 0; i < 10; i++)
        resolve_cancel(fixture->askers[i].ticket);
    resolver_close(fixture->resolver);
    fixture->resolver = NULL;
    hold(false);
    loop_run(&fixture->loop);
    assert_int_equal(script.inside, 0);
    assert_true(script.calls < 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(fixture->askers[i].answers, 0);
}

static void more_names_than_are_kept_are_answered(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 300; i++) {
        char host[24];
        snprintf(host, sizeof(host), "h%d", i);
        ask_and_wait(fixture, host);
        assert_answer(&fixture->askers[0], "4", "1");
    }
    ask_and_wait(fixture, "h299");
    assert_int_equal(script.calls, 300);
    ask_and_wait(fixture, "h0");
    assert_int_equal(script.calls, 301);
}

#define RESOLVE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    alarm(60);
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(literals_need_no_look_up),
        RESOLVE_TEST(families_come_in_turn),
        RESOLVE_TEST(no_more_than_sixteen_are_given),
        RESOLVE_TEST(all_who_ask_share_one_look_up),
        RESOLVE_TEST(an_answer_is_kept_for_a_minute),
        RESOLVE_TEST(the_last_good_answer_serves_for_an_hour),
        RESOLVE_TEST(a_failure_is_told_and_tried_again),
        RESOLVE_TEST(a_name_that_cannot_be_one_fails_later),
        RESOLVE_TEST(who_cancels_is_not_answered),
        RESOLVE_TEST(an_answer_may_cancel_and_ask),
        RESOLVE_TEST(the_last_answer_may_close),
        RESOLVE_TEST(closing_waits_for_running_look_ups_only),
        RESOLVE_TEST(more_names_than_are_kept_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
