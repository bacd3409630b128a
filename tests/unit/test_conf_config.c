/*
 * What is done with a configuration once it is there, the folders' defaults, the printed defaults
 * and the sample. Run from the top folder of the project, where config/ecluse.ini is.
 */
#include "conf/table.h"
#include "conf_case.h"

#define TWO_ACCOUNTS                                                                               \
    FINE "user = al\nimap_user = box\n"                                                            \
         "[account b]\naddress = Bob@Mail.TEST\nprovider = p\nclient_id = x\nsmtp_user = s\n"

static void test_lookups(void **state)
{
    struct reading reading = conf_read(TWO_ACCOUNTS);
    const struct config *config = reading.config;

    (void)state;
    conf_expect_fine(&reading, TWO_ACCOUNTS);
    const struct account_config *a = config_account(config, "a");
    const struct account_config *b = config_account(config, "b");
    assert_ptr_equal(a, config->accounts[0]);
    assert_ptr_equal(b, config->accounts[1]);
    assert_null(config_account(config, "A"));
    assert_null(config_account(config, ""));
    assert_null(config_account(config, "alice@mail.test"));
    assert_string_equal(b->address, "Bob@mail.test");

    static const struct {
        const char *typed;
        int account; /* -1: none */
    } names[] = {
        {"alice@mail.test", 0},
        {"alice@MAIL.Test", 0},
        {"Alice@mail.test", -1},
        {"Bob@mail.test", 1},
        {"bob@mail.test", -1},
        {"alice@mail.test ", -1},
        {" alice@mail.test", -1},
        {"alice", -1},
        {"", -1},
        {"@mail.test", -1},
        {"alice@", -1},
        {"alice@mail.tes", -1},
        {"alice@mail.testx", -1},
        {"a", -1},
    };
    for (size_t i = 0; i < LENGTH_OF(names); i++)
        assert_ptr_equal(config_account_by_address(config, slice_of_string(names[i].typed)),
                         names[i].account < 0 ? NULL : config->accounts[names[i].account]);
    assert_null(config_account_by_address(config, slice_of("alice@mail.test\0", 16)));
    assert_null(config_account_by_address(config, SLICE_NONE));
    reading_free(&reading);
}

#define DOMAINS                                                                                    \
    FINE "[account domain]\naddress = *@Mail.TEST\nprovider = p\nclient_id = x\n"                  \
         "flow = client_credentials\nclient_secret_file = /s\n"                                    \
         "[account all]\naddress = *@*\nprovider = p\nclient_id = x\n"                             \
         "flow = service_account\njwt_key_file = /k\n"

static void test_domains(void **state)
{
    struct reading reading = conf_read(DOMAINS);
    static const struct {
        const char *typed;
        int account; /* -1: none */
        const char *mailbox;
    } names[] = {
        {"alice@mail.test", 0, ""},
        {"Alice@MAIL.test", 1, "Alice@mail.test"},
        {"bob+tag@mail.test", 1, "bob+tag@mail.test"},
        {"b\xc3\xb6@mail.test", 1, "b\xc3\xb6@mail.test"},
        {"bob@sub.mail.test", 2, "bob@sub.mail.test"},
        {"bob@elsewhere.test", 2, "bob@elsewhere.test"},
        {"*@mail.test", -1, NULL},
        {"bob*admin@mail.test", -1, NULL},
        {"@mail.test", -1, NULL},
        {"bob@", -1, NULL},
        {"bob@*", -1, NULL},
        {"*@*", -1, NULL},
        {"bob", -1, NULL},
        {"bob@x@mail.test", -1, NULL},
        {"bob @mail.test", -1, NULL},
        {" bob@mail.test", -1, NULL},
        {"bob@mail.test ", -1, NULL},
        {".bob@mail.test", -1, NULL},
        {"bob.@mail.test", -1, NULL},
        {"\"bob\"@mail.test", -1, NULL},
        {"bob\\x@mail.test", -1, NULL},
        {"bob,a=x@mail.test", -1, NULL},
        {"bob\x01@mail.test", -1, NULL},
        {"bob@mail..test", -1, NULL},
        {"bob@-", -1, NULL},
    };

    (void)state;
    conf_expect_fine(&reading, DOMAINS);
    const struct config *config = reading.config;
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        struct slice typed = slice_of_string(names[i].typed);
        const struct account_config *account = config_account_by_address(config, typed);
        assert_ptr_equal(account, names[i].account < 0 ? NULL : config->accounts[names[i].account]);
        if (account == NULL)
            continue;
        char *mailbox = account_mailbox(account, typed);
        assert_string_equal(mailbox, names[i].mailbox);
        assert_int_equal(account_is_domain(account), names[i].account > 0);
        mem_free(mailbox);
    }
    assert_null(config_account_by_address(config, slice_of("bob\0@mail.test", 14)));
    assert_null(config_account_by_address(config, slice_of("bob@mail.test\0", 14)));
    reading_free(&reading);
}

