/*
 * What transcripts cannot say of the engine: that any sequence of facts and bytes ends once and in
 * order, that late facts change nothing, that nothing grows without a bound. The dialect is IMAP.
 */
#include "engine_owner.h"

struct place {
    const char *phase;
    void (*go)(struct owner *owner);
    unsigned facts; /* a bit for each kind of fact that means something there */
    enum tls_mode client_tls;
};

#define BIT(kind)  (1u << (kind))
#define WAITING    (BIT(FACT_TICK) | BIT(FACT_DISMISSED))
#define EOF_CLIENT (1u << 16)
#define EOF_SERVER (1u << 17)
#define TLS_CLIENT (1u << 18)
#define TLS_SERVER (1u << 19)
#define CONNECTING (WAITING | BIT(FACT_FAILED) | EOF_CLIENT | EOF_SERVER)

static const struct place places[] = {
    {"client-tls", go_to_client_tls, WAITING | EOF_CLIENT | TLS_CLIENT, TLS_MODE_STARTTLS},
    {"client-tls", go_nowhere, WAITING | EOF_CLIENT | TLS_CLIENT, TLS_MODE_ON},
    {"command", go_nowhere, WAITING | EOF_CLIENT, TLS_MODE_STARTTLS},
    {"command", go_nowhere, WAITING | EOF_CLIENT, TLS_MODE_OFF},
    {"exchange", go_to_exchange, WAITING | EOF_CLIENT, TLS_MODE_OFF},
    {"asked", go_to_asked,
     WAITING | EOF_CLIENT | BIT(FACT_CHALLENGE) | BIT(FACT_GRANTED) | BIT(FACT_REFUSED),
     TLS_MODE_OFF},
    {"dialing", go_to_dialing, CONNECTING | BIT(FACT_CONNECTED), TLS_MODE_OFF},
    {"greeting", go_to_greeting, CONNECTING, TLS_MODE_OFF},
    {"upgrade", go_to_upgrade, CONNECTING, TLS_MODE_OFF},
    {"securing", go_to_securing, CONNECTING | TLS_SERVER, TLS_MODE_OFF},
    {"capability", go_to_capability, CONNECTING, TLS_MODE_OFF},
    {"authenticate", go_to_authenticate, CONNECTING, TLS_MODE_OFF},
    {"asked", go_to_asked_again, WAITING | EOF_CLIENT | BIT(FACT_GRANTED) | BIT(FACT_REFUSED),
     TLS_MODE_OFF},
    {"confirm", go_to_confirm, CONNECTING, TLS_MODE_OFF},
    {"relay", go_to_relay, 0, TLS_MODE_OFF},
    {"over", go_over, 0, TLS_MODE_OFF},
};

static unsigned bit_of(const struct fact *fact)
{
    if (fact->kind == FACT_EOF)
        return fact->side == SIDE_CLIENT ? EOF_CLIENT : EOF_SERVER;
    if (fact->kind == FACT_TLS_UP)
        return fact->side == SIDE_CLIENT ? TLS_CLIENT : TLS_SERVER;
    return BIT(fact->kind);
}

static const struct fact all_facts[] = {
    {.kind = FACT_CHALLENGE, .text = "", .bytes = {(const uint8_t *)"x", 1}},
    {.kind = FACT_GRANTED, .text = ""},
    {.kind = FACT_REFUSED, .why = WHY_AUTH_REJECTED, .text = "no"},
    {.kind = FACT_CONNECTED, .is_secure = true, .text = ""},
    {.kind = FACT_CONNECTED, .text = ""},
    {.kind = FACT_TLS_UP, .side = SIDE_CLIENT, .text = ""},
    {.kind = FACT_TLS_UP, .side = SIDE_UPSTREAM, .text = ""},
    {.kind = FACT_FAILED, .why = WHY_UNREACHABLE, .text = "reset"},
    {.kind = FACT_EOF, .side = SIDE_CLIENT, .text = ""},
    {.kind = FACT_EOF, .side = SIDE_UPSTREAM, .text = ""},
    {.kind = FACT_TICK, .text = ""},
    {.kind = FACT_DISMISSED, .why = WHY_SHUTDOWN, .text = "ecluse is stopping"},
};

