/*
 * IMAP (RFC 3501, RFC 9051) before and at the login.
 *
 * Ours: greeting, CAPABILITY, NOOP, ID, LOGOUT, LOGIN, AUTHENTICATE. Whatever needs a mailbox waits
 * for the upstream. Theirs: greeting, capabilities, AUTHENTICATE with the token.
 */
#include <stdio.h>
#include <string.h>

#include "mail/dialect.h"
#include "mail/passage_imap.h"

extern const struct dialect dialect_imap;

/* ---- cutting ---- */

static bool split_command(struct slice bytes, struct unit *unit)
{
    struct slice rest = wire_trim_line_end(bytes);
    unit->tag = wire_take_word(&rest);
    if (!wire_is_imap_tag(unit->tag)) {
        unit->tag = SLICE_NONE;
        return false;
    }
    unit->verb = wire_take_word(&rest);
    unit->arguments = rest;
    return true;
}

/* "* OK …" has the verb "* OK", "+ …" has "+", and a reply with our tag "OK", "NO" or "BAD". */
static bool split_reply(const struct engine *engine, struct slice bytes, struct unit *unit)
{
    struct slice line = wire_trim_line_end(bytes), rest = line;
    struct wire_literal literal;
    if (wire_imap_literal(bytes, &literal) != WIRE_MORE)
        return false;
    unit->tag = wire_take_word(&rest);
    if (slice_is(unit->tag, "+")) {
        unit->verb = unit->tag;
        unit->arguments = rest;
        return true;
    }
    bool is_untagged = slice_is(unit->tag, "*");
    if (!is_untagged && !slice_is(unit->tag, engine_upstream_tag(engine)))
        return false;
    struct slice word = wire_take_word(&rest);
    unit->verb = is_untagged ? slice_of(line.data, 2 + word.size) : word;
    unit->arguments = rest;
    return word.size > 0;
}

/* The tag is looked at too: behind an endless one the verb would be seen only in a line that came
 * in one piece. */
static bool is_sasl_command(struct slice line)
{
    return wire_is_imap_tag(wire_take_word(&line)) &&
           slice_is_ignoring_case(wire_take_word(&line), "AUTHENTICATE");
}

/* ---- what the client hears ---- */

static const char *tag_or_star(const struct engine *engine)
{
    return engine_tag(engine)[0] == '\0' ? "*" : engine_tag(engine);
}

static void send_capabilities(struct engine *engine)
{
    struct slice rest = slice_of_string(engine_local_mechanisms(engine)), mechanism;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID"));
    if (engine_offers_tls(engine)) {
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL(" STARTTLS LOGINDISABLED"));
        return;
    }
    while (slice_next_word(&rest, ' ', &mechanism))
        engine_send_format(engine, SIDE_CLIENT, " AUTH=%.*s", SLICE_PRINT(mechanism));
}

static void greet(struct engine *engine)
{
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("* OK ["));
    send_capabilities(engine);
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("] ecluse ready\r\n"));
}

static void say_bad(struct engine *engine, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "%s BAD %s\r\n", tag_or_star(engine), text);
}

/* RFC 5530 */
static const char *response_code(enum why why)
{
    switch (why) {
    case WHY_AUTH_REJECTED:
    case WHY_TOKEN_REJECTED:
    case WHY_TOKEN_NEEDS_USER:
        return "AUTHENTICATIONFAILED";
    case WHY_POLICY:
        return "NOPERM";
    case WHY_LIMIT:
        return "LIMIT";
    case WHY_NONE:
    case WHY_CLIENT_GONE:
    case WHY_SERVER_GONE:
    case WHY_UNREACHABLE:
    case WHY_UPSTREAM_TLS:
    case WHY_UPSTREAM_PROTOCOL:
    case WHY_TIMEOUT:
    case WHY_CLIENT_PROTOCOL:
    case WHY_SHUTDOWN:
    case WHY_INTERNAL:
    case WHY_SERVER_REFUSED:
    case WHY_COUNT:
        break;
    }
    return "UNAVAILABLE";
}

static void say_no(struct engine *engine, enum why why, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "%s NO [%s] %s\r\n", tag_or_star(engine),
                       response_code(why), text);
}

