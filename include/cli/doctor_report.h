/*
 * The steps of `ecluse doctor`, said as they go or kept for one JSON array. On a terminal a step is
 * announced before it is tried, and in colour when it is over (not with NO_COLOR).
 */
#ifndef ECLUSE_CLI_DOCTOR_REPORT_H
#define ECLUSE_CLI_DOCTOR_REPORT_H

#include <jansson.h>

#include "auth/diagnosis.h"

enum doctor_outcome { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAILED, DOCTOR_SKIPPED };

struct doctor_report {
    bool is_json, is_terminal, has_colour;
    json_t *steps;
    unsigned failures, warnings;
    enum diagnosis_remedy worst; /* of the failures */
    /* the step that was begun last */
    struct diagnosis_names names;
    bool has_protocol;
    enum diagnosis_step step;
};

void doctor_report_open(struct doctor_report *report, bool is_json);
/* Prints the array, or how it went; the exit code. */
int doctor_report_close(struct doctor_report *report);

/* `names` are borrowed until the end of the step; its protocol "": the step is the account's.
 * `what` says in words what is tried; it may hold {host} and so on. */
void doctor_report_begin(struct doctor_report *report, const struct diagnosis_names *names,
                         enum diagnosis_step step, const char *what);
/* Details may be anything that was said: escaped here. */
void doctor_report_pass(struct doctor_report *report, const char *detail);
void doctor_report_skip(struct doctor_report *report, const char *why);
/* `said` are the words that `diagnosis` was found by; "": none. */
void doctor_report_fail(struct doctor_report *report, enum doctor_outcome outcome,
                        const struct diagnosis *diagnosis, const char *said);

#endif
