#include "mail/dialect_smtp_reply.h"

#include "mail/smtp_words.h"

/* The lines of a reply have one code: the engine keeps it before their text. */
static bool belongs_to_reply(const struct engine *engine, struct slice line)
{
    struct slice before = engine_reply_text(engine);
    return before.size == 0 || slice_equal(slice_take(before, 3), slice_take(line, 3));
}

bool smtp_reply_split(const struct engine *engine, struct slice bytes, struct unit *unit_out)
{
    static const struct {
        unsigned code;
        const char *verb;
    } verbs[] = {{220, "220"}, {235, "235"}, {250, "250"},
                 {334, "334"}, {400, "4yz"}, {500, "5yz"}};
    unsigned code;
    bool is_last;
    if (!smtp_read_reply(wire_trim_line_end(bytes), &code, &is_last, &unit_out->arguments) ||
        !belongs_to_reply(engine, bytes))
        return false;
    unsigned known = code >= 400 ? code / 100 * 100 : code;
    for (size_t i = 0; i < LENGTH_OF(verbs); i++)
        if (verbs[i].code == known) {
            unit_out->verb = slice_of_string(is_last ? verbs[i].verb : "more");
            return true;
        }
    return false;
}

bool smtp_reply_keep(struct engine *engine, const struct unit *unit)
{
    if (engine_reply_text(engine).size == 0)
        engine_add_reply_text(engine, slice_take(unit->bytes, 3));
    engine_add_reply_text(engine, unit->arguments);
    return false;
}

bool smtp_reply_fail(struct engine *engine, const struct unit *unit, enum why why, const char *text)
{
    (void)smtp_reply_keep(engine, unit);
    engine_fail_quoting(engine, why, text, engine_reply_text(engine));
    return false;
}
