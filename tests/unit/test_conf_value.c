/*
 * Values by their types, alone and as they come out of a file.
 */
#include "conf/table.h"
#include "conf/value.h"
#include "conf_case.h"

static void test_bad_values(void **state)
{
    static const struct conf_case cases[] = {
        {"[ecluse]\nworkers = auto\n" FINE, 0, NULL},
        {"[ecluse]\nworkers = 64\n" FINE, 0, NULL},
        {"[ecluse]\nworkers = 0\n" FINE, 2, "workers must be a number from 1 to 64, or auto"},
        {"[ecluse]\nworkers = 65\n" FINE, 2, "workers must be a number from 1 to 64, or auto"},
        {"[ecluse]\nworkers = -1\n" FINE, 2, "workers must be a number"},
        {"[ecluse]\nworkers = 1.5\n" FINE, 2, "workers must be a number"},
        {"[ecluse]\nworkers = 99999999999999999999999999\n" FINE, 2, "workers must be a number"},
        {"[ecluse]\nworkers =\n" FINE, 2,
         "workers needs a value; leave the line out for the default \"1\""},
        {"[ecluse]\ndrain = 0\n" FINE, 0, NULL},
        {"[ecluse]\ndrain = 3600\n" FINE, 0, NULL},
        {"[ecluse]\ndrain = 3601\n" FINE, 2, "drain must be a number from 0 to 3600"},
        {"[ecluse]\ndrain = auto\n" FINE, 2, "drain must be a number from 0 to 3600"},
        {LISTENER "max_sessions = 100000\n", 0, NULL},
        {LISTENER "max_sessions = 100001\n", 3, "max_sessions must be a number from 1 to 100000"},
        {LISTENER "max_sessions = 0\n", 3, "max_sessions must be a number from 1 to 100000"},
        {LISTENER "max_sessions_per_account = 0\n", 3,
         "max_sessions_per_account must be a number from 1 to"},
        {"[ecluse]\npeer = all\n" FINE, 2, "peer \"all\" is not one of: owner any"},
        {"[ecluse]\npeer = OWNER\n" FINE, 2, "peer \"OWNER\" is not one of"},
        {"[ecluse]\nlog = loud\n" FINE, 2, "is not one of: error warn info debug"},
        {"[ecluse]\naudit = some\n" FINE, 2, "is not one of: off minimal standard full"},
        {"[ecluse]\naudit_failure = x\n" FINE, 2, "is not one of: close block warn"},
        {"[ecluse]\naudit_sync = x\n" FINE, 2, "is not one of: group strict"},
        {"[ecluse]\naudit_strict = yes\naudit_keep = 1d\naudit_segment = 65536M\n" FINE, 0, NULL},
        {"[ecluse]\naudit_keep = 7\naudit_segment = 1\n" FINE, 0, NULL},
        {"[ecluse]\naudit_keep = 0d\n" FINE, 2, "audit_keep must be a number from 1d to 36500d"},
        {"[ecluse]\naudit_keep = d\n" FINE, 2, "audit_keep must be a number from 1d"},
        {"[ecluse]\naudit_keep = 30dd\n" FINE, 2, "audit_keep must be a number from 1d"},
        {"[ecluse]\naudit_segment = 64G\n" FINE, 2,
         "audit_segment must be a number from 1M to 65536M"},
        {LISTENER "protocol = nntp\n", 3, "is not one of: imap pop3 smtp"},
        {LISTENER "remote = maybe\n", 3, "is not one of: no yes plaintext"},
        {LISTENER "tls = yes\n", 3, "is not one of: off on starttls"},
        {LISTENER "bare_newline = x\n", 3, "is not one of: normalize reject"},
        {LISTENER "auth = x\n", 3, "is not one of: required none"},
        {FINE "flow = x\n", 10,
         "is not one of: code device client_credentials password service_account command none"},
        {"[ecluse]\nstate_dir = ~/x\n" FINE, 0, NULL},
        {"[ecluse]\nstate_dir = x\n" FINE, 2,
         "state_dir must be an absolute path, or start with ~/"},
        {"[ecluse]\nstate_dir = ~root/x\n" FINE, 2, "state_dir must be an absolute path"},
        {"[ecluse]\nca_file =\n" FINE, 2, "ca_file needs a value"},
        {"[ecluse]\nweb =\n" FINE, 2, "web needs a value"},
        {FINE "user =\nclient_secret =\nclient_secret_file =\n", 0, NULL},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static const char every_kind[] =
    "[ecluse]\n"
    "state_dir = ~/state\n"
    "runtime_dir = /run/e\n"
    "workers = auto\n"
    "drain = 7\n"
    "peer = any\n"
    "log = debug\n"
    "audit = full\n"
    "audit_failure = warn\n"
    "audit_sync = strict\n"
    "audit_segment = 5M\n"
    "web = off\n"
    "[listen one]\n"
    "address =  127.0.0.1:1143   [::1]:1143 \n"
    "allow = 10.0.0.0/8 ::1\n"
    "bare_newline = reject\n"
    "max_sessions = 3\n"
    "account = a\n" PROVIDER "scope = openid   offline_access\n" ACCOUNT "flow = device\n"
    "client_secret = s3 cr;t\n";

static void test_values_of_the_program_arrive(void **state)
{
    struct reading reading = conf_read(every_kind);
    const struct config *config = reading.config;

    (void)state;
    conf_expect_fine(&reading, every_kind);
    assert_string_equal(config->file, "ecluse.ini");
    assert_string_equal(config->state_dir, "/home/u/state");
    assert_string_equal(config->runtime_dir, "/run/e");
    assert_int_equal(config->workers, 0);
    assert_int_equal(config->drain, 7);
    assert_int_equal(config->peer, PEER_ANY);
    assert_int_equal(config->log, LOG_LEVEL_DEBUG);
    assert_int_equal(config->audit, AUDIT_FULL);
    assert_int_equal(config->audit_failure, AUDIT_FAILURE_WARN);
    assert_int_equal(config->audit_sync, AUDIT_SYNC_STRICT);
    assert_int_equal(config->audit_segment, 5);
    assert_int_equal(config->audit_keep, 30);
    assert_string_equal(config->web, "off");
    assert_string_equal(config->vault_key, "keyfile");
    assert_string_equal(config->proxy, "");
    reading_free(&reading);
}

static void test_values_of_the_sections_arrive(void **state)
{
    struct reading reading = conf_read(every_kind);
    const struct config *config = reading.config;

    (void)state;
    conf_expect_fine(&reading, every_kind);
    assert_int_equal(config->listener_count, 1);
    const struct listener_config *listener = config->listeners[0];
    assert_string_equal(listener->name, "one");
    assert_int_equal(listener->line, 13);
    assert_int_equal(listener->protocol, PROTOCOL_IMAP);
    assert_int_equal(listener->remote, REMOTE_NO);
    assert_int_equal(listener->tls, TLS_MODE_OFF);
    assert_int_equal(listener->auth, LISTENER_AUTH_REQUIRED);
    assert_int_equal(listener->bare_newline, BARE_NEWLINE_REJECT);
    assert_int_equal(listener->max_sessions, 3);
    assert_int_equal(listener->max_sessions_per_account, 16);
    assert_int_equal(listener->address.count, 2);
    assert_int_equal(listener->address_count, 2);
    assert_string_equal(listener->addresses[0].host, "127.0.0.1");
    assert_int_equal(listener->addresses[0].port, 1143);
    assert_string_equal(listener->addresses[1].host, "::1");
    assert_int_equal(listener->allowed_count, 2);
    assert_int_equal(listener->allowed[0].prefix_length, 104);
    assert_int_equal(config->account_count, 1);
    const struct account_config *account = config->accounts[0];
    assert_int_equal(account->flow, FLOW_DEVICE);
    assert_true(slice_is(secret_bytes(&account->client_secret), "s3 cr;t"));
    assert_ptr_equal(account->provider_row, config->providers[0]);
    assert_string_equal(account->provider_row->scope, "openid   offline_access");
    assert_string_equal(account->provider_row->redirect_host, "127.0.0.1");
    const struct endpoint *endpoint = &account->provider_row->endpoints[PROTOCOL_IMAP];
    assert_true(endpoint->is_set);
    assert_int_equal(endpoint->tls, TLS_MODE_ON);
    assert_string_equal(endpoint->host, "imap.test");
    assert_int_equal(endpoint->port, 993);
    assert_false(account->provider_row->endpoints[PROTOCOL_SMTP].is_set);
    reading_free(&reading);
}

static void test_flag(void **state)
{
    static const struct option option = {"flag", "no", "", VALUE_FLAG, NULL, 0};
    bool flag = false;
    struct err err = {0};

    (void)state;
    assert_int_equal(value_set(&option, &flag, "yes", NULL, &err), 0);
    assert_true(flag);
    assert_int_equal(value_set(&option, &flag, "true", NULL, &err), ERR_SYNTAX);
    assert_string_equal(err.text, "must be yes or no");
    assert_true(flag);
    assert_int_equal(value_set(&option, &flag, "no", NULL, &err), 0);
    assert_false(flag);
}

static void test_a_failure_leaves_the_field(void **state)
{
    static const struct option option = {"path", "", "", VALUE_PATH, NULL, 0};
    char *path = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(value_set(&option, &path, "/a", NULL, &err), 0);
    assert_int_equal(value_set(&option, &path, "~/a", NULL, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "$HOME"));
    assert_string_equal(path, "/a");
    assert_int_equal(value_set(&option, &path, "~/b", "/h", &err), 0);
    assert_string_equal(path, "/h/b");
    value_clear(&option, &path);
    assert_null(path);
}

static void test_tables_are_whole(void **state)
{
    (void)state;
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++) {
        const struct option_table *table = option_table(kind);
        for (size_t i = 0; i < table->count; i++) {
            const struct option *option = &table->rows[i];
            assert_ptr_equal(option_find(table, option->key), option);
            assert_ptr_equal(option_nearest(table, option->key), option);
            assert_int_equal(option_index(table, option), i);
            assert_true(strlen(option->help) > 0);
            assert_true(strlen(option->key) <= 49);
            assert_int_equal(option->choices != NULL, option->kind == VALUE_CHOICE);
            if (option->kind == VALUE_NUMBER)
                assert_true(option_range(option)->maximum > option_range(option)->minimum);
        }
    }
    assert_null(option_find(option_table(SECTION_GLOBAL), "worker"));
}

static void test_nearest_key(void **state)
{
    static const struct {
        enum section_kind kind;
        const char *typed, *meant;
    } cases[] = {
        {SECTION_GLOBAL, "statedir", "state_dir"},
        {SECTION_GLOBAL, "vault key", "vault_key"},
        {SECTION_GLOBAL, "audit_fail", "audit_failure"},
        {SECTION_LISTENER, "adress", "address"},
        {SECTION_LISTENER, "max-sessions", "max_sessions"},
        {SECTION_ACCOUNT, "clientid", "client_id"},
        {SECTION_ACCOUNT, "password", NULL},
        {SECTION_PROVIDER, "imaps", "imap"},
        {SECTION_PROVIDER, "token_endpiont", "token_endpoint"},
        {SECTION_PROVIDER, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct option *nearest = option_nearest(option_table(cases[i].kind), cases[i].typed);
        if (cases[i].meant == NULL) {
            assert_null(nearest);
            continue;
        }
        assert_non_null(nearest);
        assert_string_equal(nearest->key, cases[i].meant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_values_of_the_program_arrive),
        cmocka_unit_test(test_values_of_the_sections_arrive),
        cmocka_unit_test(test_flag),
        cmocka_unit_test(test_a_failure_leaves_the_field),
        cmocka_unit_test(test_tables_are_whole),
        cmocka_unit_test(test_nearest_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
