/*
 * init: the seed is all that stdout gets. erase: the account's pseudonyms become nobody's.
 */
#include <string.h>
#include <sysexits.h>

#include "cli/ask.h"
#include "cli/audit.h"
#include "cli/print.h"

int audit_init(const struct arguments *arguments)
{
    json_t *answer = NULL;
    int exit_code = ask_command(arguments, "audit_init", json_object(), &answer);
    if (exit_code != EX_OK)
        return exit_code;
    const char *seed = ask_text(answer, "seed");
    print_note("audit: the journal is sealed anew from record %lld on; the seed is shown this once",
               (long long)ask_number(answer, "first"));
    print_note("audit: keep it away from this machine: ecluse audit verify --seed-stdin proves by "
               "it that no record was changed");
    if (!print_secret(slice_of_string(seed)))
        exit_code =
            print_failure(EX_CANTCREAT, "audit: the seed could not be printed; make another "
                                        "one: ecluse audit init");
    json_decref(answer);
    return exit_code;
}

int audit_erase(const struct arguments *arguments)
{
    const char *account = arguments_value(arguments, "--account");
    json_t *request = json_object(), *answer = NULL;
    ask_add(request, "account", account);
    if (account == NULL) {
        json_decref(request);
        return print_failure(EX_USAGE, "audit: erase needs --account; see ecluse help audit");
    }
    int exit_code = ask_command(arguments, "audit_erase", request, &answer);
    if (exit_code == EX_OK)
        print_line("the pseudonyms of %s are nobody's any more; what was written down in clear "
                   "stays until it expires",
                   account);
    json_decref(answer);
    return exit_code;
}
