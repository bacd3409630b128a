/*
 * POP3 (RFC 1939, RFC 2449, RFC 5034) before and at the login.
 *
 * Ours: greeting, CAPA, USER and PASS, AUTH, APOP, STLS, NOOP, QUIT. Whatever needs a mailbox waits
 * for the upstream. Theirs: greeting, STLS, CAPA, AUTH with the token, always in two steps: a token
 * does not fit into the 255 octets of a command.
 */
#include <string.h>

#include "mail/dialect.h"
#include "mail/passage_pop3.h"

/* ---- cutting ---- */

/* The verb of a challenge is "+", that of a list's end ".", and that of its lines is empty. */
static bool split_reply(const struct engine *engine, struct slice bytes, struct unit *unit)
{
    static const char *const verbs[] = {"+OK", "-ERR", "+", "."};
    struct slice rest = wire_trim_line_end(bytes);
    struct slice word = wire_take_word(&rest);
    (void)engine;
    for (size_t i = 0; i < LENGTH_OF(verbs); i++)
        if (slice_is(word, verbs[i])) {
            unit->verb = word;
            unit->arguments = rest;
            return true;
        }
    return false;
}

/* ---- what the client hears ---- */

static bool is_sasl(struct slice mechanism)
{
    return !slice_is_ignoring_case(mechanism, "APOP");
}

static void greet(struct engine *engine)
{
    const char *timestamp = engine_timestamp(engine);
    engine_send_format(engine, SIDE_CLIENT, "+OK ecluse ready%s%s\r\n",
                       timestamp == NULL ? "" : " ", timestamp == NULL ? "" : timestamp);
}

static void say_bad(struct engine *engine, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "-ERR %s\r\n", text);
}

static void say_no(struct engine *engine, enum why why, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "-ERR %s%s\r\n", pop3_response_code(why), text);
}

static void say_ready(struct engine *engine)
{
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK Logged in\r\n"));
}

/* ---- what the client says ---- */

static void send_mechanisms(struct engine *engine, const char *before, const char *behind)
{
    struct slice rest = slice_of_string(engine_local_mechanisms(engine)), word;
    while (slice_next_word(&rest, ' ', &word))
        if (is_sasl(word))
            engine_send_format(engine, SIDE_CLIENT, "%s%.*s%s", before, SLICE_PRINT(word), behind);
}

static bool command_capa(struct engine *engine, const struct unit *unit)
{
    struct slice rest = engine_local_capabilities(engine), line;
    (void)unit;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK Capability list follows\r\n"));
    while (slice_next_word(&rest, '\n', &line)) {
        engine_send(engine, SIDE_CLIENT, line);
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("\r\n"));
    }
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("RESP-CODES\r\nAUTH-RESP-CODE\r\n"));
    if (engine_offers_tls(engine)) {
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("STLS\r\n"));
    } else {
        if (engine_offers_mechanism(engine, SLICE_LITERAL("PLAIN")))
            engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("USER\r\n"));
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("SASL"));
        send_mechanisms(engine, " ", "");
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("\r\n"));
    }
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("IMPLEMENTATION ecluse\r\n.\r\n"));
    return false;
}

/* Where TLS is wanted, nothing is looked at without it. */
static bool lacks_tls(struct engine *engine)
{
    if (engine_offers_tls(engine))
        engine_bad_command(engine, "STLS comes first");
    return engine_offers_tls(engine);
}

static bool command_user(struct engine *engine, const struct unit *unit)
{
    if (lacks_tls(engine))
        return false;
    if (unit->arguments.size == 0) {
        engine_bad_command(engine, "USER wants a name");
        return false;
    }
    engine_keep_user(engine, unit->arguments);
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK\r\n"));
    return false;
}

static bool command_pass(struct engine *engine, const struct unit *unit)
{
    if (lacks_tls(engine))
        return false;
    if (engine_kept_user(engine).size == 0) {
        engine_bad_command(engine, "USER comes first");
        return false;
    }
    bool is_asked = engine_begin_password(engine, engine_kept_user(engine), unit->arguments);
    engine_keep_user(engine, SLICE_NONE);
    return is_asked;
}

static bool command_apop(struct engine *engine, const struct unit *unit)
{
    struct slice digest = unit->arguments;
    struct slice user = wire_take_word(&digest);
    if (lacks_tls(engine))
        return false;
    if (engine_timestamp(engine) == NULL || user.size == 0 || digest.size == 0) {
        engine_bad_command(engine, engine_timestamp(engine) == NULL
                                       ? "APOP is not offered"
                                       : "APOP wants a name and a digest");
        return false;
    }
    return engine_begin_digest(engine, user, digest);
}

/* Without a mechanism it is the question which there are (RFC 1734's clients). */
static bool command_auth(struct engine *engine, const struct unit *unit)
{
    struct auth_arguments auth;
    if (lacks_tls(engine))
        return false;
    if (unit->arguments.size == 0) {
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK Mechanisms follow\r\n"));
        send_mechanisms(engine, "", "\r\n");
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL(".\r\n"));
        return false;
    }
    if (!dialect_split_auth(unit->arguments, &auth)) {
        engine_bad_command(engine, "AUTH wants a mechanism and at most one response");
        return false;
    }
    /* With AUTH the client could bring a timestamp that it has heard somewhere. */
    if (!is_sasl(auth.mechanism)) {
        engine_fail(engine, WHY_AUTH_REJECTED, "this mechanism is not offered");
        return false;
    }
    return engine_begin_exchange(engine, auth.mechanism, auth.has_initial ? &auth.initial : NULL);
}