/* Each fact in each phase: what belongs there acts, all else changes nothing and says nothing. */
static void test_facts_that_do_not_belong_are_ignored(void **state)
{
    (void)state;
    for (size_t p = 0; p < LENGTH_OF(places); p++)
        for (size_t f = 0; f < LENGTH_OF(all_facts); f++) {
            struct owner owner;
            owner_init_tls(&owner, places[p].client_tls);
            places[p].go(&owner);
            assert_string_equal(engine_phase_name(owner.engine), places[p].phase);
            struct owner before = owner;
            size_t sizes[] = {buf_size(&owner.to_client), buf_size(&owner.to_upstream)};
            tell(&owner, all_facts[f]);
            bool has_acted = memcmp(before.deeds, owner.deeds, sizeof(owner.deeds)) != 0 ||
                             strcmp(engine_phase_name(owner.engine), places[p].phase) != 0 ||
                             sizes[0] != buf_size(&owner.to_client) ||
                             sizes[1] != buf_size(&owner.to_upstream);
            bool belongs = (places[p].facts & bit_of(&all_facts[f])) != 0;
            if (has_acted != belongs)
                fail_msg("fact %zu in place %zu: %s", f, p, has_acted ? "acted" : "was ignored");
            owner_fini(&owner);
        }
}

/* What ends a session does so from everywhere, once. */
static void test_dismissal_ends_from_everywhere(void **state)
{
    (void)state;
    for (size_t p = 0; p < LENGTH_OF(places); p++) {
        struct owner owner;
        owner_init_tls(&owner, places[p].client_tls);
        places[p].go(&owner);
        bool was_over = owner.deeds[DEED_END] + owner.deeds[DEED_PASS] > 0;
        for (int i = 0; i < 3; i++)
            tell(&owner,
                 (struct fact){.kind = FACT_DISMISSED, .why = WHY_SHUTDOWN, .text = "stopping"});
        assert_int_equal(owner.deeds[DEED_END] + owner.deeds[DEED_PASS], 1);
        if (!was_over) {
            assert_int_equal(owner.last, DEED_END);
            assert_int_equal(owner.why, WHY_SHUTDOWN);
        }
        owner_fini(&owner);
    }
}

static void test_a_place_without_room_ends_at_once(void **state)
{
    struct owner owner = {0};
    (void)state;
    buf_init(&owner.to_client, 1000);
    owner.engine = engine_new(&(struct engine_settings){.dialect = dialect_of(PROTOCOL_IMAP),
                                                        .mechanisms = "PLAIN",
                                                        .refusal = "too many sessions",
                                                        .refusal_why = WHY_LIMIT});
    do_deeds(&owner);
    assert_int_equal(owner.deeds[DEED_END], 1);
    assert_int_equal(owner.why, WHY_LIMIT);
    assert_true(slice_is(buf_bytes(&owner.to_client), "* BYE [LIMIT] too many sessions\r\n"));
    feed_string(&owner, SIDE_CLIENT, "a LOGIN alice secret\r\n");
    tell(&owner, (struct fact){.kind = FACT_TICK});
    assert_int_equal(owner.deeds[DEED_ASK], 0);
    assert_int_equal(owner.deeds[DEED_END], 1);
    owner_fini(&owner);
}

/* ---- random walks ---- */

static const char *const client_says[] = {"a LOGIN alice secret\r\n",
                                          "b AUTHENTICATE PLAIN\r\n",
                                          "c AUTHENTICATE PLAIN AGEAYg==\r\n",
                                          "d AUTHENTICATE LOGIN\r\n",
                                          "YWxpY2U=\r\n",
                                          "*\r\n",
                                          "e CAPABILITY\r\n",
                                          "f NOOP\r\n",
                                          "g LOGIN {5}\r\n",
                                          "alice secret\r\n",
                                          "h LOGIN {5+}\r\nalice \"x\"\r\n",
                                          "i SELECT INBOX\r\n",
                                          "j STARTTLS\r\n"};
/* "%s" is our tag of the moment. */
static const char *const upstream_says[] = {"* OK hello\r\n",
                                            GREETING,
                                            "* CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER\r\n",
                                            "%s OK done\r\n",
                                            "%s NO expired\r\n",
                                            "%s NO [UNAVAILABLE] later\r\n",
                                            "e999 OK done\r\n",
                                            "+ \r\n",
                                            "+ eyJ9\r\n",
                                            "* BYE leaving\r\n",
                                            "* 1 EXISTS\r\n",
                                            "* PREAUTH in\r\n",
                                            "nonsense\r\n"};

static unsigned next_random(unsigned *random)
{
    *random = *random * 1103515245u + 12345u;
    return *random >> 16 & 0x7fff;
}

