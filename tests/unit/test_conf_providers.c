/*
 * The built-in table of providers: its rows by themselves, below a user's file, and found by the
 * domain of an address.
 */
#include <ctype.h>

#include "conf/provider_table.h"
#include "conf/table.h"
#include "conf_case.h"

#define HINT_MAXIMUM 240 /* a hint stands in error texts, which have a maximum too */

static const struct provider_config *find_row(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i]->name, name) == 0)
            return config->providers[i];
    print_error("no row %s\n", name);
    fail();
    return NULL;
}

static char *table_as_file(const char *above)
{
    struct slice table = provider_table_text();
    size_t size = strlen(above) + table.size + 1;
    char *text = mem_new(size);

    (void)snprintf(text, size, "%s%.*s", above, (int)table.size, (const char *)table.data);
    return text;
}

/* ---- the rows ---- */

static void test_file_is_embedded(void **state)
{
    struct slice table = provider_table_text();
    char *text = mem_new(table.size + 2);
    FILE *stream = fopen("config/providers.ini", "r");

    (void)state;
    assert_non_null(stream);
    assert_int_equal(fread(text, 1, table.size + 1, stream), table.size);
    assert_int_equal(fclose(stream), 0);
    assert_memory_equal(text, table.data, table.size);
    mem_free(text);
}

/* As a user's file nothing of it is let off: keys twice, rows twice, domains of two rows. */
static void test_table_has_no_problem(void **state)
{
    char *text = table_as_file(LISTENER);
    struct reading reading = conf_read(text);
    struct config *table = config_of_table();

    (void)state;
    conf_expect_fine(&reading, "the table");
    assert_int_equal(reading.config->provider_count, table->provider_count);
    config_free(table);
    reading_free(&reading);
    mem_free(text);
}

/* What the check of the table hangs on: a row of it that is claimed twice is found. */
static void test_table_with_a_row_too_many(void **state)
{
    char *text = table_as_file(LISTENER "[provider mine]\nimap = tls://h\ndomains = gmail.com\n");
    struct reading reading = conf_read(text);

    (void)state;
    assert_int_equal(reading.problems.count, 1);
    assert_non_null(strstr(reading.problems.items[0].text, "gmail.com belongs to provider mine"));
    reading_free(&reading);
    mem_free(text);
}

static bool is_complete(const struct provider_config *row)
{
    bool with_token = *row->authorization_endpoint != '\0' && *row->token_endpoint != '\0' &&
                      (*row->scope != '\0' || *row->scope_imap != '\0');
    bool without =
        *row->authorization_endpoint == '\0' && *row->token_endpoint == '\0' && *row->scope == '\0';

    return row->domains.count > 0 && row->endpoints[PROTOCOL_IMAP].is_set &&
           row->endpoints[PROTOCOL_SMTP].is_set && row->confidence != CONFIDENCE_UNKNOWN &&
           *row->hint != '\0' && strlen(row->hint) <= HINT_MAXIMUM &&
           (row->flow == FLOW_CODE ? with_token : row->flow == FLOW_NONE && without);
}

static void test_every_row_is_complete(void **state)
{
    struct config *table = config_of_table();

    (void)state;
    assert_true(table->provider_count > 20);
    for (size_t i = 0; i < table->provider_count; i++) {
        const struct provider_config *row = table->providers[i];
        if (!is_complete(row))
            print_error("row %s\n", row->name);
        assert_true(is_complete(row));
        assert_int_equal(row->line, 0);
        assert_int_equal(*row->tenant != '\0', strstr(row->token_endpoint, "{tenant}") != NULL);
    }
    config_free(table);
}

static void test_the_rows_are_there(void **state)
{
    static const char *const with_token[] = {"google",
                                             "microsoft",
                                             "microsoft-personal",
                                             "microsoft-usgov",
                                             "microsoft-21vianet",
                                             "yahoo",
                                             "aol",
                                             "att",
                                             "comcast",
                                             "fastmail",
                                             "yandex",
                                             "mailru",
                                             "seznam",
                                             "thundermail"};
    static const char *const with_password[] = {"icloud", "gmx",  "webde",  "orange",
                                                "free",   "zoho", "posteo", "mailbox-org"};
    struct config *table = config_of_table();

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(with_token); i++)
        assert_int_equal(find_row(table, with_token[i])->flow, FLOW_CODE);
    for (size_t i = 0; i < LENGTH_OF(with_password); i++)
        assert_int_equal(find_row(table, with_password[i])->flow, FLOW_NONE);
    config_free(table);
}

