/*
 * Happy path: keys and anchors are read, the segments stream through audit/verify, and what it
 * found is said: the first bad record before all.
 *
 * Exit codes: 0 intact · 1 tampered · 2 a torn tail and nothing else · 3 it cannot be read · 64, 65
 * and 78 what was given to check it by is of no use.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "audit/seed.h"
#include "audit/verify.h"
#include "cli/ask.h"
#include "cli/audit.h"
#include "cli/configuration.h"
#include "cli/journal_folder.h"
#include "cli/print.h"
#include "cli/secret_input.h"
#include "keeper/command_text.h"
#include "keeper/whole_file.h"

#define EXIT_TAMPERED   1
#define EXIT_TORN       2
#define EXIT_UNREADABLE 3

#define SEED_INPUT_MAX 1024u
#define ANCHOR_LINE    (2 * LINE_CAPACITY)
#define READ_CHUNK     262144u
/* A line that a daemon is writing at this moment is whole soon. */
#define TAIL_LOOKS        20
#define TAIL_MILLISECONDS 10

struct checking {
    const struct arguments *arguments;
    struct verify *verify;
    struct journal_folder folder;
    uint64_t written; /* what the daemon that runs has on disk; 0: unknown */
    uint64_t foreign; /* lines of the anchor that another key signed */
    struct journal_aside aside;
};

/* ---- what it is checked against ---- */

static int read_seeds(struct checking *checking)
{
    struct secret input = {0}, seed = {0};
    struct err err;
    if (arguments_value(checking->arguments, "--seed-stdin") == NULL)
        return EX_OK;
    if (secret_input_read("the seed", SEED_INPUT_MAX, &input, &err) != 0)
        return print_failure(EX_DATAERR, "audit: %s", err.text);
    struct slice rest = secret_bytes(&input), word;
    int exit_code = EX_OK;
    while (exit_code == EX_OK && slice_next_word(&rest, ' ', &word)) {
        if (word.size == 0)
            continue;
        if (seed_parse(word, &seed) != 0)
            exit_code =
                print_failure(EX_DATAERR, "audit: a seed is %u hexadecimal digits", SEED_TEXT_SIZE);
        else if (verify_add_seed(checking->verify, &seed) != 0)
            exit_code = print_failure(EX_DATAERR, "audit: those are too many seeds");
    }
    secret_wipe(&seed);
    secret_wipe(&input);
    return exit_code;
}

static int read_key_file(struct checking *checking, const char *path, bool is_needed)
{
    uint8_t key[SIGNATURE_PUBLIC_KEY_SIZE];
    struct buf pem;
    struct err err;
    buf_init(&pem, SIGNATURE_PEM_MAX);
    int status = whole_file_read(path, false, &pem, &err);
    int exit_code = EX_OK;
    if (status != 0 && (is_needed || status != ERR_NOT_FOUND))
        exit_code = print_failure(EX_DATAERR, "audit: %s", err.text);
    else if (status == 0 && signature_read_pem(buf_bytes(&pem), key) != 0)
        exit_code = print_failure(EX_DATAERR, "audit: %s is no public key of Ed25519 as PEM", path);
    else if (status == 0)
        verify_set_public_key(checking->verify, key);
    buf_fini(&pem);
    return exit_code;
}

static int read_key(struct checking *checking)
{
    const char *path = arguments_value(checking->arguments, "--key");
    if (path != NULL)
        return read_key_file(checking, path, true);
    size_t size = strlen(checking->folder.path) + sizeof("/public.pem");
    char *own = mem_new(size);
    snprintf(own, size, "%s/public.pem", checking->folder.path);
    int exit_code = read_key_file(checking, own, false);
    mem_free(own);
    return exit_code;
}

