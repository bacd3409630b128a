/*
 * An emailproxy.config as our configuration: what it comes to, and what is said about it.
 */
#include "conf/printer.h"
#include "emailproxy_case.h"

static const char everything[] =
    "[Server setup]\n"
    "documentation = [IMAP-1]\n"
    "[IMAP-1993]\n"
    "server_address = outlook.office365.com\n"
    "server_port = 993\n"
    "local_address = ::1\n"
    "[POP-1995]\n"
    "server_address = outlook.office365.com\n"
    "server_port = 995\n"
    "local_address = localhost\n"
    "local_certificate_path = /c.pem\n"
    "local_key_path = /k.pem\n"
    "[SMTP-1587]\n"
    "server_address = smtp.office365.com\n"
    "server_port = 587\n"
    "server_starttls = TRUE\n"
    "local_starttls = on\n"
    "local_certificate_path = /c.pem\n"
    "local_key_path = /k.pem\n"
    "[Bob.Smith@Contoso.test]\n"
    "permission_url = https://login.microsoftonline.com/c/authorize\n"
    "token_url = https://login.microsoftonline.com/c/token\n"
    "oauth2_scope = https://outlook.office365.com/IMAP offline_access\n"
    "redirect_uri = http://localhost:8080/\n"
    "client_id = id\n"
    "client_secret = x~y\n"
    "use_pkce = False\n"
    "[emailproxy]\n"
    "delete_account_token_on_password_error = False\n";

static void test_everything(void **state)
{
    struct mapped mapped = map(everything);
    (void)state;
    expect_sections(&mapped,
                    "\n[listen imap-1993]\n"
                    "protocol = imap\n"
                    "address = [::1]:1993\n"
                    "\n[listen pop3-1995]\n"
                    "protocol = pop3\n"
                    "address = 127.0.0.1:1995 [::1]:1995\n"
                    "tls = on\n"
                    "tls_cert = /c.pem\n"
                    "tls_key = /k.pem\n"
                    "\n[listen smtp-1587]\n"
                    "protocol = smtp\n"
                    "address = 0.0.0.0:1587 [::]:1587\n"
                    "remote = yes\n"
                    "tls = starttls\n"
                    "tls_cert = /c.pem\n"
                    "tls_key = /k.pem\n"
                    "\n[provider emailproxy]\n"
                    "imap = tls://outlook.office365.com:993\n"
                    "pop3 = tls://outlook.office365.com:995\n"
                    "smtp = starttls://smtp.office365.com:587\n"
                    "authorization_endpoint = https://login.microsoftonline.com/c/authorize\n"
                    "token_endpoint = https://login.microsoftonline.com/c/token\n"
                    "redirect_host = localhost\n"
                    "redirect_port = 8080\n"
                    "\n[account bob.smith]\n"
                    "address = Bob.Smith@contoso.test\n"
                    "provider = emailproxy\n"
                    "client_id = id\n"
                    "client_secret = x~y\n"
                    "delegates = yes\n"
                    "scope = https://outlook.office365.com/IMAP offline_access\n");
    assert_int_equal(mapped.problems.count, 0);
    assert_int_equal(mapped.config->accounts[0]->line, 20);
    mapped_free(&mapped);
}

/* What comes of it is read again by our own reader, and is the same. */
static void test_what_is_printed_is_read(void **state)
{
    struct mapped mapped =
        map(WHOLE "[bob@mail.test]\n" URLS "client_id = y\nclient_secret = a;b\n");
    struct buf text;

    (void)state;
    assert_int_equal(mapped.status, 0);
    buf_init(&text, 65536);
    assert_int_equal(config_print(mapped.config, true, &text, NULL), 0);
    struct reading reading = conf_read_bytes((const char *)buf_bytes(&text).data, buf_size(&text));
    conf_expect_fine(&reading, "the printed sections");
    assert_int_equal(reading.config->account_count, 2);
    assert_ptr_equal(reading.config->accounts[0]->provider_row,
                     reading.config->accounts[1]->provider_row);
    assert_true(secret_equal(&reading.config->accounts[1]->client_secret, SLICE_LITERAL("a;b")));
    buf_clear(&text);
    assert_int_equal(config_print(mapped.config, false, &text, NULL), 0);
    assert_int_equal(buf_append(&text, slice_of("", 1)), 0);
    assert_null(strstr((const char *)buf_bytes(&text).data, "a;b"));
    buf_fini(&text);
    reading_free(&reading);
    mapped_free(&mapped);
}

