/*
 * What both sides of SASL give to libsasl2 before they use it.
 */
#ifndef ECLUSE_AUTH_SASL_LIBRARY_H
#define ECLUSE_AUTH_SASL_LIBRARY_H

#include <sasl/sasl.h>

#include "base/err.h"
#include "base/slice.h"

/* Memory that is wiped when it is freed (libsasl2 hears this only before its first use in the
 * process; it is harmless later) and a shut syslog, which is where libsasl2 reports when it has no
 * connection whose log callback it could ask. Called before sasl_server_init and sasl_client_init.
 */
void sasl_library_prepare(void);

/* Entries of a table of callbacks; the tables live as long as what they are given to. */
sasl_callback_t sasl_library_callback(unsigned long identifier, void (*function)(void),
                                      void *context);
/* The log callback that drops everything: what libsasl2 logs may hold user names and passwords. */
sasl_callback_t sasl_library_no_log(void);
sasl_callback_t sasl_library_no_configuration(void);

/* libsasl2 splits its path of plug-ins at ':' and '='. */
bool sasl_library_folder_is_valid(const char *folder, struct err *err);
/* True when `path`, as libsasl2 has put it together, is that file of the folder. */
bool sasl_library_is_file(const char *path, const char *folder, const char *file);
/* An error when the folder has that plug-in and libsasl2 could not load it, of which it tells
 * nobody: without memory, for one. One that is not there is none. */
MUST_CHECK int sasl_library_check_loaded(const char *folder, const char *file, struct err *err);
/* `list`: names separated by spaces. */
bool sasl_library_list_has(const char *list, struct slice name);

/* Neither a security layer nor an anonymous user, for one connection. */
int sasl_library_restrict(sasl_conn_t *connection);

#endif
