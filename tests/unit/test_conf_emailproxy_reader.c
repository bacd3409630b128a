/*
 * The grammar of an emailproxy.config, as Python's configparser has it.
 */
#include "conf/emailproxy_reader.h"
#include "conf_case.h"

struct read_case {
    const char *text;
    const char *section, *key;
    const char *value; /* NULL: there is none */
    int line;
};

static int read_bytes(const char *bytes, size_t size, struct emailproxy_file **file_out,
                      struct config_problems *problems)
{
    FILE *stream = tmpfile();

    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    rewind(stream);
    int status = emailproxy_read(stream, file_out, problems);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(status == 0, *file_out != NULL);
    return status;
}

static void run_read_case(const struct read_case *wanted)
{
    struct config_problems problems = {0};
    struct emailproxy_file *file = NULL;

    if (read_bytes(wanted->text, strlen(wanted->text), &file, &problems) != 0)
        fail_msg("of:\n%s\n%d: %s", wanted->text, problems.items[0].line, problems.items[0].text);
    const struct emailproxy_section *section = emailproxy_section(file, wanted->section);
    if (section == NULL)
        fail_msg("of:\n%s\nno section %s", wanted->text, wanted->section);
    const struct emailproxy_pair *pair = emailproxy_find(file, section, wanted->key);
    if ((pair == NULL) != (wanted->value == NULL))
        fail_msg("of:\n%s\nis %s", wanted->text, pair == NULL ? "not there" : pair->value);
    if (pair != NULL) {
        if (strcmp(pair->value, wanted->value) != 0)
            fail_msg("of:\n%s\n\"%s\"", wanted->text, pair->value);
        assert_int_equal(pair->line, wanted->line);
    }
    emailproxy_free(file);
    config_problems_free(&problems);
}

static void run_read_cases(const struct read_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_read_case(&cases[i]);
}

static void test_delimiters(void **state)
{
    static const struct read_case cases[] = {
        {"[s]\ntoken_url=https://x:1/y?a=b\n", "s", "token_url", "https://x:1/y?a=b", 2},
        {"[s]\nserver_address: h\n", "s", "server_address", "h", 2},
        {"[s]\nk:v=w\n", "s", "k", "v=w", 2},
        {"[s]\nk=v:w\n", "s", "k", "v:w", 2},
        {"[s]\n  k \t =\t v w  \n", "s", "k", "v w", 2},
        {"[s]\nk =\n", "s", "k", NULL, 0},
        {"[s]\nk = v", "s", "k", "v", 2},
        {"[s]\r\nk = v\r\nl = w\r\n", "s", "l", "w", 3},
        {"[s]\rk = v\rl = w", "s", "l", "w", 3},
    };

    (void)state;
    run_read_cases(cases, LENGTH_OF(cases));
}

static void test_names(void **state)
{
    static const struct read_case cases[] = {
        {"[s]\nServer_ADDRESS = h\n", "s", "server_address", "h", 2},
        {"[S]\nk = v\n[s]\nk = w\n", "s", "k", "w", 4},
        {"[User@X.com]\nk = v\n[user@x.com]\nk = w\n", "User@X.com", "k", "v", 2},
        {"[a]b@c]\nk = v\n", "a]b@c", "k", "v", 2},
        {"[a@b] ; note\nk = v\n", "a@b", "k", "v", 2},
        {"[a@b] note ] and more\nk = v\n", "a@b] note ", "k", "v", 2},
        {"[averyveryveryveryveryverylongname@averyveryveryverylongdomain.example.com]\nk = v\n",
         "averyveryveryveryveryverylongname@averyveryveryverylongdomain.example.com", "k", "v", 2},
        {"[DEFAULT]\nk = v\n[s]\n", "s", "k", "v", 2},
        {"[DEFAULT]\nk = v\n[s]\nk = w\n", "s", "k", "w", 4},
        {"[s]\n[DEFAULT]\nk = v\n[DEFAULT]\nl = w\n", "s", "l", "w", 5},
    };

    (void)state;
    run_read_cases(cases, LENGTH_OF(cases));
}