static void test_values_that_cannot_be_printed(void **state)
{
    struct mapped mapped = map(WHOLE "client_secret = a ;b\n");
    struct buf text;
    struct err err = {0};

    (void)state;
    assert_int_equal(mapped.status, 0);
    buf_init(&text, 65536);
    assert_int_equal(config_print(mapped.config, true, &text, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "[account alice] client_secret"));
    assert_null(strstr(err.text, ";b"));
    buf_fini(&text);
    mapped_free(&mapped);
}

/* ---- flows ---- */

static void test_device(void **state)
{
    struct mapped mapped = map(WHOLE "oauth2_flow = device\n");

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(only_account(&mapped)->flow, FLOW_DEVICE);
    assert_string_equal(mapped.config->providers[0]->device_authorization_endpoint,
                        "https://id.mail.test/a");
    assert_string_equal(mapped.config->providers[0]->authorization_endpoint, "");
    mapped_free(&mapped);
}

static void test_booleans(void **state)
{
    static const char *const words[] = {"0",    "no", "false", "off", "1", "yes",
                                        "true", "on", "OFF",   "nO",  "On"};
    static const bool values[] = {false, false, false, false, true, true,
                                  true,  true,  false, false, true};
    static const char *const keys[] = {"server_starttls", "starttls"};
    (void)state;
    for (size_t i = 0; i < 2 * LENGTH_OF(words); i++) {
        size_t word = i / 2;
        char text[1024];
        snprintf(text, sizeof(text),
                 WHOLE "[SMTP-1]\nserver_address = smtp.mail.test\n"
                       "server_port = 25\nlocal_address = ::1\n%s = %s\n",
                 keys[i % 2], words[word]);
        struct mapped mapped = map(text);
        const struct reading reading = {.status = mapped.status, .problems = mapped.problems};
        conf_expect_fine(&reading, text);
        assert_string_equal(mapped.config->providers[0]->smtp, values[word]
                                                                   ? "starttls://smtp.mail.test:25"
                                                                   : "tls://smtp.mail.test:25");
        mapped_free(&mapped);
    }
}

/* The newer name of the key counts. */
static void test_both_names_of_starttls(void **state)
{
    struct mapped mapped = map(WHOLE "[SMTP-1]\nserver_address = smtp.mail.test\nserver_port = 25\n"
                                     "local_address = ::1\nstarttls = True\n"
                                     "server_starttls = False\n");
    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_string_equal(mapped.config->providers[0]->smtp, "tls://smtp.mail.test:25");
    mapped_free(&mapped);
}

static void test_how_a_client_proves_itself(void **state)
{
    struct mapped mapped = map(WHOLE "jwt_certificate_path = /c.pem\njwt_key_path = /k.pem\n");
    (void)state;
    assert_int_equal(mapped.problems.count, 0);
    assert_string_equal(only_account(&mapped)->jwt_cert_file, "/c.pem");
    assert_string_equal(only_account(&mapped)->jwt_key_file, "/k.pem");
    mapped_free(&mapped);
    static const char *const secrets[] = {"client_secret", "client_secret_encrypted"};
    for (size_t i = 0; i < LENGTH_OF(secrets); i++) {
        char text[1024];
        snprintf(text, sizeof(text),
                 WHOLE "jwt_certificate_path = /c.pem\njwt_key_path = /k.pem\n%s = s\n",
                 secrets[i]);
        mapped = map(text);
        assert_int_equal(mapped.status, 0);
        assert_string_equal(only_account(&mapped)->jwt_cert_file, "");
        assert_string_equal(only_account(&mapped)->jwt_key_file, "");
        mapped_free(&mapped);
    }
}

/* It is no secret of ours yet, and a client that acts for itself is nobody without one. */
static void test_a_sealed_secret(void **state)
{
    static const char text[] =
        SERVER "[alice@mail.test]\noauth2_flow = client_credentials\nclient_id = x\n"
               "token_url = https://id.mail.test/t\nclient_secret_encrypted = gAAAA\n";
    const struct emailproxy_choice choice = {.opens_secrets = true};
    struct mapped mapped = map(text);
    struct reading reading = {.status = mapped.status, .problems = mapped.problems};
    (void)state;
    conf_expect_problem(&reading, text, 9, false, "client_secret_encrypted opens with the local");
    mapped_free(&mapped);
    mapped = map_with(text, &choice, &conf_surroundings);
    reading = (struct reading){.status = mapped.status, .problems = mapped.problems};
    conf_expect_fine(&reading, text);
    assert_false(secret_is_set(&only_account(&mapped)->client_secret));
    mapped_free(&mapped);
}