static void let_upstream_say(struct owner *owner, const char *form)
{
    char text[100];
    const char *tag = strstr(form, "%s");
    snprintf(text, sizeof(text), "%s%s", tag == NULL ? form : engine_upstream_tag(owner->engine),
             tag == NULL ? "" : tag + 2);
    feed(owner, SIDE_UPSTREAM, slice_of_string(text));
}

/* What a login that goes well needs next. */
static void good_step(struct owner *owner)
{
    switch (owner->engine->phase) {
    case PHASE_CLIENT_TLS:
        tell(owner, (struct fact){.kind = FACT_TLS_UP, .side = SIDE_CLIENT});
        return;
    case PHASE_COMMAND:
        feed(owner, SIDE_CLIENT,
             engine_offers_tls(owner->engine) ? SLICE_LITERAL("a STARTTLS\r\n")
                                              : slice_of_string(client_says[0]));
        return;
    case PHASE_SECURING:
        tell(owner, (struct fact){.kind = FACT_TLS_UP, .side = SIDE_UPSTREAM});
        return;
    case PHASE_EXCHANGE:
        feed(owner, SIDE_CLIENT, slice_of_string("YWxpY2U=\r\n"));
        return;
    case PHASE_ASKED:
        tell(owner, (struct fact){.kind = FACT_GRANTED});
        return;
    case PHASE_DIALING:
        tell(owner, (struct fact){.kind = FACT_CONNECTED, .is_secure = owner->deeds[DEED_ASK] % 2});
        return;
    case PHASE_GREETING:
        let_upstream_say(owner, GREETING);
        return;
    default:
        let_upstream_say(owner, "%s OK done\r\n");
        return;
    }
}

static void random_step(struct owner *owner, unsigned *random)
{
    unsigned choice = next_random(random) % 5;
    if (choice < 2) {
        good_step(owner);
    } else if (choice == 2) {
        feed(owner, SIDE_CLIENT,
             slice_of_string(client_says[next_random(random) % LENGTH_OF(client_says)]));
    } else if (choice == 3) {
        let_upstream_say(owner, upstream_says[next_random(random) % LENGTH_OF(upstream_says)]);
    } else {
        /* Those that end everything are rare, so that walks get far. */
        unsigned kind = next_random(random) % LENGTH_OF(all_facts);
        bool is_final = all_facts[kind].kind == FACT_EOF || all_facts[kind].kind == FACT_TICK ||
                        all_facts[kind].kind == FACT_DISMISSED;
        if (!is_final || next_random(random) % 16 == 0)
            tell(owner, all_facts[kind]);
    }
}

static void test_random_walks_end_once(void **state)
{
    unsigned random = 1, passed = 0, ended = 0, asked_again = 0, secured = 0;
    (void)state;
    for (int walk = 0; walk < 12000; walk++) {
        struct owner owner;
        owner_init_tls(&owner, (enum tls_mode)(walk % TLS_MODE_COUNT));
        for (int i = 0; i < 60; i++) {
            random_step(&owner, &random);
            assert_true(kept(owner.engine) <= KEPT_MAX);
        }
        tell(&owner, (struct fact){.kind = FACT_EOF, .side = SIDE_CLIENT});
        assert_int_equal(owner.deeds[DEED_END] + owner.deeds[DEED_PASS], 1);
        passed += owner.deeds[DEED_PASS];
        ended += owner.deeds[DEED_END];
        asked_again += owner.deeds[DEED_AGAIN];
        secured += owner.client_tls == TLS_MODE_OFF && owner.upstream_is_secure &&
                   owner.deeds[DEED_START_TLS] > 0;
        owner_fini(&owner);
    }
    /* The walks are worth something: they got everywhere. */
    assert_true(passed > 500);
    assert_true(ended > 500);
    assert_true(asked_again > 100);
    assert_true(secured > 100);
}

/* ---- bounds ---- */

/* A client that pipelines more commands than their answers have room for is answered in pieces. */
static void test_answers_to_a_flood_are_bounded(void **state)
{
    static const char answer[] = "a OK NOOP completed\r\n";
    struct owner owner;
    (void)state;
    owner_init(&owner);
    struct slice flood = repeat("a NOOP\r\n", 256 * 1024);
    size_t greeting = buf_size(&owner.to_client), consumed = 0;
    while (consumed < flood.size) {
        size_t more = engine_feed(owner.engine, SIDE_CLIENT, slice_skip(flood, consumed));
        assert_true(more > 0);
        consumed += more;
        assert_true(kept(owner.engine) <= KEPT_MAX);
        do_deeds(&owner);
    }
    assert_int_equal(buf_size(&owner.to_client) - greeting,
                     flood.size / strlen("a NOOP\r\n") * strlen(answer));
    free_slice(flood);
    owner_fini(&owner);
}

