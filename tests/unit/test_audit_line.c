#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "audit/line_terms.h"
#include "audit_world.h"

/* Of all lines here. */
static struct line_form form;

static void test_a_whole_line(void **state)
{
    static const char expected[] =
        "{\"@timestamp\":\"2026-09-21T14:13:20.123463Z\",\"ecs\":{\"version\":\"9.0.0\"},"
        "\"service\":{\"name\":\"ecluse\",\"version\":\"1.2.3\"},\"trace\":{\"id\":\"0.17\"},"
        "\"transaction\":{\"id\":7},\"network\":{\"protocol\":\"imap\"},\"client\":{\"bytes\":31},"
        "\"server\":{\"bytes\":4242},\"user\":{\"name\":\"work\"},\"ecluse\":{\"listener\":"
        "\"imap\",\"command\":{\"verb\":\"UID FETCH\",\"status\":\"OK\"},"
        "\"mailbox\":\"Entw&APw-rfe\",\"audit\":{\"level\":\"standard\",\"epoch\":3}},"
        "\"event\":{\"kind\":\"event\",\"dataset\":\"ecluse.audit\",\"category\":[\"network\"],"
        "\"type\":[\"protocol\",\"access\"],\"action\":\"command\",\"outcome\":\"success\","
        "\"duration\":1234567,\"sequence\":99";
    struct record record;
    struct line line;
    struct line_place place = world_place();
    (void)state;
    world_command(&record, 7);
    assert_int_equal(line_write(&form, &place, 99, 3, &record, &line), 0);
    assert_int_equal(line.size, strlen(expected));
    assert_memory_equal(line.text, expected, line.size);
}

/* The line as its chain seals it, for a JSON parser. */
static json_t *write_and_load(const struct line_place *place, const struct record *record,
                              struct line *line)
{
    assert_int_equal(line_write(&form, place, 1, 0, record, line), 0);
    assert_true(line->size <= LINE_CAPACITY - 300);
    memcpy(line->text + line->size, "}}", 2);
    json_t *json = json_loadb(line->text, line->size + 2, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const json_t *at(const json_t *json, const char *path)
{
    char name[64];
    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
        json = json_object_get(json, name);
    }
    return json_object_get(json, path);
}

static void fill(struct record *record, const char *text)
{
    for (size_t i = 0; i < RECORD_FIELD_COUNT; i++) {
        enum record_field field = (enum record_field)i;
        if (record_field_kind(field) == RECORD_NUMBER)
            record_add_number(record, field, i);
        else if (record_field_kind(field) == RECORD_FLAG)
            record_add_flag(record, field, true);
        else
            record_add_string(record, field, text);
    }
}

/* Every field stands at its path, once. */
static void test_every_field(void **state)
{
    struct record record;
    struct line line;
    struct line_place place = world_place();
    (void)state;
    assert_true(RECORD_FIELD_COUNT <= RECORD_VALUES_MAX);
    place.level = AUDIT_FULL;
    place.service_id = "0017";
    for (size_t action = 0; action < RECORD_ACTION_COUNT; action++) {
        record_init(&record, (enum record_action)action, WHY_LIMIT, WORLD_TIME);
        fill(&record, "x");
        json_t *json = write_and_load(&place, &record, &line);
        for (size_t i = 0; i < RECORD_FIELD_COUNT; i++)
            assert_non_null(at(json, record_field_path((enum record_field)i)));
        for (size_t i = 0; i < LINE_FIELD_COUNT; i++)
            if (i != LINE_CUT && i != LINE_HASH && i != LINE_SIGNATURE)
                assert_non_null(at(json, line_field_path((enum line_field)i)));
        assert_string_equal(json_string_value(at(json, "event.code")), "limit");
        json_decref(json);
    }
}

static void test_lists(void **state)
{
    struct record record;
    struct line line;
    struct line_place place = world_place();
    (void)state;
    record_init(&record, ACTION_MESSAGE_SEND, WHY_NONE, WORLD_TIME);
    record_add_string(&record, FIELD_RECIPIENT, "a@example.org");
    record_add_number(&record, FIELD_SMTP_SIZE, 5);
    record_add_string(&record, FIELD_RECIPIENT, "b@example.org");
    record_add_string(&record, FIELD_MAIL_FROM, "c@example.org");
    record_add_string(&record, FIELD_RECIPIENT, "d@example.org");
    json_t *json = write_and_load(&place, &record, &line);
    const json_t *list = at(json, "ecluse.smtp.rcpt");
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_array_get(list, 1)), "b@example.org");
    assert_string_equal(json_string_value(json_array_get(list, 2)), "d@example.org");
    assert_true(json_is_string(at(json, "ecluse.smtp.mail_from")));
    json_decref(json);
}

