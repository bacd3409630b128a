/*
 * Tables of good and bad endpoints, URLs, addresses to listen on and networks.
 */
#include "conf/address.h"
#include "conf_case.h"

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void test_endpoints(void **state)
{
    static const struct {
        const char *text;
        enum protocol protocol;
        enum tls_mode tls;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"tls://imap.example.org", PROTOCOL_IMAP, TLS_MODE_ON, "imap.example.org", 993},
        {"tls://pop.example.org", PROTOCOL_POP3, TLS_MODE_ON, "pop.example.org", 995},
        {"tls://smtp.example.org", PROTOCOL_SMTP, TLS_MODE_ON, "smtp.example.org", 465},
        {"starttls://h", PROTOCOL_IMAP, TLS_MODE_STARTTLS, "h", 143},
        {"starttls://h", PROTOCOL_POP3, TLS_MODE_STARTTLS, "h", 110},
        {"starttls://h", PROTOCOL_SMTP, TLS_MODE_STARTTLS, "h", 587},
        {"tls://IMAP.Example.ORG:1993", PROTOCOL_IMAP, TLS_MODE_ON, "imap.example.org", 1993},
        {"tls://192.0.2.1:1", PROTOCOL_IMAP, TLS_MODE_ON, "192.0.2.1", 1},
        {"tls://[2001:DB8::1]:65535", PROTOCOL_IMAP, TLS_MODE_ON, "2001:db8::1", 65535},
        {"tls://[::1]", PROTOCOL_IMAP, TLS_MODE_ON, "::1", 993},
        {"tls://xn--bcher-kva.example", PROTOCOL_IMAP, TLS_MODE_ON, "xn--bcher-kva.example", 993},
        {"tls://" LABEL_63 ".test", PROTOCOL_IMAP, TLS_MODE_ON, LABEL_63 ".test", 993},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct endpoint endpoint = {0};
        assert_int_equal(endpoint_parse(cases[i].text, cases[i].protocol, &endpoint, &err), 0);
        assert_true(endpoint.is_set);
        assert_int_equal(endpoint.tls, cases[i].tls);
        assert_string_equal(endpoint.host, cases[i].host);
        assert_int_equal(endpoint.port, cases[i].port);
        mem_free(endpoint.host);
    }
}

static void test_bad_endpoints(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"imap.example.org", "must be tls://HOST:993 or starttls://HOST:143"},
        {"imap://imap.example.org", "never without TLS"},
        {"imaps://imap.example.org", "never without TLS"},
        {"tcp://imap.example.org", "never without TLS"},
        {"TLS://imap.example.org", "never without TLS"},
        {"tls:imap.example.org", "never without TLS"},
        {"tls://", "the host is missing"},
        {"tls://:993", "the host is missing"},
        {"tls://[]:993", "the host is missing"},
        {"tls://h:", "the port must be a number"},
        {"tls://h:0", "the port must be a number"},
        {"tls://h:65536", "the port must be a number"},
        {"tls://h:99999999999999999999", "the port must be a number"},
        {"tls://h:99x", "the port must be a number"},
        {"tls://h:993/", "the port must be a number"},
        {"tls://::1", "stands in brackets"},
        {"tls://h:1:2", "stands in brackets"},
        {"tls://[::1", "the ']' behind the address is missing"},
        {"tls://[::1]993", "only :PORT may follow"},
        {"tls://[h]", "neither a name nor an address"},
        {"tls://[127.0.0.1]", "neither a name nor an address"},
        {"tls://[fe80::1%eth0]", "neither a name nor an address"},
        {"tls://h/", "neither a name nor an address"},
        {"tls://u@h", "neither a name nor an address"},
        {"tls://h ", "neither a name nor an address"},
        {"tls://-h.test", "neither a name nor an address"},
        {"tls://h-.test", "neither a name nor an address"},
        {"tls://h..test", "neither a name nor an address"},
        {"tls://.test", "neither a name nor an address"},
        {"tls://h.test.", "neither a name nor an address"},
        {"tls://*.test", "neither a name nor an address"},
        {"tls://1.2.3", "neither a name nor an address"},
        {"tls://1.2.3.256", "neither a name nor an address"},
        {"tls://h\xc3\xa9.test", "neither a name nor an address"},
        {"tls://" LABEL_63 "h.test", "neither a name nor an address"},
        {"tls://" LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 ".test", "longer than a name"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct endpoint endpoint = {0};
        struct err err = {0};
        int status = endpoint_parse(cases[i].text, PROTOCOL_IMAP, &endpoint, &err);
        if (status == 0 || strstr(err.text, cases[i].problem) == NULL)
            print_error("%s: %s\n", cases[i].text, err.text);
        assert_int_equal(status, ERR_SYNTAX);
        assert_non_null(strstr(err.text, cases[i].problem));
        assert_false(endpoint.is_set);
        assert_null(endpoint.host);
    }
}

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        bool query_allowed;
        const char *problem; /* NULL: fine */
    } cases[] = {
        {"https://id.example.org", false, NULL},
        {"https://id.example.org/", false, NULL},
        {"https://id.example.org:8443/a/b%20c", false, NULL},
        {"https://[::1]:8443/token", false, NULL},
        {"https://127.0.0.1/token", false, NULL},
        {"https://id.example.org/token?p=b2c", true, NULL},
        {"https://id.example.org?p=u@h", true, NULL},
        {"https://login.example.org/{tenant}/oauth2", false, NULL},
        {"http://id.example.org", false, "must be https://"},
        {"HTTP://id.example.org", false, "must be https://"},
        {"ftp://id.example.org", false, "must be an https:// URL"},
        {"id.example.org", false, "must be an https:// URL"},
        {"//id.example.org", false, "must be an https:// URL"},
        {"https:", false, "must be an https:// URL"},
        {"https://", false, "the host is missing"},
        {"https:///token", false, "the host is missing"},
        {"https://?x", true, "the host is missing"},
        {"https://:443/", false, "the host is missing"},
        {"https://user@id.example.org/", false, "no user or password"},
        {"https://user:secret@id.example.org/", false, "no user or password"},
        {"https://id.example.org/#top", false, "no fragment"},
        {"https://id.example.org#", true, "no fragment"},
        {"https://id.example.org/?a=b", false, "no query"},
        {"https://id.example.org?", false, "no query"},
        {"https://id example.org/", false, "a character that a URL may not"},
        {"https://id.example.org/\"", false, "a character that a URL may not"},
        {"https://id.example.org/a\\b", false, "a character that a URL may not"},
        {"https://id.example.org/{x}", false, "a character that a URL may not"},
        {"https://id.example.org/{tenant", false, "a character that a URL may not"},
        {"https://id.example.org/\xc3\xa9", false, "a character that a URL may not"},
        {"https://{tenant}.example.org/", false, "neither a name nor an address"},
        {"https://id.example.org:x/", false, "the port must be a number"},
        {"https://id.example.org:0/", false, "the port must be a number"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct err err = {0};
        int status = https_url_check(cases[i].url, cases[i].query_allowed, &err);
        if ((status == 0) != (cases[i].problem == NULL))
            print_error("%s: %s\n", cases[i].url, err.text);
        assert_int_equal(status, cases[i].problem == NULL ? 0 : ERR_SYNTAX);
        if (cases[i].problem != NULL)
            assert_non_null(strstr(err.text, cases[i].problem));
        assert_null(strstr(err.text, "secret"));
    }
}

