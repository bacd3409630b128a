/*
 * The certificate and key of a listener that speaks TLS: the files of tls_cert and tls_key, or
 * those of `ecluse cert` in state_dir when the configuration names none.
 */
#ifndef ECLUSE_KEEPER_LISTENER_TLS_H
#define ECLUSE_KEEPER_LISTENER_TLS_H

#include "base/buf.h"
#include "conf/config.h"

/* What `ecluse cert` makes, in state_dir. */
#define LISTENER_CERTIFICATE_NAME "tls.crt"
#define LISTENER_KEY_NAME         "tls.key"
/* The whole path, for mem_free. */
char *listener_tls_file(const char *state_dir, const char *name);

/* 0 to 3: TLS 1.0 to 1.3. */
uint8_t listener_tls_minimum(const struct listener_config *options);

/* Reads both and makes sure that they go together; ENSURE: it has TLS. The outputs are PEM, for
 * mem_free and secret_wipe. ERR_CONFIG with a text that names the listener, the file, and what to
 * do: one that is missing, a key that others can read, one that does not fit. */
MUST_CHECK int listener_tls_read(const struct config *config, const struct listener_config *options,
                                 char **certificate_out, struct secret *key_out, struct err *err);

#endif
