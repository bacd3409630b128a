/*
 * SMTP submission (RFC 5321, RFC 6409, RFC 4954) before and at the login.
 *
 * Ours: greeting, EHLO, HELO, AUTH, STARTTLS, NOOP, RSET, VRFY, HELP, QUIT. Mail waits for the
 * login. Theirs: greeting, EHLO (before and behind STARTTLS), AUTH with the token, always in two
 * steps: a token does not fit into the 512 octets of a command.
 */
#include <string.h>

#include "mail/dialect.h"
#include "mail/dialect_smtp_reply.h"
#include "mail/passage_smtp.h"
#include "mail/smtp_words.h"

/* ---- what the client hears ---- */

static void say(struct engine *engine, const char *reply)
{
    engine_send_format(engine, SIDE_CLIENT, "%s\r\n", reply);
}

static void greet(struct engine *engine)
{
    say(engine, "220 localhost ESMTP ecluse");
}

static void say_bad(struct engine *engine, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "501 5.5.2 %s\r\n", text);
}

/* Without a login of its own a client sees a failure as the answer to MAIL; it is to keep its mail
 * and try again, whoever has to do what meanwhile. */
static void say_no(struct engine *engine, enum why why, const char *text)
{
    bool is_for_later = engine_needs_no_login(engine) && why != WHY_POLICY;
    engine_send_format(engine, SIDE_CLIENT, "%s %s\r\n",
                       is_for_later ? "451 4.7.0" : smtp_failure_code(why), text);
}

static void say_bye(struct engine *engine, enum why why, const char *text)
{
    engine_send_format(engine, SIDE_CLIENT, "%s %s\r\n", smtp_bye_code(why), text);
}

static void say_ready(struct engine *engine)
{
    say(engine, "235 2.7.0 Logged in");
}

/* A wrong command, in words of its own. */
static bool refuse(struct engine *engine, const char *reply)
{
    say(engine, reply);
    engine_count_bad_command(engine);
    return false;
}

/* ---- what the client says ---- */

static void send_list(struct engine *engine, struct slice lines)
{
    struct slice line;
    while (slice_next_word(&lines, '\n', &line)) {
        engine_send(engine, SIDE_CLIENT, slice_of_string(lines.size > 0 ? "250-" : "250 "));
        engine_send(engine, SIDE_CLIENT, line);
        engine_send(engine, SIDE_CLIENT, SLICE_LITERAL("\r\n"));
    }
}

static bool command_ehlo(struct engine *engine, const struct unit *unit)
{
    struct buf lines;
    const char *mechanisms = engine_local_mechanisms(engine);
    if (unit->arguments.size == 0)
        return refuse(engine, "501 5.5.4 a name is expected");
    buf_init(&lines, 16u * 1024);
    int status = buf_append_string(&lines, "localhost\n");
    if (status == 0)
        status = buf_append(&lines, engine_local_capabilities(engine));
    if (status == 0 && engine_offers_tls(engine))
        status = buf_append_string(&lines, "STARTTLS\n");
    else if (status == 0 && *mechanisms != '\0')
        status = buf_append_format(&lines, "AUTH %s\n", mechanisms);
    ENSURE(status == 0);
    send_list(engine, buf_bytes(&lines));
    buf_fini(&lines);
    return false;
}

static bool command_helo(struct engine *engine, const struct unit *unit)
{
    if (unit->arguments.size == 0)
        return refuse(engine, "501 5.5.4 a name is expected");
    say(engine, "250 localhost");
    return false;
}

static bool command_auth(struct engine *engine, const struct unit *unit)
{
    struct auth_arguments auth;
    if (engine_offers_tls(engine))
        return refuse(engine, "530 5.7.0 STARTTLS comes first");
    if (!dialect_split_auth(unit->arguments, &auth))
        return refuse(engine, "501 5.5.4 AUTH wants a mechanism and at most one response");
    if (!engine_offers_mechanism(engine, auth.mechanism))
        return refuse(engine, "504 5.5.4 this mechanism is not offered");
    return engine_begin_exchange(engine, auth.mechanism, auth.has_initial ? &auth.initial : NULL);
}

