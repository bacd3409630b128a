#include "mail/passage.h"

void passage_close(struct passage *passage)
{
    if (passage != NULL)
        passage->kind->close(passage);
}

size_t passage_feed(struct passage *passage, enum side from, struct slice bytes,
                    const struct passage_sink *sink)
{
    if (passage->is_over)
        return bytes.size;
    return passage->kind->feed(passage, from, bytes, sink);
}

uint64_t passage_due(struct passage *passage)
{
    return passage->is_over || passage->kind->due == NULL ? 0 : passage->kind->due(passage);
}

void passage_finish(struct passage *passage, const struct passage_sink *sink)
{
    if (!passage->is_over)
        passage->kind->finish(passage, sink);
}

void passage_say_bye(struct passage *passage, enum why why, const char *text,
                     const struct passage_sink *sink)
{
    if (!passage->is_over)
        passage->kind->say_bye(passage, why, text, sink);
}

void passage_release(struct passage *passage, const struct passage_sink *sink)
{
    if (!passage->is_over && passage->awaits_release)
        passage->kind->release(passage, sink);
}

void passage_end(struct passage *passage, enum why why, const char *text)
{
    if (passage->is_over)
        return;
    passage->is_over = true;
    passage->why = why;
    passage->text = text;
}
