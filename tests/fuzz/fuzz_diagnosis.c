/*
 * The words of a hostile server: one octet each for step, why, protocol and clue, then what it
 * says. It is also taken for an answer after the login, an error inside of SASL, and a token.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/credential.h"
#include "auth/diagnosis.h"
#include "auth/sasl_error.h"
#include "auth/token_look.h"
#include "mail/visit.h"

static void check_text(const char *text, size_t capacity)
{
    ENSURE(strlen(text) < capacity && credential_is_printable(slice_of_string(text)));
}

static void find(const uint8_t *data, const char *words)
{
    static const struct diagnosis_names names = {
        "work", "acme", "imap", "host.example", "alice@example.test", 993};
    const struct diagnosis_facts facts = {
        .step = (enum diagnosis_step)(data[0] % DIAGNOSIS_STEP_COUNT),
        .why = (enum why)(data[1] % WHY_COUNT),
        .protocol = (enum protocol)(data[2] % PROTOCOL_COUNT),
        .clue = (enum diagnosis_clue)(data[3] % (DIAGNOSIS_CLUE_USER + 1)),
        .has_password = data[3] >= 0x80,
        .words = words};
    const struct diagnosis *diagnosis = diagnosis_find(&facts);
    char text[200];
    diagnosis_write(diagnosis->sentence, &names, text, sizeof(text));
    check_text(text, sizeof(text));
    diagnosis_write(diagnosis->advice, &names, text, sizeof(text));
    check_text(text, sizeof(text));
}

static void look(const char *words, struct slice bytes)
{
    const struct token_question question = {
        .token = bytes, .granted = words, .wanted = words, .user = words};
    char text[TOKEN_LOOK_TEXT];
    enum token_flaw flaw = token_look(&question, text);
    check_text(text, sizeof(text));
    ENSURE((flaw == TOKEN_FLAW_NONE) == (text[0] == '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[300];
    if (size < 4)
        return 0;
    struct slice bytes = slice_of(data + 4, size - 4);
    char *words = mem_copy_bytes_as_string(bytes.data, bytes.size);
    find(data, words);
    look(words, bytes);
    sasl_error_describe(bytes, text, sizeof(text));
    check_text(text, sizeof(text));
    (void)visit_read((enum protocol)(data[2] % PROTOCOL_COUNT), bytes);
    mem_free(words);
    return 0;
}