/* In whatever piece it comes, an endless line costs one failure and is said once. */
static void test_endless_upstream_line_fails_once(void **state)
{
    static const size_t sizes[] = {9000, 65535, 65536, 65537, 70000, 250000};
    static const char answer[] = "a NO [UNAVAILABLE] the mail server sent an endless line\r\n";
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct owner owner;
        owner_init(&owner);
        go_to_greeting(&owner);
        size_t greeting = buf_size(&owner.to_client);
        struct slice line = repeat("x", sizes[i]);
        feed(&owner, SIDE_UPSTREAM, line);
        assert_true(slice_is(slice_skip(buf_bytes(&owner.to_client), greeting), answer));
        assert_int_equal(owner.deeds[DEED_HANG_UP], 1);
        assert_string_equal(engine_phase_name(owner.engine), "command");
        free_slice(line);
        owner_fini(&owner);
    }
}

/* The next deed that is not for a client. */
static enum deed_kind next_deed(struct engine *engine, struct deed *deed)
{
    do
        assert_true(engine_next(engine, deed));
    while (deed->kind == DEED_SEND && deed->side == SIDE_CLIENT);
    return deed->kind;
}

static void test_a_login_without_a_client(void **state)
{
    static const struct slice offer =
        SLICE_LITERAL("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] hi\r\n");
    (void)state;
    for (int has_password = 0; has_password < 2; has_password++) {
        struct deed deed;
        struct engine *engine =
            engine_new(&(struct engine_settings){.dialect = dialect_of(PROTOCOL_IMAP),
                                                 .mechanisms = "PLAIN",
                                                 .sasl = {.start = start, .step = step}});
        engine_skip_client(engine);
        engine_tell(
            engine,
            &(struct fact){.kind = FACT_GRANTED, .text = "", .is_password = has_password == 1});
        assert_int_equal(next_deed(engine, &deed), DEED_DIAL);
        engine_tell(engine, &(struct fact){.kind = FACT_CONNECTED, .is_secure = true});
        assert_int_equal(engine_feed(engine, SIDE_UPSTREAM, offer), offer.size);
        assert_true(slice_is(engine_upstream_mechanisms(engine), "PLAIN XOAUTH2 "));
        assert_int_equal(next_deed(engine, &deed), DEED_SEND);
        assert_true(slice_starts_with(deed.bytes, has_password ? "e1 AUTHENTICATE PLAIN "
                                                               : "e1 AUTHENTICATE XOAUTH2 "));
        engine_tell(engine, &(struct fact){
                                .kind = FACT_FAILED, .why = WHY_UNREACHABLE, .text = "it broke"});
        assert_int_equal(next_deed(engine, &deed), DEED_HANG_UP);
        assert_int_equal(deed.why, WHY_UNREACHABLE);
        assert_string_equal(deed.text, "it broke");
        engine_free(engine);
    }
}

static void test_nothing_is_kept_of_what_is_too_long(void **state)
{
    static const struct {
        const char *unit;
        enum side side;
        void (*go)(struct owner *owner);
    } rows[] = {
        {"x", SIDE_CLIENT, go_nowhere},
        {"a NOOP x", SIDE_CLIENT, go_nowhere},
        {"A", SIDE_CLIENT, go_to_exchange},
        {"x", SIDE_UPSTREAM, go_to_greeting},
        {"* OK x\r\n", SIDE_UPSTREAM, go_to_capability},
        {"* 1 EXISTS\r\n", SIDE_UPSTREAM, go_to_authenticate},
        {"+ \r\n", SIDE_UPSTREAM, go_to_authenticate},
        {"* CAPABILITY a\r\n", SIDE_UPSTREAM, go_to_confirm},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct owner owner;
        owner_init(&owner);
        rows[i].go(&owner);
        struct slice bytes = repeat(rows[i].unit, 300 * 1024);
        feed(&owner, rows[i].side, bytes);
        assert_true(kept(owner.engine) <= KEPT_MAX);
        /* It was stopped: said no to, or ended. */
        if (rows[i].side == SIDE_CLIENT)
            assert_int_equal(owner.deeds[DEED_END], 1);
        else
            assert_int_equal(owner.deeds[DEED_HANG_UP], 1);
        free_slice(bytes);
        owner_fini(&owner);
    }
}