static void say_bye(struct engine *engine, enum why why, const char *text)
{
    if (why == WHY_LIMIT)
        engine_send_format(engine, SIDE_CLIENT, "* BYE [LIMIT] %s\r\n", text);
    else
        engine_send_format(engine, SIDE_CLIENT, "* BYE %s\r\n", text);
}

/* What is of no use behind us, or would end our understanding of the stream: the login is over, the
 * compressed bytes could not be followed, a referral would lead around us, UNAUTHENTICATE (RFC
 * 8437) would leave a session without an owner. */
bool imap_hides_capability(struct slice capability)
{
    static const char *const prefixes[] = {"AUTH=",          "COMPRESS=",         "STARTTLS",
                                           "LOGINDISABLED",  "LOGIN-REFERRALS",   "SASL-IR",
                                           "UNAUTHENTICATE", "MAILBOX-REFERRALS", "XCLIENT"};
    for (size_t i = 0; i < LENGTH_OF(prefixes); i++)
        if (slice_starts_with_ignoring_case(capability, prefixes[i]))
            return true;
    return capability.size == 0 || slice_has_control(capability);
}

static void say_ready(struct engine *engine)
{
    struct slice rest = engine_capabilities(engine), capability;
    engine_send_format(engine, SIDE_CLIENT, "%s OK [CAPABILITY", tag_or_star(engine));
    while (slice_next_word(&rest, ' ', &capability)) {
        if (imap_hides_capability(capability))
            continue;
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL(" "));
        engine_send(engine, SIDE_CLIENT, capability);
    }
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("] Logged in\r\n"));
}

/* ---- what the client says ---- */

static bool ok(struct engine *engine, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "%s OK %s\r\n", engine_tag(engine), text);
    return true;
}

static bool expects_no_arguments(struct engine *engine, const struct unit *unit)
{
    engine_set_tag(engine, unit->tag);
    if (unit->arguments.size == 0)
        return true;
    engine_bad_command(engine, "no arguments expected");
    return false;
}

static bool command_capability(struct engine *engine, const struct unit *unit)
{
    if (!expects_no_arguments(engine, unit))
        return false;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("* "));
    send_capabilities(engine);
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("\r\n"));
    return ok(engine, "CAPABILITY completed");
}

static bool command_noop(struct engine *engine, const struct unit *unit)
{
    return expects_no_arguments(engine, unit) && ok(engine, "NOOP completed");
}

/* RFC 2971. Who the client is concerns nobody: its list is not looked at and goes no further. */
static bool command_id(struct engine *engine, const struct unit *unit)
{
    engine_set_tag(engine, unit->tag);
    if (unit->arguments.size == 0) {
        engine_bad_command(engine, "ID wants a list or NIL");
        return false;
    }
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("* ID (\"name\" \"ecluse\")\r\n"));
    return ok(engine, "ID completed");
}

static bool command_logout(struct engine *engine, const struct unit *unit)
{
    if (!expects_no_arguments(engine, unit))
        return false;
    engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("* BYE Logging out\r\n"));
    ok(engine, "LOGOUT completed");
    engine_end(engine, WHY_CLIENT_GONE, "logout before the login");
    return false;
}

/* RFC 3501 section 6.2.1 */
static bool command_starttls(struct engine *engine, const struct unit *unit)
{
    if (!expects_no_arguments(engine, unit))
        return false;
    if (!engine_offers_tls(engine)) {
        engine_bad_command(engine, "STARTTLS is not offered");
        return false;
    }
    ok(engine, "Begin TLS now");
    return engine_begin_client_tls(engine);
}

/* RFC 5530: where TLS is wanted, nothing is looked at without it. */
static bool lacks_tls(struct engine *engine)
{
    if (!engine_offers_tls(engine))
        return false;
    engine_send_format(engine, SIDE_CLIENT, "%s NO [PRIVACYREQUIRED] STARTTLS comes first\r\n",
                       engine_tag(engine));
    engine_count_bad_command(engine);
    return true;
}

