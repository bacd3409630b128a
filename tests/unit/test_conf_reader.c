/*
 * The INI text: what inih would cut, drop or misread, and every error with its line.
 */
#include <stdlib.h>

#include "conf/problem.h"
#include "conf/reader.h"
#include "conf_case.h"

static void test_headings(void **state)
{
    static const struct conf_case cases[] = {
        {FINE, 0, NULL},
        {"[ecluse] ; the program\n" FINE, 0, NULL},
        {FINE "[listen  b]\naddress = [::1]:1144\n", 0, NULL},
        {FINE "[provider abcdefghijklmnopqrstuvwxyz012345]\nsmtp = tls://h\n", 0, NULL},
        {FINE "[provider abcdefghijklmnopqrstuvwxyz0123456]\nsmtp = tls://h\n", 10,
         "[provider NAME] needs a name of 1 to 32 characters"},
        {FINE "[provider abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklm]\nimap = 1\n", 10,
         "longer than 48 characters and would be cut"},
        {FINE "[listen]\nnonsense = 1\n", 10, "[listen NAME] needs a name"},
        {FINE "[account ]\nflow = 1\n", 10, "[account NAME] needs a name"},
        {FINE "[account A]\n", 10, "[account NAME] needs a name"},
        {FINE "[account a b]\n", 10, "[account NAME] needs a name"},
        {FINE "[account \xc3\xa9]\n", 10, "[account NAME] needs a name"},
        {FINE "[ecluse now]\nworkers = x\n", 10, "[ecluse] takes no name"},
        {"[ecluse]\n" FINE "[ecluse]\n", 11, "[ecluse] stands on line 1 already"},
        {FINE "[account a]\naddress = x\n", 10, "[account a] stands on line 6 already"},
        {FINE "[listener b]\nfoo = 1\n", 10,
         "unknown section \"listener\"; did you mean [listen NAME]?"},
        {FINE "[Ecluse]\n", 10, "did you mean [ecluse]?"},
        {FINE "[server x]\n", 10, "unknown section \"server\"; there are [ecluse]"},
        {FINE "[]\n", 10, "unknown section \"\""},
        {FINE "[ account x]\n", 10, "unknown section \"\""},
        {FINE "[account x\naddress = y\n", 10, "the ']' of the section's heading is missing"},
        {FINE "[account x ;]\naddress = y\n", 10, "the ']' of the section's heading is missing"},
        {FINE "[\n", 10, "the ']' of the section's heading is missing"},
        {FINE "[ecluse] workers = 2\n", 10, "nothing but a comment may follow the ']'"},
        {FINE "[ecluse];workers\n", 10, "nothing but a comment may follow the ']'"},
        {FINE "[ecluse]]\n", 10, "nothing but a comment may follow the ']'"},
        {FINE "  [ecluse]\nworkers = 2\n", 10, "the line is indented"},
        {FINE "[ecluse]\n[listen b]\n", 11, "listener b has no address"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_keys(void **state)
{
    static const struct conf_case cases[] = {
        {"[ecluse]\nworkers: 2\n" FINE, 0, NULL},
        {"workers = 2\n" FINE, 1, "a key stands above the first section"},
        {"[ecluse]\nworkers\n" FINE, 2, "the '=' is missing"},
        {"[ecluse]\nworkers ; = 2\n" FINE, 2, "the '=' is missing"},
        {FINE "user", 10, "the '=' is missing"},
        {"[ecluse]\n= 2\n" FINE, 2, "the key before the '=' is missing"},
        {"[ecluse]\nworker = 2\n" FINE, 2,
         "unknown key \"worker\" in a [ecluse] section; did you mean workers?"},
        {"[ecluse]\nWORKERS = 2\n" FINE, 2, "did you mean workers?"},
        {"[ecluse]\nca-file = /x\n" FINE, 2, "did you mean ca_file?"},
        {FINE "client_secrt = topmost\n", 10, "did you mean client_secret?"},
        {"[ecluse]\ncolour = red\n" FINE, 2,
         "unknown key \"colour\" in a [ecluse] section; ecluse check --defaults"},
        {FINE "workers = 2\n", 10,
         "workers is no key of a [account] section; it belongs into [ecluse]"},
        {"[ecluse]\naddress = 1\n" FINE, 2, "it belongs into [listen NAME]"},
        {"[ecluse]\naaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeef = 1\n" FINE, 2,
         "unknown key \"aaaaaaaaaabbbb"},
        {FINE "user = a\nuser = b\n", 11, "user stands on line 10 already"},
        {FINE "user =\nuser =\n", 11, "user stands on line 10 already"},
        {FINE "user = a\n  b\n", 11, "the line is indented"},
        {FINE "user = a\n\tscope = b\n", 11, "the line is indented"},
        {FINE " user = a\n", 10, "the line is indented"},
        {FINE "user = a\tb\n", 10, "user holds a tab or another control character"},
    };

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
}

static void test_comments(void **state)
{
    static const struct conf_case cases[] = {
        {"; c\n# c\n  ; c\n\t# c\n \t\n" FINE, 0, NULL},
        {"[ecluse]\nworkers = 2 ; = [x]\n" FINE, 0, NULL},
        {"[ecluse]\nproxy = ; later\n" FINE, 0, NULL},
        {FINE "user = a;b\n", 0, NULL},
        {"[ecluse]\nproxy =;later\n" FINE, 2, "a comment starts with a blank and ';'"},
        {FINE "user = # none\n", 10, "a comment starts with a blank and ';'"},
        {FINE "user = alice # me\n", 10, "'#' starts no comment"},
        {FINE "client_secret = a#b\n", 0, NULL},
        {FINE "client_secret = a #b\n", 0, NULL},
        {FINE "client_secret = ab;cd\n", 0, NULL},
        {FINE "client_secret = ; none\n", 0, NULL},
        {FINE "client_secret = ab ;cd\n", 10,
         "client_secret: what stands behind \" ;\" would be cut"},
        {FINE "client_secret = ab ;\n", 10,
         "client_secret: what stands behind \" ;\" would be cut"},
        {FINE "client_secret = ;cd\n", 10, "client_secret: what stands behind \" ;\" would be cut"},
        {FINE "client_secret = ab cd ; ef\n", 10,
         "client_secret: what stands behind \" ;\" would be cut"},
        {FINE "client_secret =;cd\n", 10, "a comment starts with a blank and ';'"},
        {FINE "token_command = a ; b\n", 10,
         "token_command: what stands behind \" ;\" would be cut"},
        {FINE "token_command = a; b # c\n", 0, NULL},
        {FINE "token_command = ; a remark\n", 0, NULL},
        {"[ecluse]\nvault_key = command:a ; b\n" FINE, 2,
         "vault_key: what stands behind \" ;\" would be cut"},
    };
    static const char remark[] = FINE "client_secret = ab ; from the console\n";

    (void)state;
    conf_run_cases(cases, LENGTH_OF(cases));
    struct reading reading = conf_read(remark);
    conf_expect_problem(&reading, remark, 10, true, "client_secret ends before the \" ;\"");
    assert_true(slice_is(secret_bytes(&reading.config->accounts[0]->client_secret), "ab"));
    reading_free(&reading);
}

static void test_octets(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int line;
        const char *problem;
    } cases[] = {
#define BYTES(text) text, sizeof(text) - 1
        {BYTES(FINE "user = a\xff\n"), 10, "no UTF-8 text"},
        {BYTES(FINE "; \xe4\n"), 10, "no UTF-8 text"},
        {BYTES(FINE "user = \xed\xa0\x80\n"), 10, "no UTF-8 text"},
        {BYTES(FINE "user = a\0b\n"), 10, "NUL or another control character"},
        {BYTES(FINE "; \x01\n"), 10, "NUL or another control character"},
        {BYTES(FINE "user = a\x7f\n"), 10, "NUL or another control character"},
        {BYTES(FINE "user = a\rb\n"), 10, "NUL or another control character"},
        {BYTES(FINE "user = a\r\r\n"), 10, "NUL or another control character"},
        {BYTES(FINE "[account\x0b z]\naddress = 1\n"), 10, "NUL or another control character"},
        {BYTES(FINE "\xef\xbb\xbfuser = a\n"), 10, "unknown key \"\\xef\\xbb\\xbfuser\""},
        {BYTES(FINE "user = J\xc3\xb6rg"), 0, NULL},
        {BYTES("\xef\xbb\xbf[ecluse]\nworkers = 2\n" FINE), 0, NULL},
        {BYTES("\xef\xbb\xbf; first\r\n[ecluse]\r\nworkers = 2\r\n" FINE), 0, NULL},
        {BYTES(FINE "user = a\r\n"), 0, NULL},
        {BYTES(FINE "user = a\r"), 0, NULL},
#undef BYTES
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct reading reading = conf_read_bytes(cases[i].bytes, cases[i].size);
        if (cases[i].problem != NULL)
            conf_expect_problem(&reading, cases[i].bytes, cases[i].line, false, cases[i].problem);
        else
            conf_expect_fine(&reading, cases[i].bytes);
        reading_free(&reading);
    }
}

/* "scope = xxx…" of `length` octets behind FINE. */
static char *with_long_line(size_t length)
{
    size_t before = sizeof(FINE) - 1;
    char *text = mem_new(before + length + 2);

    memcpy(text, FINE, before);
    memset(text + before, 'x', length);
    memcpy(text + before, "scope = ", 8);
    text[before + length] = '\n';
    return text;
}

static void test_longest_line_is_read_whole(void **state)
{
    char *text = with_long_line(LINE_MAXIMUM);
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_fine(&reading, "the longest line");
    assert_int_equal(strlen(reading.config->accounts[0]->scope), LINE_MAXIMUM - 8);
    reading_free(&reading);
    mem_free(text);
}

static void test_longer_line_is_refused(void **state)
{
    char *text = with_long_line(LINE_MAXIMUM + 1);
    struct reading reading = conf_read(text);

    (void)state;
    conf_expect_problem(&reading, "a longer line", 10, false,
                        "longer than 4096 octets and would be cut");
    reading_free(&reading);
    mem_free(text);
}

static void test_long_file_is_refused(void **state)
{
    size_t size = FILE_MAXIMUM + 1;
    char *text = mem_new(size);

    (void)state;
    memset(text, '\n', size);
    memcpy(text, FINE, sizeof(FINE) - 1);
    struct reading reading = conf_read_bytes(text, size - 1);
    conf_expect_fine(&reading, "the longest file");
    reading_free(&reading);
    reading = conf_read_bytes(text, size);
    conf_expect_problem(&reading, "a longer file", 0, false,
                        "the file is longer than 1048576 octets");
    reading_free(&reading);
    mem_free(text);
}

static void test_all_problems_are_collected_in_order(void **state)
{
    static const char text[] = "stray = 1\n"          /* 1 */
                               "[ecluse]\n"           /* 2 */
                               "workers = none\n"     /* 3 */
                               "web = example.test\n" /* 4 */
                               "nothing\n"            /* 5 */
                               "[listen imap]\n"      /* 6 */
                               "remote = maybe\n"     /* 7 */
                               "account = nobody\n";  /* 8 */
    static const int lines[] = {1, 3, 4, 5, 6, 7, 8};
    struct reading reading = conf_read(text);

    (void)state;
    assert_int_equal(reading.status, ERR_CONFIG);
    assert_int_equal(reading.problems.count, LENGTH_OF(lines));
    for (size_t i = 0; i < LENGTH_OF(lines); i++) {
        assert_int_equal(reading.problems.items[i].line, lines[i]);
        assert_false(reading.problems.items[i].warning);
    }
    reading_free(&reading);
}

static void test_problems_have_a_maximum(void **state)
{
    struct config_problems problems = {0};

    (void)state;
    for (int line = 1; line <= PROBLEMS_MAXIMUM; line++)
        problems_warn(&problems, line, "warning %d", line);
    assert_false(problems_have_error(&problems));
    problems_add(&problems, 999, "one too many");
    assert_int_equal(problems.count, PROBLEMS_MAXIMUM);
    assert_true(problems_have_error(&problems));
    assert_non_null(strstr(problems.items[PROBLEMS_MAXIMUM - 1].text, "more problems"));
    config_problems_free(&problems);
    assert_int_equal(problems.count, 0);
}

static void test_no_value_of_a_refused_line_is_shown(void **state)
{
    static const char *const texts[] = {
        FINE "client_secret = hunter2\nclient_secret = hunter2\n",
        FINE "client_secrt = hunter2\n",
        FINE "client_secret hunter2\n",
        FINE "client_secret = hunter2 ;x\n",
        FINE "client_secret = hunter2\t2\n",
        FINE "token_command = hunter2 ; hunter2\n",
        FINE "client_secret = a\n hunter2\n",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(texts); i++) {
        struct reading reading = conf_read(texts[i]);
        assert_int_equal(reading.status, ERR_CONFIG);
        for (size_t j = 0; j < reading.problems.count; j++)
            assert_null(strstr(reading.problems.items[j].text, "hunter2"));
        reading_free(&reading);
    }
}

static void test_sections_have_a_maximum(void **state)
{
    size_t capacity = 64 + (SECTIONS_MAXIMUM + 1) * 32;
    char *text = mem_new(capacity);
    size_t used = 0;

    (void)state;
    for (int i = 0; i <= SECTIONS_MAXIMUM; i++)
        used += (size_t)snprintf(text + used, capacity - used, "[provider n%d]\nimap=tls://h\n", i);
    (void)snprintf(text + used, capacity - used, "%s", LISTENER);
    struct reading reading = conf_read(text);
    conf_expect_problem(&reading, "many sections", 2 * SECTIONS_MAXIMUM + 1, false,
                        "more than 4096 [provider NAME] sections");
    reading_free(&reading);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headings),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_longest_line_is_read_whole),
        cmocka_unit_test(test_longer_line_is_refused),
        cmocka_unit_test(test_long_file_is_refused),
        cmocka_unit_test(test_all_problems_are_collected_in_order),
        cmocka_unit_test(test_problems_have_a_maximum),
        cmocka_unit_test(test_no_value_of_a_refused_line_is_shown),
        cmocka_unit_test(test_sections_have_a_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