static void test_listen_addresses(void **state)
{
    static const struct {
        const char *text, *host, *path;
        uint16_t port;
        bool is_local;
    } cases[] = {
        {"127.0.0.1:1143", "127.0.0.1", NULL, 1143, true},
        {"127.9.9.9:1", "127.9.9.9", NULL, 1, true},
        {"[::1]:65535", "::1", NULL, 65535, true},
        {"[0:0:0:0:0:0:0:1]:143", "::1", NULL, 143, true},
        {"0.0.0.0:143", "0.0.0.0", NULL, 143, false},
        {"[::]:143", "::", NULL, 143, false},
        {"192.168.1.2:143", "192.168.1.2", NULL, 143, false},
        {"[2001:DB8::A]:143", "2001:db8::a", NULL, 143, false},
        {"[127::1]:143", "127::1", NULL, 143, false},
        {"unix:/run/e/imap", NULL, "/run/e/imap", 0, true},
        {"unix:~/imap", NULL, "/home/u/imap", 0, true},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct listen_address address = {0};
        assert_int_equal(listen_address_parse(cases[i].text, "/home/u", &address, &err), 0);
        assert_int_equal(address.host == NULL, cases[i].host == NULL);
        assert_int_equal(address.path == NULL, cases[i].path == NULL);
        if (cases[i].host != NULL)
            assert_string_equal(address.host, cases[i].host);
        if (cases[i].path != NULL)
            assert_string_equal(address.path, cases[i].path);
        assert_int_equal(address.port, cases[i].port);
        assert_int_equal(listen_address_is_local(&address), cases[i].is_local);
        listen_address_fini(&address);
        assert_null(address.host);
        assert_null(address.path);
    }
}

