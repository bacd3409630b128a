/*
 * The two clocks. Floor 1 never calls these: time is passed in.
 */
#ifndef ECLUSE_BASE_CLOCK_H
#define ECLUSE_BASE_CLOCK_H

#include <stdint.h>

/* Seconds and microseconds since 1970, as the wall says: for expiry dates and logs. */
int64_t clock_wall_seconds(void);
int64_t clock_wall_microseconds(void);
/* Milliseconds that never jump and go on in suspend (CLOCK_BOOTTIME): for deadlines. */
int64_t clock_steady_milliseconds(void);

#endif
