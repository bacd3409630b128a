/*
 * Happy path: the keeper says where to go, the user goes there, the keeper says that it worked.
 *
 * Failures: what the keeper's answers say. A pasted line that is not the answer is said to be none,
 * and the next one is read; the end of the input gives up. Ctrl-C ends the process, and with its
 * connection the sign-in.
 */
#include "cli/sign_in.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/credential.h"
#include "cli/ask.h"
#include "cli/browser.h"
#include "cli/print.h"
#include "cli/qr.h"

/* Above the ten minutes that a sign-in has. */
#define PATIENCE_MILLISECONDS (11 * 60 * 1000)
#define PASTED_MAX            (16u * 1024)

struct human {
    const struct arguments *arguments;
    struct conversation *conversation;
    const char *account;
    json_t *offer;
    sign_in_say *say;
};

static json_t *request_of(const struct human *human)
{
    json_t *request = json_object();
    ask_add(request, "account", human->account);
    return request;
}

/* ---- the end ---- */

static int wait_for_end(const struct human *human, const char *redirect)
{
    json_t *request = request_of(human), *answer = NULL;
    char expires[PRINT_TIME_CAPACITY];
    ask_add(request, "sign_in", ask_text(human->offer, "sign_in"));
    ask_add(request, "redirect", redirect);
    int exit_code =
        ask_say(human->conversation, "sign_in_wait", request, PATIENCE_MILLISECONDS, &answer);
    if (exit_code == EX_OK && *ask_text(answer, "note") != '\0')
        print_note("note that %s", ask_text(answer, "note"));
    if (exit_code == EX_OK)
        human->say("%s is signed in; its access token is good until %s", human->account,
                   print_time(ask_number(answer, "expires"), expires));
    json_decref(answer);
    return exit_code;
}

/* ---- the three ways ---- */

static void say_where(const struct human *human, const char *lead, const char *url)
{
    human->say("%s", lead);
    human->say("%s", "");
    human->say("  %s", url);
    human->say("%s", "");
}

static void say_how_long(const struct human *human)
{
    int64_t seconds = ask_number(human->offer, "expires_in");
    bool is_short = seconds < 120;
    human->say("Waiting for the sign-in, for %lld %s at most.",
               (long long)(is_short ? seconds : seconds / 60), is_short ? "seconds" : "minutes");
}

static int by_browser(const struct human *human)
{
    const char *url = ask_text(human->offer, "url");
    bool is_open = browser_open(url);
    say_where(human,
              is_open ? "The browser shows the provider's page. If it does not, open this address:"
                      : "Open this address in a browser on this machine to sign in:",
              url);
    say_how_long(human);
    return print_flush() ? wait_for_end(human, NULL) : EX_IOERR;
}

static int by_code(const struct human *human)
{
    say_where(human,
              "Open this address in a browser on any machine:", ask_text(human->offer, "url"));
    human->say("and type this code: %s", ask_text(human->offer, "user_code"));
    human->say("%s", "");
    const char *complete = ask_text(human->offer, "complete_url");
    if (!human->arguments->json)
        qr_print(*complete != '\0' ? complete : ask_text(human->offer, "url"));
    say_how_long(human);
    return print_flush() ? wait_for_end(human, NULL) : EX_IOERR;
}

/* False: the input is at its end. A line that is too long is cut, and then no answer. */
static bool read_pasted(char line[PASTED_MAX])
{
    if (isatty(STDIN_FILENO))
        print_complaint("The address at the end:");
    if (fgets(line, PASTED_MAX, stdin) == NULL)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    /* The keeper says that this is none. */
    if (!credential_is_printable(slice_of_string(line)))
        line[0] = '\0';
    return true;
}

static int by_paste(const struct human *human)
{
    char line[PASTED_MAX];
    say_where(human, "Open this address in a browser on any machine and sign in:",
              ask_text(human->offer, "url"));
    human->say("The page at the end cannot be shown. Copy its address from the browser, and paste "
               "it here.");
    int exit_code = print_flush() ? EX_DATAERR : EX_IOERR;
    while (exit_code == EX_DATAERR && read_pasted(line))
        exit_code = wait_for_end(human, line);
    mem_wipe(line, sizeof(line));
    return exit_code;
}

/* ---- the beginning ---- */

void sign_in_print_hint(const char *provider, const char *hint)
{
    if (*hint != '\0')
        print_complaint("At provider %s, once: %s.", provider, hint);
}

static int go(struct human *human, const char *way)
{
    json_t *request = request_of(human);
    ask_add(request, "way", way);
    int exit_code = ask_say(human->conversation, "sign_in", request, 0, &human->offer);
    if (exit_code != EX_OK)
        return exit_code;
    sign_in_print_hint(ask_text(human->offer, "provider"), ask_text(human->offer, "hint"));
    if (*ask_text(human->offer, "user_code") != '\0')
        return by_code(human);
    return way != NULL && strcmp(way, "paste") == 0 ? by_paste(human) : by_browser(human);
}

int sign_in_within(struct conversation *conversation, const struct arguments *arguments,
                   const char *account, const char *way, sign_in_say *say)
{
    struct human human = {
        .arguments = arguments, .conversation = conversation, .account = account, .say = say};
    int exit_code = go(&human, way);
    json_decref(human.offer);
    return exit_code;
}

int sign_in_as_human(const struct arguments *arguments, const char *way)
{
    struct conversation *conversation = NULL;
    int exit_code = ask_open(arguments, &conversation);
    if (exit_code != EX_OK)
        return exit_code;
    exit_code = sign_in_within(conversation, arguments, arguments->operands[0], way, print_line);
    ask_close(conversation);
    return exit_code;
}