static void test_a_plain_secret_beside_a_sealed_one(void **state)
{
    struct mapped mapped = map(WHOLE "client_secret_encrypted = gAAAA\nclient_secret = s\n");
    (void)state;
    assert_int_equal(mapped.problems.count, 0);
    assert_true(secret_equal(&only_account(&mapped)->client_secret, SLICE_LITERAL("s")));
    mapped_free(&mapped);
}

static void test_code_without_a_word(void **state)
{
    struct mapped mapped = map(WHOLE "oauth2_flow = something\n");

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(only_account(&mapped)->flow, FLOW_CODE);
    mapped_free(&mapped);
}

/* ---- who is served where ---- */

static void test_each_account_gets_the_servers_of_its_operator(void **state)
{
    struct mapped mapped =
        map("[IMAP-1993]\nserver_address = outlook.office365.com\nserver_port = 993\n"
            "local_address = 127.0.0.1\n"
            "[IMAP-2993]\nserver_address = imap.gmail.com\nserver_port = 993\n"
            "local_address = 127.0.0.1\n"
            "[IMAP-3993]\nserver_address = imap.corp.test\nserver_port = 993\n"
            "local_address = 127.0.0.1\n"
            "[SMTP-2465]\nserver_address = smtp.gmail.com\nserver_port = 465\n"
            "local_address = 127.0.0.1\n"
            "[a@corp.test]\npermission_url = https://accounts.google.com/o\n"
            "token_url = https://oauth2.googleapis.com/token\nclient_id = x\n"
            "[b@corp.test]\npermission_url = https://login.microsoftonline.com/a\n"
            "token_url = https://login.microsoftonline.com/t\nclient_id = x\n"
            "[c@corp.test]\npermission_url = https://id.corp.test/a\n"
            "token_url = https://id.corp.test/t\nclient_id = x\n"
            "[d@gmail.com]\npermission_url = https://accounts.google.com/o\n"
            "token_url = https://oauth2.googleapis.com/token\nclient_id = x\n");
    const struct config *config = mapped.config;

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.problems.count, 0);
    assert_int_equal(config->account_count, 4);
    assert_string_equal(config->accounts[0]->provider_row->imap, "tls://imap.gmail.com:993");
    assert_string_equal(config->accounts[0]->provider_row->smtp, "tls://smtp.gmail.com:465");
    assert_string_equal(config->accounts[1]->provider_row->imap, "tls://outlook.office365.com:993");
    assert_string_equal(config->accounts[1]->provider_row->smtp, "");
    assert_string_equal(config->accounts[2]->provider_row->imap, "tls://imap.corp.test:993");
    assert_ptr_equal(config->accounts[3]->provider_row, config->accounts[0]->provider_row);
    mapped_free(&mapped);
}

static void test_labels(void **state)
{
    struct mapped mapped =
        map(WHOLE "[alice@other.test]\n" URLS "client_id = x\n"
                  "[J\xc3\xb6rg+x@mail.test]\n" URLS "client_id = x\n"
                  "[averyveryveryverylongname-of-somebody@mail.test]\n" URLS "client_id = x\n");

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_string_equal(mapped.config->accounts[0]->name, "alice");
    assert_string_equal(mapped.config->accounts[1]->name, "alice-2");
    assert_string_equal(mapped.config->accounts[2]->name, "j--rg-x");
    assert_string_equal(mapped.config->accounts[3]->name, "averyveryveryverylongname-");
    mapped_free(&mapped);
}

static void test_certificate_authorities(void **state)
{
    const struct emailproxy_choice choice = {0};
    struct config_surroundings surroundings = conf_surroundings;

    (void)state;
    surroundings.ssl_cert_file = "/ca.pem";
    struct mapped mapped = map_with(WHOLE, &choice, &surroundings);
    assert_int_equal(mapped.status, 0);
    assert_string_equal(mapped.config->ca_file, "/ca.pem");
    mapped_free(&mapped);
}

/* ---- what only the local password opens ---- */

static void test_sealed_tokens(void **state)
{
    struct mapped mapped = map("[DEFAULT]\ntoken_salt = AAAA\n" WHOLE "refresh_token = gAAA\n"
                               "token_iterations = 870000\naccess_token = gBBB\n"
                               "[bob@mail.test]\n" URLS "client_id = x\n");
    const struct account_config *const *accounts =
        (const struct account_config *const *)mapped.config->accounts;

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_string_equal(accounts[0]->sealed.token, "gAAA");
    assert_string_equal(accounts[0]->sealed.salt, "AAAA");
    assert_int_equal(accounts[0]->sealed.iterations, 870000);
    assert_null(accounts[1]->sealed.token);
    mapped_free(&mapped);
}

