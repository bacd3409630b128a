/*
 * grant, grants, revoke: the local passwords.
 *
 * The vault first, on disk; then the verifiers in memory; then, for a revoked one, its sessions;
 * then what the gates offer.
 * A new one that cannot be brought into memory is taken back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "keeper/command_handler.h"
#include "keeper/command_text.h"
#include "keeper/desk.h"
#include "keeper/grant_check.h"
#include "keeper/grant_verifier.h"
#include "keeper/journal_notes.h"

#define GRANT_NAME_MAX     64
#define SENDERS_MAX        400
#define PROTOCOLS_CAPACITY sizeof("imap,pop3,smtp")
#define CLASSES_CAPACITY   sizeof("challenge,apop")

static const char *const class_words[VAULT_GRANT_CLASSES] = {
    [VAULT_GRANT_CHALLENGE] = "challenge",
    [VAULT_GRANT_APOP] = "apop",
};

/* ---- lists of words ---- */

/* At least one of the words, in any order, each at most once, separated by commas. */
static int read_words(const char *text, const char *const *words, size_t count, bool *has_out)
{
    struct slice rest = slice_of_string(text), word;
    /* An empty word at the end is the one that slice_next_word does not give. */
    if (rest.size == 0 || rest.data[rest.size - 1] == ',')
        return ERR_SYNTAX;
    while (slice_next_word(&rest, ',', &word)) {
        size_t i = 0;
        while (i < count && !slice_is(word, words[i]))
            i++;
        if (i == count || has_out[i])
            return ERR_SYNTAX;
        has_out[i] = true;
    }
    return 0;
}

static void write_words(const bool *has, const char *const *words, size_t count, char *out,
                        size_t capacity)
{
    size_t size = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        if (has[i])
            size += (size_t)snprintf(out + size, capacity - size, "%s%s", size > 0 ? "," : "",
                                     words[i]);
}

/* "imap,smtp" for any order of these words. */
static int read_protocols(const char *text, char out[PROTOCOLS_CAPACITY])
{
    const char *words[PROTOCOL_COUNT];
    bool wanted[PROTOCOL_COUNT] = {false};
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        words[i] = protocol_name((enum protocol)i);
    int status = read_words(text, words, PROTOCOL_COUNT, wanted);
    if (status == 0)
        write_words(wanted, words, PROTOCOL_COUNT, out, PROTOCOLS_CAPACITY);
    return status;
}

/* ---- grant ---- */

