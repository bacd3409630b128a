/*
 * Happy path: tag and verb are collected, judged, and the command passes as it comes.
 *
 *   SELECT                            said as EXAMINE: reading must not mark messages either
 *   one that is denied                swallowed to its end, told of, then answered by NO
 *   a literal that waits for "+"      the client is not read on before the server has spoken
 *   one that does not, to a server    ends the session: what the server would take for the
 *   that does not know them           literal is not known
 *   a line that is no command         answered by BAD; DONE passes
 *   control characters in a line      end the session: a server may take one for its end
 */
#include "mail/policy_imap.h"

#include <stdio.h>
#include <string.h>

#include "mail/policy.h"
#include "mail/wire.h"

#define TAIL_MAX           24u
#define PUSHED_LITERAL_MAX 4096u /* what every server takes: RFC 7888 section 5 */

void policy_imap_init(struct policy_imap *policy, struct slice capabilities)
{
    struct slice word;
    *policy = (struct policy_imap){0};
    buf_init(&policy->head, POLICY_HEAD_MAX);
    buf_init(&policy->tail, 2 * TAIL_MAX);
    buf_init(&policy->answers, POLICY_ANSWERS_MAX);
    tap_line_init(&policy->line);
    while (slice_next_word(&capabilities, ' ', &word))
        policy->takes_literals = policy->takes_literals || slice_starts_with_ignoring_case(
                                                               wire_trim_line_end(word), "LITERAL");
}

void policy_imap_fini(struct policy_imap *policy)
{
    buf_fini(&policy->head);
    buf_fini(&policy->tail);
    buf_fini(&policy->answers);
    tap_line_fini(&policy->line);
}

/* ---- answers ---- */

static void answer(struct policy_imap *policy, const char *tag, const char *words)
{
    char line[120];
    snprintf(line, sizeof(line), "%s %s\r\n", tag, words);
    if (buf_append_string(&policy->answers, line) != 0)
        buf_clear(&policy->answers); /* who says so much before it reads an answer gets none */
}

void policy_imap_release(struct policy_imap *policy, struct passage *passage)
{
    passage->awaits_release = false;
    answer(policy, policy->tag, "NO [NOPERM] this password is read-only");
}

/* ---- lines ---- */

static void pass(const struct policy_imap *policy, struct slice bytes,
                 const struct passage_sink *sink)
{
    if (policy->state == POLICY_PASSING && bytes.size > 0)
        sink->pass(sink->owner, SIDE_UPSTREAM, bytes);
}

static void remember_tail(struct policy_imap *policy, struct slice piece)
{
    struct buf *tail = &policy->tail;
    ENSURE(buf_append(tail, slice_skip(piece, piece.size > TAIL_MAX ? piece.size - TAIL_MAX : 0)) ==
           0);
    if (buf_size(tail) > TAIL_MAX)
        buf_consume(tail, buf_size(tail) - TAIL_MAX);
}

static void end_command(struct policy_imap *policy)
{
    policy->state = POLICY_JUDGING;
    policy->literal = 0;
    policy->waits_for_go_ahead = false;
    buf_clear(&policy->head);
}

static void end_line(struct policy_imap *policy, struct passage *passage)
{
    struct wire_literal literal = {0};
    enum wire_status status = wire_imap_literal(buf_bytes(&policy->tail), &literal);
    bool is_swallowed = policy->state == POLICY_SWALLOWING;
    buf_clear(&policy->tail);
    bool is_pushed = status == WIRE_DONE && !literal.is_synchronizing;
    if (status == WIRE_BAD || (is_pushed && !is_swallowed &&
                               (!policy->takes_literals || literal.size > PUSHED_LITERAL_MAX))) {
        passage_end(passage, WHY_CLIENT_PROTOCOL, "a literal that the mail server may not take");
        return;
    }
    /* Whoever is denied is told so in the place of "+". */
    if (status == WIRE_MORE || (is_swallowed && literal.is_synchronizing)) {
        end_command(policy);
        return;
    }
    policy->literal = literal.size;
    policy->waits_for_go_ahead = literal.is_synchronizing;
}

/* ---- judging ---- */

static void deny(struct policy_imap *policy, struct passage *passage, struct slice verb,
                 const struct passage_sink *sink)
{
    policy->state = POLICY_SWALLOWING;
    if (sink->deny(sink->owner, POLICY_READ_ONLY, verb))
        passage->awaits_release = true;
    else
        policy_imap_release(policy, passage);
}

/* The words are there as far as they are needed. */
static void judge(struct policy_imap *policy, struct passage *passage, struct slice head,
                  const struct passage_sink *sink)
{
    struct slice rest = wire_trim_line_end(head), tag = wire_take_word(&rest);
    struct slice behind_tag = rest, verb = wire_take_word(&rest), second = rest;
    second = wire_take_word(&second);
    policy->state = POLICY_PASSING;
    if (head.size == 0 || slice_is_ignoring_case(wire_trim_line_end(head), "DONE") ||
        wire_trim_line_end(head).size == 0) {
        pass(policy, head, sink);
        return;
    }
    if (!wire_is_imap_tag(tag)) {
        policy->state = POLICY_SWALLOWING;
        answer(policy, "*", "BAD a command is expected");
        return;
    }
    snprintf(policy->tag, sizeof(policy->tag), "%.*s", SLICE_PRINT(tag));
    switch (policy_judge_imap(verb, second)) {
    case POLICY_PASS:
        pass(policy, head, sink);
        break;
    case POLICY_EXAMINE:
        pass(policy, slice_take(head, tag.size + 1), sink);
        pass(policy, SLICE_LITERAL("EXAMINE"), sink);
        pass(policy, slice_skip(head, (size_t)(behind_tag.data - head.data) + verb.size), sink);
        break;
    case POLICY_DENY:
        if (slice_is_ignoring_case(verb, "UID") && second.size > 0)
            verb.size = (size_t)(second.data - verb.data) + second.size;
        deny(policy, passage, verb, sink);
        break;
    }
}