static void test_bad_listen_addresses(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"1143", "must be 127.0.0.1:PORT"},
        {"localhost", "must be 127.0.0.1:PORT"},
        {"localhost:1143", "takes an address, no name"},
        {"imap.test:1143", "takes an address, no name"},
        {"*:1143", "neither a name nor an address"},
        {":1143", "the host is missing"},
        {"127.0.0.1", "must be 127.0.0.1:PORT"},
        {"[::1]", "the port is missing"},
        {"::1:1143", "stands in brackets"},
        {"127.0.0.1:0", "the port must be a number"},
        {"127.0.0.1:70000", "the port must be a number"},
        {"127.1:1143", "neither a name nor an address"},
        {"[::ffff:127.0.0.1]:143", "without [::ffff:]"},
        {"[::1%lo]:143", "neither a name nor an address"},
        {"unix:", "must be an absolute path"},
        {"unix:run/imap", "must be an absolute path"},
        {"unix:/aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhii"
         "iiiiiiiijjjjjjjjjjkkkkkkk",
         "at most 107 octets"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct listen_address address = {0};
        struct err err = {0};
        int status = listen_address_parse(cases[i].text, "/home/u", &address, &err);
        if (status == 0 || strstr(err.text, cases[i].problem) == NULL)
            print_error("%s: %s\n", cases[i].text, err.text);
        assert_int_equal(status, ERR_SYNTAX);
        assert_non_null(strstr(err.text, cases[i].problem));
        assert_null(address.host);
        assert_null(address.path);
    }
}

static void test_collisions(void **state)
{
    static const struct {
        const char *a, *b;
        bool collide;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true},  {"127.0.0.1:1", "127.0.0.1:2", false},
        {"127.0.0.1:1", "127.0.0.2:1", false}, {"127.0.0.1:1", "[::1]:1", false},
        {"0.0.0.0:1", "127.0.0.1:1", true},    {"0.0.0.0:1", "[::1]:1", false},
        {"0.0.0.0:1", "[::]:1", false},        {"[::]:1", "[::1]:1", true},
        {"[::1]:1", "[0:0::1]:1", true},       {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/b", false},         {"unix:/a", "127.0.0.1:1", false},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct listen_address a = {0}, b = {0};
        assert_int_equal(listen_address_parse(cases[i].a, NULL, &a, &err), 0);
        assert_int_equal(listen_address_parse(cases[i].b, NULL, &b, &err), 0);
        assert_int_equal(listen_address_collides(&a, &b), cases[i].collide);
        assert_int_equal(listen_address_collides(&b, &a), cases[i].collide);
        listen_address_fini(&a);
        listen_address_fini(&b);
    }
}

static void test_networks(void **state)
{
    static const struct {
        const char *text;
        uint8_t address[16];
        unsigned prefix_length;
    } cases[] = {
        {"192.168.1.20", {[10] = 0xff, 0xff, 192, 168, 1, 20}, 128},
        {"172.17.0.0/16", {[10] = 0xff, 0xff, 172, 17, 0, 0}, 112},
        {"10.0.0.0/8", {[10] = 0xff, 0xff, 10}, 104},
        {"10.1.2.128/25", {[10] = 0xff, 0xff, 10, 1, 2, 128}, 121},
        {"0.0.0.0/0", {[10] = 0xff, 0xff}, 96},
        {"10.1.2.3/32", {[10] = 0xff, 0xff, 10, 1, 2, 3}, 128},
        {"::1", {[15] = 1}, 128},
        {"fd00::/8", {0xfd}, 8},
        {"fe80::/10", {0xfe, 0x80}, 10},
        {"::/0", {0}, 0},
        {"::ffff:10.0.0.0/104", {[10] = 0xff, 0xff, 10}, 104},
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct network network = {0};
        assert_int_equal(network_parse(cases[i].text, &network, &err), 0);
        assert_memory_equal(network.address, cases[i].address, 16);
        assert_int_equal(network.prefix_length, cases[i].prefix_length);
    }
}

static void test_bad_networks(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"", "must be an address or a network"},
        {"host.test", "must be an address or a network"},
        {"10.0.0", "must be an address or a network"},
        {"10.0.0.256", "must be an address or a network"},
        {"/8", "must be an address or a network"},
        {"[::1]", "must be an address or a network"},
        {"fe80::1%eth0", "must be an address or a network"},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8", "must be an address or a network"},
        {"10.0.0.0/", "a number from 0 to 32"},
        {"10.0.0.0/33", "a number from 0 to 32"},
        {"10.0.0.0/-1", "a number from 0 to 32"},
        {"10.0.0.0/8x", "a number from 0 to 32"},
        {"10.0.0.0/255.0.0.0", "a number from 0 to 32"},
        {"10.0.0.0/99999999999999999999", "a number from 0 to 32"},
        {"fd00::/129", "a number from 0 to 128"},
        {"10.0.0.1/8", "bits behind its prefix"},
        {"10.1.2.129/25", "bits behind its prefix"},
        {"fe80::1/64", "bits behind its prefix"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct network network = {.prefix_length = 77};
        struct err err = {0};
        int status = network_parse(cases[i].text, &network, &err);
        if (status == 0 || strstr(err.text, cases[i].problem) == NULL)
            print_error("%s: %s\n", cases[i].text, err.text);
        assert_int_equal(status, ERR_SYNTAX);
        assert_non_null(strstr(err.text, cases[i].problem));
        assert_int_equal(network.prefix_length, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_bad_endpoints),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_listen_addresses),
        cmocka_unit_test(test_bad_listen_addresses),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_bad_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
