/*
 * Happy path: tag and verb lie in the bytes, are judged there, and a run of commands passes as one
 * slice.
 *
 *   another login, STARTTLS and such  swallowed to its end, then answered; the client is told to go
 *                                     on with the literals of it, so that what comes is no riddle
 *   a line that is no command         likewise: also one that begins with the words of a login, and
 *                                     the words of an exchange that nobody began. DONE passes
 *   a literal that waits for "+"      the client is not read on before the server has spoken
 *   one that cannot be read           the command ends with its line
 *
 * Where the grant is read-only:
 *
 *   SELECT                            said as EXAMINE: reading must not mark messages either
 *   one that is denied                swallowed to its end, told of, then answered by NO
 *   a literal that is not waited for, ends the session: what the server would take for the
 *   to a server that does not know    literal is not known
 *   them; one that cannot be read
 *   control characters in a line      end the session: a server may take one for its end
 */
#include "mail/commands_imap.h"

#include <stdio.h>
#include <string.h>

#include "mail/policy.h"
#include "mail/wire.h"

#define ANSWER_MAX         120u
#define PUSHED_LITERAL_MAX 4096u /* what every server takes: RFC 7888 section 5 */

/* Of the beginning of a response: fewer are octets of the tag so far. */
enum { MATCHED_ANSWER = WIRE_IMAP_TAG_MAX + 1, MATCHED_GO_AHEAD, MATCHED_NOTHING };

enum { JUDGING, PASSING, SWALLOWING };

enum own_answer { OWN_NONE, OWN_NO_COMMAND, OWN_LOGGED_IN, OWN_NOT_AVAILABLE };

static const char *const own_answers[] = {
    [OWN_NO_COMMAND] = "BAD a command is expected",
    [OWN_LOGGED_IN] = "BAD you are logged in already",
    [OWN_NOT_AVAILABLE] = "BAD not available here",
};

static const struct {
    const char *verb;
    enum own_answer answer;
} own_commands[] = {
    {"LOGIN", OWN_LOGGED_IN},        {"AUTHENTICATE", OWN_LOGGED_IN},
    {"STARTTLS", OWN_NOT_AVAILABLE}, {"UNAUTHENTICATE", OWN_NOT_AVAILABLE},
    {"COMPRESS", OWN_NOT_AVAILABLE},
};

/* One call of imap_commands_feed. */
struct feeding {
    struct imap_commands *commands;
    struct passage *passage;
    const struct passage_sink *sink;
    struct slice run; /* of octets that pass and were not passed yet */
};

void imap_commands_init(struct imap_commands *commands, bool is_read_only,
                        struct slice capabilities)
{
    struct slice word;
    *commands = (struct imap_commands){.state = JUDGING, .is_read_only = is_read_only};
    buf_init(&commands->head, IMAP_COMMANDS_HEAD_MAX);
    buf_init(&commands->answers, IMAP_COMMANDS_ANSWERS_MAX);
    while (slice_next_word(&capabilities, ' ', &word))
        commands->takes_literals =
            commands->takes_literals ||
            slice_starts_with_ignoring_case(wire_trim_line_end(word), "LITERAL");
}

void imap_commands_fini(struct imap_commands *commands)
{
    buf_fini(&commands->head);
    buf_fini(&commands->answers);
}

/* ---- answers ---- */

static void say(struct imap_commands *commands, const char *words)
{
    struct slice tag = slice_of(commands->tag, commands->tag_size);
    if (tag.size == 0)
        tag = SLICE_LITERAL("*");
    ENSURE(buf_append_format(&commands->answers, "%.*s %s\r\n", SLICE_PRINT(tag), words) == 0);
}

void imap_commands_release(struct imap_commands *commands, struct passage *passage)
{
    passage->awaits_release = false;
    say(commands, "NO [NOPERM] this password is read-only");
}

/* ---- what passes ---- */

static void flush(struct feeding *feeding)
{
    struct slice run = feeding->run;
    feeding->run = SLICE_NONE;
    if (run.size > 0)
        feeding->sink->pass(feeding->sink->owner, SIDE_UPSTREAM, run);
}

static void pass(struct feeding *feeding, struct slice bytes)
{
    if (feeding->commands->state != PASSING || bytes.size == 0)
        return;
    if (feeding->run.size > 0 && feeding->run.data + feeding->run.size != bytes.data)
        flush(feeding);
    if (feeding->run.size == 0)
        feeding->run.data = bytes.data;
    feeding->run.size += bytes.size;
}

/* ---- lines ---- */

static void end_command(struct imap_commands *commands)
{
    if (commands->own_answer != OWN_NONE)
        say(commands, own_answers[commands->own_answer]);
    commands->own_answer = OWN_NONE;
    commands->state = JUDGING;
    commands->literal = 0;
    commands->waits_for_go_ahead = false;
}

/* What a server makes of it is not known. */
static bool is_riddle(const struct imap_commands *commands, enum wire_status status,
                      const struct wire_literal *literal)
{
    if (status == WIRE_BAD)
        return commands->is_read_only || commands->own_answer == OWN_LOGGED_IN;
    bool is_pushed = status == WIRE_DONE && !literal->is_synchronizing;
    return is_pushed && commands->is_read_only && commands->state == PASSING &&
           (!commands->takes_literals || literal->size > PUSHED_LITERAL_MAX);
}