static bool command_login(struct engine *engine, const struct unit *unit)
{
    struct buf user, password;
    struct slice rest = unit->arguments;
    bool is_asked = false;
    engine_set_tag(engine, unit->tag);
    if (lacks_tls(engine))
        return false;
    buf_init(&user, dialect_imap.sasl_max);
    buf_init(&password, dialect_imap.sasl_max);
    bool is_well_formed =
        wire_imap_astring(&rest, &user) == WIRE_DONE && slice_starts_with(rest, " ");
    rest = slice_skip(rest, 1);
    is_well_formed =
        is_well_formed && wire_imap_astring(&rest, &password) == WIRE_DONE && rest.size == 0;
    if (is_well_formed)
        is_asked = engine_begin_password(engine, buf_bytes(&user), buf_bytes(&password));
    else
        engine_bad_command(engine, "LOGIN wants a user name and a password");
    buf_fini(&user);
    buf_fini(&password);
    return is_asked;
}

static bool command_authenticate(struct engine *engine, const struct unit *unit)
{
    struct auth_arguments auth;
    engine_set_tag(engine, unit->tag);
    if (lacks_tls(engine))
        return false;
    if (!dialect_split_auth(unit->arguments, &auth)) {
        engine_bad_command(engine, "AUTHENTICATE wants a mechanism and at most one response");
        return false;
    }
    return engine_begin_exchange(engine, auth.mechanism, auth.has_initial ? &auth.initial : NULL);
}

static bool command_unknown(struct engine *engine, const struct unit *unit)
{
    engine_set_tag(engine, unit->tag);
    engine_bad_command(engine, unit->tag.size == 0 ? "invalid tag" : "log in first");
    return false;
}

/* ---- what the upstream says ---- */

/* "[CAPABILITY a b] text" → "a b". */
static bool find_capability_code(struct slice arguments, struct slice *words_out)
{
    static const char prefix[] = "[CAPABILITY ";
    if (!slice_starts_with_ignoring_case(arguments, prefix))
        return false;
    struct slice rest = slice_skip(arguments, sizeof(prefix) - 1);
    *words_out = slice_take(rest, slice_find(rest, ']'));
    return true;
}

static void ask_for_capabilities(struct engine *engine)
{
    engine_send_format(engine, SIDE_UPSTREAM, "%s CAPABILITY\r\n",
                       engine_next_upstream_tag(engine));
}

static void authenticate(struct engine *engine, const char *mechanism, const struct slice *initial)
{
    engine_send_format(engine, SIDE_UPSTREAM, "%s AUTHENTICATE %s",
                       engine_next_upstream_tag(engine), mechanism);
    if (initial != NULL) {
        engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL(" "));
        engine_send(engine, SIDE_UPSTREAM, *initial);
    }
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("\r\n"));
}

static void ask_tls(struct engine *engine)
{
    engine_send_format(engine, SIDE_UPSTREAM, "%s STARTTLS\r\n", engine_next_upstream_tag(engine));
}

static void learn(struct engine *engine, struct slice words)
{
    static const char prefix[] = "AUTH=";
    struct slice word;
    engine_set_capabilities(engine, words);
    while (slice_next_word(&words, ' ', &word)) {
        if (slice_starts_with_ignoring_case(word, prefix))
            engine_add_mechanism(engine, slice_skip(word, sizeof(prefix) - 1));
        if (slice_is_ignoring_case(word, "SASL-IR"))
            engine_allow_initial_response(engine);
    }
}

/* What it can do counts only when it says so over TLS. */
static bool reply_greeting(struct engine *engine, const struct unit *unit)
{
    struct slice words;
    if (!engine_upstream_is_secure(engine) || !find_capability_code(unit->arguments, &words))
        return engine_upstream_greeted(engine);
    learn(engine, words);
    engine_upstream_known(engine);
    return false;
}

static bool reply_preauth(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_fail(engine, WHY_UPSTREAM_PROTOCOL,
                "the mail server says that we are logged in already, as somebody (PREAUTH)");
    return false;
}

static bool reply_bye(struct engine *engine, const struct unit *unit)
{
    engine_fail_quoting(engine, WHY_UNREACHABLE, "the mail server ended the connection",
                        unit->arguments);
    return false;
}

static bool reply_capability(struct engine *engine, const struct unit *unit)
{
    learn(engine, unit->arguments);
    return false;
}

static bool reply_capability_done(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_upstream_known(engine);
    return false;
}

static bool reply_untagged(struct engine *engine, const struct unit *unit)
{
    if (slice_starts_with(unit->bytes, "* ") && unit->verb.size > 0)
        return false;
    return engine_upstream_nonsense(engine, unit);
}

