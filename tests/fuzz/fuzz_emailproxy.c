/*
 * Any octets as an emailproxy.config. Either it is accepted, and then whole, and what is printed of
 * it is a configuration of ours; or there is an error that says why. Then it is its own cache,
 * which changes nothing but who has a section.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf/emailproxy_cache.h"
#include "conf/emailproxy_map.h"
#include "conf/printer.h"
#include "conf_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_surroundings surroundings = {.home = "/home/u", .user_id = 1000};

/* fmemopen takes the memory as its own to write; it only reads. */
static struct config *read_ours(char *text, size_t size)
{
    struct config_problems problems = {0};
    struct config *config = NULL;
    FILE *stream = fmemopen(text, size, "r");

    ENSURE(stream != NULL);
    (void)!config_read_stream(stream, "fuzz.ini", &surroundings, &config, &problems);
    (void)fclose(stream);
    config_problems_free(&problems);
    return config;
}

/* Ours has limits for lines and files that theirs has not; what is read is the same. */
static void check_print(const struct config *config)
{
    struct buf text;
    struct err err = {0};

    buf_init(&text, 4u << 20u);
    if (config_print(config, true, &text, &err) == 0) {
        size_t octets = buf_size(&text);
        char *copy = mem_copy_bytes_as_string(buf_bytes(&text).data, octets);
        struct config *again = read_ours(copy, octets);
        mem_free(copy);
        if (again != NULL) {
            ENSURE(again->listener_count == config->listener_count);
            ENSURE(again->account_count == config->account_count);
            for (size_t i = 0; i < config->account_count; i++) {
                const struct account_config *a = config->accounts[i], *b = again->accounts[i];
                ENSURE(strcmp(a->address, b->address) == 0 && a->flow == b->flow);
                ENSURE(strcmp(a->client_id, b->client_id) == 0);
                ENSURE(
                    slice_equal(secret_bytes(&a->client_secret), secret_bytes(&b->client_secret)));
            }
        }
        config_free(again);
    } else {
        ENSURE(err.text[0] != '\0' && !slice_has_control(slice_of_string(err.text)));
    }
    buf_fini(&text);
}

static void check_file(const struct emailproxy_file *file, const struct config *config)
{
    for (size_t i = 0; i < file->count; i++)
        for (size_t j = 0; j < file->sections[i].count; j++)
            ENSURE(file->sections[i].pairs[j].value != NULL && file->sections[i].pairs[j].line > 0);
    ENSURE(config->listener_count > 0);
    for (size_t i = 0; i < config->account_count; i++)
        ENSURE(config->accounts[i]->provider_row != NULL && config->accounts[i]->line > 0);
}

static void check_cache(struct emailproxy_file *file, FILE *stream)
{
    struct config_problems problems = {0};
    struct emailproxy_file *cache = NULL;

    rewind(stream);
    ENSURE(emailproxy_read(stream, &cache, &problems) == 0);
    ENSURE(emailproxy_take_cache(file, cache) <= cache->count && file->count == cache->count);
    emailproxy_free(cache);
    config_problems_free(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct emailproxy_choice choice = {0};
    struct config_problems problems = {0};
    struct emailproxy_file *file = NULL;
    struct config *config = NULL;
    /* fmemopen refuses an empty buffer. It only reads. */
    char *copy = mem_new(size + 1);

    memcpy(copy, data, size);
    copy[size] = '\n';
    FILE *stream = fmemopen(copy, size + 1, "r");
    ENSURE(stream != NULL);
    (void)emailproxy_is_recognised(stream);
    int status = emailproxy_read(stream, &file, &problems);
    ENSURE((status == 0) == (file != NULL));
    if (file != NULL)
        check_cache(file, stream);
    (void)fclose(stream);
    if (file != NULL)
        status = emailproxy_config(file, "fuzz.config", &surroundings, &choice, &config, &problems);
    ENSURE((status == 0) == (config != NULL));
    check_problems(&problems, status == 0);
    if (config != NULL) {
        check_file(file, config);
        check_print(config);
    }
    emailproxy_free(file);
    config_free(config);
    config_problems_free(&problems);
    mem_free(copy);
    return 0;
}
