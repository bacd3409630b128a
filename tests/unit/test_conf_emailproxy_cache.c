/*
 * The tokens of an emailproxy.config, when they stand in a file of their own.
 */
#include "conf/emailproxy_cache.h"
#include "conf/emailproxy_look_up.h"
#include "emailproxy_case.h"

#define BOB    "[bob@mail.test]\n"
#define TOKENS "token_salt = AAAA\ntoken_iterations = 9\nrefresh_token = gAAA\n"

static struct emailproxy_file *read_text(const char *text)
{
    struct config_problems problems = {0};
    struct emailproxy_file *file = NULL;
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    rewind(stream);
    assert_int_equal(emailproxy_read(stream, &file, &problems), 0);
    assert_int_equal(fclose(stream), 0);
    config_problems_free(&problems);
    return file;
}

static struct emailproxy_file *with_cache(const char *text, const char *cached, size_t taken)
{
    struct emailproxy_file *file = read_text(text), *cache = read_text(cached);

    assert_int_equal(emailproxy_take_cache(file, cache), taken);
    emailproxy_free(cache);
    return file;
}

static void expect(const struct emailproxy_file *file, const char *section, const char *key,
                   const char *value)
{
    const struct emailproxy_section *found = emailproxy_section(file, section);
    assert_non_null(found);
    const struct emailproxy_pair *pair = emailproxy_find(file, found, key);
    if (value == NULL) {
        assert_null(pair);
        return;
    }
    assert_non_null(pair);
    assert_string_equal(pair->value, value);
    assert_int_equal(pair->line, found->line);
}

static void test_seven_keys(void **state)
{
    struct emailproxy_file *file =
        with_cache(WHOLE,
                   "[alice@mail.test]\nclient_id = y\nAccess_Token = 1\naccess_token_expiry = 2\n"
                   "refresh_token = 3\ntoken_salt = 4\ntoken_iterations = 5\n"
                   "client_secret_encrypted = 6\nlast_activity = 7\nclient_secret = s\n",
                   1);
    static const char *const keys[] = {
        "access_token",     "access_token_expiry",     "refresh_token", "token_salt",
        "token_iterations", "client_secret_encrypted", "last_activity"};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(keys); i++)
        expect(file, "alice@mail.test", keys[i], (char[]){(char)('1' + i), '\0'});
    expect(file, "alice@mail.test", "client_secret", NULL);
    assert_string_equal(
        emailproxy_find(file, emailproxy_section(file, "alice@mail.test"), "client_id")->value,
        "x");
    emailproxy_free(file);
}

static void test_the_cache_is_newer(void **state)
{
    struct emailproxy_file *file =
        with_cache(WHOLE "refresh_token = old\ntoken_salt = old\n",
                   "[alice@mail.test]\nrefresh_token = new\ntoken_salt =\n", 1);
    (void)state;
    expect(file, "alice@mail.test", "refresh_token", "new");
    assert_string_equal(
        emailproxy_find(file, emailproxy_section(file, "alice@mail.test"), "token_salt")->value,
        "old");
    emailproxy_free(file);
}

static void test_who_has_no_section(void **state)
{
    static const char cached[] = BOB TOKENS "[Alice@mail.test]\n" TOKENS "[IMAP-1993]\n" TOKENS;
    struct emailproxy_file *file = with_cache(WHOLE, cached, 0);
    (void)state;
    assert_int_equal(file->count, 2);
    expect(file, "IMAP-1993", "refresh_token", NULL);
    emailproxy_free(file);
    file = with_cache(SERVER CATCH_ALL "[@other.test]\n", cached, 0);
    assert_int_equal(file->count, 3);
    emailproxy_free(file);
}

/* They are on the line of the section that they inherit from, and accounts. */
static void test_who_is_served_by_a_catch_all(void **state)
{
    static const char cached[] = BOB TOKENS "[carol@x.test]\n" TOKENS;
    struct emailproxy_file *file = with_cache(
        SERVER CATCH_ALL "[@]\n" URLS "client_id = x\n[@mail.test]\nclient_id = y\n", cached, 2);
    const struct emailproxy_choice choice = {0};
    struct config_problems problems = {0};
    struct config *config = NULL;
    static const int lines[] = {11, 7};
    static const char *const addresses[] = {"bob@mail.test", "carol@x.test"};
    static const char *const clients[] = {"y", "x"};
    (void)state;
    assert_int_equal(emailproxy_config(file, "c", &conf_surroundings, &choice, &config, &problems),
                     0);
    assert_int_equal(config->account_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct account_config *account = config->accounts[i];
        assert_string_equal(account->address, addresses[i]);
        assert_string_equal(account->client_id, clients[i]);
        assert_string_equal(account->sealed.token, "gAAA");
        assert_int_equal(account->line, lines[i]);
        assert_string_equal(emailproxy_section_of(file, account)->name, addresses[i]);
    }
    config_free(config);
    config_problems_free(&problems);
    emailproxy_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seven_keys),
        cmocka_unit_test(test_the_cache_is_newer),
        cmocka_unit_test(test_who_has_no_section),
        cmocka_unit_test(test_who_is_served_by_a_catch_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
