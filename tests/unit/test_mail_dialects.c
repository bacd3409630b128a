/*
 * The tables of the dialects. Each is walked: where lines are read there is a default, each row is
 * where the engine can come to, no row hides another. Then the transcripts are played by dialects
 * whose rows are counted: a row that no transcript comes to is not shown to do anything.
 */
#include "transcript_play.h"

#define ROWS_MAX 48

/* ---- where the engine can come to ---- */

/* What its own functions lead from and to, whatever the dialect; rows lead to their `next`. Left
 * out is what can happen in each phase: a failure leads back to COMMAND, an end to OVER. */
static const struct {
    enum phase from, to;
} EDGES[] = {
    {PHASE_COMMAND, PHASE_CLIENT_TLS},      /* engine_begin_client_tls */
    {PHASE_CLIENT_TLS, PHASE_COMMAND},      /* engine_tell_client_secured */
    {PHASE_ASKED, PHASE_EXCHANGE},          /* tell_challenge */
    {PHASE_ASKED, PHASE_DIALING},           /* engine_tell_granted: dial */
    {PHASE_ASKED, PHASE_AUTHENTICATE},      /* engine_tell_granted, on the same connection */
    {PHASE_DIALING, PHASE_GREETING},        /* engine_tell_connected */
    {PHASE_GREETING, PHASE_UPGRADE},        /* engine_upstream_greeted: ask_for_tls */
    {PHASE_GREETING, PHASE_CAPABILITY},     /* engine_upstream_greeted */
    {PHASE_GREETING, PHASE_AUTHENTICATE},   /* engine_upstream_known */
    {PHASE_CAPABILITY, PHASE_UPGRADE},      /* engine_upstream_known: ask_for_tls */
    {PHASE_CAPABILITY, PHASE_AUTHENTICATE}, /* engine_upstream_known */
    {PHASE_UPGRADE, PHASE_SECURING},        /* engine_upstream_agreed_to_tls */
    {PHASE_SECURING, PHASE_CAPABILITY},     /* engine_tell_secured */
    {PHASE_AUTHENTICATE, PHASE_ASKED},      /* engine_token_refused */
    {PHASE_AUTHENTICATE, PHASE_DIALING},    /* engine_upstream_lost */
    {PHASE_AUTHENTICATE, PHASE_RELAY},      /* engine_pass */
    {PHASE_CONFIRM, PHASE_RELAY},           /* engine_pass */
};

/* In which phases the lines of a side are looked up in the table: as reads_from in engine.c has it,
 * but for those where octets are not taken for lines. */
static bool looks_up(enum phase phase, enum side side)
{
    switch (phase) {
    case PHASE_COMMAND:
    case PHASE_EXCHANGE:
        return side == SIDE_CLIENT;
    case PHASE_GREETING:
    case PHASE_UPGRADE:
    case PHASE_CAPABILITY:
    case PHASE_AUTHENTICATE:
    case PHASE_CONFIRM:
        return side == SIDE_UPSTREAM;
    case PHASE_CLIENT_TLS: /* what comes is an attack */
    case PHASE_SECURING:
    case PHASE_ASKED: /* what comes makes the connection stale */
    case PHASE_DIALING:
    case PHASE_RELAY:
    case PHASE_OVER:
    case PHASE_SAME:
        break;
    }
    return false;
}

static void find_reachable(const struct dialect *dialect, bool reachable[PHASE_SAME])
{
    bool has_grown = true;
    reachable[PHASE_COMMAND] = reachable[PHASE_OVER] = true;
    while (has_grown) {
        has_grown = false;
        for (size_t i = 0; i < LENGTH_OF(EDGES) + dialect->rule_count; i++) {
            const struct rule *rule =
                i < LENGTH_OF(EDGES) ? NULL : &dialect->rules[i - LENGTH_OF(EDGES)];
            enum phase from = rule == NULL ? EDGES[i].from : rule->phase;
            enum phase to = rule == NULL ? EDGES[i].to : rule->next;
            if (!reachable[from] || to == PHASE_SAME || reachable[to])
                continue;
            reachable[to] = has_grown = true;
        }
    }
}

/* ---- names ---- */

static const char *phase_text(enum phase phase)
{
    static const char *const names[] = {
#define X(name, text) [name] = text,
        PHASES(X)
#undef X
    };
    return names[phase];
}

#define ROW_FORMAT "%s: row %s/%s/%s"
#define ROW_PRINT(dialect, rule)                                                                   \
    (dialect)->name, phase_text((rule)->phase),                                                    \
        (rule)->side == SIDE_CLIENT ? "client" : "upstream",                                       \
        (rule)->verb == NULL ? "default" : (rule)->verb

/* ---- the walk ---- */

static void check_defaults(const struct dialect *dialect, const bool reachable[PHASE_SAME])
{
    for (int phase = 0; phase < PHASE_SAME; phase++)
        for (int side = SIDE_CLIENT; side <= SIDE_UPSTREAM; side++) {
            unsigned count = 0;
            for (size_t i = 0; i < dialect->rule_count; i++) {
                const struct rule *rule = &dialect->rules[i];
                count += rule->verb == NULL && (int)rule->phase == phase && (int)rule->side == side;
            }
            bool is_read = reachable[phase] && looks_up((enum phase)phase, (enum side)side);
            if (count != (is_read ? 1u : 0u))
                fail_msg("%s: phase %s has %u defaults for side %d", dialect->name,
                         phase_text((enum phase)phase), count, side);
        }
}

