#include "tests/bench/load/meter.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * The leading bit chooses a row, the next METER_SUB_BITS bits a place in it; what is smaller than a
 * row has a bucket of its own.
 */
static unsigned bucket_of(uint64_t value)
{
    if (value >> METER_SUB_BITS == 0)
        return (unsigned)value;
    unsigned row = 63U - (unsigned)__builtin_clzll(value) - METER_SUB_BITS;
    unsigned place = (unsigned)(value >> row) & ((1U << METER_SUB_BITS) - 1);
    return ((row + 1) << METER_SUB_BITS) + place;
}

uint64_t histogram_bucket_end(unsigned bucket)
{
    if (bucket >> METER_SUB_BITS == 0)
        return bucket;
    unsigned row = (bucket >> METER_SUB_BITS) - 1;
    uint64_t place = (bucket & ((1U << METER_SUB_BITS) - 1)) | 1U << METER_SUB_BITS;
    return ((place + 1) << row) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value_ns)
{
    histogram->count++;
    histogram->buckets[bucket_of(value_ns)]++;
    if (value_ns > histogram->max_ns)
        histogram->max_ns = value_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)((double)histogram->count * share), seen = 0;
    for (unsigned i = 0; i < METER_BUCKETS && histogram->count != 0; i++) {
        seen += histogram->buckets[i];
        if (seen > rank || seen == histogram->count) {
            uint64_t end = histogram_bucket_end(i);
            return end < histogram->max_ns ? end : histogram->max_ns;
        }
    }
    return 0;
}

static bool read_proc(int pid, const char *file, char *text, int size)
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return false;
    bool got = fgets(text, size, in) != NULL;
    fclose(in);
    return got;
}

/* Of all its threads: what they had of a core, and how long they waited for one. */
static double wanted_s(int pid)
{
    char path[64], file[300], text[128];
    unsigned long long had, waited, sum = 0;
    const struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        snprintf(file, sizeof file, "task/%s/schedstat", entry->d_name);
        if (entry->d_name[0] != '.' && read_proc(pid, file, text, sizeof text) &&
            sscanf(text, "%llu %llu", &had, &waited) == 2)
            sum += had + waited;
    }
    if (tasks != NULL)
        closedir(tasks);
    return (double)sum / 1e9;
}

static double clock_s(int pid)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) == -1)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct usage usage_of(int pid)
{
    struct usage usage = {.known = false};
    char text[1024];
    unsigned long user, system, resident;
    if (pid <= 0 || !read_proc(pid, "stat", text, sizeof text))
        return usage;
    /* The name, in parentheses, may have any character: what follows starts behind the last one. */
    const char *rest = strrchr(text, ')');
    if (rest == NULL ||
        sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return usage;
    if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%*u %lu", &resident) != 1)
        return usage;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    usage.known = true;
    usage.cpu_s = clock_s(pid);
    usage.user_s = (double)user / ticks;
    usage.system_s = (double)system / ticks;
    usage.wanted_s = wanted_s(pid);
    usage.rss_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
    return usage;
}

struct usage usage_between(const struct usage *from, const struct usage *to)
{
    return (struct usage){.known = from->known && to->known,
                          .cpu_s = to->cpu_s - from->cpu_s,
                          .user_s = to->user_s - from->user_s,
                          .system_s = to->system_s - from->system_s,
                          .wanted_s = to->wanted_s - from->wanted_s,
                          .rss_bytes = to->rss_bytes};
}

void usage_add(struct usage *sum, const struct usage *one)
{
    sum->known = sum->known && one->known;
    sum->cpu_s += one->cpu_s;
    sum->user_s += one->user_s;
    sum->system_s += one->system_s;
    sum->wanted_s += one->wanted_s;
    sum->rss_bytes += one->rss_bytes;
}

double machine_cpu_s(void)
{
    /* user nice system idle iowait irq softirq steal: all but the two in the middle. */
    unsigned long long user, nice, system, irq, softirq, steal;
    FILE *in = fopen("/proc/stat", "re");
    if (in == NULL)
        return 0;
    int got = fscanf(in, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq,
                     &softirq, &steal);
    fclose(in);
    if (got != 6)
        return 0;
    return (double)(user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK);
}