/* ---- nobody's identifier ---- */

#define CREDENTIAL_LENGTH 20

/* A word of letters and digits as long as identifiers and secrets are, or the form of a UUID. */
static bool holds_credential(const char *text)
{
    size_t length = 0, digits = 0, hyphens = 0, hexadecimals = 0;

    for (; *text != '\0'; text++) {
        unsigned char octet = (unsigned char)*text;
        bool is_word = isalnum(octet) || octet == '_';
        bool is_uuid = isxdigit(octet) || octet == '-';
        length = is_word ? length + 1 : 0;
        digits = is_word ? digits + (isdigit(octet) != 0) : 0;
        hexadecimals = is_uuid ? hexadecimals + 1 : 0;
        hyphens = is_uuid ? hyphens + (octet == '-') : 0;
        if ((length >= CREDENTIAL_LENGTH && digits > 0) || (hexadecimals == 36 && hyphens == 4))
            return true;
    }
    return false;
}

static void test_no_client_is_shipped(void **state)
{
    char *text = table_as_file("");

    (void)state;
    assert_true(holds_credential("x = 12345678-9abc-def0-1234-56789abcdef0\n"));
    assert_true(holds_credential("x = abcdefghijkl0mnopqrst\n"));
    assert_false(holds_credential("[provider microsoft-21vianet]\n"));
    assert_false(holds_credential(text));
    assert_null(strstr(text, "googleusercontent"));
    assert_null(strstr(text, "\nclient_"));
    assert_null(option_find(option_table(SECTION_PROVIDER), "client_id"));
    assert_null(option_find(option_table(SECTION_PROVIDER), "client_secret"));
    mem_free(text);
}

/* ---- below a user's file ---- */

static void test_single_keys_are_overridden(void **state)
{
    static const char text[] = LISTENER "[provider google]\n"
                                        "smtp = starttls://smtp.gmail.com\n"
                                        "scope = openid\n"
                                        "pop3 =\n";
    struct reading reading = conf_read(text);
    struct config *table = config_of_table();

    (void)state;
    conf_expect_fine(&reading, text);
    assert_int_equal(reading.config->provider_count, table->provider_count);
    const struct provider_config *row = find_row(reading.config, "google");
    const struct provider_config *built_in = find_row(table, "google");
    assert_ptr_equal(row, reading.config->providers[0]);
    assert_int_equal(row->line, 3);
    assert_int_equal(row->endpoints[PROTOCOL_SMTP].tls, TLS_MODE_STARTTLS);
    assert_int_equal(row->endpoints[PROTOCOL_SMTP].port, 587);
    assert_string_equal(row->scope, "openid");
    assert_false(row->endpoints[PROTOCOL_POP3].is_set);
    assert_string_equal(row->endpoints[PROTOCOL_IMAP].host, "imap.gmail.com");
    assert_string_equal(row->token_endpoint, built_in->token_endpoint);
    assert_string_equal(row->hint, built_in->hint);
    assert_int_equal(row->domains.count, built_in->domains.count);
    assert_int_equal(row->confidence, CONFIDENCE_HIGH);
    config_free(table);
    reading_free(&reading);
}

static void test_a_new_row(void **state)
{
    static const char text[] = LISTENER PROVIDER "flow = none\nhint = ask\nconfidence = low\n";
    struct reading reading = conf_read(text);
    struct config *table = config_of_table();

    (void)state;
    conf_expect_fine(&reading, text);
    assert_int_equal(reading.config->provider_count, table->provider_count + 1);
    assert_string_equal(reading.config->providers[0]->name, "p");
    assert_int_equal(reading.config->providers[0]->flow, FLOW_NONE);
    assert_string_equal(reading.config->providers[0]->hint, "ask");
    assert_int_equal(reading.config->providers[0]->confidence, CONFIDENCE_LOW);
    config_free(table);
    reading_free(&reading);
}

