/*
 * Happy path: the file is read and mapped, its tokens opened with the local password, its sections
 * appended to our configuration; a daemon that runs reads that again; then each token is signed in
 * with, as `ecluse login` does, and the old password becomes a grant.
 *
 * What could fail for everybody comes before anything is changed: 64 not such a file's name · 65 it
 * or its cache has problems · 77 the password opens none of its tokens · 78, 73 our configuration.
 * Afterwards each account is on its own: what failed is said, the others go on, and the exit code
 * is that of the first failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/configuration.h"
#include "cli/configuration_append.h"
#include "cli/import_keys.h"
#include "cli/import_tokens.h"
#include "cli/print.h"
#include "conf/emailproxy_cache.h"
#include "conf/emailproxy_map.h"
#include "conf/printer.h"
#include "keeper/surroundings.h"

#define TEXT_MAXIMUM (1u << 20u)

struct import {
    const struct arguments *arguments;
    const char *name; /* of the file to take over */
    char *place;      /* of our configuration */
    struct config *beside;
    struct emailproxy_file *file;
    struct config *config; /* what is taken over */
    struct import_tokens tokens;
    struct import_keys keys;
};

static void import_clear(struct import *import)
{
    import_tokens_clear(&import->tokens);
    import_keys_clear(&import->keys);
    emailproxy_free(import->file);
    config_free(import->config);
    config_free(import->beside);
    mem_free(import->place);
}

/* ---- reading ---- */

/* Our configuration, when there is one. */
static int read_ours(struct import *import)
{
    bool is_there = false;
    import->place = configuration_place(import->arguments, &is_there);
    if (!is_there)
        return EX_OK;
    FILE *stream = fopen(import->place, "re");
    bool is_theirs = stream != NULL && emailproxy_is_recognised(stream);
    if (stream != NULL)
        (void)fclose(stream);
    if (is_theirs)
        return print_failure(EX_CONFIG,
                             "import: %s is an emailproxy.config itself; name the configuration to "
                             "write with -c FILE",
                             import->place);
    return configuration_read(import->arguments, false, &import->beside);
}

/* The stream is closed. */
static int read_stream(const char *name, FILE *stream, struct emailproxy_file **file_out,
                       struct config_problems *problems)
{
    char memory[BUFSIZ];
    (void)setvbuf(stream, memory, _IOFBF, sizeof(memory));
    bool is_theirs = emailproxy_is_recognised(stream);
    int status = is_theirs ? emailproxy_read(stream, file_out, problems) : ERR_SYNTAX;
    (void)fclose(stream);
    mem_wipe(memory, sizeof(memory));
    if (!is_theirs)
        return print_failure(EX_DATAERR,
                             "import: %s is no emailproxy.config: it has neither [IMAP-PORT] nor "
                             "sections that are named by mail addresses",
                             name);
    return status == 0 ? EX_OK : EX_DATAERR;
}

static int read_file(const char *name, struct emailproxy_file **file_out,
                     struct config_problems *problems)
{
    struct stat facts;
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return print_failure(EX_DATAERR, "import: %s cannot be opened: %s", name, strerror(errno));
    FILE *stream = NULL;
    if (fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode))
        stream = fdopen(descriptor, "r");
    if (stream != NULL)
        return read_stream(name, stream, file_out, problems);
    close(descriptor);
    return print_failure(EX_DATAERR, "import: %s is no regular file", name);
}

/* Its tokens go into `import->file`. */
static int read_cache(struct import *import)
{
    const char *name = arguments_value(import->arguments, "--cache-store");
    struct emailproxy_file *cache = NULL;
    struct config_problems problems = {0};
    if (name == NULL)
        return EX_OK;
    int exit_code = read_file(name, &cache, &problems);
    configuration_print_problems(name, &problems, true);
    config_problems_free(&problems);
    if (exit_code == EX_OK && emailproxy_take_cache(import->file, cache) == 0)
        exit_code = print_failure(EX_DATAERR, "import: %s has no token of an account of %s", name,
                                  import->name);
    emailproxy_free(cache);
    return exit_code;
}

