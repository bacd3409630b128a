/*
 * Sections of an emailproxy.config that are for a whole domain, or for all: whom they serve, and
 * what others inherit from them.
 */
#include "emailproxy_case.h"

static void test_catch_all(void **state)
{
    static const char text[] =
        SERVER CATCH_ALL "[@Mail.Test]\n" BY_CLIENT "[@]\n" BY_SERVICE "[a@mail.test]\n" BY_CLIENT;
    struct mapped mapped = map(text);
    (void)state;
    expect_sections(&mapped, "\n[listen imap-1993]\nprotocol = imap\naddress = 127.0.0.1:1993\n"
                             "\n[provider emailproxy]\n"
                             "imap = tls://imap.mail.test:993\n"
                             "token_endpoint = https://id.mail.test/t\n"
                             "\n[account mail.test]\n"
                             "address = *@mail.test\n"
                             "provider = emailproxy\n"
                             "flow = client_credentials\n"
                             "client_id = x\n"
                             "client_secret = y\n"
                             "scope = s\n"
                             "\n[account account]\n"
                             "address = *@*\n"
                             "provider = emailproxy\n"
                             "flow = service_account\n"
                             "scope = s\n"
                             "jwt_key_file = /k.json\n"
                             "\n[account a]\n"
                             "address = a@mail.test\n"
                             "provider = emailproxy\n"
                             "flow = client_credentials\n"
                             "client_id = x\n"
                             "client_secret = y\n"
                             "scope = s\n");
    assert_int_equal(mapped.problems.count, 1);
    assert_non_null(strstr(mapped.problems.items[0].text, "token_uri"));
    mapped_free(&mapped);
}

/* What that program writes for one whom a catch-all section serves. */
#define CACHE                                                                                      \
    "token_salt = AAECAwQFBgcICQoLDA0ODw==\ntoken_iterations = 1200000\naccess_token = gAAAA\n"    \
    "access_token_expiry = 1700000000\nrefresh_token = gAAAB\nlast_activity = 1700000000\n"

static void test_catch_all_has_served_some(void **state)
{
    struct mapped mapped =
        map(SERVER CATCH_ALL "[a@mail.test]\n" CACHE "[@mail.test]\n" URLS
                             "client_id = x\n[b@mail.test]\n" CACHE "client_id = of-b\n");

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.problems.count, 1);
    assert_int_equal(mapped.config->account_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct account_config *account = mapped.config->accounts[i];
        assert_string_equal(account->address, i == 0 ? "a@mail.test" : "b@mail.test");
        assert_string_equal(account->client_id, i == 0 ? "x" : "of-b");
        assert_string_equal(account->sealed.token, "gAAAB");
    }
    mapped_free(&mapped);
}

static void test_catch_all_needs_nobody(void **state)
{
    struct mapped mapped = map(SERVER CATCH_ALL "[@mail.test]\n" BY_CLIENT "[a@mail.test]\n" CACHE
                                                "[b@mail.test]\nclient_id = of-b\n");

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.problems.count, 0);
    assert_int_equal(mapped.config->account_count, 2);
    assert_string_equal(mapped.config->accounts[0]->address, "*@mail.test");
    assert_string_equal(mapped.config->accounts[1]->address, "b@mail.test");
    assert_string_equal(mapped.config->accounts[1]->client_id, "of-b");
    assert_int_equal(mapped.config->accounts[1]->flow, FLOW_CLIENT_CREDENTIALS);
    mapped_free(&mapped);
}

static void test_what_many_inherit_is_said_once(void **state)
{
    struct mapped mapped =
        map(SERVER CATCH_ALL "[@]\n" URLS "client_id = x\nredirect_listen_address = h\n"
                             "[a@x.test]\n" CACHE "[b@x.test]\n" CACHE);
    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.config->account_count, 2);
    assert_int_equal(mapped.problems.count, 2);
    assert_non_null(strstr(mapped.problems.items[0].text, "serves those alone"));
    assert_non_null(strstr(mapped.problems.items[1].text, "redirect_listen_address"));
    mapped_free(&mapped);
}

/* What is lacking comes from the domain's section, then from the one for all. */
static void test_order_of_inheritance(void **state)
{
    struct mapped mapped = map(SERVER CATCH_ALL "[@]\n" URLS "client_id = all\noauth2_scope = all\n"
                                                "client_secret = all\n"
                                                "[@mail.test]\n" URLS "client_id = domain\n"
                                                "oauth2_scope = domain\n"
                                                "[a@mail.test]\nclient_id = own\n"
                                                "[b@x.test]\nclient_id = own\n");
    const struct account_config *a = mapped.config->accounts[0], *b = mapped.config->accounts[1];
    (void)state;
    assert_int_equal(mapped.config->account_count, 2);
    assert_string_equal(a->client_id, "own");
    assert_string_equal(a->scope, "domain");
    assert_true(secret_equal(&a->client_secret, SLICE_LITERAL("all")));
    assert_string_equal(b->client_id, "own");
    assert_string_equal(b->scope, "all");
    mapped_free(&mapped);
}

/* Its own token is nobody else's, and without allow_catch_all_accounts nothing is inherited. */
static void test_what_is_not_inherited(void **state)
{
    struct mapped mapped =
        map(SERVER CATCH_ALL "[@mail.test]\n" URLS "client_id = x\n" CACHE "[a@mail.test]\n" URLS);

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_null(only_account(&mapped)->sealed.token);
    mapped_free(&mapped);
    mapped = map(SERVER "[@mail.test]\n" URLS "client_id = x\n[a@mail.test]\n" URLS);
    assert_int_equal(mapped.status, ERR_CONFIG);
    mapped_free(&mapped);
}

static void test_catch_all_beside_ours(void **state)
{
    struct reading ours = conf_read(FINE "[account d]\naddress = *@mail.test\nprovider = p\n"
                                         "client_id = x\nflow = client_credentials\n"
                                         "client_secret_file = /s\n");
    const struct emailproxy_choice choice = {.beside = ours.config};
    struct mapped mapped =
        map_with(CATCH_ALL "[@MAIL.test]\n" BY_CLIENT "[b@mail.test]\n" BY_CLIENT SERVER, &choice,
                 &conf_surroundings);

    (void)state;
    conf_expect_fine(&ours, "ours");
    assert_string_equal(only_account(&mapped)->address, "b@mail.test");
    assert_int_equal(mapped.problems.count, 1);
    assert_int_equal(mapped.problems.items[0].line, 3);
    assert_non_null(strstr(mapped.problems.items[0].text, "account d has this address already"));
    mapped_free(&mapped);
    reading_free(&ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catch_all),
        cmocka_unit_test(test_catch_all_has_served_some),
        cmocka_unit_test(test_catch_all_needs_nobody),
        cmocka_unit_test(test_what_many_inherit_is_said_once),
        cmocka_unit_test(test_order_of_inheritance),
        cmocka_unit_test(test_what_is_not_inherited),
        cmocka_unit_test(test_catch_all_beside_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
