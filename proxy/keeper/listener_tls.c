/*
 * Happy path: both files are read, OpenSSL takes them, both go on as text.
 *
 * Failures (ERR_CONFIG): a file that is missing (of our own making: `ecluse cert` makes it), too
 * large, or no certificate; a key that others can read or that is of another certificate.
 */
#include "keeper/listener_tls.h"

#include <stdio.h>
#include <string.h>

#include "auth/message.h"
#include "keeper/whole_file.h"
#include "net/tls_identity.h"

struct files {
    char *certificate, *key; /* paths */
    bool are_ours;           /* of `ecluse cert` */
};

uint8_t listener_tls_minimum(const struct listener_config *options)
{
    /* The check has seen to it that it is "1.0" to "1.3". */
    ENSURE(strlen(options->tls_min) == 3);
    return (uint8_t)(options->tls_min[2] - '0');
}

char *listener_tls_file(const char *state_dir, const char *name)
{
    size_t size = strlen(state_dir) + 1 + strlen(name) + 1;
    char *path = mem_new(size);
    snprintf(path, size, "%s/%s", state_dir, name);
    return path;
}

static void find_files(const struct config *config, const struct listener_config *options,
                       struct files *files_out)
{
    files_out->are_ours = *options->tls_cert == '\0';
    if (files_out->are_ours) {
        files_out->certificate = listener_tls_file(config->state_dir, LISTENER_CERTIFICATE_NAME);
        files_out->key = listener_tls_file(config->state_dir, LISTENER_KEY_NAME);
    } else {
        files_out->certificate = mem_copy_string(options->tls_cert);
        files_out->key = mem_copy_string(options->tls_key);
    }
}

static int refuse(const struct listener_config *options, struct err *err, const char *advice)
{
    char text[sizeof(err->text)];
    snprintf(text, sizeof(text), "%s", err->text);
    return err_set(err, ERR_CONFIG, "listen %s: %s%s", options->name, text, advice);
}

static int read_file(const char *path, bool is_private, const struct files *files,
                     const struct listener_config *options, struct buf *out, struct err *err)
{
    int status = whole_file_read(path, is_private, out, err);
    if (status == ERR_NOT_FOUND && files->are_ours)
        return refuse(options, err, "; run ecluse cert, or set tls_cert and tls_key");
    return status == 0 ? 0 : refuse(options, err, "");
}

static int check(const struct files *files, const struct listener_config *options,
                 const char *certificate, const struct secret *key, struct err *err)
{
    struct tls_identity *identity = NULL;
    const struct tls_identity_settings settings = {.certificate = slice_of_string(certificate),
                                                   .key = secret_bytes(key),
                                                   .minimum = listener_tls_minimum(options)};
    int status = tls_identity_new(&settings, &identity, err);
    tls_identity_free(identity);
    if (status == 0)
        return 0;
    err_wrap(err, "%s with %s", files->certificate, files->key);
    return refuse(options, err, files->are_ours ? "; run ecluse cert" : "");
}

static int read_both(const struct files *files, const struct listener_config *options,
                     char **certificate_out, struct secret *key_out, struct err *err)
{
    struct buf certificate, key;
    buf_init(&certificate, MESSAGE_PEM_MAX);
    buf_init(&key, MESSAGE_PEM_MAX);
    int status = read_file(files->certificate, false, files, options, &certificate, err);
    if (status == 0)
        status = read_file(files->key, true, files, options, &key, err);
    if (status == 0) {
        *certificate_out =
            mem_copy_bytes_as_string(buf_bytes(&certificate).data, buf_size(&certificate));
        secret_set(key_out, buf_bytes(&key));
    }
    buf_fini(&certificate);
    buf_fini(&key);
    return status;
}

int listener_tls_read(const struct config *config, const struct listener_config *options,
                      char **certificate_out, struct secret *key_out, struct err *err)
{
    struct files files;
    *certificate_out = NULL;
    ENSURE(options->tls != TLS_MODE_OFF);
    find_files(config, options, &files);
    int status = read_both(&files, options, certificate_out, key_out, err);
    if (status == 0)
        status = check(&files, options, *certificate_out, key_out, err);
    if (status != 0) {
        mem_free(*certificate_out);
        *certificate_out = NULL;
        secret_wipe(key_out);
    }
    mem_free(files.certificate);
    mem_free(files.key);
    return status;
}