static void end_line(struct feeding *feeding)
{
    struct imap_commands *commands = feeding->commands;
    struct wire_literal literal = {0};
    enum wire_status status = wire_imap_literal(line_tail_bytes(&commands->tail), &literal);
    bool is_denied = commands->state == SWALLOWING && commands->own_answer == OWN_NONE;
    commands->tail.size = 0;
    if (is_riddle(commands, status, &literal)) {
        passage_end(feeding->passage, WHY_CLIENT_PROTOCOL,
                    "a literal that the mail server may not take");
        return;
    }
    /* Whoever is denied is told so in the place of "+". */
    if (status != WIRE_DONE || (is_denied && literal.is_synchronizing)) {
        end_command(commands);
        return;
    }
    commands->literal = literal.size;
    if (!literal.is_synchronizing)
        return;
    if (commands->own_answer != OWN_NONE) {
        ENSURE(buf_append_string(&commands->answers, "+ go on\r\n") == 0);
        return;
    }
    commands->waits_for_go_ahead = true;
    commands->matched = MATCHED_NOTHING; /* the server may be amidst a response */
}

/* ---- judging ---- */

static enum own_answer own_answer_to(struct slice verb)
{
    for (size_t i = 0; i < LENGTH_OF(own_commands); i++)
        if (slice_is_ignoring_case(verb, own_commands[i].verb))
            return own_commands[i].answer;
    return OWN_NONE;
}

/* Somebody who forgets the tag of a login has said a password all the same. */
static enum own_answer judge_words(struct slice tag, struct slice verb)
{
    bool is_command = wire_is_imap_tag(tag) && wire_is_imap_atom(verb);
    if (!is_command || own_answer_to(tag) == OWN_LOGGED_IN)
        return OWN_NO_COMMAND;
    return own_answer_to(verb);
}

static void deny(struct feeding *feeding, struct slice verb)
{
    const struct passage_sink *sink = feeding->sink;
    feeding->commands->state = SWALLOWING;
    flush(feeding);
    if (sink->deny(sink->owner, POLICY_READ_ONLY, verb))
        feeding->passage->awaits_release = true;
    else
        imap_commands_release(feeding->commands, feeding->passage);
}

/* Of a grant that is read-only. `rest`: what is there behind the verb. */
static void judge_by_policy(struct feeding *feeding, struct slice head, struct slice verb,
                            struct slice rest)
{
    struct slice second = wire_take_word(&rest);
    size_t before = (size_t)(verb.data - head.data);
    switch (policy_judge_imap(verb, second)) {
    case POLICY_PASS:
        pass(feeding, head);
        break;
    case POLICY_EXAMINE:
        pass(feeding, slice_take(head, before));
        pass(feeding, SLICE_LITERAL("EXAMINE"));
        pass(feeding, slice_skip(head, before + verb.size));
        break;
    case POLICY_DENY:
        if (slice_is_ignoring_case(verb, "UID") && second.size > 0)
            verb.size = (size_t)(second.data - verb.data) + second.size;
        deny(feeding, verb);
        break;
    }
}

static void judge(struct feeding *feeding, struct slice head)
{
    struct imap_commands *commands = feeding->commands;
    struct slice line = wire_trim_line_end(head), rest = line;
    struct slice tag = wire_take_word(&rest), verb = wire_take_word(&rest);
    commands->state = PASSING;
    if (line.size == 0 || slice_is_ignoring_case(line, "DONE")) {
        pass(feeding, head);
        return;
    }
    /* A word alone may be of an exchange: a password, which is not to be said again. */
    commands->tag_size = wire_is_imap_tag(tag) && tag.size < line.size ? (uint8_t)tag.size : 0;
    memcpy(commands->tag, tag.data, commands->tag_size);
    commands->own_answer = (uint8_t)judge_words(tag, verb);
    if (commands->own_answer != OWN_NONE)
        commands->state = SWALLOWING;
    else if (commands->is_read_only)
        judge_by_policy(feeding, head, verb, rest);
    else
        pass(feeding, head);
}

/* Octets up to behind the verb, or behind the word that follows UID; 0: they are not all there. */
static size_t head_size(struct slice bytes)
{
    unsigned words = 0, wanted = 2;
    size_t word = 0;
    for (size_t i = 0; i < bytes.size && i < IMAP_COMMANDS_HEAD_MAX; i++) {
        if (bytes.data[i] == '\n')
            return i + 1;
        if (bytes.data[i] != ' ')
            continue;
        words++;
        if (words == 2 && slice_is_ignoring_case(slice_of(bytes.data + word, i - word), "UID"))
            wanted = 3;
        if (words == wanted)
            return i + 1;
        word = i + 1;
    }
    return bytes.size < IMAP_COMMANDS_HEAD_MAX ? 0 : IMAP_COMMANDS_HEAD_MAX;
}

