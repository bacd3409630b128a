/*
 * A password, token or key. It lives in the OpenSSL secure heap when `main` has opened one (and in
 * plain memory otherwise), is wiped when it goes, and has no printable form. It is moved, not
 * copied: secret_copy is there for the few places that really need two.
 */
#ifndef ECLUSE_BASE_SECRET_H
#define ECLUSE_BASE_SECRET_H

#include "base/slice.h"

/* All zero = no secret. */
struct secret {
    uint8_t *bytes; /* a NUL, not counted in size, stands behind them for libraries that want one */
    size_t size;
};

/* Opens the secure heap of `size` octets (a power of two). Called once by main, before any other
 * use of OpenSSL. False: the memory could not be locked; secrets are then in plain memory. */
bool secret_heap_open(size_t size);

/* Replaces *secret (wiping what was there). */
void secret_set(struct secret *secret, struct slice bytes);
/* *to gets what *from had; *from is empty afterwards. */
void secret_move(struct secret *to, struct secret *from);
void secret_copy(struct secret *to, const struct secret *from);
void secret_wipe(struct secret *secret);

bool secret_is_set(const struct secret *secret);
/* Borrowed; valid until the secret changes. */
struct slice secret_bytes(const struct secret *secret);
/* Constant time for equal lengths; the length itself is not hidden. */
bool secret_equal(const struct secret *a, struct slice b);

#endif
