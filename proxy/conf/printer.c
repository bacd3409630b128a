/*
 * Walks the tables that the reader walks. A value is compared with the text of its default, so that
 * a section holds what somebody chose and no more.
 *
 * Failure modes: a value that the grammar has no way to write; no room.
 */
#include "conf/printer.h"

#include <inttypes.h>
#include <string.h>

#include "conf/table.h"

/* Of a line of the file, and then some. */
#define VALUE_MAXIMUM 8192

struct printer {
    bool with_secrets;
    struct buf *out;
    struct err *err;
};

static int words_text(const struct words *words, struct buf *text)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < words->count; i++) {
        status = i == 0 ? 0 : buf_append_string(text, " ");
        if (status == 0)
            status = buf_append_string(text, words->items[i]);
    }
    return status;
}

static int number_text(const struct option *option, int64_t number, struct buf *text)
{
    const struct number_range *range = option_range(option);

    return number == 0 && range->zero_word != NULL
               ? buf_append_string(text, range->zero_word)
               : buf_append_format(text, "%" PRId64 "%s", number, range->unit);
}

static int value_text(const struct option *option, const void *target, struct buf *text)
{
    const void *field = (const char *)target + option->offset;
    unsigned choice;

    switch (option->kind) {
    case VALUE_TEXT:
    case VALUE_PATH:
        return buf_append_string(text, *(char *const *)field);
    case VALUE_NUMBER:
        return number_text(option, *(const int64_t *)field, text);
    case VALUE_FLAG:
        return buf_append_string(text, *(const bool *)field ? "yes" : "no");
    case VALUE_WORDS:
        return words_text(field, text);
    case VALUE_CHOICE:
        memcpy(&choice, field, sizeof(choice));
        return buf_append_string(text, option->choices[choice]);
    case VALUE_SECRET:
        return buf_append(text, secret_bytes(field));
    }
    mem_broken("a value of no kind", __FILE__, __LINE__);
}

/* As the reader would give it back. Not empty. */
static bool survives(struct slice text)
{
    ENSURE(text.data != NULL && text.size > 0);
    if (text.data[0] == ' ' || text.data[0] == ';' || text.data[text.size - 1] == ' ')
        return false;
    for (size_t i = 1; i < text.size; i++)
        if (text.data[i] == ';' && text.data[i - 1] == ' ')
            return false;
    return true;
}

static int print_value(const struct printer *printer, const struct option *option,
                       struct slice text, const char *kind, const char *label)
{
    if (option->kind == VALUE_SECRET && !printer->with_secrets)
        return buf_append_format(printer->out, "; %s is not shown\n", option->key);
    if (!survives(text))
        return err_set(printer->err, ERR_SYNTAX,
                       "[%s %s] %s begins or ends with a blank, or holds a comment mark, which a "
                       "line of the configuration cannot",
                       kind, label, option->key);
    int status = buf_append_format(printer->out, "%s = ", option->key);
    if (status == 0)
        status = buf_append(printer->out, text);
    return status == 0 ? buf_append_string(printer->out, "\n") : status;
}

/* As it would be without a line. That of a flow is the provider's. */
static const char *initial_of(const struct option *option, enum section_kind kind,
                              const void *target)
{
    const struct account_config *account = target;

    if (kind != SECTION_ACCOUNT || strcmp(option->key, "flow") != 0 ||
        account->provider_row == NULL)
        return option->initial;
    return option->choices[account->provider_row->flow];
}

static int print_section(const struct printer *printer, enum section_kind kind, const char *label,
                         const void *target)
{
    const struct option_table *table = option_table(kind);
    struct buf text;

    int status = buf_append_format(printer->out, "\n[%s %s]\n", table->section, label);
    buf_init(&text, VALUE_MAXIMUM);
    for (size_t i = 0; status == 0 && i < table->count; i++) {
        const struct option *option = &table->rows[i];
        buf_clear(&text);
        status = value_text(option, target, &text);
        /* "protocol" always stands there: a listener without it reads as half a one. */
        if (status == 0 && buf_size(&text) > 0 &&
            (!slice_is(buf_bytes(&text), initial_of(option, kind, target)) ||
             strcmp(option->key, "protocol") == 0))
            status = print_value(printer, option, buf_bytes(&text), table->section, label);
    }
    buf_fini(&text);
    return status;
}

int config_print(const struct config *config, bool with_secrets, struct buf *out, struct err *err)
{
    struct printer printer = {.with_secrets = with_secrets, .out = out, .err = err};
    int status = 0;

    for (size_t i = 0; status == 0 && i < config->listener_count; i++)
        status = print_section(&printer, SECTION_LISTENER, config->listeners[i]->name,
                               config->listeners[i]);
    for (size_t i = 0; status == 0 && i < config->provider_count; i++)
        status = print_section(&printer, SECTION_PROVIDER, config->providers[i]->name,
                               config->providers[i]);
    for (size_t i = 0; status == 0 && i < config->account_count; i++)
        status = print_section(&printer, SECTION_ACCOUNT, config->accounts[i]->name,
                               config->accounts[i]);
    if (status == ERR_FULL)
        return err_set(err, ERR_FULL, "the sections are longer than a configuration can be");
    return status;
}