static int read_anchor_lines(struct checking *checking, FILE *file)
{
    char *line = mem_new(ANCHOR_LINE);
    int status = 0;
    while (status != ERR_CRYPTO && status != ERR_FULL &&
           fgets(line, (int)ANCHOR_LINE, file) != NULL) {
        struct slice text = slice_of_string(line);
        text = slice_take(text, slice_find(text, '\n'));
        status = verify_add_anchor(checking->verify, text);
        checking->foreign += status == ERR_DENIED;
    }
    mem_free(line);
    return status == ERR_CRYPTO || status == ERR_FULL
               ? print_failure(EX_DATAERR, "audit: the anchor: %s", err_code_text(status))
               : EX_OK;
}

static int read_anchor(struct checking *checking)
{
    const char *path = arguments_value(checking->arguments, "--anchor");
    if (path == NULL)
        return EX_OK;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return print_failure(EX_DATAERR, "audit: %s: %s", path, strerror(errno));
    int exit_code = read_anchor_lines(checking, file);
    if (exit_code == EX_OK && ferror(file))
        exit_code = print_failure(EX_DATAERR, "audit: %s cannot be read", path);
    (void)fclose(file);
    if (exit_code == EX_OK && verify_summary(checking->verify)->anchors == 0)
        exit_code = print_failure(
            EX_DATAERR, "audit: %s has no checkpoint that this journal's key signed", path);
    return exit_code;
}

/* What the daemon has on disk is there to be read a moment later, or somebody took it away. */
static void ask_daemon_for_last(struct checking *checking)
{
    struct config *config = NULL;
    struct remote remote;
    struct buf text;
    struct err err;
    json_t *answer = NULL;
    if (arguments_value(checking->arguments, "--folder") != NULL ||
        configuration_read(checking->arguments, false, &config) != EX_OK)
        return;
    buf_init(&text, REMOTE_ANSWER_MAX);
    if (remote_open(config->runtime_dir, &remote, &err) == 0) {
        if (remote_ask(&remote, SLICE_LITERAL("{\"command\":\"status\"}"), &text, &err) == 0 &&
            command_text_read(buf_bytes(&text), &answer, &err) == 0)
            checking->written = (uint64_t)ask_number(json_object_get(answer, "audit"), "sequence");
        json_decref(answer);
        remote_close(&remote);
    }
    buf_fini(&text);
    config_free(config);
}

/* ---- the journal ---- */

/* To its present end; *ends_in_line_out: with a whole line. ERR_SYSTEM. */
static int feed(struct checking *checking, int descriptor, bool *ends_in_line_out, struct err *err)
{
    uint8_t *bytes = mem_new(READ_CHUNK);
    ssize_t count = 0;
    int status = 0;
    do {
        count = read(descriptor, bytes, READ_CHUNK);
        if (count <= 0)
            continue;
        status = verify_feed(checking->verify, slice_of(bytes, (size_t)count));
        *ends_in_line_out = bytes[count - 1] == '\n';
        if (status != 0)
            err_set(err, status, "OpenSSL failed");
    } while (status == 0 && (count > 0 || (count < 0 && errno == EINTR)));
    mem_free(bytes);
    return status == 0 && count < 0 ? err_set_errno(err, "the journal") : status;
}

static int check_segment(struct checking *checking, size_t i, struct err *err)
{
    char name[JOURNAL_FOLDER_NAME];
    int descriptor;
    bool is_last = i + 1 == checking->folder.count, ends_in_line = true;
    journal_folder_name(checking->folder.firsts[i], name);
    int status =
        journal_folder_segment(&checking->folder, checking->folder.firsts[i], &descriptor, err);
    if (status != 0)
        return status;
    status = verify_segment(checking->verify, name);
    if (status == 0)
        status = feed(checking, descriptor, &ends_in_line, err);
    for (int look = 0; status == 0 && is_last && !ends_in_line && look < TAIL_LOOKS; look++) {
        (void)poll(NULL, 0, TAIL_MILLISECONDS);
        status = feed(checking, descriptor, &ends_in_line, err);
    }
    (void)close(descriptor);
    return status;
}