static bool command_starttls(struct engine *engine, const struct unit *unit)
{
    if (unit->arguments.size > 0)
        return refuse(engine, "501 5.5.4 no arguments expected");
    if (!engine_offers_tls(engine))
        return refuse(engine, "502 5.5.1 STARTTLS is not offered");
    say(engine, "220 2.0.0 Begin TLS now");
    return engine_begin_client_tls(engine);
}

/* Refused without counting: a client that pipelines says several of these. */
static bool command_mail(struct engine *engine, const struct unit *unit)
{
    if (engine_offers_tls(engine))
        say(engine, "530 5.7.0 STARTTLS comes first");
    else if (engine_needs_no_login(engine))
        return engine_begin_without_login(engine, unit);
    else
        say(engine, "530 5.7.0 Authentication required");
    return false;
}

static bool command_behind_mail(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    say(engine, engine_needs_no_login(engine) ? "503 5.5.1 MAIL comes first"
                                              : "530 5.7.0 Authentication required");
    return false;
}

/* What follows is a chunk of a message, and no command. */
static bool command_bdat(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_end(engine, WHY_CLIENT_PROTOCOL, "BDAT is not offered");
    return false;
}

static bool command_simple(struct engine *engine, const struct unit *unit)
{
    static const struct {
        const char *verb, *reply;
    } replies[] = {
        {"RSET", "250 2.0.0 OK"},
        {"NOOP", "250 2.0.0 OK"},
        {"VRFY", "252 2.0.0 send it, and see"},
        {"HELP", "214 2.0.0 EHLO HELO AUTH STARTTLS MAIL RCPT DATA RSET NOOP VRFY QUIT"},
    };
    for (size_t i = 0; i < LENGTH_OF(replies); i++)
        if (slice_is_ignoring_case(unit->verb, replies[i].verb))
            say(engine, replies[i].reply);
    return false;
}

static bool command_quit(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    say(engine, "221 2.0.0 Bye");
    engine_end(engine, WHY_CLIENT_GONE, "QUIT before the login");
    return false;
}

static bool command_unknown(struct engine *engine, const struct unit *unit)
{
    return refuse(engine, slice_has_control(wire_trim_line_end(unit->bytes))
                              ? "501 5.5.2 control characters in a command"
                              : "500 5.5.2 unknown command");
}

/* ---- what the upstream says ---- */

static void ask_capabilities(struct engine *engine)
{
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL(SMTP_EHLO));
}

static void ask_tls(struct engine *engine)
{
    engine_send(engine, SIDE_UPSTREAM, SLICE_LITERAL("STARTTLS\r\n"));
}

static bool reply_greeting(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_clear_reply_text(engine);
    return engine_upstream_greeted(engine);
}

static bool reply_unavailable(struct engine *engine, const struct unit *unit)
{
    return smtp_reply_fail(engine, unit, WHY_UNREACHABLE, "the mail server is not available");
}

static bool reply_stranger(struct engine *engine, const struct unit *unit)
{
    return smtp_reply_fail(engine, unit, WHY_UPSTREAM_PROTOCOL, "the mail server refuses EHLO");
}

static bool reply_no_tls(struct engine *engine, const struct unit *unit)
{
    return smtp_reply_fail(engine, unit, WHY_UPSTREAM_TLS, "the mail server refuses TLS");
}

/* "AUTH A B", and "AUTH=A B" of servers that are kind to old clients. */
static void learn(struct engine *engine, struct slice line)
{
    static const char word[] = "AUTH";
    struct slice rest = slice_skip(line, sizeof(word) - 1), mechanism;
    if (slice_starts_with_ignoring_case(line, word) && rest.size > 0 &&
        (rest.data[0] == ' ' || rest.data[0] == '=')) {
        rest = slice_skip(rest, 1);
        while (slice_next_word(&rest, ' ', &mechanism))
            engine_add_mechanism(engine, mechanism);
    }
    engine_add_capability(engine, line);
}

