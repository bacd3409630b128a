/*
 * As stream_fixture.h, with a client of TLS at the far end and our side as server.
 */
#ifndef ECLUSE_TESTS_CLIENT_FIXTURE_H
#define ECLUSE_TESTS_CLIENT_FIXTURE_H

#include "stream_fixture.h"
#include "tls_client.h"

/* Puts TLS on the far end, whose ClientHello is to be sent. */
static inline void far_start_tls(struct far *far, const struct client_wish *wish)
{
    SSL_CTX *context = client_new(wish);
    far->tls = client_connect(context);
    SSL_CTX_free(context); /* the connection holds it */
    assert_true(server_read(far->tls, SLICE_NONE, &far->to_send));
}

static inline void side_start_server(struct side *side, unsigned minimum, const char *alpn)
{
    struct tls_identity *identity = identity_of(all.good, minimum, alpn);
    bool was_in_call = side->is_in_call;
    side->is_in_call = true;
    stream_start_tls(side->stream, tls_server_new(identity));
    side->is_in_call = was_in_call;
    tls_identity_free(identity); /* the connection holds it */
}

#endif