static bool reply_logged_in(struct engine *engine, const struct unit *unit)
{
    struct slice words;
    if (find_capability_code(unit->arguments, &words))
        learn(engine, words);
    if (!engine_has_new_capabilities(engine)) {
        ask_for_capabilities(engine);
        return true;
    }
    engine_pass(engine, NULL);
    return false;
}

static bool reply_confirmed(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_pass(engine, NULL);
    return false;
}

/* Not every NO is about the token (RFC 5530). */
static bool reply_refused(struct engine *engine, const struct unit *unit)
{
    static const struct {
        const char *code;
        enum why why;
        const char *text;
    } others[] = {
        {"[UNAVAILABLE]", WHY_UNREACHABLE, "the mail server is not available"},
        {"[INUSE]", WHY_UNREACHABLE, "the mail server says that the mailbox is in use"},
        {"[SERVERBUG]", WHY_UNREACHABLE, "the mail server has a fault"},
        {"[LIMIT]", WHY_UNREACHABLE, "the mail server says that a limit was reached"},
    };
    for (size_t i = 0; i < LENGTH_OF(others); i++)
        if (slice_starts_with_ignoring_case(unit->arguments, others[i].code)) {
            engine_fail_quoting(engine, others[i].why, others[i].text, unit->arguments);
            return false;
        }
    engine_token_refused(engine, unit->arguments);
    return false;
}

/* ---- the table ---- */

static const struct rule rules[] = {
    {PHASE_COMMAND, SIDE_CLIENT, "CAPABILITY", command_capability, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "NOOP", command_noop, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "ID", command_id, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "LOGOUT", command_logout, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "STARTTLS", command_starttls, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "LOGIN", command_login, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "AUTHENTICATE", command_authenticate, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, NULL, command_unknown, PHASE_SAME},
    {PHASE_EXCHANGE, SIDE_CLIENT, NULL, engine_exchange_line, PHASE_ASKED},

    {PHASE_GREETING, SIDE_UPSTREAM, "* OK", reply_greeting, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "* PREAUTH", reply_preauth, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "* BYE", reply_bye, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_UPGRADE, SIDE_UPSTREAM, "OK", engine_upstream_agreed_to_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "NO", engine_upstream_refused_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "BAD", engine_upstream_refused_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "* BYE", reply_bye, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, NULL, reply_untagged, PHASE_SAME},

    {PHASE_CAPABILITY, SIDE_UPSTREAM, "* CAPABILITY", reply_capability, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "OK", reply_capability_done, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "* BYE", reply_bye, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, NULL, reply_untagged, PHASE_SAME},

    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "+", engine_upstream_challenge, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "* CAPABILITY", reply_capability, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "OK", reply_logged_in, PHASE_CONFIRM},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "NO", reply_refused, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "BAD", reply_refused, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "* BYE", reply_bye, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, NULL, reply_untagged, PHASE_SAME},

    {PHASE_CONFIRM, SIDE_UPSTREAM, "* CAPABILITY", reply_capability, PHASE_SAME},
    {PHASE_CONFIRM, SIDE_UPSTREAM, "OK", reply_confirmed, PHASE_SAME},
    {PHASE_CONFIRM, SIDE_UPSTREAM, "* BYE", reply_bye, PHASE_SAME},
    {PHASE_CONFIRM, SIDE_UPSTREAM, NULL, reply_untagged, PHASE_SAME},
};

const struct dialect dialect_imap = {
    .name = "imap",
    .sasl_service = "imap",
    .alpn = "imap",
    .command_max = 8192,
    .sasl_max = 12288 + 64,
    .literal_max = 8192,
    .reply_line_max = 8192,
    .reply_total_max = 64ul * 1024,
    .initial_max = 8000 - 64,
    .bad_commands = 3,
    .continuation = "+ ",
    .passage = &passage_imap,
    .rules = rules,
    .rule_count = LENGTH_OF(rules),
    .split_command = split_command,
    .split_reply = split_reply,
    .literal = wire_imap_literal,
    .is_sasl_command = is_sasl_command,
    .greet = greet,
    .say_bad = say_bad,
    .say_no = say_no,
    .say_ready = say_ready,
    .say_bye = say_bye,
    .authenticate = authenticate,
    .ask_capabilities = ask_for_capabilities,
    .ask_tls = ask_tls,
};