static void test_errors_have_the_line_of_the_user(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER "[provider google]\nimap = imap.gmail.com\n", 4, "imap: must be tls://HOST"},
        {LISTENER "[provider google]\nimap = tls://h\nimap = tls://i\n", 5,
         "imap stands on line 4 already"},
        {LISTENER "[provider google]\n[provider google]\n", 4,
         "[provider google] stands on line 3 already"},
        {LISTENER "[provider google]\nconfidence = sure\n", 4,
         "confidence \"sure\" is not one of: unknown low medium high"},
        {LISTENER "[provider google]\nflow = browser\n", 4, "flow \"browser\" is not one of"},
        {LISTENER "[provider microsoft]\ntenant = a/b\n", 4, "tenant becomes part of a URL"},
        {LISTENER "[provider google]\nimap =\npop3 =\nsmtp =\n", 3,
         "provider google has no mail server"},
        {LISTENER "[provider yahoo]\nmechanisms = XOAUTH2\n"
                  "[account a]\naddress = a@yahoo.com\nflow = none\n",
         4, "mechanisms: XOAUTH2 takes a token"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_exchangers_of_a_row(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER PROVIDER "mx = *.a.test MX.b.test\n", 0, NULL},
        {LISTENER PROVIDER "mx = *\n", 6, "mx: \"*\" is no name"},
        {LISTENER PROVIDER "mx = a..test\n", 6, "mx: \"a..test\" is no name"},
    };
    struct reading reading =
        conf_read(LISTENER PROVIDER "mx = *.example.test MX.example.test *.l.google.com\n");

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
    static const char *const found[][2] = {{"a.b.example.test", "p"},
                                           {"mx.example.test", "p"},
                                           {"ASPMX.L.google.com", "p"},
                                           {"smtp.google.com", "google"},
                                           {"a.mail.protection.outlook.com", "microsoft"},
                                           {"example.test", ""},
                                           {"evilgoogle.com", ""},
                                           {"google.com.evil.test", ""}};
    for (size_t i = 0; i < LENGTH_OF(found); i++) {
        const struct provider_config *row =
            config_provider_by_exchanger(reading.config, slice_of_string(found[i][0]));
        assert_string_equal(row == NULL ? "" : row->name, found[i][1]);
    }
    reading_free(&reading);
}

static void test_domains_of_a_row(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER PROVIDER "domains = *.a.test a.test\n", 0, NULL},
        {LISTENER PROVIDER "domains = gmail.com\n", 0, NULL},
        {LISTENER PROVIDER "domains = *\n", 6, "domains: \"*\" is no domain"},
        {LISTENER PROVIDER "domains = *.\n", 6, "domains: \"*.\" is no domain"},
        {LISTENER PROVIDER "domains = yahoo.*\n", 6, "domains: \"yahoo.*\" is no domain"},
        {LISTENER PROVIDER "domains = a.*.test\n", 6, "domains: \"a.*.test\" is no domain"},
        {LISTENER PROVIDER "domains = *.A.test\n[provider q]\nimap = tls://h\ndomains = *.a.test\n",
         9, "*.a.test belongs to provider p already"},
        {LISTENER "[provider google]\ndomains = a.test\n" PROVIDER "domains = a.test\n", 8,
         "a.test belongs to provider google already"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

/* ---- by the domain ---- */

static void test_provider_by_domain(void **state)
{
    static const char text[] =
        LISTENER PROVIDER "domains = *.example.test mail.test aol.com *.com\n"
                          "[provider q]\nimap = tls://h\ndomains = *.deep.example.test\n";
    static const struct {
        const char *domain, *provider; /* NULL: none */
    } cases[] = {
        {"gmail.com", "google"},
        {"GMail.Com", "google"},
        {"xgmail.com", "p"},
        {"a.gmail.com", "p"},
        {"outlook.de", "microsoft-personal"},
        {"contoso.onmicrosoft.com", "microsoft"},
        {"contoso.partner.onmschina.cn", "microsoft-21vianet"},
        {"yahoo.co.jp", NULL},
        {"web.de", "webde"},
        {"mail.test", "p"},
        {"a.mail.test", NULL},
        {"a.example.test", "p"},
        {"b.a.EXAMPLE.test", "p"},
        {"example.test", NULL},
        {".example.test", NULL},
        {"xexample.test", NULL},
        {"a.deep.example.test", "q"},
        {"deep.example.test", "p"},
        {"aol.com", "p"},
        {"com", NULL},
        {"", NULL},
    };
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_fine(&reading, text);
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct provider_config *row =
            config_provider_by_domain(reading.config, slice_of_string(cases[i].domain));
        if ((row == NULL) != (cases[i].provider == NULL) ||
            (row != NULL && strcmp(row->name, cases[i].provider) != 0)) {
            print_error("%s: %s\n", cases[i].domain, row == NULL ? "none" : row->name);
            fail();
        }
    }
    reading_free(&reading);
}