static int check_all(struct checking *checking)
{
    struct err err;
    int status = 0;
    bool has_begun = false;
    for (size_t i = 0; i < checking->folder.count && status == 0; i++) {
        status = check_segment(checking, i, &err);
        /* The first ones may go by age at this moment. */
        if (status == ERR_NOT_FOUND && !has_begun)
            status = 0;
        else
            has_begun = true;
    }
    if (status == 0)
        status = verify_end(checking->verify);
    if (status == 0)
        status = verify_explain(checking->verify);
    if (status == ERR_CRYPTO)
        return print_failure(EXIT_UNREADABLE, "audit: OpenSSL failed");
    return status == 0 ? EX_OK : print_failure(EXIT_UNREADABLE, "audit: %s", err.text);
}

/* ---- what is said ---- */

/* A tail that the daemon has written and that is not there. */
static bool is_cut(const struct checking *checking)
{
    return checking->written > verify_summary(checking->verify)->last;
}

static enum finding_grade grade_of(const struct checking *checking)
{
    return is_cut(checking) ? GRADE_TAMPERED : findings_grade(verify_findings(checking->verify));
}

static const char *const grade_words[] = {[GRADE_NONE] = "intact",
                                          [GRADE_NOTE] = "intact",
                                          [GRADE_TORN] = "torn tail",
                                          [GRADE_TAMPERED] = "tampered"};

static void print_finding(const struct finding *finding)
{
    char range[48];
    if (finding->first == finding->last)
        snprintf(range, sizeof(range), "%" PRIu64, finding->first);
    else
        snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, finding->first, finding->last);
    print_line("%s: %s%s%s", range, finding_word(finding->kind), *finding->text == '\0' ? "" : ": ",
               finding->text);
}

static void print_proofs(const struct checking *checking)
{
    const struct verify_summary *summary = verify_summary(checking->verify);
    print_line("signed up to record %" PRIu64 "%s", summary->signed_to,
               summary->is_key_assumed ? ", by a key that the journal itself names" : "");
    if (arguments_value(checking->arguments, "--seed-stdin") != NULL)
        print_line("seals of %" PRIu64 " of %" PRIu64 " records checked", summary->sealed,
                   summary->records);
    if (summary->anchors > 0)
        print_line("the anchor agrees up to record %" PRIu64 " (%" PRIu64 " checkpoints)",
                   summary->anchored_to, summary->anchors);
    else
        print_line("without an anchor: records taken off the end would not be noticed");
    if (checking->foreign > 0)
        print_line("%" PRIu64
                   " checkpoints of the anchor are signed by another key and were passed "
                   "over",
                   checking->foreign);
}

static void print_aside(const struct journal_aside *aside)
{
    if (aside->folders > 0)
        print_line("not part of this chain, and not checked: segments that were put aside: %" PRIu64
                   ", in folders (aside-*, which --folder checks): %" PRIu64,
                   aside->segments, aside->folders);
    if (aside->tails > 0)
        print_line("not part of this chain: torn tails (*.torn): %" PRIu64, aside->tails);
}

static void print_report(const struct checking *checking)
{
    const struct verify_summary *summary = verify_summary(checking->verify);
    const struct findings *findings = verify_findings(checking->verify);
    enum finding_grade grade = findings_grade(findings);
    const struct finding *first = findings_first(findings, grade);
    if (grade >= GRADE_TORN && first != NULL)
        print_line("%s: record %" PRIu64 ": %s", grade_words[grade], first->first,
                   finding_word(first->kind));
    else if (is_cut(checking))
        print_line("tampered: record %" PRIu64 ": truncated", summary->last + 1);
    else
        print_line("intact");
    print_line("%" PRIu64 " records, %" PRIu64 " to %" PRIu64 ", in %" PRIu64 " segments",
               summary->records, summary->first, summary->last, summary->segments);
    if (is_cut(checking))
        print_line("%" PRIu64 "-%" PRIu64 ": truncated: the daemon has written them",
                   summary->last + 1, checking->written);
    for (size_t i = 0; i < findings->count; i++)
        print_finding(&findings->items[i]);
    if (findings->left_out > 0)
        print_line("and %" PRIu64 " more", findings->left_out);
    print_proofs(checking);
    print_aside(&checking->aside);
}

