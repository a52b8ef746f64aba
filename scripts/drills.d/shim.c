/* Stands between the control plane and the C library while it is drilled (LD_PRELOAD): it shifts the
 * wall clock, and lets writes below one directory fail.
 *
 * Both are steered from outside, while the process runs, through a page of memory that a file is
 * mapped to: DRILL_CONTROL names the file, DRILL_UNDER the directory. `shim.py` is the other side.
 *
 * Monotonic clocks are left alone: a step of the wall clock does not move them. Writes through a
 * mapping (SQLite's -shm) are not seen; they cannot fail with an error number anyway.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NEVER = 0, ONCE = 1, ALWAYS = 2 };

/* The order of these is `shim.py`'s too. */
struct control {
    _Atomic int64_t clock_ns; /* added to the wall clock */
    _Atomic int64_t mode;
    _Atomic int64_t error;  /* the error number that a write fails with */
    _Atomic int64_t before; /* writes that are let through first */
    _Atomic int64_t fired;  /* writes that were made to fail */
    _Atomic int64_t loaded; /* who has loaded this */
};

static struct control *control;
static const char *under;

__attribute__((constructor)) static void load(void) {
    const char *file = getenv("DRILL_CONTROL");
    under = getenv("DRILL_UNDER");
    if (file == NULL || under == NULL) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (page == MAP_FAILED) return;
    control = page;
    control->loaded = getpid();
}

/* --- the clock */

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && control != NULL && is_wall(clock)) {
        int64_t ns = at->tv_nsec + control->clock_ns % 1000000000;
        at->tv_sec += control->clock_ns / 1000000000;
        if (ns < 0) { ns += 1000000000; at->tv_sec--; }
        if (ns >= 1000000000) { ns -= 1000000000; at->tv_sec++; }
        at->tv_nsec = ns;
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (result == 0) { at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000; }
    return result;
}

time_t time(time_t *at) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (at != NULL) *at = now.tv_sec;
    return now.tv_sec;
}

/* --- writes */

static int is_under(const char *path) { return path != NULL && strncmp(path, under, strlen(under)) == 0; }

/* Whether the write that is about to be made has to fail; errno is set then. */
static int fails(void) {
    int64_t mode = control->mode;
    if (mode == NEVER) return 0;
    if (mode == ONCE) {
        if (atomic_fetch_sub(&control->before, 1) != 0) return 0;
        control->mode = NEVER;
    }
    control->fired++;
    errno = (int)control->error;
    return 1;
}

static int fails_at(int fd) {
    if (control == NULL || control->mode == NEVER) return 0;
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_under(path) && fails();
}

/* Opening, removing and renaming fail where everything does: on a file system that takes no writes. */
static int fails_named(const char *path) {
    return control != NULL && control->mode == ALWAYS && is_under(path) && fails();
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_at(fd) ? -1 : syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return fails_at(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

int ftruncate64(int fd, off64_t length) { return fails_at(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, length); }

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fsync(int fd) { return fails_at(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails_at(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }

static int opened(int directory, const char *path, int flags, mode_t mode) {
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails_named(path)) return -1;
    return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define MODE(flags, mode)                                  \
    mode_t mode = 0;                                       \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {               \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        mode = va_arg(rest, mode_t);                       \
        va_end(rest);                                      \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE(flags, mode) return opened(directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE(flags, mode) return opened(directory, path, flags, mode); }

int unlink(const char *path) { return fails_named(path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

int rename(const char *from, const char *to) {
    return fails_named(to) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