/* The first line has the server's name. */
static bool reply_extension(struct engine *engine, const struct unit *unit)
{
    if (engine_reply_text(engine).size == 0)
        engine_set_capabilities(engine, SLICE_NONE);
    else
        learn(engine, unit->arguments);
    return smtp_reply_keep(engine, unit);
}

static bool reply_extensions_end(struct engine *engine, const struct unit *unit)
{
    (void)reply_extension(engine, unit);
    engine_clear_reply_text(engine);
    engine_upstream_known(engine);
    return false;
}

static bool may_be_offered(struct slice line)
{
    return !smtp_hides_extension(line);
}

static bool reply_logged_in(struct engine *engine, const struct unit *unit)
{
    (void)unit;
    engine_pass(engine, may_be_offered);
    return false;
}

/* 500 to 504 are about the command: too long, too large a token, not known. Another token would be
 * none the better. */
static bool reply_refused(struct engine *engine, const struct unit *unit)
{
    if (slice_starts_with(unit->bytes, "50"))
        return smtp_reply_fail(engine, unit, WHY_UPSTREAM_PROTOCOL,
                               "the mail server does not take the login");
    (void)smtp_reply_keep(engine, unit);
    engine_token_refused(engine, engine_reply_text(engine));
    engine_clear_reply_text(engine);
    return false;
}

/* ---- the table ---- */

static const struct rule rules[] = {
    {PHASE_COMMAND, SIDE_CLIENT, "EHLO", command_ehlo, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "HELO", command_helo, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "AUTH", command_auth, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "STARTTLS", command_starttls, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "MAIL", command_mail, PHASE_ASKED},
    {PHASE_COMMAND, SIDE_CLIENT, "RCPT", command_behind_mail, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "DATA", command_behind_mail, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "BDAT", command_bdat, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "RSET", command_simple, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "NOOP", command_simple, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "VRFY", command_simple, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "HELP", command_simple, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, "QUIT", command_quit, PHASE_SAME},
    {PHASE_COMMAND, SIDE_CLIENT, NULL, command_unknown, PHASE_SAME},
    {PHASE_EXCHANGE, SIDE_CLIENT, NULL, engine_exchange_line, PHASE_ASKED},

    {PHASE_GREETING, SIDE_UPSTREAM, "more", smtp_reply_keep, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "220", reply_greeting, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "4yz", reply_unavailable, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, "5yz", reply_unavailable, PHASE_SAME},
    {PHASE_GREETING, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_CAPABILITY, SIDE_UPSTREAM, "more", reply_extension, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "250", reply_extensions_end, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "4yz", reply_unavailable, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, "5yz", reply_stranger, PHASE_SAME},
    {PHASE_CAPABILITY, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_UPGRADE, SIDE_UPSTREAM, "more", smtp_reply_keep, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "220", engine_upstream_agreed_to_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "4yz", reply_no_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, "5yz", reply_no_tls, PHASE_SAME},
    {PHASE_UPGRADE, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},

    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "334", engine_upstream_challenge, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "more", smtp_reply_keep, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "235", reply_logged_in, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "4yz", reply_unavailable, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, "5yz", reply_refused, PHASE_SAME},
    {PHASE_AUTHENTICATE, SIDE_UPSTREAM, NULL, engine_upstream_nonsense, PHASE_SAME},
};

const struct dialect dialect_smtp = {
    .name = "smtp",
    .sasl_service = "smtp",
    .command_max = 8192,
    .sasl_max = 12288 + 64,
    .reply_line_max = 8192,
    .reply_total_max = 64ul * 1024,
    .bad_commands = 5,
    .asks_capabilities_for_tls = true,
    .refuses_headers = true,
    .continuation = "334 ",
    .passage = &passage_smtp,
    .rules = rules,
    .rule_count = LENGTH_OF(rules),
    .split_command = dialect_split_line,
    .split_reply = smtp_reply_split,
    .is_sasl_command = dialect_is_auth_line,
    .greet = greet,
    .say_bad = say_bad,
    .say_no = say_no,
    .say_ready = say_ready,
    .say_bye = say_bye,
    .authenticate = dialect_say_auth,
    .ask_capabilities = ask_capabilities,
    .ask_tls = ask_tls,
};