/* The largest message for the keeper fits into what it reads (16 KiB). */
static void test_largest_password_login(void **state)
{
    struct owner owner;
    char line[8191]; /* and one octet behind the literal: 8,192 */
    struct deed deed;
    (void)state;
    owner_init(&owner);
    memset(line, 'x', sizeof(line));
    memcpy(line, "a LOGIN ", 8);
    memcpy(line + sizeof(line) - 10, " {8192+}\r\n", 10);
    feed(&owner, SIDE_CLIENT, slice_of(line, sizeof(line)));
    struct slice password = repeat("p", 8192);
    feed(&owner, SIDE_CLIENT, password);
    assert_int_equal(engine_feed(owner.engine, SIDE_CLIENT, SLICE_LITERAL("\n")), 1);
    assert_true(engine_next(owner.engine, &deed));
    assert_int_equal(deed.kind, DEED_ASK);
    assert_in_range(deed.bytes.size, 16000, 16384);
    free_slice(password);
    owner_fini(&owner);
}

/* A secret is gone as soon as its deed was done. */
static void test_password_is_not_kept(void **state)
{
    struct owner owner;
    struct deed deed;
    (void)state;
    owner_init(&owner);
    assert_int_equal(
        engine_feed(owner.engine, SIDE_CLIENT, slice_of_string("a LOGIN alice secret\r\n")),
        strlen("a LOGIN alice secret\r\n"));
    assert_true(engine_next(owner.engine, &deed));
    assert_true(slice_equal(deed.bytes, SLICE_LITERAL("\0alice\0secret")));
    assert_false(engine_next(owner.engine, &deed));
    assert_null(owner.engine->asked.memory);
    assert_null(owner.engine->readers[SIDE_CLIENT].bytes.memory);
    owner_fini(&owner);
}

/* After the first SASL message was sent the engine has no copy of the token. */
static void test_token_is_not_kept(void **state)
{
    static const char *const greetings[] = {GREETING,
                                            "* OK [CAPABILITY AUTH=XOAUTH2] two steps\r\n"};
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(greetings); i++) {
        struct owner owner;
        owner_init(&owner);
        go_to_greeting(&owner);
        feed_string(&owner, SIDE_UPSTREAM, greetings[i]);
        if (i == 1)
            feed_string(&owner, SIDE_UPSTREAM, "+ \r\n");
        assert_null(owner.engine->first_message.memory);
        assert_null(owner.engine->out[SIDE_UPSTREAM].memory);
        owner_fini(&owner);
    }
}

/* Nor when the login fails before it was sent. */
static void test_unsent_token_is_not_kept(void **state)
{
    static const struct fact facts[] = {
        {.kind = FACT_EOF, .side = SIDE_UPSTREAM, .text = ""},
        {.kind = FACT_FAILED, .why = WHY_UNREACHABLE, .text = "reset"},
        {.kind = FACT_TICK, .text = ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(facts); i++) {
        struct owner owner;
        owner_init(&owner);
        go_to_greeting(&owner);
        feed_string(&owner, SIDE_UPSTREAM, "* OK [CAPABILITY AUTH=XOAUTH2] two steps\r\n");
        assert_non_null(owner.engine->first_message.memory);
        tell(&owner, facts[i]);
        assert_string_equal(engine_phase_name(owner.engine), "command");
        assert_null(owner.engine->first_message.memory);
        owner_fini(&owner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts_that_do_not_belong_are_ignored),
        cmocka_unit_test(test_dismissal_ends_from_everywhere),
        cmocka_unit_test(test_a_place_without_room_ends_at_once),
        cmocka_unit_test(test_random_walks_end_once),
        cmocka_unit_test(test_answers_to_a_flood_are_bounded),
        cmocka_unit_test(test_endless_upstream_line_fails_once),
        cmocka_unit_test(test_a_login_without_a_client),
        cmocka_unit_test(test_nothing_is_kept_of_what_is_too_long),
        cmocka_unit_test(test_largest_password_login),
        cmocka_unit_test(test_password_is_not_kept),
        cmocka_unit_test(test_token_is_not_kept),
        cmocka_unit_test(test_unsent_token_is_not_kept),
    };
    return cmocka_run_group_tests_name("mail/engine", tests, NULL, NULL);
}
