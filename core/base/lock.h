#pragma once

/*
 * A mutex that clang's thread safety analysis can follow (`make lint`).
 *
 * Fields stand under their lock with GUARDED_BY(lock); a function that needs it held ends in
 * _locked and carries REQUIRES(x->lock). clang 14 checks C functions but not members of a struct
 * that is reached through a pointer, so GUARDED_BY is empty there and reads as a comment.
 */

#include <pthread.h>

#if defined(__clang__)
#define THREAD_ANNOTATION(x) __attribute__((x))
#else
#define THREAD_ANNOTATION(x)
#endif

#define CAPABILITY(name) THREAD_ANNOTATION(capability(name))
#define REQUIRES(...)    THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define ACQUIRE(...)     THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...)     THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define EXCLUDES(...)    THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define NO_ANALYSIS      THREAD_ANNOTATION(no_thread_safety_analysis)
#define GUARDED_BY(lock)

struct CAPABILITY("lock") lock {
    pthread_mutex_t mutex;
};

void lock_init(struct lock *lock);
void lock_fini(struct lock *lock);
void lock_acquire(struct lock *lock) ACQUIRE(*lock);
void lock_release(struct lock *lock) RELEASE(*lock);