/* ---- accounts ---- */

static void test_account_without_provider(void **state)
{
    static const char text[] =
        LISTENER "[account a]\naddress = alice@GMAIL.com\nclient_id = x\nclient_secret = y\n"
                 "[account b]\naddress = bob@web.de\n"
                 "[account c]\naddress = carol@yahoo.com\nflow = none\n"
                 "[account d]\naddress = dan@corp.test\nprovider = microsoft\nflow = device\n"
                 "client_id = x\n";
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_fine(&reading, text);
    struct account_config *const *accounts = reading.config->accounts;
    assert_string_equal(accounts[0]->provider, "google");
    assert_ptr_equal(accounts[0]->provider_row, find_row(reading.config, "google"));
    assert_int_equal(accounts[0]->flow, FLOW_CODE);
    assert_string_equal(accounts[1]->provider, "webde");
    assert_int_equal(accounts[1]->flow, FLOW_NONE);
    assert_string_equal(accounts[2]->provider, "yahoo");
    assert_int_equal(accounts[2]->flow, FLOW_NONE);
    assert_string_equal(accounts[3]->provider, "microsoft");
    assert_int_equal(accounts[3]->flow, FLOW_DEVICE);
    reading_free(&reading);
}

static void test_accounts_that_are_refused(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER "[account a]\naddress = a@corp.test\nclient_id = x\n", 3,
         "account a has no provider, and none is known for corp.test; add provider = NAME"},
        {LISTENER "[account a]\naddress = a@corp.test\nprovider =\nclient_id = x\n", 5,
         "account a has no provider, and none is known for corp.test"},
        {LISTENER "[account a]\naddress = corp.test\nclient_id = x\n", 4,
         "address must be NAME@DOMAIN"},
        {LISTENER "[account a]\nclient_id = x\n", 3, "account a has no address"},
        {LISTENER "[account a]\naddress = a@corp.test\nprovider = gogle\nclient_id = x\n", 5,
         "provider \"gogle\" is unknown"},
        {LISTENER "[account a]\naddress = a@gmail.com\n", 3,
         "account a has no client_id; add the one under which the provider knows this program, "
         "to get it: in the Google Cloud console"},
        {LISTENER "[account a]\naddress = a@web.de\nflow = code\nclient_id = x\n", 5,
         "provider webde has neither token_endpoint nor issuer"},
        {LISTENER "[account a]\naddress = a@gmail.com\nclient_id = x\npassword_command = p\n", 6,
         "password_command is for flow = none"},
        {LISTENER "[account a]\naddress = a@web.de\npassword_command = p\n", 0, NULL},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_tenant(void **state)
{
    static const char text[] =
        LISTENER "[account a]\naddress = a@corp.test\nprovider = microsoft\nclient_id = x\n"
                 "[account b]\naddress = b@outlook.com\nclient_id = x\n"
                 "[account c]\naddress = c@corp.test\nprovider = microsoft\nclient_id = x\n"
                 "tenant = contoso.example\n"
                 "[account d]\naddress = d@corp.test\nprovider = own\nclient_id = x\n"
                 "[provider own]\nimap = tls://h\ntoken_endpoint = https://h/{tenant}\n"
                 "tenant = us\n";
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_fine(&reading, text);
    struct account_config *const *accounts = reading.config->accounts;
    assert_string_equal(accounts[0]->tenant, "common");
    assert_string_equal(accounts[1]->tenant, "consumers");
    assert_string_equal(accounts[2]->tenant, "contoso.example");
    assert_string_equal(accounts[3]->tenant, "us");
    reading_free(&reading);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_is_embedded),
        cmocka_unit_test(test_table_has_no_problem),
        cmocka_unit_test(test_table_with_a_row_too_many),
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_the_rows_are_there),
        cmocka_unit_test(test_no_client_is_shipped),
        cmocka_unit_test(test_single_keys_are_overridden),
        cmocka_unit_test(test_a_new_row),
        cmocka_unit_test(test_errors_have_the_line_of_the_user),
        cmocka_unit_test(test_domains_of_a_row),
        cmocka_unit_test(test_exchangers_of_a_row),
        cmocka_unit_test(test_provider_by_domain),
        cmocka_unit_test(test_account_without_provider),
        cmocka_unit_test(test_accounts_that_are_refused),
        cmocka_unit_test(test_tenant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
