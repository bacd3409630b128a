/*
 * The user's browser.
 */
#ifndef ECLUSE_CLI_BROWSER_H
#define ECLUSE_CLI_BROWSER_H

#include <stdbool.h>

/* True where there is a display for one. */
bool browser_has_display(void);
/* Has xdg-open show an https URL, where there is a display and an xdg-open. False: nothing was
 * started. */
bool browser_open(const char *url);

#endif