static bool is_enough(struct slice head)
{
    struct slice rest = head;
    if (head.size == POLICY_HEAD_MAX || slice_find(head, '\n') < head.size)
        return true;
    (void)wire_take_word(&rest);
    struct slice behind_tag = rest, verb = wire_take_word(&rest);
    if (verb.size == behind_tag.size)
        return false;
    return !slice_is_ignoring_case(verb, "UID") || slice_find(rest, ' ') < rest.size;
}

/* One octet after another: tag and verb are short. */
static size_t collect(struct policy_imap *policy, struct passage *passage, struct slice bytes,
                      const struct passage_sink *sink)
{
    size_t taken = 0;
    while (taken < bytes.size && !is_enough(buf_bytes(&policy->head)))
        ENSURE(buf_append(&policy->head, slice_of(bytes.data + taken++, 1)) == 0);
    struct slice head = buf_bytes(&policy->head);
    if (!is_enough(head))
        return taken;
    if (slice_has_control(wire_trim_line_end(head))) {
        passage_end(passage, WHY_CLIENT_PROTOCOL, "control characters in a command");
        return taken;
    }
    judge(policy, passage, head, sink);
    remember_tail(policy, head);
    if (head.data[head.size - 1] == '\n')
        end_line(policy, passage);
    return taken;
}

/* ---- the client ---- */

/* Octets of a line up to one that does not belong there. */
static size_t find_control(struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size && bytes.data[at] >= 0x20 && bytes.data[at] != 0x7f)
        at++;
    return at;
}

static size_t go_on_in_line(struct policy_imap *policy, struct passage *passage, struct slice bytes,
                            const struct passage_sink *sink)
{
    size_t at = policy->ends_in_cr ? 0 : find_control(bytes);
    struct slice words = slice_take(bytes, at), rest = slice_skip(bytes, at);
    pass(policy, words, sink);
    remember_tail(policy, words);
    if (rest.size == 0)
        return at;
    if (!policy->ends_in_cr && rest.data[0] == '\r') {
        policy->ends_in_cr = true; /* passes with its LF */
        return at + 1;
    }
    if (rest.data[0] != '\n') {
        passage_end(passage, WHY_CLIENT_PROTOCOL, "control characters in a command");
        return at;
    }
    policy->ends_in_cr = false;
    pass(policy, SLICE_LITERAL("\r\n"), sink);
    end_line(policy, passage);
    return at + 1;
}

static size_t go_on(struct policy_imap *policy, struct passage *passage, struct slice bytes,
                    const struct passage_sink *sink)
{
    if (policy->literal > 0) {
        struct slice piece = slice_take(bytes, policy->literal);
        pass(policy, piece, sink);
        policy->literal -= piece.size;
        return piece.size;
    }
    if (policy->state == POLICY_JUDGING)
        return collect(policy, passage, bytes, sink);
    return go_on_in_line(policy, passage, bytes, sink);
}

size_t policy_imap_feed(struct policy_imap *policy, struct passage *passage, struct slice bytes,
                        const struct passage_sink *sink)
{
    size_t consumed = 0, said = buf_size(&policy->answers);
    while (consumed < bytes.size && !policy->waits_for_go_ahead && !passage->awaits_release &&
           !passage->is_over && buf_size(&policy->answers) == said)
        consumed += go_on(policy, passage, slice_skip(bytes, consumed), sink);
    return passage->is_over ? bytes.size : consumed;
}

/* ---- the server ---- */

static void take_response(struct policy_imap *policy, struct slice line)
{
    struct slice rest = line, tag = wire_take_word(&rest);
    if (!policy->waits_for_go_ahead)
        return;
    if (slice_starts_with(line, "+"))
        policy->waits_for_go_ahead = false;
    else if (slice_is(tag, policy->tag))
        end_command(policy);
}

void policy_imap_see(struct policy_imap *policy, struct slice bytes)
{
    struct tap_line_view line;
    while (bytes.size > 0) {
        struct wire_literal literal;
        if (policy->server_literal > 0) {
            struct slice piece = slice_take(bytes, policy->server_literal);
            policy->server_literal -= piece.size;
            bytes = slice_skip(bytes, piece.size);
            continue;
        }
        if (!tap_line_feed(&policy->line, &bytes, &line))
            continue;
        bool is_data = policy->is_within_response || slice_starts_with(line.head, "* ");
        if (!policy->is_within_response)
            take_response(policy, line.head);
        bool has_literal = is_data && wire_imap_literal(line.tail, &literal) == WIRE_DONE;
        policy->is_within_response = has_literal;
        policy->server_literal = has_literal ? literal.size : 0;
    }
}