static json_t *finding_as_json(const struct finding *finding)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "kind", finding_word(finding->kind), "first",
                     (json_int_t)finding->first, "last", (json_int_t)finding->last, "text",
                     finding->text);
}

static void print_report_as_json(const struct checking *checking)
{
    const struct verify_summary *summary = verify_summary(checking->verify);
    const struct findings *findings = verify_findings(checking->verify);
    json_t *list = json_array();
    if (is_cut(checking))
        ENSURE(json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s}", "kind", "truncated",
                                                     "first", (json_int_t)summary->last + 1, "last",
                                                     (json_int_t)checking->written, "text",
                                                     "the daemon has written them")) == 0);
    for (size_t i = 0; i < findings->count; i++)
        ENSURE(json_array_append_new(list, finding_as_json(&findings->items[i])) == 0);
    json_t *report = json_pack(
        "{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:{s:I, s:I, s:I}}", "result",
        grade_words[grade_of(checking)], "findings", list, "records", (json_int_t)summary->records,
        "first", (json_int_t)summary->first, "last", (json_int_t)summary->last, "segments",
        (json_int_t)summary->segments, "sealed", (json_int_t)summary->sealed, "signed_to",
        (json_int_t)summary->signed_to, "anchored_to", (json_int_t)summary->anchored_to,
        "key_assumed", (int)summary->is_key_assumed, "aside", "folders",
        (json_int_t)checking->aside.folders, "segments", (json_int_t)checking->aside.segments,
        "tails", (json_int_t)checking->aside.tails);
    ENSURE(report != NULL);
    print_json(report);
    json_decref(report);
}

static int report(const struct checking *checking)
{
    enum finding_grade grade = grade_of(checking);
    if (checking->arguments->json)
        print_report_as_json(checking);
    else
        print_report(checking);
    return grade == GRADE_TAMPERED ? EXIT_TAMPERED : grade == GRADE_TORN ? EXIT_TORN : EX_OK;
}

static int check(struct checking *checking)
{
    int exit_code = read_seeds(checking);
    if (exit_code == EX_OK)
        exit_code = read_key(checking);
    if (exit_code == EX_OK)
        exit_code = read_anchor(checking);
    if (exit_code != EX_OK)
        return exit_code;
    ask_daemon_for_last(checking);
    struct err err;
    if (journal_folder_list(&checking->folder, &err) != 0 ||
        journal_folder_aside(&checking->folder, &checking->aside, &err) != 0)
        return print_failure(EXIT_UNREADABLE, "audit: %s", err.text);
    if (checking->folder.count == 0)
        return print_failure(EXIT_UNREADABLE, "audit: there is no segment of a journal in %s",
                             checking->folder.path);
    exit_code = check_all(checking);
    return exit_code == EX_OK ? report(checking) : exit_code;
}

int audit_verify(const struct arguments *arguments)
{
    struct checking checking = {.arguments = arguments, .verify = verify_new()};
    if (checking.verify == NULL)
        return print_failure(EXIT_UNREADABLE, "audit: OpenSSL failed");
    int exit_code =
        journal_folder_open(arguments, arguments_value(arguments, "--folder"), &checking.folder);
    if (exit_code == EX_OK)
        exit_code = check(&checking);
    else if (exit_code != EX_CONFIG)
        exit_code = EXIT_UNREADABLE;
    if (checking.folder.path != NULL)
        journal_folder_close(&checking.folder);
    verify_free(checking.verify);
    return exit_code;
}
