/*
 * Happy path: a daemon that runs reads the configuration again; the account signs in there, or at a
 * keeper of our own; the grant; the settings.
 *
 * Failures: those of reload, login and grant. The account is in the configuration by then: what is
 * left to do is said.
 */
#include <sysexits.h>

#include "cli/add.h"
#include "cli/ask.h"
#include "cli/browser.h"
#include "cli/client_settings.h"
#include "cli/configuration.h"
#include "cli/print.h"
#include "cli/sign_in.h"

#define GRANT_NAME   "mail"
#define SETTINGS_MAX (32u * 1024)

static const char *grant_name(const struct add *add)
{
    const char *name = add_flag(add, "--grant-name");
    return name == NULL ? GRANT_NAME : name;
}

/* ---- signing in ---- */

/* NULL: the browser, which is there, or somebody who reads this. */
static const char *choose_way(const struct add *add)
{
    if (add_flag(add, "--paste") != NULL)
        return "paste";
    if (add->flow == FLOW_DEVICE)
        return "device";
    if (browser_has_display())
        return "browser";
    if (add->has_device && add->client_id != NULL)
        return "device";
    return prompt_is_possible() ? "paste" : "browser";
}

static int store_password(struct add *add, struct conversation *conversation)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", add->label);
    ask_add(request, "password", (const char *)secret_bytes(&add->password).data);
    int exit_code = ask_say(conversation, "login", request, 0, &answer);
    if (exit_code == EX_OK)
        print_complaint("The password is kept; the first login of a mail program tries it.");
    json_decref(answer);
    return exit_code;
}

static int sign_in(struct add *add, struct conversation *conversation)
{
    if (add->flow == FLOW_NONE)
        return store_password(add, conversation);
    add_tell("To sign in later: Ctrl-C, then ecluse login %s.", add->label);
    return sign_in_within(conversation, add->arguments, add->label, choose_way(add),
                          print_complaint);
}

/* ---- the grant and the settings ---- */

static int print_settings(const struct add *add, const struct client_settings *settings)
{
    struct buf text;
    buf_init(&text, SETTINGS_MAX);
    int status = client_settings_print(settings, &text);
    ENSURE(status == 0);
    print_complaint("%s", "");
    print_complaint("For the mail program; the password is shown this once (another one: ecluse "
                    "grant %s --name N):",
                    add->label);
    print_complaint("%s", "");
    struct slice bytes = buf_bytes(&text);
    bool is_printed = print_secret(slice_take(bytes, bytes.size - 1));
    buf_fini(&text);
    return is_printed ? EX_OK : EX_CANTCREAT;
}

/* Past stdio: it holds a password. jansson wipes what it frees. */
static int print_as_json(const struct client_settings *settings)
{
    json_t *json = client_settings_json(settings);
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
    bool is_printed = print_secret(slice_of_string(text));
    mem_free_wiped_string(text);
    json_decref(json);
    return is_printed ? EX_OK : EX_CANTCREAT;
}

static int print_grant(const struct add *add, const char *password)
{
    struct client_settings settings = {.password = slice_of_string(password)};
    struct config *config = NULL;
    int exit_code = configuration_read(add->arguments, false, &config);
    if (exit_code != EX_OK)
        return exit_code;
    const struct account_config *account = config_account(config, add->label);
    ENSURE(account != NULL);
    client_settings_of(config, account, &settings);
    exit_code = add->arguments->json ? print_as_json(&settings) : print_settings(add, &settings);
    config_free(config);
    return exit_code;
}

static int grant(struct add *add, struct conversation *conversation)
{
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", add->label);
    ask_add(request, "name", grant_name(add));
    int exit_code = ask_say(conversation, "grant", request, 0, &answer);
    if (exit_code == EX_OK && print_grant(add, ask_text(answer, "password")) != EX_OK)
        exit_code = print_failure(EX_CANTCREAT,
                                  "add: the settings could not be printed; ecluse revoke %s %lld, "
                                  "then ecluse grant %s --name %s",
                                  add->label, (long long)ask_number(answer, "number"), add->label,
                                  grant_name(add));
    else if (exit_code != EX_OK)
        print_note("add: what is left to do: ecluse grant %s --name %s", add->label,
                   grant_name(add));
    json_decref(answer);
    return exit_code;
}

/* ---- all ---- */

static void say_what_is_left(const struct add *add)
{
    print_note("add: the account is there, and not signed in: ecluse login %s%s, then ecluse grant "
               "%s --name %s",
               add->label, add->flow == FLOW_NONE ? " --password-stdin" : "", add->label,
               grant_name(add));
}

int add_sign_in(struct add *add)
{
    struct conversation *conversation = NULL;
    int exit_code = ask_to_reload(add->arguments);
    if (exit_code == EX_OK)
        exit_code = ask_open(add->arguments, &conversation);
    if (exit_code == EX_OK)
        exit_code = sign_in(add, conversation);
    if (exit_code != EX_OK)
        say_what_is_left(add);
    else
        exit_code = grant(add, conversation);
    if (exit_code == EX_OK && !ask_is_daemon(conversation))
        print_complaint("ecluse does not run yet; start it: ecluse run");
    if (conversation != NULL)
        ask_close(conversation);
    return exit_code;
}