/* ---- beside a configuration of ours ---- */

static void test_beside_ours(void **state)
{
    struct reading ours = conf_read(FINE "[listen second]\naddress = [::1]:1993\n");
    const struct emailproxy_choice choice = {.beside = ours.config};
    struct mapped mapped =
        map_with("[a@x.test]\n" URLS "client_id = x\n" WHOLE, &choice, &conf_surroundings);

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_int_equal(mapped.config->listener_count, 0);
    assert_int_equal(mapped.config->account_count, 1);
    assert_string_equal(mapped.config->accounts[0]->name, "a-2");
    assert_int_equal(mapped.problems.count, 2);
    assert_int_equal(mapped.problems.items[0].line, 5);
    assert_non_null(strstr(mapped.problems.items[0].text, "port 1993 is one of our listeners"));
    assert_int_equal(mapped.problems.items[1].line, 9);
    assert_non_null(strstr(mapped.problems.items[1].text, "account a has this address already"));
    mapped_free(&mapped);
    reading_free(&ours);
}

static void test_one_account(void **state)
{
    struct emailproxy_choice choice = {.address = "bob@mail.test"};
    static const char text[] = WHOLE "[bob@mail.test]\n" URLS "client_id = x\n";
    struct mapped mapped = map_with(text, &choice, &conf_surroundings);

    (void)state;
    assert_int_equal(mapped.status, 0);
    assert_string_equal(only_account(&mapped)->address, "bob@mail.test");
    mapped_free(&mapped);
    choice.address = "Bob@mail.test";
    mapped = map_with(text, &choice, &conf_surroundings);
    assert_int_equal(mapped.status, ERR_CONFIG);
    assert_int_equal(mapped.problems.count, 1);
    assert_non_null(strstr(mapped.problems.items[0].text, "no section [Bob@mail.test]"));
    mapped_free(&mapped);
}

/* Here and there it is asked at the same place. */
#define TOKEN_URL_OF_GOOGLE "token_url = https://oauth2.googleapis.com/token\n"

static void test_resource(void **state)
{
    struct mapped mapped =
        map(SERVER "[alice@mail.test]\noauth2_flow = password\ntoken_url = https://id.mail.test/t\n"
                   "client_id = x\noauth2_resource = https://m.test\n");
    (void)state;
    assert_string_equal(mapped.config->accounts[0]->resource, "https://m.test");
    assert_string_equal(mapped.config->accounts[0]->scope, "");
    mapped_free(&mapped);
}

/* Its lines are joined as a JSON reader wants them; the printer has no place for it. */
static void test_key_in_the_file(void **state)
{
    struct mapped mapped = map(
        SERVER
        "[alice@mail.test]\noauth2_flow = service_account\nclient_id = key\n" TOKEN_URL_OF_GOOGLE
        "oauth2_scope = s\n"
        "client_secret = {\n  \"a\": \"b\",\n  \"c\": \"d\"\n  }\n");
    const struct account_config *account = mapped.config->accounts[0];
    (void)state;
    assert_int_equal(mapped.problems.count, 0);
    assert_true(slice_is(secret_bytes(&account->key), "{\n\"a\": \"b\",\n\"c\": \"d\"\n}"));
    assert_string_equal(account->jwt_key_file, "");
    assert_false(secret_is_set(&account->client_secret));
    mapped_free(&mapped);
}

/* ---- what is said ---- */