static void take_head(struct feeding *feeding, struct slice head)
{
    struct imap_commands *commands = feeding->commands;
    if (commands->is_read_only && slice_has_control(wire_trim_line_end(head))) {
        passage_end(feeding->passage, WHY_CLIENT_PROTOCOL, "control characters in a command");
        return;
    }
    judge(feeding, head);
    line_tail_add(&commands->tail, head);
    if (slice_find(head, '\n') < head.size)
        end_line(feeding);
}

/* What comes in pieces is gathered one octet after another: it is short. */
static size_t collect(struct feeding *feeding, struct slice bytes)
{
    struct buf *kept = &feeding->commands->head;
    size_t size = buf_size(kept) == 0 ? head_size(bytes) : 0;
    if (size > 0) {
        take_head(feeding, slice_take(bytes, size));
        return size;
    }
    while (size < bytes.size && head_size(buf_bytes(kept)) == 0)
        ENSURE(buf_append(kept, slice_of(bytes.data + size++, 1)) == 0);
    if (head_size(buf_bytes(kept)) > 0) {
        take_head(feeding, buf_bytes(kept));
        flush(feeding);
        buf_clear(kept);
    }
    return size;
}

/* ---- the client ---- */

static size_t go_on_in_line(struct feeding *feeding, struct slice bytes)
{
    size_t end = slice_find(bytes, '\n');
    struct slice piece = slice_take(bytes, end + 1);
    pass(feeding, piece);
    line_tail_add(&feeding->commands->tail, piece);
    if (end < bytes.size)
        end_line(feeding);
    return piece.size;
}

/* Octets of a line up to one that does not belong there. */
static size_t find_control(struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size && bytes.data[at] >= 0x20 && bytes.data[at] != 0x7f)
        at++;
    return at;
}

/* Of a grant that is read-only. */
static size_t go_on_in_strict_line(struct feeding *feeding, struct slice bytes)
{
    struct imap_commands *commands = feeding->commands;
    size_t at = commands->ends_in_cr ? 0 : find_control(bytes);
    struct slice words = slice_take(bytes, at), rest = slice_skip(bytes, at);
    pass(feeding, words);
    line_tail_add(&commands->tail, words);
    if (rest.size == 0)
        return at;
    if (!commands->ends_in_cr && rest.data[0] == '\r') {
        commands->ends_in_cr = true; /* passes with its LF */
        return at + 1;
    }
    if (rest.data[0] != '\n') {
        passage_end(feeding->passage, WHY_CLIENT_PROTOCOL, "control characters in a command");
        return at;
    }
    commands->ends_in_cr = false;
    pass(feeding, SLICE_LITERAL("\r\n"));
    end_line(feeding);
    return at + 1;
}

static size_t go_on(struct feeding *feeding, struct slice bytes)
{
    struct imap_commands *commands = feeding->commands;
    if (commands->literal > 0) {
        struct slice piece = slice_take(bytes, commands->literal);
        pass(feeding, piece);
        commands->literal -= piece.size;
        return piece.size;
    }
    if (commands->state == JUDGING)
        return collect(feeding, bytes);
    return commands->is_read_only ? go_on_in_strict_line(feeding, bytes)
                                  : go_on_in_line(feeding, bytes);
}

size_t imap_commands_feed(struct imap_commands *commands, struct passage *passage,
                          struct slice bytes, const struct passage_sink *sink)
{
    struct feeding feeding = {.commands = commands, .passage = passage, .sink = sink};
    size_t consumed = 0, said = buf_size(&commands->answers);
    while (consumed < bytes.size && !commands->waits_for_go_ahead && !passage->awaits_release &&
           !passage->is_over && buf_size(&commands->answers) == said &&
           buf_room(&commands->answers) >= ANSWER_MAX)
        consumed += go_on(&feeding, slice_skip(bytes, consumed));
    flush(&feeding);
    return passage->is_over ? bytes.size : consumed;
}

/* ---- the server ---- */

/* Of the octets before and this one: what begins with "+", with the tag and a space, or neither. */
static uint8_t match(const struct imap_commands *commands, uint8_t octet)
{
    uint8_t matched = commands->matched;
    if (matched == 0 && octet == '+')
        return MATCHED_GO_AHEAD;
    if (matched == commands->tag_size)
        return octet == ' ' ? MATCHED_ANSWER : MATCHED_NOTHING;
    return octet == (uint8_t)commands->tag[matched] ? matched + 1 : MATCHED_NOTHING;
}

void imap_commands_see(struct imap_commands *commands, struct slice bytes, bool is_start)
{
    if (is_start)
        commands->matched = 0;
    for (size_t i = 0; i < bytes.size && commands->matched < MATCHED_ANSWER; i++)
        commands->matched = match(commands, bytes.data[i]);
    if (bytes.data[bytes.size - 1] != '\n')
        return;
    if (commands->matched == MATCHED_GO_AHEAD)
        commands->waits_for_go_ahead = false;
    else if (commands->matched == MATCHED_ANSWER)
        end_command(commands);
    commands->matched = MATCHED_NOTHING;
}
