/* Preloaded into a server under test: lets one call on its data directory fail, and writes down what was
 * synced, so that a test can take the rest away as a loss of power would.
 *
 * KF_SHIM_ROOT  only files below this directory count
 * KF_SHIM_LOG   a line for each sync that was answered with success, "S inode size", and for each new
 *               file, "N inode"
 * KF_SHIM_FAIL  "n:errno": the n-th write, sync, creating open or rename fails; "sn:errno": the n-th sync
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static int log_fd = -1;
static long fail_at, fail_with;
static int fail_syncs_only;
static atomic_long calls;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("KF_SHIM_ROOT");
    if (text)
        snprintf(root, sizeof root, "%s/", text);
    if ((text = getenv("KF_SHIM_LOG")))
        log_fd = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if ((text = getenv("KF_SHIM_FAIL"))) {
        fail_syncs_only = *text == 's';
        sscanf(text + fail_syncs_only, "%ld:%ld", &fail_at, &fail_with);
    }
    /* What the server starts is not under test. */
    unsetenv("LD_PRELOAD");
}

static int below(const char *path)
{
    return root[0] && path && strncmp(path, root, strlen(root)) == 0;
}

/* Whether a descriptor is a regular file of the data directory. */
static int ours(int fd, struct stat *status)
{
    char link[64], path[PATH_MAX];
    if (!root[0] || syscall(SYS_fstat, fd, status) != 0 || !S_ISREG(status->st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return below(path);
}

static int fails(int is_sync)
{
    if (fail_at == 0 || (fail_syncs_only && !is_sync))
        return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != fail_at)
        return 0;
    errno = (int)fail_with;
    return 1;
}

static void note(const char *line, int size)
{
    if (log_fd >= 0 && size > 0)
        syscall(SYS_write, log_fd, line, (size_t)size);
}

#define REAL(name, type) \
    static type real; \
    if (!real) \
        real = (type)dlsym(RTLD_NEXT, name)

#define WRITING(name, result, parameters, arguments) \
    result name parameters \
    { \
        typedef result(*type) parameters; \
        REAL(#name, type); \
        struct stat status; \
        if (ours(fd, &status) && fails(0)) \
            return -1; \
        return real arguments; \
    }

WRITING(write, ssize_t, (int fd, const void *data, size_t size), (fd, data, size))
WRITING(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITING(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRITING(writev, ssize_t, (int fd, const struct iovec *parts, int count), (fd, parts, count))

#define SYNCING(name) \
    int name(int fd) \
    { \
        typedef int (*type)(int); \
        REAL(#name, type); \
        struct stat status; \
        int known = ours(fd, &status); \
        if (known && fails(1)) \
            return -1; \
        int done = real(fd); \
        if (known && done == 0) { \
            char line[64]; \
            note(line, snprintf(line, sizeof line, "S %lu %lld\n", (unsigned long)status.st_ino, \
                                (long long)status.st_size)); \
        } \
        return done; \
    }

SYNCING(fsync)
SYNCING(fdatasync)

static int opened(int fd, int flags)
{
    struct stat status;
    if (fd >= 0 && (flags & O_CREAT) && ours(fd, &status) && status.st_size == 0) {
        char line[64];
        note(line, snprintf(line, sizeof line, "N %lu\n", (unsigned long)status.st_ino));
    }
    return fd;
}

#define OPENING(name) \
    int name(const char *path, int flags, ...) \
    { \
        typedef int (*type)(const char *, int, ...); \
        REAL(#name, type); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if ((flags & O_CREAT) && below(path) && fails(0)) \
            return -1; \
        return opened(real(path, flags, mode), flags); \
    }

OPENING(open)
OPENING(open64)

int rename(const char *from, const char *to)
{
    typedef int (*type)(const char *, const char *);
    REAL("rename", type);
    if (below(to) && fails(0))
        return -1;
    return real(from, to);
}
