/*
 * What a domain publishes of its mail servers: sources in their order, with a scripted net/fetch
 * and a scripted name server.
 */
#include "keeper_world.h"

#include "keeper/service_search.h"
#include "scripted_name_server.h"

#define LISTENER "[listen imap]\naddress = 127.0.0.1:1143\n"
#define ADDRESS  "alice@example.test"
#define HOST     "https://autoconfig.example.test/mail/config-v1.1.xml"
#define KNOWN    "https://example.test/.well-known/autoconfig/mail/config-v1.1.xml"
#define DOCUMENT                                                                                   \
    "<clientConfig><emailProvider id=\"x\"><incomingServer type=\"imap\">"                         \
    "<hostname>imap.example.test</hostname><port>993</port><socketType>SSL</socketType>"           \
    "<authentication>OAuth2</authentication></incomingServer></emailProvider></clientConfig>"

static struct {
    struct world world;
    struct name_server names;
    struct service_search *search;
    unsigned answers;
    struct mail_service service;
    bool is_vouched_for;
    char source[500], exchanger[100];
} test;

static void on_answer(void *owner, const struct service_search_answer *answer)
{
    assert_ptr_equal(owner, &test);
    test.search = NULL;
    test.answers++;
    test.is_vouched_for = answer->is_vouched_for;
    snprintf(test.source, sizeof(test.source), "%s", answer->source);
    if (answer->exchanger != NULL)
        snprintf(test.exchanger, sizeof(test.exchanger), "%s", answer->exchanger);
    if (answer->service != NULL) {
        test.service = *answer->service;
        *answer->service = (struct mail_service){0};
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    world_init(&test.world, LISTENER);
    name_server_open(&test.names, &test.world.loop);
    const struct service_search_parts parts = {
        .loop = &test.world.loop,
        .fetcher = test.world.fetcher,
        .ca_file = "/etc/bundle.pem",
        .name_server = &test.names.address,
    };
    test.search = service_search_start(&parts, ADDRESS, on_answer, &test);
    assert_int_equal(test.answers, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mail_service_clear(&test.service);
    name_server_close(&test.names);
    world_fini(&test.world);
    return 0;
}

static void wait_for_answer(void)
{
    while (test.answers == 0)
        uv_run(&test.world.loop.uv, UV_RUN_ONCE);
    assert_int_equal(test.answers, 1);
    assert_null(test.search);
}

static void assert_server(enum protocol protocol, const char *text)
{
    char shown[MAIL_SERVER_TEXT] = "";
    if (test.service.servers[protocol].endpoint.is_set)
        mail_server_text(&test.service.servers[protocol], shown);
    assert_string_equal(shown, text);
}

static void test_autoconfig_of_host(void **state)
{
    (void)state;
    assert_string_equal(fetch_open()->url, HOST "?emailaddress=alice%40example.test");
    assert_string_equal(fetch_open()->ca_file, "/etc/bundle.pem");
    answer_status(200, DOCUMENT, 0);
    wait_for_answer();
    assert_server(PROTOCOL_IMAP, "tls://imap.example.test:993");
    assert_string_equal(test.source, HOST);
    assert_true(test.is_vouched_for);
    assert_int_equal(script.started, 1);
    assert_int_equal(test.names.queries, 0);
}

static void test_well_known(void **state)
{
    (void)state;
    answer_unreachable("no such host");
    assert_string_equal(fetch_open()->url, KNOWN);
    answer_status(200, DOCUMENT, 0);
    wait_for_answer();
    assert_server(PROTOCOL_IMAP, "tls://imap.example.test:993");
    assert_string_equal(test.source, KNOWN);
    assert_true(test.is_vouched_for);
}

/* A redirect, a page that is none, one that would do without TLS. */
static void test_documents_are_passed_over(void **state)
{
    static const struct known_record records[] = {
        {"_imaps._tcp.example.test", 0, 1, 993, "mail.example.test"},
        {"_imap._tcp.example.test", 0, 1, 143, "other.example.test"},
        {"_submission._tcp.example.test", 10, 1, 587, "backup.example.test"},
        {"_submission._tcp.example.test", 5, 1, 588, "smtp.example.net"},
        {"_pop3s._tcp.example.test", 0, 0, 1, ""},
        {"example.test", 10, 0, 0, "mx.example.net"},
    };
    (void)state;
    test.names.records = records;
    test.names.record_count = LENGTH_OF(records);
    answer_status(301, DOCUMENT, 0);
    answer_status(200, "<html></html>", 0);
    wait_for_answer();
    assert_server(PROTOCOL_IMAP, "tls://mail.example.test:993");
    assert_server(PROTOCOL_SMTP, "starttls://smtp.example.net:588");
    assert_server(PROTOCOL_POP3, "");
    assert_string_equal(test.source, "SRV records of example.test");
    assert_false(test.is_vouched_for);
    assert_false(mail_service_is_within(&test.service, "example.test"));
    assert_string_equal(test.exchanger, "");
}

static void assert_nothing_is_found(void)
{
    answer_status(404, "", 0);
    answer_unreachable("connection refused");
    wait_for_answer();
    assert_false(mail_service_has_server(&test.service));
    assert_string_equal(test.source,
                        HOST ": HTTP 404; " KNOWN
                             ": connection refused; SRV records: none that can be used");
    assert_true(test.names.queries >= 7);
}

static void test_nothing_is_found(void **state)
{
    (void)state;
    assert_nothing_is_found();
}

static void test_only_an_exchanger_is_found(void **state)
{
    static const struct known_record records[] = {{"example.test", 10, 0, 0, "b.mx.example.net"},
                                                  {"example.test", 5, 0, 0, "a.mx.example.net"}};
    (void)state;
    test.names.records = records;
    test.names.record_count = LENGTH_OF(records);
    assert_nothing_is_found();
    assert_string_equal(test.exchanger, "a.mx.example.net");
}

static void test_name_server_fails(void **state)
{
    (void)state;
    test.names.failure = 5; /* REFUSED */
    assert_nothing_is_found();
}

static void test_damaged_records_are_none(void **state)
{
    static const struct known_record records[] = {
        {"_imaps._tcp.example.test", 0, 1, 993, "mail.example.test"}};
    (void)state;
    test.names.records = records;
    test.names.record_count = LENGTH_OF(records);
    test.names.is_damaged = true;
    assert_nothing_is_found();
}

static void test_cancelled_while_a_document_is_fetched(void **state)
{
    (void)state;
    service_search_cancel(test.search);
    assert_int_equal(script.cancelled, 1);
    assert_int_equal(test.answers, 0);
}

static void test_cancelled_while_names_are_asked_for(void **state)
{
    (void)state;
    answer_status(404, "", 0);
    answer_status(404, "", 0);
    while (test.names.queries == 0)
        uv_run(&test.world.loop.uv, UV_RUN_ONCE);
    service_search_cancel(test.search);
    world_turn(&test.world);
    assert_int_equal(test.answers, 0);
}

#define SEARCH_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEARCH_TEST(test_autoconfig_of_host),
        SEARCH_TEST(test_well_known),
        SEARCH_TEST(test_documents_are_passed_over),
        SEARCH_TEST(test_nothing_is_found),
        SEARCH_TEST(test_only_an_exchanger_is_found),
        SEARCH_TEST(test_name_server_fails),
        SEARCH_TEST(test_damaged_records_are_none),
        SEARCH_TEST(test_cancelled_while_a_document_is_fetched),
        SEARCH_TEST(test_cancelled_while_names_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
