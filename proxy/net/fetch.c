/*
 * Happy path: a transfer with every setting nailed down goes onto the multi; its answer is gathered
 * in a bounded buffer and handed up when it has ended.
 *
 * Failures:
 *  - a URL, scheme or header that libcurl does not take: told in the next turn of the loop
 *  - no connection, no valid certificate, a timeout, a reset: status 0 with libcurl's words; after
 *    a doubt about a certificate the bundle is read anew for a while
 *  - an answer above FETCH_ANSWER_MAX: status 0, whether its length was announced or not
 *  - a redirect: an answer like any other, with its status
 *  - cancelled: the transfer is taken off at once; a look-up that is under way in libcurl's thread
 *    is left to end by itself (QUICK_EXIT), instead of being waited for
 */
#include "net/fetch.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "auth/wiping_memory.h"
#include "base/buf.h"
#include "base/clock.h"
#include "net/fetch_multi.h"

#define CONNECT_SECONDS_MAX 10
#define BUNDLE_KEPT_SECONDS 60 /* a bundle that was read; it may change under a running process */
#define RETRY_AFTER_MAX     (24l * 60 * 60)
#define AUTHORIZATION_MAX   (16ul * 1024)
#define ACCEPT_MAX          80

struct fetcher {
    struct fetch_multi *multi;
    struct loop *loop;
    size_t fetches;
    int64_t doubted_until; /* clock_steady_milliseconds; what libcurl keeps of a bundle is */
    void (*on_closed)(void *owner);
    void *closed_owner;
};

struct fetch {
    struct fetcher *fetcher;
    CURL *transfer;
    bool added;
    struct curl_slist *headers;
    struct secret body; /* libcurl reads it in place */
    char *host;         /* that must be in the certificate */
    struct buf answer;
    bool too_long;
    struct deferral refused; /* it could not be started */
    char text[CURL_ERROR_SIZE];
    void (*on_answer)(void *owner, const struct fetch_answer *answer);
    void *owner;
};

/* ---- the end of a fetch ---- */

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *header = headers; header != NULL; header = header->next)
        mem_wipe(header->data, strlen(header->data));
    curl_slist_free_all(headers);
}

/* Off the fetcher; what is left is memory. */
static void detach(struct fetch *fetch)
{
    deferral_cancel(&fetch->refused);
    if (fetch->added)
        fetch_multi_remove(fetch->fetcher->multi, fetch->transfer);
    curl_easy_cleanup(fetch->transfer);
    fetch->fetcher->fetches--;
}

static void release(struct fetch *fetch)
{
    free_headers(fetch->headers);
    secret_wipe(&fetch->body);
    buf_fini(&fetch->answer);
    mem_free(fetch->host);
    mem_free(fetch);
}

void fetch_cancel(struct fetch *fetch)
{
    detach(fetch);
    release(fetch);
}

/* The owner may close the fetcher from within: nothing of it is touched after the up-call. */
static void hand_up(struct fetch *fetch, struct fetch_answer answer)
{
    detach(fetch);
    answer.body = answer.status == 0 ? SLICE_NONE : buf_bytes(&fetch->answer);
    fetch->on_answer(fetch->owner, &answer);
    release(fetch);
}

static void on_refused(struct deferral *deferral)
{
    struct fetch *fetch = CONTAINER_OF(deferral, struct fetch, refused);
    hand_up(fetch, (struct fetch_answer){.text = fetch->text});
}

static int64_t read_retry_after(CURL *transfer)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(transfer, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds < 0)
        return 0;
    return seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : seconds;
}

