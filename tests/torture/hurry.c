/*
 * Time that passes HURRY times as fast: delays of refusals, pauses before the next try, names that
 * are shut for a while are over soon, and each in proportion to the others. Linked in by --wrap.
 */
#include <uv.h>

#include "base/clock.h"

#define HURRY 20

int64_t __real_clock_steady_milliseconds(void);
int64_t __wrap_clock_steady_milliseconds(void);
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat);

int64_t __wrap_clock_steady_milliseconds(void)
{
    return __real_clock_steady_milliseconds() * HURRY;
}

static uint64_t hurried(uint64_t milliseconds)
{
    return milliseconds / HURRY + (milliseconds % HURRY != 0);
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat)
{
    return __real_uv_timer_start(timer, callback, hurried(timeout), hurried(repeat));
}