static void test_comments(void **state)
{
    static const struct read_case cases[] = {
        {"# one\n; two\n[s]\n  # three\nk = v\n", "s", "k", "v", 5},
        {"[s]\nclient_secret = x ;y #z\n", "s", "client_secret", "x ;y #z", 2},
        {"[s]\nk = a%(b)s%%\n", "s", "k", "a%(b)s%%", 2},
        {"[s]\nk = \"quoted\"\n", "s", "k", "\"quoted\"", 2},
    };

    (void)state;
    run_read_cases(cases, LENGTH_OF(cases));
}

static void test_more_lines(void **state)
{
    static const struct read_case cases[] = {
        {"[s]\nk = a\n  b\n\tc\nl = d\n", "s", "k", "a\nb\nc", 2},
        {"[s]\nk = a\n    b\n  c\nl = d\n", "s", "l", "d", 5},
        {"[s]\nk = a\n  b\n\n\n  c\n\n\nl = d\n", "s", "k", "a\nb\n\n\nc", 2},
        {"[s]\nk = a\n  # no\n  b\n", "s", "k", "a\nb", 2},
        {"[s]\nk = a\n  [x]\n", "s", "k", "a\n[x]", 2},
        {"[s]\nk = a\n  l = b\n", "s", "k", "a\nl = b", 2},
        {"[s]\n  k = a\n  l = b\n", "s", "k", "a", 2},
        {"[s]\n  k = a\n  l = b\n", "s", "l", "b", 3},
        {"[s]\n  k = a\n    m\n  l = b\n", "s", "k", "a\nm", 2},
        {"[s]\n  k = a\n [t]\nl = b\n", "t", "l", "b", 4},
        {"[s]\n   k = a\n", "s", "k", "a", 2},
        {"[s]\nk = {\n  \"a\": 1\n  }\n", "s", "k", "{\n\"a\": 1\n}", 2},
        {"[s]\nk =\n  a\n", "s", "k", "a", 2},
    };

    (void)state;
    run_read_cases(cases, LENGTH_OF(cases));
}

static void expect_problem(const char *bytes, size_t size, int line, bool warning, const char *part)
{
    struct config_problems problems = {0};
    struct emailproxy_file *file = NULL;
    int status = read_bytes(bytes, size, &file, &problems);

    if (problems.count != 1 || problems.items[0].line != line ||
        strstr(problems.items[0].text, part) == NULL)
        fail_msg("of:\n%.200s\n%zu problems, %d: %s", bytes, problems.count,
                 problems.count == 0 ? 0 : problems.items[0].line,
                 problems.count == 0 ? "" : problems.items[0].text);
    assert_int_equal(problems.items[0].warning, warning);
    assert_int_equal(status, warning ? 0 : ERR_CONFIG);
    emailproxy_free(file);
    config_problems_free(&problems);
}