/* The worst that can be told: a line still ends well, and says what it lacks. */
static void test_too_much_for_a_line(void **state)
{
    struct record record;
    struct line line;
    struct line_place place = world_place();
    char text[RECORD_TEXT_MAX + 1];
    (void)state;
    memset(text, 1, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    record_init(&record, ACTION_MESSAGE_SEND, WHY_INTERNAL, UINT64_MAX);
    record_add_string(&record, FIELD_REASON, text);
    for (size_t i = 0; i < RECORD_VALUES_MAX; i++)
        record_add_string(&record, i % 3 == 0 ? FIELD_MAILBOX : FIELD_RECIPIENT, text);
    json_t *json = write_and_load(&place, &record, &line);
    size_t kept = json_array_size(at(json, "ecluse.smtp.rcpt"));
    assert_true(kept > 0);
    assert_int_equal(json_integer_value(at(json, "ecluse.audit.cut")),
                     RECORD_VALUES_MAX - 1 - kept);
    assert_int_equal(json_string_length(at(json, "event.reason")), RECORD_TEXT_MAX);
    json_decref(json);
}

static void test_outcomes(void **state)
{
    static const struct {
        enum record_action action;
        enum why why;
        bool is_success;
    } cases[] = {
        {ACTION_CLIENT_AUTH, WHY_NONE, true},
        {ACTION_CLIENT_AUTH, WHY_AUTH_REJECTED, false},
        {ACTION_CLIENT_AUTH, WHY_CLIENT_GONE, false},
        {ACTION_SESSION_CLOSE, WHY_CLIENT_GONE, true},
        {ACTION_SESSION_CLOSE, WHY_SHUTDOWN, true},
        {ACTION_SESSION_CLOSE, WHY_TIMEOUT, false},
        {ACTION_STOP, WHY_SHUTDOWN, true},
    };
    struct line line;
    struct line_place place = world_place();
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        record_init(&record, cases[i].action, cases[i].why, WORLD_TIME);
        json_t *json = write_and_load(&place, &record, &line);
        assert_string_equal(json_string_value(at(json, "event.outcome")),
                            cases[i].is_success ? "success" : "failure");
        assert_true((at(json, "event.code") == NULL) == (cases[i].why == WHY_NONE));
        json_decref(json);
    }
}

static void test_times(void **state)
{
    static const struct {
        uint64_t time;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {UINT64_C(951782399999999), "2000-02-28T23:59:59.999999Z"},
        {UINT64_C(951782400000001), "2000-02-29T00:00:00.000001Z"},
        {UINT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999999Z"},
    };
    struct line line;
    struct line_place place = world_place();
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct record record;
        record_init(&record, ACTION_START, WHY_NONE, cases[i].time);
        json_t *json = write_and_load(&place, &record, &line);
        assert_string_equal(json_string_value(at(json, "@timestamp")), cases[i].text);
        json_decref(json);
    }
}

/* As the C library has it, with each day's last second. */
static void test_every_day(void **state)
{
    struct line line;
    struct line_place place = world_place();
    (void)state;
    for (uint64_t day = 0; day < 2932897; day++) {
        char text[64];
        struct tm parts;
        struct record record;
        time_t seconds = (time_t)(day * 86400 + 86399);
        record_init(&record, ACTION_START, WHY_NONE, (uint64_t)seconds * 1000000 + day % 1000000);
        assert_int_equal(line_write(&form, &place, 1, 1, &record, &line), 0);
        assert_non_null(gmtime_r(&seconds, &parts));
        size_t size = strftime(text, sizeof(text), "{\"@timestamp\":\"%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(text + size, sizeof(text) - size, ".%06uZ\"", (unsigned)(day % 1000000));
        assert_memory_equal(line.text, text, strlen(text));
    }
}

static void write_both(const struct line_place *place, const struct record *record,
                       struct line_form *used)
{
    static struct line_form fresh;
    static struct line one, other;
    fresh = (struct line_form){0};
    assert_int_equal(line_write(&fresh, place, 7, 3, record, &one), 0);
    assert_int_equal(line_write(used, place, 7, 3, record, &other), 0);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.text, other.text, one.size);
}

/* A form that has seen everything in every order makes the lines of one that has seen nothing. */
static void test_a_form_remembers_nothing_wrong(void **state)
{
    static const enum record_field some[] = {FIELD_SESSION, FIELD_SERVER_IP, FIELD_LOGIN,
                                             FIELD_AUDIT_FILE, FIELD_REASON};
    static struct line_form used;
    struct record record;
    struct line_place places[] = {world_place(), world_place(), world_place()};
    (void)state;
    places[1].service_version = "1.2.4";
    places[1].level = AUDIT_MINIMAL;
    places[2].service_id = "0123456789abcdef";
    for (unsigned i = 0; i < 3u * 2 * 32 * RECORD_ACTION_COUNT; i++) {
        unsigned fields = i / (2 * RECORD_ACTION_COUNT) % 32;
        record_init(&record, (enum record_action)(i % RECORD_ACTION_COUNT),
                    i / RECORD_ACTION_COUNT % 2 == 0 ? WHY_NONE : WHY_INTERNAL,
                    WORLD_TIME + i * UINT64_C(400009));
        for (size_t j = 0; j < LENGTH_OF(some); j++)
            if ((fields >> j & 1) != 0)
                record_add_string(&record, some[LENGTH_OF(some) - 1 - j], "x");
        write_both(&places[i % 3], &record, &used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_line),
        cmocka_unit_test(test_a_form_remembers_nothing_wrong),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_too_much_for_a_line),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests_name("audit/line", tests, NULL, NULL);
}