static int64_t read_date(CURL *transfer)
{
    struct curl_header *header;
    if (curl_easy_header(transfer, "Date", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return 0;
    time_t date = curl_getdate(header->value, NULL);
    return date > 0 ? (int64_t)date : 0;
}

/* Whether a certificate or all of TLS is at fault. It may be the bundle that is kept: one that was
 * read while memory was short has certificates without keys, and nobody looks at them again. */
static bool is_of_trust(CURLcode result)
{
    return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CONNECT_ERROR ||
           result == CURLE_SSL_CERTPROBLEM || result == CURLE_SSL_CACERT_BADFILE;
}

static void on_done(void *owner, CURL *transfer, CURLcode result)
{
    struct fetch *fetch;
    long status = 0;
    (void)owner;
    ENSURE(curl_easy_getinfo(transfer, CURLINFO_PRIVATE, &fetch) == CURLE_OK);
    fetch->added = false;
    if (is_of_trust(result))
        fetch->fetcher->doubted_until = clock_steady_milliseconds() + BUNDLE_KEPT_SECONDS * 1000;
    struct fetch_answer answer = {0};
    if (result == CURLE_OK &&
        curl_easy_getinfo(transfer, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0) {
        answer.status = (int)status;
        answer.retry_after = read_retry_after(transfer);
        answer.date = read_date(transfer);
    } else if (fetch->too_long || result == CURLE_FILESIZE_EXCEEDED) {
        answer.text = "the answer is too long";
    } else {
        answer.text = fetch->text[0] != '\0' ? fetch->text : curl_easy_strerror(result);
    }
    hand_up(fetch, answer);
}

/* ---- settings ---- */

static void set_number(CURL *transfer, CURLoption option, long value)
{
    ENSURE(curl_easy_setopt(transfer, option, value) == CURLE_OK);
}

static void set_text(CURL *transfer, CURLoption option, const char *value)
{
    ENSURE(curl_easy_setopt(transfer, option, value) == CURLE_OK);
}

/* Where a request may go, and whom it trusts. A setting that this libcurl does not know ends the
 * process, rather than going without. */
static void set_security(CURL *transfer, const char *ca_file, bool is_bundle_kept)
{
    set_text(transfer, CURLOPT_PROTOCOLS_STR, "https");
    set_text(transfer, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    set_number(transfer, CURLOPT_FOLLOWLOCATION, 0);
    set_number(transfer, CURLOPT_DISALLOW_USERNAME_IN_URL, 1);
    set_number(transfer, CURLOPT_SSL_VERIFYPEER, 1);
    set_number(transfer, CURLOPT_SSL_VERIFYHOST, 2);
    /* Where memory is out, libcurl 7.88 frees a session that it could not keep twice. */
    set_number(transfer, CURLOPT_SSL_SESSIONID_CACHE, 0);
    set_number(transfer, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_text(transfer, CURLOPT_CAINFO, ca_file);
    /* Else the system's folder of certificates would be trusted as well. */
    set_text(transfer, CURLOPT_CAPATH, NULL);
    set_number(transfer, CURLOPT_CA_CACHE_TIMEOUT, is_bundle_kept ? BUNDLE_KEPT_SECONDS : 0);
    set_text(transfer, CURLOPT_PROXY, "");
    set_number(transfer, CURLOPT_NETRC, CURL_NETRC_IGNORED);
    set_number(transfer, CURLOPT_UNRESTRICTED_AUTH, 0);
}

static void set_limits(CURL *transfer, unsigned timeout_seconds)
{
    long seconds = timeout_seconds == 0 ? FETCH_TIMEOUT_SECONDS : (long)timeout_seconds;
    long connecting = seconds < CONNECT_SECONDS_MAX ? seconds : CONNECT_SECONDS_MAX;
    set_number(transfer, CURLOPT_TIMEOUT_MS, seconds * 1000);
    set_number(transfer, CURLOPT_CONNECTTIMEOUT_MS, connecting * 1000);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)FETCH_ANSWER_MAX) ==
           CURLE_OK);
    set_number(transfer, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    set_number(transfer, CURLOPT_HTTP09_ALLOWED, 0);
    set_number(transfer, CURLOPT_FRESH_CONNECT, 1);
    set_number(transfer, CURLOPT_FORBID_REUSE, 1);
    set_number(transfer, CURLOPT_NOSIGNAL, 1);
    set_number(transfer, CURLOPT_QUICK_EXIT, 1);
    set_text(transfer, CURLOPT_USERAGENT, "ecluse/" ECLUSE_VERSION);
}

/* libcurl takes a common name where there is no subjectAltName; OpenSSL does not, when told. */
static CURLcode on_tls_set_up(CURL *transfer, void *context, void *owner)
{
    const struct fetch *fetch = owner;
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(context);
    (void)transfer;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool done = X509_VERIFY_PARAM_set1_ip_asc(parameters, fetch->host) == 1 ||
                X509_VERIFY_PARAM_set1_host(parameters, fetch->host, 0) == 1;
    return done ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct fetch *fetch = owner;
    if (buf_append(&fetch->answer, slice_of(bytes, size * count)) == 0)
        return size * count;
    fetch->too_long = true;
    return 0;
}

static void set_callbacks(struct fetch *fetch)
{
    CURL *transfer = fetch->transfer;
    ENSURE(curl_easy_setopt(transfer, CURLOPT_PRIVATE, fetch) == CURLE_OK);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_ERRORBUFFER, fetch->text) == CURLE_OK);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_WRITEDATA, fetch) == CURLE_OK);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_SSL_CTX_FUNCTION, on_tls_set_up) == CURLE_OK);
    ENSURE(curl_easy_setopt(transfer, CURLOPT_SSL_CTX_DATA, fetch) == CURLE_OK);
}

/* Not COPYPOSTFIELDS: there is one copy of the body, and it is ours to wipe. NULL: a GET. */
static void set_body(struct fetch *fetch, struct secret *body)
{
    if (body == NULL)
        return;
    secret_move(&fetch->body, body);
    ENSURE(secret_is_set(&fetch->body));
    ENSURE(curl_easy_setopt(fetch->transfer, CURLOPT_POSTFIELDS, fetch->body.bytes) == CURLE_OK);
    ENSURE(curl_easy_setopt(fetch->transfer, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)fetch->body.size) == CURLE_OK);
}