static void test_problems(void **state)
{
    static const struct {
        const char *text;
        int line;
        bool warning;
        const char *problem;
    } cases[] = {
        {"k = v\n[s]\n", 1, false, "stands in no section"},
        {"[s]\nfoo\n", 2, false, "neither a [section] nor key = value"},
        {"[s]\n= v\n", 2, false, "neither a [section] nor key = value"},
        {"[s]\nk = {\n  \"a\": 1\n}\n", 4, false, "indented deeper than its key"},
        {"[s]\n[]\n", 2, false, "neither a [section]"},
        {"[s\n", 1, false, "stands in no section"},
        {"[s]\nk = v\n[s]\nl = w\n", 3, true, "[s] stands on line 1 already"},
        {"[s]\nk = v\nK = w\n", 3, true, "K stands on line 2 already; that one holds"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        expect_problem(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].warning,
                       cases[i].problem);
    expect_problem("[s]\nk = a\0b\n", 12, 0, false, "NUL");
}

static void test_what_is_tolerated(void **state)
{
    struct config_problems problems = {0};
    struct emailproxy_file *file = NULL;
    static const char text[] = "\xef\xbb\xbf[s]\nk = v\nk = w\n  x\n[s]\nl = m\n";

    (void)state;
    assert_int_equal(read_bytes(text, sizeof(text) - 1, &file, &problems), 0);
    assert_int_equal(problems.count, 2);
    assert_int_equal(file->count, 1);
    assert_string_equal(emailproxy_find(file, &file->sections[0], "k")->value, "v");
    assert_string_equal(emailproxy_find(file, &file->sections[0], "l")->value, "m");
    emailproxy_free(file);
    config_problems_free(&problems);
}

static char *repeated(const char *start, const char *part, size_t count)
{
    size_t size = strlen(start), step = strlen(part);
    char *text = mem_new(size + count * step + 1);

    memcpy(text, start, size);
    for (size_t i = 0; i < count; i++)
        memcpy(text + size + i * step, part, step);
    return text;
}

static void expect_problem_of(char *text, int line, const char *part)
{
    expect_problem(text, strlen(text), line, false, part);
    mem_free(text);
}

static void test_limits(void **state)
{
    char *text = repeated("[s]\nk = ", "x", EMAILPROXY_VALUE_MAXIMUM);
    const struct read_case fits = {text, "s", "k", text + 8, 2};

    (void)state;
    run_read_case(&fits);
    mem_free(text);
    expect_problem_of(repeated("[s]\nk = ", "x", EMAILPROXY_VALUE_MAXIMUM + 1), 2,
                      "the value is longer than");
    expect_problem_of(repeated("[s]\n", "#\n", EMAILPROXY_FILE_MAXIMUM / 2), 0,
                      "the file is longer than");
    expect_problem_of(repeated("[", "x", 400), 1, "stands in no section");
}

/* Tokens of Microsoft have some thousand octets; nothing of them is lost. */
static void test_long_value_of_many_lines(void **state)
{
    char *text = repeated("[s]\nk = x", "\n\tabcdefghijklmnopqrstuvwxyz", 2000);
    char *value = repeated("x", "\nabcdefghijklmnopqrstuvwxyz", 2000);
    const struct read_case wanted = {text, "s", "k", value, 2};

    (void)state;
    run_read_case(&wanted);
    mem_free(text);
    mem_free(value);
}

static void test_recognition(void **state)
{
    static const struct {
        const char *text;
        bool is_theirs;
    } cases[] = {
        {"[IMAP-1993]\n", true},
        {"[POP-1995]\n", true},
        {"[SMTP-1465]\n", true},
        {"\xef\xbb\xbf[emailproxy]\n", true},
        {"[Server setup]\nk = v\n\n[alice@mail.test]\n", true},
        {"# [ecluse]\n[@mail.test]\n", true},
        {"[imap-1993]\n", false},
        {"[POP3-1995]\n", false},
        {"[IMAP-x]\n", false},
        {"[Server setup]\n", false},
        {FINE, false},
        {"[ecluse]\n[IMAP-1993]\n", false},
        {"[account a@b]\n", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        FILE *stream = tmpfile();
        assert_non_null(stream);
        assert_true(fputs(cases[i].text, stream) >= 0);
        rewind(stream);
        if (emailproxy_is_recognised(stream) != cases[i].is_theirs)
            fail_msg("of:\n%s", cases[i].text);
        assert_int_equal(ftell(stream), 0);
        assert_int_equal(fclose(stream), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delimiters),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_comments),    cmocka_unit_test(test_more_lines),
        cmocka_unit_test(test_problems),    cmocka_unit_test(test_what_is_tolerated),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_long_value_of_many_lines),
        cmocka_unit_test(test_recognition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