static int map_file(struct import *import, struct config_problems *problems)
{
    const struct emailproxy_choice choice = {.address =
                                                 arguments_value(import->arguments, "--account"),
                                             .beside = import->beside,
                                             .opens_secrets = true};
    struct surroundings surroundings;
    surroundings_read(&surroundings);
    int status = emailproxy_config(import->file, import->name, &surroundings.values, &choice,
                                   &import->config, problems);
    surroundings_clear(&surroundings);
    return status == 0 ? EX_OK : EX_DATAERR;
}

static int read_theirs(struct import *import)
{
    struct config_problems problems = {0};
    int exit_code = read_file(import->name, &import->file, &problems);
    if (exit_code == EX_OK)
        exit_code = read_cache(import);
    if (exit_code == EX_OK)
        exit_code = map_file(import, &problems);
    configuration_print_problems(import->name, &problems, true);
    config_problems_free(&problems);
    return exit_code;
}

/* ---- writing ---- */

static int print_sections(const struct import *import, bool with_secrets, struct buf *text)
{
    struct err err;
    int status = config_print(import->config, with_secrets, text, &err);
    return status == 0 ? EX_OK : print_failure(EX_DATAERR, "import: %s", err.text);
}

static int show(const struct import *import)
{
    struct buf text;
    import_keys_name(import->config, import->place);
    buf_init(&text, TEXT_MAXIMUM);
    int exit_code = print_sections(import, false, &text);
    if (exit_code == EX_OK)
        (void)fwrite(buf_bytes(&text).data, 1, buf_size(&text), stdout);
    buf_fini(&text);
    return exit_code;
}

static int append(const struct import *import)
{
    const struct config *config = import->config;
    struct buf text;
    buf_init(&text, TEXT_MAXIMUM);
    int exit_code = print_sections(import, true, &text);
    if (exit_code == EX_OK)
        exit_code = configuration_append(import->place, buf_bytes(&text));
    buf_fini(&text);
    if (exit_code == EX_OK)
        print_line("%s: listeners %zu, providers %zu, accounts %zu are added", import->place,
                   config->listener_count, config->provider_count, config->account_count);
    return exit_code;
}

static int append_with_keys(struct import *import)
{
    int exit_code = import_keys_write(&import->keys, import->config, import->place);
    if (exit_code != EX_OK)
        return exit_code;
    exit_code = append(import);
    if (exit_code != EX_OK)
        import_keys_undo(&import->keys);
    for (size_t i = 0; i < import->keys.count && exit_code == EX_OK; i++)
        print_line("%s: the key of a service account is in it", import->keys.made[i]);
    return exit_code;
}

/* ---- all ---- */

static int take_over(struct import *import)
{
    int exit_code = import_tokens_open(&import->tokens, import->file, import->config);
    if (exit_code == EX_OK)
        exit_code = append_with_keys(import);
    if (exit_code == EX_OK)
        exit_code = ask_to_reload(import->arguments);
    if (exit_code == EX_OK)
        exit_code = import_tokens_hand_over(&import->tokens, import->arguments, import->config);
    return exit_code;
}

static int import_all(struct import *import)
{
    int exit_code = read_ours(import);
    if (exit_code == EX_OK)
        exit_code = read_theirs(import);
    if (exit_code != EX_OK)
        return exit_code;
    ENSURE(import->config != NULL);
    if (import->config->account_count == 0)
        return print_failure(EX_CANTCREAT, "import: %s has no account that is not here already",
                             import->name);
    return arguments_value(import->arguments, "--dry-run") != NULL ? show(import)
                                                                   : take_over(import);
}

static int run(const struct arguments *arguments)
{
    struct import import = {.arguments = arguments, .name = arguments->operands[1]};
    if (strcmp(arguments->operands[0], "emailproxy") != 0)
        return print_failure(EX_USAGE, "import: only emailproxy is known: "
                                       "ecluse import emailproxy FILE");
    int exit_code = import_all(&import);
    import_clear(&import);
    return exit_code;
}

static const struct flag flags[] = {
    {"--account", "ADDRESS", "this account only"},
    {"--cache-store", "FILE", "the tokens are in a file of their own, which --cache-store named"},
    {"--dry-run", NULL, "print the sections that would be added, change nothing"},
};

const struct subcommand subcommand_import = {
    .name = "import",
    .operands = "emailproxy FILE",
    .summary = "take over the configuration and the tokens of email-oauth2-proxy",
    .operands_minimum = 2,
    .operands_maximum = 2,
    .flags = flags,
    .flag_count = LENGTH_OF(flags),
    .run = run,
};
