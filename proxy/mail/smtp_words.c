#include "mail/smtp_words.h"

#include "mail/wire.h"

bool smtp_hides_extension(struct slice line)
{
    static const char *const words[] = {"STARTTLS", "AUTH",     "CHUNKING", "BINARYMIME",    "BURL",
                                        "XCLIENT",  "XFORWARD", "X-EXPS",   "X-ANONYMOUSTLS"};
    struct slice word = wire_take_word(&line);
    if (slice_starts_with_ignoring_case(word, "AUTH="))
        return true;
    for (size_t i = 0; i < LENGTH_OF(words); i++)
        if (slice_is_ignoring_case(word, words[i]))
            return true;
    return word.size == 0 || slice_has_control(word) || slice_has_control(line);
}

const char *smtp_failure_code(enum why why)
{
    switch (why) {
    case WHY_AUTH_REJECTED:
    case WHY_TOKEN_REJECTED:
    case WHY_TOKEN_NEEDS_USER:
        return "535 5.7.8";
    case WHY_POLICY:
        return "550 5.7.1";
    default:
        return "454 4.7.0";
    }
}

const char *smtp_bye_code(enum why why)
{
    switch (why) {
    case WHY_SHUTDOWN:
        return "421 4.3.2";
    case WHY_TIMEOUT:
        return "421 4.4.2";
    default:
        return "421 4.7.0";
    }
}

bool smtp_read_reply(struct slice line, unsigned *code_out, bool *is_last_out,
                     struct slice *text_out)
{
    uint64_t code;
    struct slice digits = slice_take(line, 3), behind = slice_skip(line, 3);
    if (digits.size < 3 || !slice_read_number(digits, 599, &code) || code < 200)
        return false;
    if (behind.size > 0 && behind.data[0] != ' ' && behind.data[0] != '-')
        return false;
    *code_out = (unsigned)code;
    *is_last_out = behind.size == 0 || behind.data[0] == ' ';
    *text_out = slice_skip(behind, 1);
    return true;
}
