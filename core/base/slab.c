/*
 * A page knows its free objects: those that came back are a list through their first word, those
 * that were never given out are behind a mark, so that memory is touched only when it is needed.
 */
#include "core/base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "core/base/mem.h"

enum {
    OBJECT_BYTES_MAX = 1024,
    EMPTY_MAX = 1, /* pages kept, lest one object that comes and goes maps a page each time */
};

#ifdef __SANITIZE_ADDRESS__
enum { EACH_BY_ITSELF = 1 };
#else
enum { EACH_BY_ITSELF = 0 };
#endif

struct free_object {
    struct free_object *next;
};

struct page {
    struct list_link link; /* in the slab's open or full */
    struct free_object *free;
    uint32_t used;
    uint32_t fresh; /* where the objects begin that were never given out */
};

void slab_init(struct slab *slab, size_t object_bytes)
{
    *slab = (struct slab){.object_bytes = (object_bytes + 7) / 8 * 8};
    assert(object_bytes != 0 && object_bytes <= OBJECT_BYTES_MAX);
    lock_init(&slab->lock);
    list_init(&slab->open);
    list_init(&slab->full);
}

/* Twice as much is mapped, and what stands out at both ends given back: the middle is aligned. */
static struct page *map_page(void)
{
    char *mapped =
        mmap(NULL, 2 * SLAB_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    size_t ahead = -(uintptr_t)mapped % SLAB_PAGE_BYTES;
    if (ahead != 0)
        munmap(mapped, ahead);
    munmap(mapped + ahead + SLAB_PAGE_BYTES, SLAB_PAGE_BYTES - ahead);
    return (struct page *)(mapped + ahead);
}

static struct page *add_page_locked(struct slab *slab) REQUIRES(slab->lock)
{
    struct page *page = map_page();
    if (page == NULL)
        return NULL;
    *page = (struct page){.fresh = sizeof *page};
    list_push_back(&slab->open, &page->link);
    slab->empty++;
    slab->pages_count++;
    return page;
}

static void drop_page_locked(struct slab *slab, struct page *page) REQUIRES(slab->lock)
{
    list_remove(&page->link);
    slab->empty--;
    slab->pages_count--;
    munmap(page, SLAB_PAGE_BYTES);
}

static bool is_full(const struct slab *slab, const struct page *page)
{
    return page->free == NULL && page->fresh + slab->object_bytes > SLAB_PAGE_BYTES;
}

static void *take_locked(struct slab *slab, struct page *page) REQUIRES(slab->lock)
{
    void *object = page->free;
    if (object != NULL) {
        page->free = page->free->next;
    } else {
        object = (char *)page + page->fresh;
        page->fresh += (uint32_t)slab->object_bytes;
    }
    slab->empty -= page->used++ == 0;
    if (is_full(slab, page)) {
        list_remove(&page->link);
        list_push_back(&slab->full, &page->link);
    }
    return object;
}

static void *alloc(struct slab *slab)
{
    lock_acquire(&slab->lock);
    struct list_link *first = list_first(&slab->open);
    struct page *page =
        first != NULL ? LIST_ENTRY(first, struct page, link) : add_page_locked(slab);
    void *object = page != NULL ? take_locked(slab, page) : NULL;
    lock_release(&slab->lock);
    return object;
}

void *slab_try_alloc(struct slab *slab)
{
    if (EACH_BY_ITSELF)
        return mem_try_alloc(slab->object_bytes);
    return mem_try_fails() ? NULL : alloc(slab);
}

void *slab_alloc(struct slab *slab)
{
    if (EACH_BY_ITSELF)
        return mem_zalloc(slab->object_bytes);
    void *object = alloc(slab);
    if (object == NULL)
        mem_die(slab->object_bytes);
    return object;
}

/* Fuller pages are used first, so that others may become empty: one that has just got room goes to
 * the front. */
static void give_back_locked(struct slab *slab, struct page *page, struct free_object *object)
    REQUIRES(slab->lock)
{
    bool was_full = is_full(slab, page);
    assert(page->used != 0);
    object->next = page->free;
    page->free = object;
    if (was_full) {
        list_remove(&page->link);
        list_push_front(&slab->open, &page->link);
    }
    if (--page->used != 0)
        return;
    if (++slab->empty > EMPTY_MAX)
        drop_page_locked(slab, page);
    else
        list_move_back(&slab->open, &page->link);
}

void slab_free(struct slab *slab, void *object)
{
    if (EACH_BY_ITSELF || object == NULL) {
        mem_free(object);
        return;
    }
    struct page *page = (struct page *)((uintptr_t)object & ~(uintptr_t)(SLAB_PAGE_BYTES - 1));
    lock_acquire(&slab->lock);
    give_back_locked(slab, page, object);
    lock_release(&slab->lock);
}

size_t slab_pages(struct slab *slab)
{
    lock_acquire(&slab->lock);
    size_t count = slab->pages_count;
    lock_release(&slab->lock);
    return count;
}

void slab_fini(struct slab *slab)
{
    lock_acquire(&slab->lock);
    for (struct list_link *link; (link = list_first(&slab->open)) != NULL;) {
        struct page *page = LIST_ENTRY(link, struct page, link);
        assert(page->used == 0);
        drop_page_locked(slab, page);
    }
    assert(list_is_empty(&slab->full));
    lock_release(&slab->lock);
    lock_fini(&slab->lock);
}