static bool command_stls(struct engine *engine, const struct unit *unit)
{
    if (!engine_offers_tls(engine) || unit->arguments.size > 0) {
        engine_bad_command(engine, unit->arguments.size > 0 ? "no arguments expected"
                                                            : "STLS is not offered");
        return false;
    }
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK Begin TLS now\r\n"));
    return engine_begin_client_tls(engine);
}

static bool command_noop(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK\r\n"));
    return false;
}

static bool command_quit(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("+OK Bye\r\n"));
    engine_end(engine, WHY_CLIENT_GONE, "QUIT before the login");
    return false;
}

static bool command_unknown(struct engine *engine, const struct unit *unit)
{
    engine_bad_command(engine, slice_has_control(wire_trim_line_end(unit->bytes))
                                   ? "control characters in a command"
                                   : "log in first");
    return false;
}

/* ---- what the upstream says ---- */

static void ask_capabilities(struct engine *engine)
{
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("CAPA\r\n"));
}

static void ask_tls(struct engine *engine)
{
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("STLS\r\n"));
}

static bool reply_greeting(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    return engine_upstream_greeted(engine);
}

static bool reply_unavailable(struct engine *engine, const struct unit *unit)
{
    engine_fail_quoting(engine, WHY_UNREACHABLE, "the mail server is not available",
                        unit->arguments);
    return false;
}

static bool reply_list_begins(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_set_capabilities(engine, SLICE_NONE);
    return false;
}

static bool reply_capability(struct engine *engine, const struct unit *unit)
{
    struct slice line = wire_trim_line_end(unit->bytes), rest = line, word;
    if (slice_is_ignoring_case(wire_take_word(&rest), "SASL"))
        while (slice_next_word(&rest, ' ', &word))
            engine_add_mechanism(engine, word);
    engine_add_capability(engine, line);
    return false;
}

/* Also where the server has no CAPA: a mechanism that the configuration names is tried. */
static bool reply_list_ends(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_upstream_known(engine);
    return false;
}

/* What may be said of the mailbox before it is open, the next time. LANG and UTF8 would be commands
 * before the login, where there is nobody to do them. */
static bool may_be_offered(struct slice line)
{
    static const char *const words[] = {"TOP", "UIDL", "PIPELINING", "EXPIRE", "LOGIN-DELAY"};
    struct slice word = wire_take_word(&line);
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is_ignoring_case(word, words[i]))
            return true;
    return false;
}

static bool reply_logged_in(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_pass(engine, may_be_offered);
    return false;
}

/* RFC 3206: not every -ERR is about the token. */
static bool reply_refused(struct engine *engine, const struct unit *unit)
{
    static const char *const others[] = {"[SYS/TEMP]", "[SYS/PERM]", "[IN-USE]", "[LOGIN-DELAY]"};
    for (size_t i = 0; i < LENGTH_OF(others); i++)
        if (slice_starts_with_ignoring_case(unit->arguments, others[i]))
            return reply_unavailable(engine, unit);
    engine_token_refused(engine, unit->arguments);
    return false;
}

/* ---- the table ---- */

static const struct rule rules[] = {
    {PHASE_COMMAND, SIDE_CLIENT, "CAPA", command_capa, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "USER", command_user, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "PASS", command_pass, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "APOP", command_apop, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "AUTH", command_auth, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "STLS", command_stls, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "NOOP", command_noop, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "QUIT", command_quit, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, NULL, command_unknown, PHASE_SAME},
    {PHASE_EXCHANGE, SIDE_CLIENT, NULL, engine_exchange_line, PHASE_ASKED},

    {PHASE_GREETING, SIDE_UPSTREAM, "+OK", reply_greeting, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "-ERR", reply_unavailable, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_UPGRADE, SIDE_UPSTREAM, "+OK", engine_upstream_agreed_to_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "-ERR", engine_upstream_refused_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_CAPABILITY, SIDE_UPSTREAM, "+OK", reply_list_begins, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "-ERR", reply_list_ends, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, ".", reply_list_ends, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, NULL, reply_capability, PHASE_SAME},

    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "+", engine_upstream_challenge, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "+OK", reply_logged_in, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "-ERR", reply_refused, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},
};

const struct dialect dialect_pop3 = {
    .name = "pop3",
    .sasl_service = "pop",
    .alpn = "pop3",
    .command_max = 8192,
    .sasl_max = 12288 + 64,
    .reply_line_max = 8192,
    .reply_total_max = 64ul * 1024,
    .bad_commands = 3,
    .refuses_headers = true,
    .continuation = "+ ",
    .passage = &passage_pop3,
    .rules = rules,
    .rule_count = LENGTH_OF(rules),
    .split_command = dialect_split_line,
    .split_reply = split_reply,
    .is_sasl_command = dialect_is_auth_line,
    .greet = greet,
    .say_bad = say_bad,
    .say_no = say_no,
    .say_ready = say_ready,
    .say_bye = say_no,
    .authenticate = dialect_say_auth,
    .ask_capabilities = ask_capabilities,
    .ask_tls = ask_tls,
};