static void check_rows(const struct dialect *dialect, const bool reachable[PHASE_SAME])
{
    for (size_t i = 0; i < dialect->rule_count; i++) {
        const struct rule *rule = &dialect->rules[i];
        assert_non_null(rule->action);
        if (!reachable[rule->phase])
            fail_msg(ROW_FORMAT " is in a phase that is never entered", ROW_PRINT(dialect, rule));
        if (!looks_up(rule->phase, rule->side))
            fail_msg(ROW_FORMAT " is for a side that is not read then", ROW_PRINT(dialect, rule));
        for (size_t k = 0; k < i; k++) {
            const struct rule *other = &dialect->rules[k];
            if (other->phase == rule->phase && other->side == rule->side && rule->verb != NULL &&
                other->verb != NULL &&
                slice_is_ignoring_case(slice_of_string(rule->verb), other->verb))
                fail_msg(ROW_FORMAT " is there twice", ROW_PRINT(dialect, rule));
        }
    }
}

static void test_tables(void **state)
{
    bool entered[PHASE_SAME] = {false};
    (void)state;
    for (int protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
        const struct dialect *dialect = dialect_of((enum protocol)protocol);
        bool reachable[PHASE_SAME] = {false};
        assert_string_equal(dialect->name, protocol_name((enum protocol)protocol));
        find_reachable(dialect, reachable);
        check_defaults(dialect, reachable);
        check_rows(dialect, reachable);
        for (int phase = 0; phase < PHASE_SAME; phase++)
            entered[phase] = entered[phase] || reachable[phase];
    }
    /* And no phase is there for nobody. */
    for (int phase = 0; phase < PHASE_SAME; phase++)
        if (!entered[phase])
            fail_msg("no dialect enters phase %s", phase_text((enum phase)phase));
}

/* ---- counted rows ---- */

static struct {
    const struct dialect *dialect;
    unsigned uses[ROWS_MAX];
} counted;

static bool count_use(size_t row, struct engine *engine, const struct unit *unit)
{
    counted.uses[row]++;
    return counted.dialect->rules[row].action(engine, unit);
}

/* An action is told its unit, but not its row: each row gets a function of its own. */
#define ROWS(X) ROWS_8(X, 0) ROWS_8(X, 1) ROWS_8(X, 2) ROWS_8(X, 3) ROWS_8(X, 4) ROWS_8(X, 5)
#define ROWS_8(X, eight)                                                                           \
    X(eight, 0) X(eight, 1) X(eight, 2) X(eight, 3) X(eight, 4) X(eight, 5) X(eight, 6) X(eight, 7)

#define X(eight, one)                                                                              \
    static bool use_##eight##_##one(struct engine *engine, const struct unit *unit)                \
    {                                                                                              \
        return count_use(eight * 8 + one, engine, unit);                                           \
    }
ROWS(X)
#undef X

static bool (*const USES[])(struct engine *engine, const struct unit *unit) = {
#define X(eight, one) use_##eight##_##one,
    ROWS(X)
#undef X
};

_Static_assert(LENGTH_OF(USES) == ROWS_MAX, "a function for each row");

/* The table stays where it is until the next call. */
static struct dialect count_rows_of(const struct dialect *dialect)
{
    static struct rule rules[ROWS_MAX];
    struct dialect copy = *dialect;
    assert_true(dialect->rule_count <= ROWS_MAX);
    memset(&counted, 0, sizeof(counted));
    counted.dialect = dialect;
    for (size_t i = 0; i < dialect->rule_count; i++) {
        rules[i] = dialect->rules[i];
        rules[i].action = USES[i];
    }
    copy.rules = rules;
    return copy;
}

static void test_each_row_is_in_a_transcript(void **state)
{
    static struct script scripts[SCRIPTS_MAX];
    const enum protocol *protocol = *state;
    struct dialect dialect = count_rows_of(dialect_of(*protocol));
    memset(scripts, 0, sizeof(scripts));
    size_t count = find_scripts(*protocol, scripts, 0), unused = 0;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct play play;
        read_script(&scripts[i]);
        play_begin(&play, &scripts[i], &dialect);
        play_items(&play, SIZE_MAX, CUT_NOWHERE);
        /* Counting changes nothing. */
        assert_string_equal(record_text(&play.record), record_text(&scripts[i].expected));
        play_end(&play);
        free_script(&scripts[i]);
    }
    for (size_t i = 0; i < dialect.rule_count; i++)
        if (counted.uses[i] == 0) {
            print_error(ROW_FORMAT " is in no transcript\n",
                        ROW_PRINT(&dialect, &dialect.rules[i]));
            unused++;
        }
    assert_int_equal(unused, 0);
    print_message("%s: %zu rows in %zu transcripts\n", dialect.name, dialect.rule_count, count);
}

int main(void)
{
    static enum protocol protocols[] = {PROTOCOL_IMAP, PROTOCOL_POP3, PROTOCOL_SMTP};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        {"test_each_row_of_imap", test_each_row_is_in_a_transcript, NULL, NULL, &protocols[0]},
        {"test_each_row_of_pop3", test_each_row_is_in_a_transcript, NULL, NULL, &protocols[1]},
        {"test_each_row_of_smtp", test_each_row_is_in_a_transcript, NULL, NULL, &protocols[2]},
    };
    struct err err;
    if (sasl_initiator_library_open(SASL_PLUGIN_FOLDER, &library, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int status = cmocka_run_group_tests_name("mail/dialects", tests, NULL, NULL);
    sasl_initiator_library_close(library);
    return status;
}