static void test_upstream_user(void **state)
{
    struct reading reading = conf_read(TWO_ACCOUNTS);

    (void)state;
    conf_expect_fine(&reading, TWO_ACCOUNTS);
    const struct account_config *a = reading.config->accounts[0];
    const struct account_config *b = reading.config->accounts[1];
    assert_string_equal(account_upstream_user(a, PROTOCOL_IMAP), "box");
    assert_string_equal(account_upstream_user(a, PROTOCOL_POP3), "al");
    assert_string_equal(account_upstream_user(a, PROTOCOL_SMTP), "al");
    assert_string_equal(account_upstream_user(b, PROTOCOL_IMAP), "Bob@mail.test");
    assert_string_equal(account_upstream_user(b, PROTOCOL_SMTP), "s");
    reading_free(&reading);
}

static struct reading read_in(const struct config_surroundings *surroundings, const char *text)
{
    struct reading reading = {0};
    char memory[512];
    FILE *stream = fmemopen(memory, sizeof(memory), "w+");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    rewind(stream);
    reading.status =
        config_read_stream(stream, "ecluse.ini", surroundings, &reading.config, &reading.problems);
    assert_int_equal(fclose(stream), 0);
    return reading;
}

static void test_folders(void **state)
{
    static const struct {
        struct config_surroundings surroundings;
        const char *state_folder, *runtime_folder;
    } cases[] = {
        {{.home = "/home/u", .user_id = 7}, "/home/u/.local/state/ecluse", "/run/user/7/ecluse"},
        {{.home = "/home/u", .xdg_state_home = "/s", .xdg_runtime_dir = "/r"},
         "/s/ecluse",
         "/r/ecluse"},
        {{.home = "/home/u", .xdg_state_home = "s", .xdg_runtime_dir = "", .user_id = 7},
         "/home/u/.local/state/ecluse",
         "/run/user/7/ecluse"},
        {{.state_directory = "/var/lib/ecluse",
          .runtime_directory = "/run/ecluse",
          .xdg_state_home = "/s",
          .xdg_runtime_dir = "/r"},
         "/var/lib/ecluse",
         "/run/ecluse"},
        {{.state_directory = "/var/lib/a:/var/lib/b", .runtime_directory = "/run/a:/run/b"},
         "/var/lib/a",
         "/run/a"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct reading reading = read_in(&cases[i].surroundings, FINE);
        conf_expect_fine(&reading, "folders");
        assert_string_equal(reading.config->state_dir, cases[i].state_folder);
        assert_string_equal(reading.config->runtime_dir, cases[i].runtime_folder);
        reading_free(&reading);
    }
}

static void test_folders_of_the_file_come_first(void **state)
{
    static const struct config_surroundings surroundings = {.state_directory = "/var/lib/ecluse",
                                                            .runtime_directory = "/run/ecluse"};
    struct reading reading =
        read_in(&surroundings, "[ecluse]\nstate_dir = /a\nruntime_dir = /b\n" FINE);

    (void)state;
    conf_expect_fine(&reading, "folders");
    assert_string_equal(reading.config->state_dir, "/a");
    assert_string_equal(reading.config->runtime_dir, "/b");
    reading_free(&reading);
}

static void test_no_home(void **state)
{
    static const struct config_surroundings nothing = {.user_id = 7};
    struct reading reading = read_in(&nothing, "[ecluse]\n" FINE);

    (void)state;
    conf_expect_problem(&reading, "no home", 1, false, "state_dir has no default without $HOME");
    reading_free(&reading);
    reading = read_in(&nothing, "[ecluse]\nstate_dir = ~/x\n" FINE);
    assert_int_equal(reading.status, ERR_CONFIG);
    assert_int_equal(reading.problems.items[0].line, 2);
    assert_non_null(strstr(reading.problems.items[0].text, "$HOME, which is not set"));
    reading_free(&reading);
}

static void test_defaults_can_be_read(void **state)
{
    char text[16384] = "";
    FILE *stream = fmemopen(text, sizeof(text), "w");

    (void)state;
    assert_non_null(stream);
    config_print_defaults(stream);
    assert_int_equal(fclose(stream), 0);
    for (enum section_kind kind = 0; kind < SECTION_KIND_COUNT; kind++) {
        const struct option_table *table = option_table(kind);
        for (size_t i = 0; i < table->count; i++) {
            char line[160];
            (void)snprintf(line, sizeof(line), "\n%-29s = %-34s ; %s\n", table->rows[i].key,
                           table->rows[i].initial, table->rows[i].help);
            assert_non_null(strstr(text, line));
        }
    }
    /* It reads as a file in which only what has no default is missing. */
    struct reading reading = conf_read(text);
    static const char *const missing[] = {"listener name has no address",
                                          "account name has no address",
                                          "provider name has no mail server"};
    for (size_t i = 0; i < reading.problems.count; i++)
        if (i >= LENGTH_OF(missing) || strstr(reading.problems.items[i].text, missing[i]) == NULL)
            print_error("%d: %s\n", reading.problems.items[i].line, reading.problems.items[i].text);
    assert_int_equal(reading.problems.count, LENGTH_OF(missing));
    for (size_t i = 0; i < LENGTH_OF(missing); i++)
        assert_non_null(strstr(reading.problems.items[i].text, missing[i]));
    reading_free(&reading);
}

/* The page that users read shows a value behind most keys and a remark behind most values. */
static void test_values_with_remarks(void **state)
{
    static const char text[] =
        "[ecluse]\n"
        "state_dir   = ~/.local/state/ecluse  ; default: $STATE_DIRECTORY. 0700, refused if "
        "looser\n"
        "workers     = 1                      ; gate processes; auto = one per core\n"
        "web         = 127.0.0.1:8143         ; off to disable\n"
        "vault_key   = keyfile                ; keyfile | passphrase | credential:NAME | "
        "command:CMD\n"
        "proxy       =                        ; socks5h://127.0.0.1:9050\n"
        "[listen imap]                        ; any number of [listen NAME]\n"
        "address  = 127.0.0.1:1143 [::1]:1143 ; or unix:/path; not loopback: see remote\n"
        "allow    =                           ; 192.168.1.20 172.17.0.0/16\n"
        "max_sessions = 64 ; max_sessions_per_account = 16 ; auth = required (none: see there)\n"
        "[account work]\n"
        "address  = alice@gmail.com           ; what the client types as user name\n"
        "provider = local                     ; a [provider NAME] here\n"
        "flow     = code                      ; code device none\n"
        "client_id = \xe2\x80\xa6\n"
        "login_hint = ; scope = ; token_command = ; password_command = (flow none)\n"
        "[provider local]                     ; your own\n"
        "imap = tls://imap.example.test:993   ; tls:// or starttls://, never plain\n"
        "mechanisms = OAUTHBEARER XOAUTH2     ; in order of preference\n"
        "issuer = https://id.example.test     ; discovery (RFC 8414)\n"
        "authorization_endpoint = ; token_endpoint = ; device_authorization_endpoint =\n"
        "scope = openid offline_access ; authorize_params = prompt=consent&access_type=offline\n"
        "redirect_host = 127.0.0.1 ; ca_file = ; pin_sha256 =\n";
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_fine(&reading, text);
    assert_string_equal(reading.config->state_dir, "/home/u/.local/state/ecluse");
    assert_int_equal(reading.config->listeners[0]->address_count, 2);
    assert_string_equal(reading.config->providers[0]->scope, "openid offline_access");
    reading_free(&reading);
}

static void test_sample_is_accepted(void **state)
{
    struct reading reading = {0};
    FILE *stream = fopen("config/ecluse.ini", "r");

    (void)state;
    assert_non_null(stream);
    reading.status = config_read_stream(stream, "config/ecluse.ini", &conf_surroundings,
                                        &reading.config, &reading.problems);
    assert_int_equal(fclose(stream), 0);
    conf_expect_fine(&reading, "the sample");
    assert_int_equal(reading.config->listener_count, 1);
    assert_int_equal(reading.config->account_count, 1);
    assert_ptr_equal(reading.config->accounts[0]->provider_row, reading.config->providers[0]);
    reading_free(&reading);
}

/* What the sample shows as a value of [ecluse] or a listener is the default. */
static void test_sample_shows_defaults(void **state)
{
    struct reading sample = {0};
    FILE *stream = fopen("config/ecluse.ini", "r");
    struct reading plain = conf_read(LISTENER);

    (void)state;
    assert_non_null(stream);
    sample.status = config_read_stream(stream, "config/ecluse.ini", &conf_surroundings,
                                       &sample.config, &sample.problems);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(sample.status, 0);
    const struct config *shown = sample.config, *initial = plain.config;
    assert_string_equal(shown->state_dir, initial->state_dir);
    assert_string_equal(shown->runtime_dir, initial->runtime_dir);
    assert_int_equal(shown->workers, initial->workers);
    assert_int_equal(shown->drain, initial->drain);
    assert_int_equal(shown->peer, initial->peer);
    assert_string_equal(shown->web, initial->web);
    assert_int_equal(shown->log, initial->log);
    assert_string_equal(shown->vault_key, initial->vault_key);
    assert_int_equal(shown->audit, initial->audit);
    assert_int_equal(shown->audit_failure, initial->audit_failure);
    assert_int_equal(shown->audit_sync, initial->audit_sync);
    assert_int_equal(shown->audit_strict, initial->audit_strict);
    assert_int_equal(shown->audit_segment, initial->audit_segment);
    assert_int_equal(shown->audit_keep, initial->audit_keep);
    assert_string_equal(shown->audit_anchor, initial->audit_anchor);
    assert_string_equal(shown->ca_file, initial->ca_file);
    assert_int_equal(shown->listeners[0]->max_sessions, initial->listeners[0]->max_sessions);
    assert_int_equal(shown->listeners[0]->max_sessions_per_account,
                     initial->listeners[0]->max_sessions_per_account);
    reading_free(&sample);
    reading_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_upstream_user),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_folders_of_the_file_come_first),
        cmocka_unit_test(test_no_home),
        cmocka_unit_test(test_defaults_can_be_read),
        cmocka_unit_test(test_values_with_remarks),
        cmocka_unit_test(test_sample_is_accepted),
        cmocka_unit_test(test_sample_shows_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
