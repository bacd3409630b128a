/* Sessions are resumed, and by nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_facts.h"
#include "talk.h"

/* -- sessions -- */

static void converse(struct talk *talk)
{
    shake_hands(talk);
    assert_string_equal(tls_why(talk->client), "");
    server_write(talk->server, SLICE_LITERAL("greeting"), &talk->to_client);
    exchange(talk);
}

static void check_resumption(int version_max)
{
    struct tls_sessions *sessions = tls_sessions_new(4);
    struct tls_settings settings = usual_settings();
    settings.sessions = sessions;
    settings.session_key = "anna " HOST ":993";
    struct server_wish wish = usual_wish();
    wish.version_max = version_max;
    struct talk talk;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    assert_false(tls_is_resumed(talk.client));
    for (size_t i = 0; i < 20; i++) {
        /* Ends in the ways that connections end: properly, cut off, and by a failure. */
        if (i % 3 == 0)
            tls_end(talk.client, &talk.to_server);
        else if (i % 3 == 1)
            client_reads(&talk,
                         SLICE_LITERAL("\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
        talk_again(&talk, &settings);
        converse(&talk);
        assert_true(tls_is_resumed(talk.client));
        assert_int_equal(SSL_session_reused(talk.server->ssl), 1);
    }
    char text[80];
    tls_describe(talk.client, text, sizeof(text));
    assert_non_null(strstr(text, " resumed"));
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

static void test_resumption(void **state)
{
    (void)state;
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

/* What a certificate says is worked out once for all that show it. */
static void test_facts_are_shared(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(4);
    struct tls_settings settings = usual_settings();
    settings.sessions = sessions;
    settings.session_key = "anna";
    struct server_wish wish = usual_wish();
    struct tls_facts first, resumed, full;
    struct talk talk, other;
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    tls_facts(talk.client, &first);
    assert_int_equal(strlen(first.certificate), 64);
    assert_int_equal(strlen(first.key), 64);
    assert_non_null(strstr(first.issuer, "CN="));
    assert_int_equal(strlen(first.not_after), strlen("2027-01-31T23:59:59Z"));
    talk_again(&talk, &settings);
    converse(&talk);
    tls_facts(talk.client, &resumed);
    assert_true(resumed.is_resumed && resumed.certificate == first.certificate);
    /* Those of an equal certificate are equal. */
    settings.session_key = NULL;
    talk_init(&other, &settings, &wish, SIZE_MAX);
    converse(&other);
    tls_facts(other.client, &full);
    assert_true(!full.is_resumed && full.certificate != first.certificate);
    assert_string_equal(full.certificate, resumed.certificate);
    assert_string_equal(full.key, resumed.key);
    assert_string_equal(full.issuer, resumed.issuer);
    assert_string_equal(full.not_after, resumed.not_after);
    talk_fini(&other);
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

/* Many at once take the same ticket. */
static void test_resumption_in_parallel(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(4);
    struct tls_settings settings = usual_settings();
    settings.sessions = sessions;
    settings.session_key = "anna";
    struct server_wish wish = usual_wish();
    struct talk first;
    talk_init(&first, &settings, &wish, SIZE_MAX);
    converse(&first);
    struct talk talks[8];
    for (size_t i = 0; i < LENGTH_OF(talks); i++) {
        talk_init(&talks[i], &settings, &wish, SIZE_MAX);
        SSL_CTX_free(talks[i].context);
        SSL_CTX_up_ref(first.context);
        talks[i].context = first.context;
        server_connection_free(talks[i].server);
        talks[i].server = server_accept(first.context);
    }
    for (size_t i = 0; i < LENGTH_OF(talks); i++) {
        converse(&talks[i]);
        assert_true(tls_is_resumed(talks[i].client));
    }
    for (size_t i = 0; i < LENGTH_OF(talks); i++)
        talk_fini(&talks[i]);
    talk_fini(&first);
    tls_sessions_free(sessions);
}

static void check_not_resumed(struct talk *talk, const struct tls_settings *settings)
{
    talk_again(talk, settings);
    converse(talk);
    assert_false(tls_is_resumed(talk->client));
}

static void test_never_resumed_across_keys(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(8);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "anna";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);

    struct tls_settings other = settings;
    other.session_key = "bert";
    check_not_resumed(&talk, &other);
    other = settings;
    other.host = "smtp.example.org";
    check_not_resumed(&talk, &other);
    other = settings;
    other.sessions = NULL;
    check_not_resumed(&talk, &other);
    other = settings;
    other.session_key = NULL;
    check_not_resumed(&talk, &other);

    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

static void test_never_resumed_across_authorities(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(8);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "anna";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    struct tls_authorities *other = authorities_of(all.other_root);
    settings.authorities = other;
    talk_again(&talk, &settings);
    shake_hands(&talk);
    assert_int_equal(tls_state(talk.client), TLS_FAILED);
    /* The same bundle loaded anew is the same. */
    struct tls_authorities *same = authorities_of(all.root);
    settings.authorities = same;
    talk_again(&talk, &settings);
    tls_authorities_free(same); /* the connection holds on to it */
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    talk_fini(&talk);
    tls_authorities_free(other);
    tls_sessions_free(sessions);
}

static void test_oldest_session_goes(void **state)
{
    (void)state;
    struct tls_sessions *sessions = tls_sessions_new(2);
    struct tls_settings settings = usual_settings();
    struct server_wish wish = usual_wish();
    struct talk talk;
    settings.sessions = sessions;
    settings.session_key = "a";
    talk_init(&talk, &settings, &wish, SIZE_MAX);
    converse(&talk);
    settings.session_key = "b";
    check_not_resumed(&talk, &settings);
    settings.session_key = "a";
    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    settings.session_key = "c"; /* b goes */
    check_not_resumed(&talk, &settings);
    settings.session_key = "a";
    talk_again(&talk, &settings);
    converse(&talk);
    assert_true(tls_is_resumed(talk.client));
    settings.session_key = "b";
    check_not_resumed(&talk, &settings);
    talk_fini(&talk);
    tls_sessions_free(sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_facts_are_shared),
        cmocka_unit_test(test_resumption_in_parallel),
        cmocka_unit_test(test_never_resumed_across_keys),
        cmocka_unit_test(test_never_resumed_across_authorities),
        cmocka_unit_test(test_oldest_session_goes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