static void test_errors(void **state)
{
    static const struct conf_case cases[] = {
        {WHOLE, 0, NULL},
        {WHOLE "[imap-1993]\nnonsense = 1\n", 0, NULL},
        {SERVER "[alice@mail.test]\ntoken_url = https://id.mail.test/t\nclient_id = x\n", 5,
         "no permission_url and no oauth2_flow"},
        {SERVER "[alice@mail.test]\npermission_url = https://id.mail.test/a\n"
                "token_url = http://id.mail.test/t\nclient_id = x\n",
         7, "http:// would send tokens in the clear"},
        {SERVER "[alice@mail.test]\n" URLS, 5, "account alice has no client_id"},
        {SERVER "[alice@mail.test]\n" URLS "oauth2_flow = service_account\nclient_id = key\n", 9,
         "the key of a service account is either client_id = key"},
        {SERVER "[alice@mail.test]\n" URLS "oauth2_flow = service_account\nclient_id = key\n"
                "client_secret_encrypted = gAAAA\n",
         9, "one that is encrypted is not taken over"},
        {SERVER "[alice@mail.test]\n" URLS "oauth2_flow = service_account\nclient_id = x\n"
                "client_secret = {}\n",
         9, "the key of a service account is either client_id = key"},
        {WHOLE "refresh_token = g\ntoken_salt = A\ntoken_iterations = x\n", 12,
         "token_iterations must be a number"},
        {WHOLE "[emailproxy]\nuse_login_password_as_client_credentials_secret = 1\n", 11,
         "cannot be taken over: a client's password proves who it is here"},
    };

    (void)state;
    emailproxy_run_cases(cases, LENGTH_OF(cases), false);
}

static void test_warnings(void **state)
{
    static const struct conf_case cases[] = {
        {"[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\n" WHOLE, 1,
         "port 1995 is opened on 127.0.0.1 and ::1 alone; no local_address"},
        {"[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\nlocal_address = "
         "0.0.0.0\n" WHOLE,
         4, "alone; this local_address"},
        {"[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\nlocal_address = "
         "host\n" WHOLE,
         4, "alone; this local_address"},
        {WHOLE "redirect_uri = http://localhost:8080/a\n", 10, "its path is not"},
        {WHOLE "redirect_uri = http://localhost:65536/\n", 10, "its path is not"},
        {WHOLE "redirect_uri = https://proxy.test/\n", 10, "only http://localhost"},
        {WHOLE "client_secret_encrypted = gAAAA\n", 10, "client_secret_encrypted opens with"},
        {WHOLE "redirect_listen_address = http://127.0.0.1:8080\n", 10,
         "redirect_listen_address: a sign-in listens on the loopback address"},
        {WHOLE "client_secret = s\njwt_key_path = /k.pem\n", 11, "jwt_key_path is of use where"},
        {WHOLE "client_secret = s\njwt_certificate_path = /c.pem\n", 11,
         "jwt_certificate_path is of use where there is no client_secret"},
        {SERVER "[alice@mail.test]\n" BY_SERVICE, 7,
         "email-oauth2-proxy asks at the token_uri of its key"},
        {WHOLE "oauth2_resource = r\n", 10, "only oauth2_flow = password has it sent"},
        {"[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\nlocal_address = ::1\n"
         "plugins = {}\n" WHOLE,
         5, "plugins of email-oauth2-proxy are not run"},
        {WHOLE "[emailproxy]\ndelete_account_token_on_password_error = True\n", 11,
         "a wrong password costs nobody the sign-in"},
        {WHOLE "[emailproxy]\nencrypt_client_secret_on_first_use = True\n", 11,
         "nothing is written into this file"},
        {WHOLE "[@x.test]\n" URLS, 10, "of no use without allow_catch_all_accounts"},
        {WHOLE CATCH_ALL "[@x.test]\n" URLS, 12, "serves those alone that have a section"},
        {WHOLE CATCH_ALL "[@]\n" URLS "oauth2_flow = device\n", 12, "give the others one each"},
        {"[IMAP-2993]\nserver_address = imap.other.test\nserver_port = 993\n"
         "local_address = ::1\n" SERVER
         "[POP-1995]\nserver_address = pop.mail.test\nserver_port = 995\nlocal_address = ::1\n"
         "[a@x.test]\npermission_url = https://i.test/a\ntoken_url = https://i.test/t\n"
         "client_id = x\n",
         13, "several servers for imap"},
    };

    (void)state;
    emailproxy_run_cases(cases, LENGTH_OF(cases), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_what_is_printed_is_read),
        cmocka_unit_test(test_values_that_cannot_be_printed),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_both_names_of_starttls),
        cmocka_unit_test(test_how_a_client_proves_itself),
        cmocka_unit_test(test_a_sealed_secret),
        cmocka_unit_test(test_a_plain_secret_beside_a_sealed_one),
        cmocka_unit_test(test_code_without_a_word),
        cmocka_unit_test(test_each_account_gets_the_servers_of_its_operator),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_certificate_authorities),
        cmocka_unit_test(test_sealed_tokens),
        cmocka_unit_test(test_beside_ours),
        cmocka_unit_test(test_one_account),
        cmocka_unit_test(test_resource),
        cmocka_unit_test(test_key_in_the_file),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