static bool is_number(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* The chosen password of the request, or a new one. False after the command has failed. */
static bool make_password(struct command *command, struct secret *password_out)
{
    const char *chosen = command_value(command, "password");
    struct err err;
    if (chosen == NULL && grant_password_generate(password_out, &err) != 0) {
        command_fail_error(command, &err);
        return false;
    }
    if (chosen == NULL)
        return true;
    struct slice bytes = slice_of_string(chosen);
    if (bytes.size == 0 || bytes.size > GRANT_PASSWORD_MAX) {
        command_fail(command, EX_DATAERR, "the password is not 1 to %d octets", GRANT_PASSWORD_MAX);
        return false;
    }
    secret_set(password_out, bytes);
    return true;
}

/* Nobody would ever hear of its password. */
static void take_back(struct command *command, const struct vault_grant *grant)
{
    int64_t number;
    (void)!vault_grant_remove(keeper_vault(command_keeper(command)), grant->account, grant->name,
                              &number, NULL);
}

static void add_grant(struct command *command, const struct vault_grant *grant,
                      const struct secret *password)
{
    struct keeper *keeper = command_keeper(command);
    int64_t number = 0;
    struct err err;
    int status =
        vault_grant_add(keeper_vault(keeper), grant, password, clock_wall_seconds(), &number, &err);
    if (status != 0) {
        command_fail_error(command, &err);
        return;
    }
    if (keeper_load_grants(keeper, keeper_config(keeper), &err) != 0) {
        take_back(command, grant);
        command_fail_error(command, &err);
        return;
    }
    journal_note_grant(keeper_journal(keeper), ACTION_GRANT_CREATE, grant->account, grant->name);
    keeper_renew_offers(keeper);
    json_t *answer = json_pack("{s:I}", "number", (json_int_t)number);
    struct slice bytes = secret_bytes(password);
    if (command_value(command, "password") == NULL)
        json_object_set_new(answer, "password", json_stringn((const char *)bytes.data, bytes.size));
    command_succeed(command, answer);
}

static enum vault_grant_kind kind_of(const struct command *command)
{
    if (command_value(command, "mechanisms") != NULL)
        return VAULT_GRANT_CLEAR;
    return command_value(command, "password") == NULL ? VAULT_GRANT_GENERATED : VAULT_GRANT_CHOSEN;
}

/* Addresses, separated by single spaces. */
static bool is_list_of_senders(const char *text)
{
    struct slice rest = slice_of_string(text), address;
    if (rest.size == 0 || rest.size > SENDERS_MAX || rest.data[rest.size - 1] == ' ')
        return false;
    while (slice_next_word(&rest, ' ', &address)) {
        size_t at = slice_find(address, '@');
        if (at == 0 || at + 1 >= address.size || slice_find(address, '<') < address.size ||
            slice_find(address, '>') < address.size)
            return false;
    }
    return true;
}

static void grant_account(struct command *command, const char *account, char *protocols,
                          const bool *classes)
{
    const char *from = command_value(command, "from");
    char *name = mem_copy_string(command_value(command, "name"));
    char *label = mem_copy_string(account);
    char *senders = mem_copy_string(from == NULL ? "" : from);
    const struct vault_grant grant = {
        .account = label,
        .name = name,
        .protocols = protocols,
        .read_only = command_value(command, "access") != NULL,
        .from = senders,
        .kind = kind_of(command),
        .classes = {classes[VAULT_GRANT_CHALLENGE], classes[VAULT_GRANT_APOP]},
    };
    struct secret password = {0};
    if (make_password(command, &password))
        add_grant(command, &grant, &password);
    secret_wipe(&password);
    mem_free(senders);
    mem_free(label);
    mem_free(name);
}

void command_run_grant(struct command *command)
{
    const struct account_config *account = command_account(command);
    if (account == NULL)
        return;
    struct slice name = slice_of_string(command_value(command, "name"));
    if (name.size == 0 || name.size > GRANT_NAME_MAX || is_number((const char *)name.data)) {
        command_fail(command, EX_DATAERR,
                     "the name of a grant is 1 to %d octets, and not a number alone",
                     GRANT_NAME_MAX);
        return;
    }
    const char *wanted = command_value(command, "protocols");
    char protocols[PROTOCOLS_CAPACITY] = "";
    const char *mechanisms = command_value(command, "mechanisms");
    const char *access = command_value(command, "access"), *from = command_value(command, "from");
    bool classes[VAULT_GRANT_CLASSES] = {false};
    if (wanted != NULL && read_protocols(wanted, protocols) != 0)
        command_fail(command, EX_DATAERR,
                     "%s is no list of protocols; write imap,pop3,smtp or less", wanted);
    else if (mechanisms != NULL &&
             read_words(mechanisms, class_words, VAULT_GRANT_CLASSES, classes) != 0)
        command_fail(command, EX_DATAERR,
                     "%s is no list of mechanisms; write challenge, apop or challenge,apop",
                     mechanisms);
    else if (access != NULL && strcmp(access, "read-only") != 0)
        command_fail(command, EX_DATAERR, "%s is no kind of access; write read-only", access);
    else if (from != NULL && !is_list_of_senders(from))
        command_fail(command, EX_DATAERR, "%s is no address to send from", from);
    else
        grant_account(command, account->name, protocols, classes);
}

/* ---- grants ---- */

static const char *kind_word(enum vault_grant_kind kind)
{
    switch (kind) {
    case VAULT_GRANT_GENERATED:
        return "generated";
    case VAULT_GRANT_CHOSEN:
        return "chosen";
    case VAULT_GRANT_CLEAR:
        break;
    }
    return "clear";
}

static json_t *grant_row(const struct vault_grant *grant)
{
    char mechanisms[CLASSES_CAPACITY];
    write_words(grant->classes, class_words, VAULT_GRANT_CLASSES, mechanisms, CLASSES_CAPACITY);
    return json_pack("{s:I, s:o, s:o, s:s, s:b, s:o, s:s, s:s, s:I, s:I}", "number",
                     (json_int_t)grant->number, "account", command_text_string(grant->account),
                     "name", command_text_string(grant->name), "protocols",
                     *grant->protocols == '\0' ? "imap,pop3,smtp" : grant->protocols, "read_only",
                     grant->read_only, "from", command_text_string(grant->from), "kind",
                     kind_word(grant->kind), "mechanisms", mechanisms, "created",
                     (json_int_t)grant->created, "last_used", (json_int_t)grant->last_used);
}

void command_run_grants(struct command *command)
{
    const char *label = command_value(command, "account");
    if (label != NULL && command_account(command) == NULL)
        return;
    struct vault_grant *grants = NULL;
    size_t count = 0;
    struct err err;
    if (vault_grant_list(keeper_vault(command_keeper(command)), label, &grants, &count, &err) !=
        0) {
        command_fail_error(command, &err);
        return;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, grant_row(&grants[i]));
    vault_grants_free(grants, count);
    command_succeed(command, json_pack("{s:o}", "grants", rows));
}

/* ---- revoke ---- */

/* The name of the grant that `wanted` means, by number or by name, for mem_free; NULL: none. */
static char *find_grant_name(const struct vault_grant *grants, size_t count, const char *wanted)
{
    int64_t number = is_number(wanted) ? strtoll(wanted, NULL, 10) : -1;
    for (size_t i = 0; i < count; i++)
        if (grants[i].number == number || strcmp(grants[i].name, wanted) == 0)
            return mem_copy_string(grants[i].name);
    return NULL;
}

static void remove_grant(struct command *command, const char *account, const char *name)
{
    struct keeper *keeper = command_keeper(command);
    int64_t number = 0;
    struct err err;
    if (vault_grant_remove(keeper_vault(keeper), account, name, &number, &err) != 0) {
        command_fail_error(command, &err);
        return;
    }
    journal_note_grant(keeper_journal(keeper), ACTION_GRANT_REVOKE, account, name);
    grant_check_remove(keeper_grants(keeper), number);
    if (keeper_desk(keeper) != NULL)
        desk_end_grant(keeper_desk(keeper), number);
    keeper_renew_offers(keeper);
    command_succeed(command, json_pack("{s:I, s:o}", "number", (json_int_t)number, "name",
                                       command_text_string(name)));
}

void command_run_revoke(struct command *command)
{
    const char *account = command_value(command, "account");
    const char *wanted = command_value(command, "grant");
    struct vault_grant *grants = NULL;
    size_t count = 0;
    struct err err;
    if (vault_grant_list(keeper_vault(command_keeper(command)), account, &grants, &count, &err) !=
        0) {
        command_fail_error(command, &err);
        return;
    }
    char *name = find_grant_name(grants, count, wanted);
    vault_grants_free(grants, count);
    if (name == NULL)
        command_fail(command, EX_DATAERR, "%s has no grant %s; ecluse grants lists them", account,
                     wanted);
    else
        remove_grant(command, account, name);
    mem_free(name);
}
