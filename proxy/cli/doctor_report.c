#include "cli/doctor_report.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/print.h"

#define TEXT_MAX 1024

static const struct {
    const char *name, *shown, *colour;
} outcomes[] = {
    [DOCTOR_OK] = {"ok", "ok", "\033[32m"},
    [DOCTOR_WARNING] = {"warning", "WARNING", "\033[33m"},
    [DOCTOR_FAILED] = {"failed", "FAILED", "\033[31m"},
    [DOCTOR_SKIPPED] = {"skipped", "skipped", "\033[2m"},
};

void doctor_report_open(struct doctor_report *report, bool is_json)
{
    *report = (struct doctor_report){.is_json = is_json, .steps = json_array()};
    report->is_terminal = !is_json && isatty(STDOUT_FILENO) == 1;
    report->has_colour = report->is_terminal && print_has_colours();
    if (report->is_terminal)
        print_complaint("Each step has 10 seconds, a token 60, a login 30, all of it 10 minutes.");
}

/* What is printable is left alone: a server's words were escaped where they came in. */
static void make_printable(const char *text, char out[TEXT_MAX])
{
    if (credential_is_printable(slice_of_string(text)))
        snprintf(out, TEXT_MAX, "%s", text);
    else
        slice_escape(slice_of_string(text), out, TEXT_MAX);
}

static void print_safely(const char *text)
{
    char printable[TEXT_MAX];
    make_printable(text, printable);
    fputs(printable, stdout);
}

/* "work imap: connecting to imap.example.test port 993 ... " */
static void print_announcement(const struct doctor_report *report, const char *what)
{
    char text[TEXT_MAX];
    diagnosis_write(what, &report->names, text, sizeof(text));
    print_safely(report->names.account);
    if (report->has_protocol)
        printf(" %s", report->names.protocol);
    fputs(": ", stdout);
    print_safely(text);
    fputs(" ... ", stdout);
    if (report->is_terminal)
        fflush(stdout);
}

void doctor_report_begin(struct doctor_report *report, const struct diagnosis_names *names,
                         enum diagnosis_step step, const char *what)
{
    report->names = *names;
    report->has_protocol = *names->protocol != '\0';
    report->step = step;
    if (!report->is_json)
        print_announcement(report, what);
}

static json_t *text_or_null(const char *text)
{
    char printable[TEXT_MAX];
    make_printable(text, printable);
    return *text == '\0' ? json_null() : json_string(printable);
}

static void keep(struct doctor_report *report, enum doctor_outcome outcome, const char *detail,
                 const char *advice)
{
    json_t *step =
        json_pack("{s:s, s:o, s:s, s:s, s:o, s:o}", "account", report->names.account, "protocol",
                  text_or_null(report->has_protocol ? report->names.protocol : ""), "step",
                  diagnosis_step_name(report->step), "outcome", outcomes[outcome].name, "detail",
                  text_or_null(detail), "advice", text_or_null(advice));
    ENSURE(json_array_append_new(report->steps, step) == 0);
}

static void print_outcome(const struct doctor_report *report, enum doctor_outcome outcome)
{
    fputs(report->has_colour ? outcomes[outcome].colour : "", stdout);
    fputs(outcomes[outcome].shown, stdout);
    fputs(report->has_colour ? "\033[0m" : "", stdout);
}

static void print_line_of(const char *before, const char *text, const char *after)
{
    fputs(before, stdout);
    print_safely(text);
    puts(after);
}

/* With what was passed, in brackets. */
static void finish(struct doctor_report *report, enum doctor_outcome outcome, const char *detail)
{
    keep(report, outcome, detail, "");
    if (report->is_json)
        return;
    print_outcome(report, outcome);
    print_line_of(*detail == '\0' ? "" : " (", detail, *detail == '\0' ? "" : ")");
}

void doctor_report_pass(struct doctor_report *report, const char *detail)
{
    finish(report, DOCTOR_OK, detail);
}

void doctor_report_skip(struct doctor_report *report, const char *why)
{
    finish(report, DOCTOR_SKIPPED, why);
}

void doctor_report_fail(struct doctor_report *report, enum doctor_outcome outcome,
                        const struct diagnosis *diagnosis, const char *said)
{
    char sentence[TEXT_MAX], advice[TEXT_MAX], detail[TEXT_MAX];
    diagnosis_write(diagnosis->sentence, &report->names, sentence, sizeof(sentence));
    diagnosis_write(diagnosis->advice, &report->names, advice, sizeof(advice));
    snprintf(detail, sizeof(detail), "%s%s%s", sentence, *said == '\0' ? "" : ": ", said);
    keep(report, outcome, detail, advice);
    report->warnings += outcome == DOCTOR_WARNING;
    if (outcome == DOCTOR_FAILED && (report->failures++ == 0 || diagnosis->remedy > report->worst))
        report->worst = diagnosis->remedy;
    if (report->is_json)
        return;
    print_outcome(report, outcome);
    print_line_of(": ", sentence, "");
    if (*said != '\0')
        print_line_of("    said: ", said, "");
    print_line_of("    do:   ", advice, "");
}

int doctor_report_close(struct doctor_report *report)
{
    static const int exit_codes[DIAGNOSIS_REMEDY_COUNT] = {
        [DIAGNOSIS_REMEDY_LATER] = EX_TEMPFAIL,
        [DIAGNOSIS_REMEDY_SERVICE] = EX_UNAVAILABLE,
        [DIAGNOSIS_REMEDY_USER] = EX_NOPERM,
        [DIAGNOSIS_REMEDY_CONFIGURATION] = EX_CONFIG,
    };
    if (report->is_json)
        print_json(report->steps);
    else if (report->failures > 0)
        printf("%u step%s failed\n", report->failures, report->failures == 1 ? "" : "s");
    else
        printf("all is well%s\n", report->warnings > 0 ? ", but for the warnings" : "");
    json_decref(report->steps);
    return report->failures == 0 ? EX_OK : exit_codes[report->worst];
}
