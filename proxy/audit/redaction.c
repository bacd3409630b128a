#include "audit/redaction.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/hex.h"

#define PSEUDONYM_OCTETS 12u
#define DOMAIN_MAX       255u

/* Commands whose arguments are, or lead to, a secret. */
static bool logs_in(struct slice verb)
{
    static const char *const verbs[] = {"AUTHENTICATE", "AUTH", "LOGIN", "PASS", "APOP", "USER"};
    for (size_t i = 0; i < LENGTH_OF(verbs); i++)
        if (slice_is_ignoring_case(verb, verbs[i]))
            return true;
    return false;
}

static struct slice redacted(struct slice text, char *memory)
{
    int size = snprintf(memory, REDACTION_TEXT_MAX, "<redacted %zu octets>", text.size);
    return slice_of(memory, (size_t)size);
}

static void lower_case(struct slice text, char *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        out[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
}

/* Where the domain begins, or the end. */
static size_t find_domain(struct slice text)
{
    size_t i = text.size;
    while (i > 0 && text.data[i - 1] != '@')
        i--;
    return i == 0 || text.size - i > DOMAIN_MAX ? text.size : i;
}

/* "h:" digits, "@" domain. Addresses are one whatever their case, folders are not. */
static int make_pseudonym(const struct secret *key, const struct record_value *value, char *memory,
                          struct slice *text_out)
{
    char input[8 + RECORD_TEXT_MAX];
    uint8_t code[EVP_MAX_MD_SIZE];
    bool is_address = record_field_kind(value->field) == RECORD_ADDRESS;
    struct slice text = value->text;
    *text_out = SLICE_NONE;
    memcpy(input, is_address ? "address" : "mailbox", 8);
    if (is_address)
        lower_case(text, input + 8);
    else
        memcpy(input + 8, text.data, text.size);
    if (HMAC(EVP_sha256(), key->bytes, (int)key->size, (const uint8_t *)input, 8 + text.size, code,
             NULL) == NULL)
        return ERR_CRYPTO;
    memory[0] = 'h';
    memory[1] = ':';
    hex_write(slice_of(code, PSEUDONYM_OCTETS), memory + 2);
    size_t size = 2 + 2 * PSEUDONYM_OCTETS, domain = is_address ? find_domain(text) : text.size;
    if (domain < text.size) {
        memory[size++] = '@';
        memcpy(memory + size, input + 8 + domain, text.size - domain);
        size += text.size - domain;
    }
    *text_out = slice_of(memory, size);
    return 0;
}

bool redaction_shows(enum audit_level level, struct slice verb, enum record_field field)
{
    return record_field_kind(field) != RECORD_ARGUMENTS || level == AUDIT_FULL || logs_in(verb);
}

int redaction_apply(enum audit_level level, const struct secret *pseudonym_key, struct slice verb,
                    const struct record_value *value, char memory[REDACTION_TEXT_MAX],
                    struct slice *text_out)
{
    enum record_kind kind = record_field_kind(value->field);
    struct record_value cut = *value;
    cut.text = slice_take(value->text, RECORD_TEXT_MAX);
    *text_out = cut.text;
    bool is_personal = kind == RECORD_ADDRESS || kind == RECORD_MAILBOX;
    if (kind == RECORD_ARGUMENTS && logs_in(verb)) {
        *text_out = redacted(cut.text, memory);
    } else if (is_personal && level == AUDIT_MINIMAL) {
        if (pseudonym_key != NULL && secret_is_set(pseudonym_key))
            return make_pseudonym(pseudonym_key, &cut, memory, text_out);
        *text_out = redacted(cut.text, memory);
    }
    return 0;
}
