#include "app/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void signals_prepare(void)
{
    sigset_t set = stop_signals();
    /* A peer that is gone is told by an error, not by a signal: hiredis writes without
     * MSG_NOSIGNAL. */
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

bool signals_wait(int timeout_ms)
{
    sigset_t set = stop_signals();
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    return sigtimedwait(&set, NULL, &timeout) != -1;
}

static void end_now(int signal_number)
{
    _exit(128 + signal_number);
}

void signals_end_at_next(void)
{
    sigset_t set = stop_signals();
    struct sigaction action = {.sa_handler = end_now};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
