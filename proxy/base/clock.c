#include "base/clock.h"

#include <time.h>

#include "base/mem.h"

static struct timespec now_on(clockid_t clock)
{
    struct timespec now;
    ENSURE(clock_gettime(clock, &now) == 0);
    return now;
}

int64_t clock_wall_seconds(void)
{
    return now_on(CLOCK_REALTIME).tv_sec;
}

int64_t clock_wall_microseconds(void)
{
    struct timespec now = now_on(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_steady_milliseconds(void)
{
    struct timespec now = now_on(CLOCK_BOOTTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
