#include "cli/token_sign_in.h"

#include <sysexits.h>
#include <unistd.h>

#include "cli/print.h"

/* A token request, what the issuer and userinfo say, and a login at the mail servers. */
#define PATIENCE_MINUTES 4

static void say_what_is_awaited(const json_t *request)
{
    if (json_object_get(request, "refresh_token") != NULL && isatty(STDERR_FILENO))
        print_complaint("Trying the token at the provider and, if that does not tell whose it is, "
                        "by a login at the mail server: %d minutes at most.",
                        PATIENCE_MINUTES);
}

int token_sign_in(const struct arguments *arguments, const char *account, json_t *request,
                  json_t **answer_out)
{
    struct conversation *conversation = NULL;
    int exit_code = ask_open(arguments, &conversation);
    if (exit_code != EX_OK) {
        json_decref(request);
        return exit_code;
    }
    ask_add(request, "account", account);
    say_what_is_awaited(request);
    exit_code = ask_say(conversation, "login", request, PATIENCE_MINUTES * 60 * 1000, answer_out);
    if (exit_code == EX_OK && *ask_text(*answer_out, "doubt") != '\0')
        print_note("%s: the token is kept, but nobody tells whose it is, and no mail server could "
                   "be asked (%s)",
                   account, ask_text(*answer_out, "doubt"));
    ask_close(conversation);
    return exit_code;
}