static void add_header(struct fetch *fetch, const char *header)
{
    struct curl_slist *longer = curl_slist_append(fetch->headers, header);
    ENSURE(longer != NULL);
    fetch->headers = longer;
}

static bool set_headers(struct fetch *fetch, const struct fetch_request *request)
{
    const struct secret *authorization = request->authorization;
    char accept[ACCEPT_MAX];
    snprintf(accept, sizeof(accept), "Accept: %s",
             request->accept == NULL ? "application/json" : request->accept);
    add_header(fetch, accept);
    add_header(fetch, "Expect:");
    if (request->body_is_json)
        add_header(fetch, "Content-Type: application/json");
    bool done = true;
    if (authorization != NULL && secret_is_set(authorization)) {
        struct slice value = secret_bytes(authorization);
        struct buf header;
        buf_init(&header, AUTHORIZATION_MAX);
        done = !slice_has_control(value) && buf_append_string(&header, "Authorization: ") == 0 &&
               buf_append(&header, value) == 0 && buf_append(&header, SLICE_LITERAL("\0")) == 0;
        if (done)
            add_header(fetch, (const char *)buf_bytes(&header).data);
        buf_fini(&header);
    }
    ENSURE(curl_easy_setopt(fetch->transfer, CURLOPT_HTTPHEADER, fetch->headers) == CURLE_OK);
    return done;
}

/* The host of the URL, without the brackets of an IPv6 address. */
static char *read_host(const char *url)
{
    CURLU *parts = curl_url();
    ENSURE(parts != NULL);
    char *host = NULL, *copy = NULL;
    if (curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        size_t size = strlen(host);
        bool bracketed = size > 2 && host[0] == '[' && host[size - 1] == ']';
        copy = mem_copy_bytes_as_string(host + bracketed, bracketed ? size - 2 : size);
    }
    curl_free(host);
    curl_url_cleanup(parts);
    return copy;
}

/* False, with a text, when the request cannot be made. */
static bool prepare(struct fetch *fetch, const struct fetch_request *request)
{
    set_security(fetch->transfer, request->ca_file,
                 clock_steady_milliseconds() >= fetch->fetcher->doubted_until);
    set_limits(fetch->transfer, request->timeout_seconds);
    set_callbacks(fetch);
    set_body(fetch, request->body);
    fetch->host = read_host(request->url);
    if (fetch->host == NULL ||
        curl_easy_setopt(fetch->transfer, CURLOPT_URL, request->url) != CURLE_OK) {
        snprintf(fetch->text, sizeof(fetch->text), "not a URL that can be used");
        return false;
    }
    if (!set_headers(fetch, request)) {
        snprintf(fetch->text, sizeof(fetch->text), "the client's credentials cannot be sent");
        return false;
    }
    int status = fetch_multi_add(fetch->fetcher->multi, fetch->transfer);
    if (status != 0)
        snprintf(fetch->text, sizeof(fetch->text), "%s", curl_multi_strerror((CURLMcode)status));
    fetch->added = status == 0;
    return fetch->added;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
                          void (*on_answer)(void *owner, const struct fetch_answer *answer),
                          void *owner)
{
    struct fetch *fetch = mem_new(sizeof(*fetch));
    fetch->fetcher = fetcher;
    fetch->on_answer = on_answer;
    fetch->owner = owner;
    buf_init(&fetch->answer, FETCH_ANSWER_MAX);
    deferral_init(&fetch->refused, on_refused);
    fetch->transfer = curl_easy_init();
    ENSURE(fetch->transfer != NULL);
    fetcher->fetches++;
    if (!prepare(fetch, request))
        loop_defer(fetcher->loop, &fetch->refused);
    if (request->authorization != NULL)
        secret_wipe(request->authorization);
    return fetch;
}

/* ---- the fetcher ---- */

static void on_multi_closed(void *owner)
{
    struct fetcher *fetcher = owner;
    void (*on_closed)(void *) = fetcher->on_closed;
    void *closed_owner = fetcher->closed_owner;
    mem_free(fetcher);
    curl_global_cleanup();
    on_closed(closed_owner);
}

static const struct fetch_multi_ops multi_ops = {on_done, on_multi_closed};

int fetcher_open(struct loop *loop, struct fetcher **fetcher_out, struct err *err)
{
    *fetcher_out = NULL;
    CURLcode status = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiping_malloc, wiping_free,
                                           wiping_realloc, strdup, wiping_calloc);
    if (status != CURLE_OK)
        return err_set(err, ERR_SYSTEM, "libcurl: %s", curl_easy_strerror(status));
    struct fetcher *fetcher = mem_new(sizeof(*fetcher));
    fetcher->loop = loop;
    fetcher->multi = fetch_multi_open(loop, &multi_ops, fetcher);
    *fetcher_out = fetcher;
    return 0;
}

void fetcher_close(struct fetcher *fetcher, void (*on_closed)(void *owner), void *owner)
{
    ENSURE(fetcher->fetches == 0);
    fetcher->on_closed = on_closed;
    fetcher->closed_owner = owner;
    fetch_multi_close(fetcher->multi);
}
