/*
 * What a gate is told: the listeners with their certificates and keys, and the certificate
 * authorities, which it could not read itself.
 *
 * Failures: a bundle that is not there, too long, or without a certificate; a listener's
 * certificate or key of which the same is true; more than fits a message.
 */
#include <string.h>
#include <unistd.h>

#include "keeper/authorities.h"
#include "keeper/gates_worker.h"
#include "keeper/listener_tls.h"
#include "keeper/whole_file.h"
#include "net/tls.h"

#define BUNDLE_MAX (2u * 1024 * 1024)

/* ---- certificate authorities ---- */

static int check_bundle(struct slice bundle, struct err *err)
{
    struct tls_authorities *authorities = NULL;
    int status = tls_authorities_new(bundle, &authorities, err);
    if (status == 0)
        tls_authorities_free(authorities);
    return status;
}

static int read_bundle(const char *file, char **text_out, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, BUNDLE_MAX);
    int status = whole_file_read(file, false, &bytes, err);
    if (status != 0)
        err_wrap(err, "ca_file");
    else if ((status = check_bundle(buf_bytes(&bytes), err)) != 0)
        err_wrap(err, "ca_file %s", file);
    else
        *text_out = mem_copy_bytes_as_string(buf_bytes(&bytes).data, buf_size(&bytes));
    buf_fini(&bytes);
    return status;
}

static int fill_authorities(const struct config *config, struct message_configure *configure,
                            struct err *err)
{
    size_t count = authorities_count(config);
    configure->authorities = mem_new_array(count, sizeof(*configure->authorities));
    for (size_t i = 0; i < count; i++) {
        int status = read_bundle(authorities_file(config, i), &configure->authorities[i], err);
        if (status != 0)
            return status;
        configure->authority_count++;
    }
    return 0;
}

/* ---- listeners ---- */

static void fill_allowed(const struct listener_config *options, struct message_listener *listener)
{
    listener->allowed = mem_new_array(options->allowed_count, sizeof(*listener->allowed));
    listener->allowed_count = options->allowed_count;
    for (size_t i = 0; i < options->allowed_count; i++) {
        for (size_t j = 0; j < sizeof(listener->allowed[i].address); j++)
            listener->allowed[i].address[j] = options->allowed[i].address[j];
        listener->allowed[i].prefix_length = (uint8_t)options->allowed[i].prefix_length;
    }
}

static int fill_listener(const struct config *config, const struct listener_config *options,
                         const struct message_offer *offer, struct message_listener *listener,
                         struct err *err)
{
    listener->name = mem_copy_string(options->name);
    listener->protocol = options->protocol;
    listener->descriptors = (uint16_t)options->address_count;
    listener->account = mem_copy_string(options->account);
    listener->mechanisms = mem_copy_string(offer->mechanisms);
    listener->capabilities = mem_copy_string(offer->capabilities);
    listener->needs_no_login = options->auth == LISTENER_AUTH_NONE;
    listener->rejects_bare_newline = options->bare_newline == BARE_NEWLINE_REJECT;
    listener->peer_owner_only = config->peer == PEER_OWNER;
    listener->is_remote = options->remote != REMOTE_NO;
    listener->max_sessions = (uint32_t)options->max_sessions;
    fill_allowed(options, listener);
    listener->tls = options->tls;
    listener->tls_min = listener_tls_minimum(options);
    if (options->tls == TLS_MODE_OFF)
        return 0;
    return listener_tls_read(config, options, &listener->certificate, &listener->key, err);
}

static int fill_listeners(const struct config *config, const struct message_offer *offers,
                          struct message_configure *configure, struct err *err)
{
    configure->listeners = mem_new_array(config->listener_count, sizeof(*configure->listeners));
    configure->listener_count = config->listener_count;
    for (size_t i = 0; i < config->listener_count; i++) {
        int status =
            fill_listener(config, config->listeners[i], &offers[i], &configure->listeners[i], err);
        if (status != 0)
            return status;
    }
    return 0;
}

/* One for each account and protocol, less those that are there already; more than fit a message are
 * refused when it is made. */
static void fill_ports(const struct config *config, struct message_configure *configure)
{
    configure->ports = mem_new_array(config->account_count * PROTOCOL_COUNT, sizeof(uint16_t));
    for (size_t i = 0; i < config->account_count * PROTOCOL_COUNT; i++) {
        const struct account_config *account = config->accounts[i / PROTOCOL_COUNT];
        const struct endpoint *endpoint = &account->provider_row->endpoints[i % PROTOCOL_COUNT];
        size_t at = 0;
        while (at < configure->port_count && configure->ports[at] != endpoint->port)
            at++;
        if (endpoint->is_set && at == configure->port_count)
            configure->ports[configure->port_count++] = endpoint->port;
    }
}

/* Found out now and not when the first gate is to be told, or one after an offer has grown. */
static int check_fits(const struct message_configure *configure, struct err *err)
{
    struct buf frame;
    size_t count = configure->listener_count;
    size_t growth = (count < MESSAGE_LISTENERS_MAX ? count : MESSAGE_LISTENERS_MAX) *
                    (MESSAGE_TEXT_MAX + MESSAGE_LINES_MAX);
    buf_init(&frame, MESSAGE_SIZE_MAX - growth);
    int status = message_write_configure(&frame, configure);
    buf_fini(&frame);
    if (status != 0)
        return err_set(err, status,
                       "the configuration is too large for the gates: fewer "
                       "listeners, or smaller files of certificate authorities");
    return 0;
}

int gates_generation_new(const struct config *config, const struct message_offer *offers,
                         struct gates_generation **generation_out, struct err *err)
{
    struct gates_generation *generation = mem_new(sizeof(*generation));
    struct message_configure *configure = &generation->configure;
    generation->references = 1;
    generation->workers =
        config->workers > 0 ? (size_t)config->workers : (size_t)uv_available_parallelism();
    configure->log_level = (uint8_t)config->log;
    configure->user_id = (uint32_t)getuid();
    configure->audit = (struct message_audit){
        .is_on = config->audit != AUDIT_OFF,
        .wants_arguments = config->audit == AUDIT_FULL,
        .holds_replies = config->audit_sync == AUDIT_SYNC_STRICT,
        .ends_unparsable = config->audit_strict,
    };
    int status = fill_listeners(config, offers, configure, err);
    if (status == 0)
        status = fill_authorities(config, configure, err);
    fill_ports(config, configure);
    if (status == 0)
        status = check_fits(configure, err);
    if (status != 0) {
        gates_generation_drop(generation);
        return status;
    }
    *generation_out = generation;
    return 0;
}

static bool replace_text(char **text, const char *with)
{
    if (strcmp(*text, with) == 0)
        return false;
    mem_free(*text);
    *text = mem_copy_string(with);
    return true;
}

bool gates_generation_offer(struct gates_generation *generation, const struct message_offer *offer)
{
    ENSURE(offer->listener < generation->configure.listener_count);
    struct message_listener *listener = &generation->configure.listeners[offer->listener];
    bool mechanisms_change = replace_text(&listener->mechanisms, offer->mechanisms);
    return replace_text(&listener->capabilities, offer->capabilities) || mechanisms_change;
}

void gates_generation_drop(struct gates_generation *generation)
{
    if (--generation->references > 0)
        return;
    message_configure_clear(&generation->configure);
    mem_free(generation->descriptors);
    mem_free(generation);
}
