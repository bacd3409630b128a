#include "audit/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"

static const struct {
    const char *word;
    enum finding_grade grade;
} kinds[] = {
#define X(name, word, grade) [name] = {word, grade},
    FINDING_KINDS(X)
#undef X
};

const char *finding_word(enum finding_kind kind)
{
    ENSURE(kind < FINDING_KIND_COUNT);
    return kinds[kind].word;
}

enum finding_grade finding_grade(enum finding_kind kind)
{
    ENSURE(kind < FINDING_KIND_COUNT);
    return kinds[kind].grade;
}

/* The last finding, when these records are more of it. */
static struct finding *continued(struct findings *findings, const struct finding *more)
{
    struct finding *last = findings->count == 0 ? NULL : &findings->items[findings->count - 1];
    bool is_more = last != NULL && last->kind == more->kind && more->first > last->first &&
                   more->first <= last->last + 1 && strcmp(last->text, more->text) == 0;
    return is_more ? last : NULL;
}

/* Leaves one out: the last of those that are less bad than the new one, or the new one itself. */
static void add_to_full(struct findings *findings, const struct finding *finding)
{
    size_t i = FINDINGS_MAX;
    enum finding_grade grade = finding_grade(finding->kind), left_out = grade;
    while (i > 0 && finding_grade(findings->items[i - 1].kind) >= grade)
        i--;
    if (i > 0) {
        left_out = finding_grade(findings->items[i - 1].kind);
        memmove(&findings->items[i - 1], &findings->items[i],
                (FINDINGS_MAX - i) * sizeof(*findings->items));
        findings->items[FINDINGS_MAX - 1] = *finding;
    }
    findings->left_out++;
    if (left_out > findings->worst_left_out)
        findings->worst_left_out = left_out;
}

void findings_add(struct findings *findings, enum finding_kind kind, uint64_t first, uint64_t last,
                  const char *format, ...)
{
    char text[FINDING_TEXT_MAX];
    struct finding finding = {.kind = kind, .first = first, .last = last};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    slice_escape(slice_of_string(text), finding.text, sizeof(finding.text));
    struct finding *before = continued(findings, &finding);
    if (before != NULL)
        before->last = last > before->last ? last : before->last;
    else if (findings->count < FINDINGS_MAX)
        findings->items[findings->count++] = finding;
    else
        add_to_full(findings, &finding);
}

struct finding *findings_find(struct findings *findings, enum finding_kind kind, uint64_t sequence)
{
    for (size_t i = findings->count; i-- > 0;) {
        struct finding *finding = &findings->items[i];
        if (finding->kind == kind && finding->first <= sequence && sequence <= finding->last)
            return finding;
    }
    return NULL;
}

enum finding_grade findings_grade(const struct findings *findings)
{
    enum finding_grade worst = findings->worst_left_out;
    for (size_t i = 0; i < findings->count; i++) {
        enum finding_grade grade = finding_grade(findings->items[i].kind);
        worst = grade > worst ? grade : worst;
    }
    return worst;
}

const struct finding *findings_first(const struct findings *findings, enum finding_grade grade)
{
    const struct finding *first = NULL;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (finding_grade(finding->kind) == grade &&
            (first == NULL || finding->first < first->first))
            first = finding;
    }
    return first;
}
