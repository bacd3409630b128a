/*
 * Happy path: the first document that names a server with TLS is the answer.
 *
 * Failure modes: no connection, another status than 200, a redirect, a document that is none or
 * names no server that can be used: the next source is asked, and why is kept for the user. The SRV
 * records are asked for all at once and read in their order; one that is damaged or cannot be had
 * is as good as none.
 */
#include "keeper/service_search.h"

#include <stdio.h>
#include <string.h>

#include "conf/address.h"
#include "conf/autoconfig.h"
#include "conf/service_record.h"

#define TIMEOUT_SECONDS 10
#define REASONS_MAX     400

struct record_answer {
    struct service_search *search;
    struct record_query *query; /* NULL: it is answered */
    uint8_t *bytes;             /* NULL: there is none */
    size_t size;
};

struct service_search {
    struct service_search_parts parts;
    char *address;
    const char *domain; /* in it */
    enum autoconfig_place place;
    char *url;
    struct fetch *fetch;
    struct record_answer records[SERVICE_RECORD_KINDS + 1]; /* the last: of the exchanger */
    size_t open_queries;
    char reasons[REASONS_MAX];
    void (*on_answer)(void *owner, const struct service_search_answer *answer);
    void *owner;
};

void service_search_cancel(struct service_search *search)
{
    if (search->fetch != NULL)
        fetch_cancel(search->fetch);
    for (size_t i = 0; i < LENGTH_OF(search->records); i++) {
        if (search->records[i].query != NULL)
            record_query_cancel(search->records[i].query);
        mem_free(search->records[i].bytes);
    }
    mem_free(search->url);
    mem_free(search->address);
    mem_free(search);
}

/* ---- the end ---- */

/* The owner may do what it likes from within: the search is off its hands already. */
static void finish(struct service_search *search, const struct service_search_answer *found)
{
    void (*on_answer)(void *, const struct service_search_answer *) = search->on_answer;
    void *owner = search->owner;
    struct service_search_answer answer = *found;
    char text[REASONS_MAX];
    snprintf(text, sizeof(text), "%s", found->source);
    answer.source = text;
    service_search_cancel(search);
    on_answer(owner, &answer);
    if (answer.service != NULL)
        mail_service_clear(answer.service);
}

static void add_reason(struct service_search *search, const char *where, const char *why)
{
    size_t used = strlen(search->reasons);
    snprintf(search->reasons + used, REASONS_MAX - used, "%s%s: %s", used == 0 ? "" : "; ", where,
             why);
}

/* ---- records ---- */

static void read_exchanger(struct service_search *search)
{
    const struct record_answer *answer = &search->records[SERVICE_RECORD_KINDS];
    char exchanger[MAIL_EXCHANGER_MAX] = "";
    if (answer->bytes != NULL)
        (void)!mail_exchanger_read(slice_of(answer->bytes, answer->size), exchanger);
    add_reason(search, "SRV records", "none that can be used");
    const struct service_search_answer nothing = {
        .exchanger = *exchanger == '\0' ? NULL : exchanger, .source = search->reasons};
    finish(search, &nothing);
}

static void read_records(struct service_search *search)
{
    struct mail_service service = {0};
    char source[REASONS_MAX];
    const struct service_search_answer found = {.service = &service, .source = source};
    for (enum service_record_kind kind = 0; kind < SERVICE_RECORD_KINDS; kind++) {
        const struct record_answer *answer = &search->records[kind];
        if (answer->bytes != NULL)
            (void)!service_record_take(slice_of(answer->bytes, answer->size), kind, &service);
    }
    if (mail_service_has_server(&service)) {
        snprintf(source, sizeof(source), "SRV records of %s", search->domain);
        finish(search, &found);
    } else {
        read_exchanger(search);
    }
}

static void on_record(void *owner, int status, struct slice bytes)
{
    struct record_answer *answer = owner;
    struct service_search *search = answer->search;
    answer->query = NULL;
    if (status == 0) {
        answer->bytes = mem_new(bytes.size + 1);
        memcpy(answer->bytes, bytes.data, bytes.size);
        answer->size = bytes.size;
    }
    if (--search->open_queries == 0)
        read_records(search);
}

static void ask_for(struct service_search *search, struct record_answer *answer, const char *name,
                    unsigned type)
{
    answer->search = search;
    answer->query = record_query_start(search->parts.loop, name, type, search->parts.name_server,
                                       on_record, answer);
    search->open_queries++;
}

static void ask_for_records(struct service_search *search)
{
    char name[SERVICE_NAME_MAX];
    for (enum service_record_kind kind = 0; kind < SERVICE_RECORD_KINDS; kind++) {
        service_record_name(kind, search->domain, name);
        ask_for(search, &search->records[kind], name, SERVICE_RECORD_TYPE);
    }
    ask_for(search, &search->records[SERVICE_RECORD_KINDS], search->domain, MAIL_EXCHANGER_TYPE);
}

/* ---- autoconfig ---- */

static void ask_for_document(struct service_search *search);

static void ask_next(struct service_search *search)
{
    if (search->place + 1 == AUTOCONFIG_PLACES) {
        ask_for_records(search);
        return;
    }
    search->place++;
    ask_for_document(search);
}

/* Without its query, which is the user's address. */
static void pass_over(struct service_search *search, const char *why)
{
    char where[REASONS_MAX];
    snprintf(where, sizeof(where), "%.*s", (int)strcspn(search->url, "?"), search->url);
    add_reason(search, where, why);
    ask_next(search);
}

static void on_fetched(void *owner, const struct fetch_answer *answer)
{
    struct service_search *search = owner;
    struct mail_service service;
    struct err err;
    char text[32];
    search->fetch = NULL;
    if (answer->status != 200) {
        snprintf(text, sizeof(text), "HTTP %d", answer->status);
        pass_over(search, answer->status == 0 ? answer->text : text);
    } else if (autoconfig_read(answer->body, search->address, &service, &err) != 0) {
        pass_over(search, err.text);
    } else {
        search->url[strcspn(search->url, "?")] = '\0';
        const struct service_search_answer found = {
            .service = &service, .source = search->url, .is_vouched_for = true};
        finish(search, &found);
    }
}

static void ask_for_document(struct service_search *search)
{
    mem_free(search->url);
    search->url = autoconfig_url(search->address, search->place, search->parts.https_port);
    const struct fetch_request request = {.url = search->url,
                                          .ca_file = search->parts.ca_file,
                                          .accept = "text/xml, application/xml",
                                          .timeout_seconds = TIMEOUT_SECONDS};
    search->fetch = fetch_start(search->parts.fetcher, &request, on_fetched, search);
}

struct service_search *
service_search_start(const struct service_search_parts *parts, const char *address,
                     void (*on_answer)(void *owner, const struct service_search_answer *answer),
                     void *owner)
{
    struct service_search *search = mem_new(sizeof(*search));
    search->parts = *parts;
    search->address = mem_copy_string(address);
    search->domain = strrchr(search->address, '@') + 1;
    ENSURE(host_name_is_valid(search->domain));
    search->on_answer = on_answer;
    search->owner = owner;
    ask_for_document(search);
    return search;
}
