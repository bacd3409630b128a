/*
 * What is right by itself and wrong together: each refusal with its line.
 */
#include "conf_case.h"

#define BARE_PROVIDER "[provider p]\nimap = tls://imap.test\n"
#define PLAIN         "[listen l]\naddress = 192.168.1.2:143\nremote = plaintext\n"

static void test_global(void **state)
{
    static const struct conf_case cases[] = {
        {"", 0, "has no listener; add [listen imap]"},
        {PROVIDER ACCOUNT, 0, "has no listener"},
        {LISTENER, 0, NULL},
        {"[ecluse]\nweb = off\naudit = off\n" LISTENER, 0, NULL},
        {"[ecluse]\nweb = [::1]:8143\naudit = full\n" LISTENER, 0, NULL},
        {"[ecluse]\naudit_anchor = /var/log/anchor\n" LISTENER, 0, NULL},
        {"[ecluse]\naudit_anchor = anchor\n" LISTENER, 2,
         "audit_anchor must be auto, none, syslog"},
        {"[ecluse]\nweb = 8143\n" LISTENER, 2, "web: must be 127.0.0.1:PORT"},
        {"[ecluse]\nweb = 0.0.0.0:8143\n" LISTENER, 2, "web is plain HTTP and stays on loopback"},
        {"[ecluse]\nweb = unix:/run/web\n" LISTENER, 2, "web is plain HTTP and stays on loopback"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

#define DOMAIN                                                                                     \
    LISTENER "[provider p]\nimap = tls://h\nsmtp = tls://h\ntoken_endpoint = https://i/t\n"        \
             "[account d]\naddress = *@x.test\nprovider = p\nclient_id = x\n"
#define BY_CLIENT "flow = client_credentials\nclient_secret_file = /s\n"

/* An account for a whole domain. */
static void test_domains(void **state)
{
    static const struct conf_case cases[] = {
        {DOMAIN BY_CLIENT, 0, NULL},
        {DOMAIN "flow = service_account\njwt_key_file = /k\n", 0, NULL},
        {DOMAIN "flow = password\n", 8,
         "*@x.test, a whole domain, needs flow = client_credentials"},
        {DOMAIN "flow = none\n", 8, "a token is one person's"},
        {DOMAIN "flow = command\ntoken_command = t\n", 8, "a token is one person's"},
        {DOMAIN BY_CLIENT "user = a@x.test\n", 13, "user has no meaning with address = *@x.test"},
        {DOMAIN BY_CLIENT "imap_user = a\n", 13, "imap_user has no meaning"},
        {DOMAIN BY_CLIENT "pop3_user = a\n", 13, "pop3_user has no meaning"},
        {DOMAIN BY_CLIENT "smtp_user = a\n", 13, "smtp_user has no meaning"},
        {DOMAIN BY_CLIENT "login_hint = a\n", 13, "login_hint has no meaning"},
        {DOMAIN BY_CLIENT
         "[account e]\naddress = *@X.test\nprovider = p\nclient_id = x\n" BY_CLIENT,
         14, "account d on line 7 has the same"},
        {DOMAIN BY_CLIENT
         "[account e]\naddress = a@x.test\nprovider = p\nclient_id = x\n" BY_CLIENT,
         0, NULL},
        {DOMAIN BY_CLIENT "[listen n]\nprotocol = smtp\naddress = 127.0.0.1:25\nauth = none\n"
                          "account = d\n",
         16, "auth = none needs an account with one mailbox"},
        {LISTENER "[account d]\naddress = *@*\nclient_id = x\n" BY_CLIENT, 3, "has no provider"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

/* Each with the refusal that this version does not do it, and nothing else. */
static void test_not_served(void **state)
{
    static const struct conf_case cases[] = {
        {"[ecluse]\nproxy = socks5h://127.0.0.1:9050\n" LISTENER, 2,
         "proxy: this value is not supported by this version"},
        {"[ecluse]\nvault_key = passphrase\n" LISTENER, 0, NULL},
        {"[ecluse]\nvault_key = credential:key\n" LISTENER, 0, NULL},
        {"[ecluse]\nvault_key = command:pass show x\n" LISTENER, 0, NULL},
        {LISTENER "protocol = pop3\n", 0, NULL},
        {LISTENER "protocol = smtp\n", 0, NULL},
        {FINE "flow = device\n", 0, NULL},
        {FINE "flow = client_credentials\nclient_secret_file = /s\n", 0, NULL},
        {FINE "flow = password\n", 0, NULL},
        {FINE "flow = password\npassword_command = p\n", 0, NULL},
        {FINE "flow = service_account\njwt_key_file = /k\n", 0, NULL},
        {FINE "flow = client_credentials\njwt_key_file = /k\njwt_cert_file = /c\n", 0, NULL},
        {FINE "flow = command\ntoken_command = t\n", 0, NULL},
        {FINE "client_secret_command = pass\n", 0, NULL},
        {FINE "jwt_key_file = /k\njwt_passphrase_command = p\n", 0, NULL},
        {LISTENER "[provider p]\nimap = starttls://h\n", 0, NULL},
        {LISTENER "[provider p]\npop3 = starttls://h\n", 0, NULL},
        {LISTENER "[provider p]\nsmtp = starttls://h:25\n", 0, NULL},
        {LISTENER PROVIDER "mechanisms = XOAUTH2 OAUTHBEARER\n", 0, NULL},
        {LISTENER PROVIDER "mechanisms = SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN\n", 0, NULL},
        {LISTENER PROVIDER "mechanisms = OAUTHBEARER CRAM-MD5\n", 6,
         "mechanisms: this value is not supported"},
        {LISTENER PROVIDER "pin_sha256 = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 6,
         "pin_sha256: this value is not supported"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_proofs_of_clients(void **state)
{
    static const struct conf_case cases[] = {
        {FINE "client_auth = none\n", 0, NULL},
        {FINE "client_auth = post\nclient_secret_file = /s\n", 0, NULL},
        {FINE "client_auth = basic\nclient_secret_command = c\n", 0, NULL},
        {FINE "client_auth = jwt\njwt_key_file = /k\n", 0, NULL},
        {FINE "client_auth = post\n", 10, "client_auth = post needs client_secret"},
        {FINE "client_auth = basic\n", 10, "client_auth = basic needs client_secret"},
        {FINE "client_auth = jwt\n", 10, "client_auth = jwt needs jwt_key_file"},
        {FINE "client_auth = jwt\nflow = service_account\njwt_key_file = /k\n", 10,
         "and another flow than service_account"},
        {FINE "client_auth = secret\n", 10, "client_auth"},
        {FINE "jwt_cert_file = /c\n", 10, "jwt_cert_file needs its jwt_key_file"},
        {FINE "jwt_passphrase_command = c\n", 10, "jwt_passphrase_command needs the jwt_key_file"},
        {FINE "flow = client_credentials\n", 10, "flow = client_credentials needs a client_secret"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_listeners(void **state)
{
    static const struct conf_case cases[] = {
        {"[listen l]\n", 1, "listener l has no address; add address = 127.0.0.1:1143"},
        {"[listen l]\naddress =\n", 2, "listener l has no address"},
        {"[listen l]\naddress = localhost:1\n", 2,
         "address \"localhost:1\": a listener takes an address, no name"},
        {"[listen l]\naddress = 127.0.0.1:1 x\n", 2, "address \"x\": must be 127.0.0.1:PORT"},
        {"[listen l]\naddress = unix:~/imap\n", 0, NULL},
        {"[listen l]\naddress = 0.0.0.0:143\n", 2, "can be reached from other machines"},
        {"[listen l]\naddress = 127.0.0.1:143 192.168.1.2:143\n", 2,
         "can be reached from other machines"},
        {"[listen l]\naddress = [::]:143\nremote = no\n", 2, "can be reached from other machines"},
        {"[listen l]\naddress = [::]:143\nremote = yes\n", 1,
         "remote = yes needs tls = on or starttls"},
        {"[listen l]\naddress = [::]:143\nremote = yes\ntls = off\n", 4,
         "remote = yes needs tls = on or starttls"},
        {"[listen l]\naddress = [::]:143\nremote = yes\ntls = on\n", 0, NULL},
        {"[listen l]\naddress = [::]:143\nremote = yes\ntls = starttls\n", 0, NULL},
        {"[listen l]\naddress = [::]:143\nremote = maybe\n", 3, "is not one of: no yes plaintext"},
        {LISTENER "remote = yes\n", 0, NULL},
        {LISTENER "remote = plaintext\n", 0, NULL},
        {PLAIN, 1, "remote = plaintext needs allow"},
        {PLAIN "allow =\n", 4, "remote = plaintext needs allow"},
        {LISTENER "allow = 10.0.0.1 host\n", 3, "allow \"host\": must be an address or a network"},
        {LISTENER "allow = 10.0.0.1/8\n", 3, "allow \"10.0.0.1/8\": has bits behind its prefix"},
        {LISTENER "[listen b]\naddress = 127.0.0.1:1143\n", 4,
         "port 1143 of 127.0.0.1 is taken by [listen imap] on line 1"},
        {LISTENER "[listen b]\naddress = [::1]:1143\n", 0, NULL},
        {"[listen l]\naddress = 127.0.0.1:1 127.0.0.1:1\n", 2, "is taken by [listen l] on line 1"},
        {"[listen l]\naddress = unix:/a unix:/a\n", 2, "/a is taken by [listen l] on line 1"},
        {LISTENER "tls = on\n", 0, NULL},
        {LISTENER "tls = starttls\ntls_cert = /c\ntls_key = /k\ntls_min = 1.0\n", 0, NULL},
        {LISTENER "tls = yes\n", 3, "is not one of: off on starttls"},
        {LISTENER "tls_min = 1.0\n", 0, NULL},
        {LISTENER "tls_min = 0.9\n", 3, "tls_min must be 1.0, 1.1, 1.2 or 1.3"},
        {LISTENER "tls_cert = /c\n", 3, "tls_cert and tls_key go together; add tls_key"},
        {LISTENER "tls_key = /c\n", 3, "tls_cert and tls_key go together; add tls_cert"},
        {LISTENER "tls_cert = /c\ntls_key = /k\n", 0, NULL},
        {LISTENER "account = a\n" PROVIDER ACCOUNT, 0, NULL},
        {LISTENER "account = b\n" PROVIDER ACCOUNT, 3, "account \"b\" is unknown"},
        {LISTENER "account = a\n[provider p]\nsmtp = tls://h\ntoken_endpoint = https://h\n" ACCOUNT,
         3, "provider p of account a has no imap server"},
    };
    static const char open_listener[] = PLAIN "allow = 192.168.1.20 172.17.0.0/16\n";

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
    struct reading reading = conf_read(open_listener);
    conf_expect_problem(&reading, open_listener, 3, true, "without TLS");
    assert_int_equal(reading.config->listeners[0]->allowed_count, 2);
    reading_free(&reading);
}

/* What comes together with the refusal that it is not served. */
static void expect_among(const char *text, int line, const char *part)
{
    struct reading reading = conf_read(text);
    size_t found = 0;

    for (size_t i = 0; i < reading.problems.count; i++)
        found += reading.problems.items[i].line == line &&
                 strstr(reading.problems.items[i].text, part) != NULL;
    assert_int_equal(found, 1);
    assert_int_equal(reading.status, ERR_CONFIG);
    reading_free(&reading);
}

static void test_wrong_and_not_served(void **state)
{
    (void)state;
    expect_among(LISTENER "auth = none\n" PROVIDER ACCOUNT, 3, "auth = none needs account = NAME");
    expect_among(LISTENER "auth = none\naccount = a\n" PROVIDER ACCOUNT, 3,
                 "auth = none is for protocol = smtp; imap clients always log in");
    expect_among("[ecluse]\npeer = any\n" LISTENER "auth = none\naccount = a\n" PROVIDER ACCOUNT, 5,
                 "auth = none needs peer = owner");
    expect_among(PLAIN "allow = 10.0.0.1\nauth = none\naccount = a\n" PROVIDER ACCOUNT, 5,
                 "auth = none works on loopback only");
    expect_among("[ecluse]\nvault_key = key\n" LISTENER, 2,
                 "vault_key must be keyfile, passphrase");
    expect_among("[ecluse]\nvault_key = credential:a/b\n" LISTENER, 2, "vault_key must be keyfile");
    expect_among("[ecluse]\nvault_key = command:\n" LISTENER, 2, "vault_key must be keyfile");
    expect_among("[ecluse]\nproxy = http://h:1\n" LISTENER, 2, "proxy must be socks5h://");
    expect_among(FINE "flow = service_account\n", 10, "flow = service_account needs jwt_key_file");
    expect_among(FINE "flow = command\n", 10, "flow = command needs token_command");
    expect_among(LISTENER PROVIDER "mechanisms = xoauth2\n", 6, "a SASL name is in capitals");
    expect_among(LISTENER PROVIDER "pin_sha256 = abc\n", 6, "SHA-256 of a public key in base64");
}

#define OCTETS_16  "abcdefghijklmnop"
#define OCTETS_64  OCTETS_16 OCTETS_16 OCTETS_16 OCTETS_16
#define OCTETS_320 OCTETS_64 OCTETS_64 OCTETS_64 OCTETS_64 OCTETS_64

static void test_accounts(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER PROVIDER "[account a]\nprovider = p\nclient_id = x\n", 6,
         "account a has no address"},
        {LISTENER PROVIDER "[account a]\naddress = alice\nprovider = p\nclient_id = x\n", 7,
         "address must be NAME@DOMAIN"},
        {LISTENER PROVIDER "[account a]\naddress = @b\nprovider = p\nclient_id = x\n", 7,
         "address must be NAME@DOMAIN"},
        {LISTENER PROVIDER "[account a]\naddress = a@\nprovider = p\nclient_id = x\n", 7,
         "address must be NAME@DOMAIN"},
        {LISTENER PROVIDER "[account a]\naddress = a b@c\nprovider = p\nclient_id = x\n", 7,
         "address must be NAME@DOMAIN"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nprovider = p\nclient_id = x\n"
                           "user = " OCTETS_320 "\nimap_user = " OCTETS_320 "x\n",
         11, "imap_user is longer than 320 octets; shorten it"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nclient_id = x\n", 6,
         "account a has no provider"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nprovider = q\nclient_id = x\n", 8,
         "provider \"q\" is unknown; add a [provider q] section"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nprovider = p\n", 6,
         "account a has no client_id"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nprovider = p\nclient_id =\n", 9,
         "account a has no client_id"},
        {LISTENER PROVIDER "[account a]\naddress = a@b\nprovider = p\nflow = device\n", 6,
         "account a has no client_id"},
        {LISTENER PROVIDER "issuer = https://i\n[account a]\naddress = a@b\nprovider = p\n", 0,
         NULL},
        {LISTENER PROVIDER
         "registration_endpoint = https://i\n[account a]\naddress = a@b\nprovider = p\n",
         0, NULL},
        {LISTENER BARE_PROVIDER ACCOUNT, 5, "provider p has neither token_endpoint nor issuer"},
        {LISTENER BARE_PROVIDER ACCOUNT "flow = code\n", 9,
         "provider p has neither token_endpoint nor issuer"},
        {LISTENER BARE_PROVIDER "issuer = https://i\n" ACCOUNT, 0, NULL},
        {LISTENER ACCOUNT PROVIDER, 0, NULL},
        {FINE "client_secret = s\nclient_secret_file = /s\n", 6,
         "has more than one of client_secret"},
        {FINE "client_secret_file = ~/s\n", 0, NULL},
        {FINE "[account b]\naddress = alice@MAIL.test\nprovider = p\nclient_id = x\n", 11,
         "account a on line 6 has the same"},
        {FINE "[account b]\naddress = Alice@mail.test\nprovider = p\nclient_id = x\n", 0, NULL},
        {LISTENER PROVIDER "authorization_endpoint = https://i/{tenant}\n" ACCOUNT, 7,
         "account a has no tenant"},
        {LISTENER PROVIDER "authorization_endpoint = https://i/{tenant}\n" ACCOUNT
                           "tenant = common\n",
         0, NULL},
        {FINE "tenant = a/../b\n", 10, "letters, digits, '.' and '-' only"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

#define PASSWORD_ACCOUNT "[account a]\naddress = a@b\nprovider = p\nflow = none\n"

static void test_passwords(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER BARE_PROVIDER PASSWORD_ACCOUNT, 0, NULL},
        {LISTENER BARE_PROVIDER PASSWORD_ACCOUNT "password_command = pass show mail\n", 0, NULL},
        {FINE "password_command = p\n", 10, "password_command is for flow = none or password"},
        {LISTENER BARE_PROVIDER "mechanisms = LOGIN SCRAM-SHA-1\n" PASSWORD_ACCOUNT, 0, NULL},
        {LISTENER BARE_PROVIDER "mechanisms = PLAIN XOAUTH2\n" PASSWORD_ACCOUNT, 5,
         "mechanisms: XOAUTH2 takes a token, and account a on line 6 has a password (flow = none); "
         "name SCRAM-SHA-256"},
        {LISTENER PROVIDER "mechanisms = XOAUTH2 PLAIN\n" ACCOUNT, 6,
         "mechanisms: PLAIN takes a password, and account a on line 7 has a token; name "
         "OAUTHBEARER XOAUTH2"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_providers(void **state)
{
    static const struct conf_case cases[] = {
        {LISTENER "[provider p]\nissuer = https://i\n", 3, "provider p has no mail server"},
        {LISTENER "[provider p]\nimap = imap.test\n", 4, "imap: must be tls://HOST:993"},
        {LISTENER "[provider p]\npop3 = pop3://h\n", 4,
         "pop3: must be tls://HOST:995 or starttls://HOST:110"},
        {LISTENER "[provider p]\nsmtp = tls://h:x\n", 4, "smtp: the port must be a number"},
        {LISTENER BARE_PROVIDER "issuer = http://i\n", 5,
         "issuer: http:// would send tokens in the clear"},
        {LISTENER BARE_PROVIDER "issuer = https://i?a\n", 5, "issuer: may have no query"},
        {LISTENER BARE_PROVIDER "authorization_endpoint = http://i\n", 5,
         "authorization_endpoint: http://"},
        {LISTENER BARE_PROVIDER "token_endpoint = http://i\n", 5, "token_endpoint: http://"},
        {LISTENER BARE_PROVIDER "token_endpoint = https://u:p@i\n", 5,
         "token_endpoint: may have no user"},
        {LISTENER BARE_PROVIDER "token_endpoint = https://i/#f\n", 5,
         "token_endpoint: may have no fragment"},
        {LISTENER BARE_PROVIDER "token_endpoint = https://i/?p=1\n", 0, NULL},
        {LISTENER BARE_PROVIDER "device_authorization_endpoint = i\n", 5,
         "device_authorization_endpoint: must be an https"},
        {LISTENER BARE_PROVIDER "revocation_endpoint = i\n", 5,
         "revocation_endpoint: must be an https"},
        {LISTENER BARE_PROVIDER "registration_endpoint = i\n", 5,
         "registration_endpoint: must be an https"},
        {LISTENER BARE_PROVIDER "userinfo_endpoint = i\n", 5,
         "userinfo_endpoint: must be an https"},
        {LISTENER BARE_PROVIDER "domains = a.test B.test\n", 0, NULL},
        {LISTENER BARE_PROVIDER "domains = @a.test\n", 5, "domains: \"@a.test\" is no domain"},
        {LISTENER BARE_PROVIDER
         "domains = a.test\n[provider q]\nimap = tls://h\ndomains = A.test\n",
         8, "a.test belongs to provider p already"},
        {LISTENER BARE_PROVIDER "redirect_host = localhost\n", 0, NULL},
        {LISTENER BARE_PROVIDER "redirect_host = [::1]\n", 0, NULL},
        {LISTENER BARE_PROVIDER "redirect_host = example.test\n", 5,
         "redirect_host must be 127.0.0.1"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global),    cmocka_unit_test(test_not_served),
        cmocka_unit_test(test_domains),   cmocka_unit_test(test_proofs_of_clients),
        cmocka_unit_test(test_listeners), cmocka_unit_test(test_wrong_and_not_served),
        cmocka_unit_test(test_accounts),  cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
