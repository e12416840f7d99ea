#include "core/base/lock.h"

#include <assert.h>

/* A default mutex fails only by our own mistake: destroyed, or not ours to release. */
static void must(int result)
{
    assert(result == 0);
    (void)result;
}

void lock_init(struct lock *lock)
{
    must(pthread_mutex_init(&lock->mutex, NULL));
}

void lock_fini(struct lock *lock)
{
    must(pthread_mutex_destroy(&lock->mutex));
}

void lock_acquire(struct lock *lock) NO_ANALYSIS
{
    must(pthread_mutex_lock(&lock->mutex));
}

void lock_release(struct lock *lock) NO_ANALYSIS
{
    must(pthread_mutex_unlock(&lock->mutex));
}
