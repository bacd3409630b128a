/*
 * A section is mapped into a draft of its own, which goes through the checks that the whole will go
 * through, and is thrown away. What is wrong with it is kept until it is known whether anything
 * remains.
 *
 * Failures, when nothing does, are the problems of those sections; and those of an account in whose
 * place a catch-all section would serve.
 */
#include <string.h>

#include "conf/check.h"
#include "conf/emailproxy_mapping.h"
#include "conf/problem.h"

#define SHOWN 64

static void note(struct mapping *mapping, const struct emailproxy_section *section,
                 struct config_problems problems)
{
    mapping->left_out = mem_resize(mapping->left_out,
                                   (mapping->left_out_count + 1) * sizeof(struct mapping_left_out));
    mapping->left_out[mapping->left_out_count++] =
        (struct mapping_left_out){.section = section, .problems = problems};
}

bool mapping_try(struct mapping *mapping, const struct emailproxy_section *section,
                 void (*map)(struct mapping *mapping, const struct emailproxy_section *section))
{
    struct config_problems problems = {0};
    struct draft draft;
    struct mapping trial = *mapping;

    draft_init(&draft, mapping->draft->config->file, mapping->draft->surroundings, &problems);
    trial.draft = &draft;
    trial.upstreams = NULL;
    trial.upstream_count = 0;
    map(&trial, section);
    check_sections(&draft);
    mem_free(trial.upstreams);
    draft_fini(&draft, NULL);
    bool is_fine = !problems_have_error(&problems);
    if (is_fine)
        config_problems_free(&problems);
    else
        note(mapping, section, problems);
    return is_fine;
}

/* ---- what is said ---- */

/* An account of the file for the whole domain, or for all: it serves who has no section. */
static bool has_general(const struct config *config, const struct emailproxy_section *section)
{
    const char *domain = strrchr(section->name, '@');

    for (size_t i = 0; domain != NULL && i < config->account_count; i++) {
        const char *address = config->accounts[i]->address;
        if (strcmp(address, "*@*") == 0 ||
            (address[0] == '*' && slice_is_ignoring_case(slice_of_string(address + 1), domain)))
            return true;
    }
    return false;
}

static void say(struct mapping *mapping, const struct mapping_left_out *left_out, bool nothing_left)
{
    struct config_problems *problems = mapping->draft->problems;
    char name[SHOWN];

    slice_escape(slice_of_string(left_out->section->name), name, sizeof(name));
    for (size_t i = 0; i < left_out->problems.count; i++) {
        const struct config_problem *problem = &left_out->problems.items[i];
        if (problem->warning)
            continue;
        if (nothing_left)
            problems_add(problems, problem->line, "%s", problem->text);
        else if (has_general(mapping->draft->config, left_out->section))
            problems_add(problems, problem->line,
                         "%s ([%s] cannot be left out: a catch-all section would serve it)",
                         problem->text, name);
        else
            problems_warn(problems, problem->line, "[%s] is left out: %s", name, problem->text);
    }
}

void mapping_finish(struct mapping *mapping)
{
    const struct config *config = mapping->draft->config;
    bool has_account = config->account_count > 0 || mapping->is_served_elsewhere;
    bool has_listener = config->listener_count > 0 || mapping->choice->beside != NULL;

    for (size_t i = 0; i < mapping->left_out_count; i++) {
        struct mapping_left_out *left_out = &mapping->left_out[i];
        bool is_account = strchr(left_out->section->name, '@') != NULL;
        say(mapping, left_out, is_account ? !has_account : !has_listener);
        config_problems_free(&left_out->problems);
    }
    mem_free(mapping->left_out);
}
