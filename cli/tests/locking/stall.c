/* Preloaded into a program: the first opening of a file whose path contains $STALL_PATH is held back until $STALL_GO exists.
   $STALL_MARK is created when it begins to wait. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void stall(const char *path) {
  static atomic_flag stalled = ATOMIC_FLAG_INIT;
  const char *part = getenv("STALL_PATH"), *mark = getenv("STALL_MARK"), *go = getenv("STALL_GO");
  if (!part || !mark || !go || !strstr(path, part) || atomic_flag_test_and_set(&stalled)) return;
  int made = creat(mark, 0600);
  if (made >= 0) close(made);
  for (struct stat found; stat(go, &found) != 0;) usleep(5000);
}

#define OPEN(name)                                                          \
  int name(const char *path, int flags, ...) {                              \
    va_list rest;                                                           \
    va_start(rest, flags);                                                  \
    mode_t mode = va_arg(rest, mode_t);                                     \
    va_end(rest);                                                           \
    stall(path);                                                            \
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);          \
    return next(path, flags, mode);                                         \
  }

#define OPENAT(name)                                                        \
  int name(int folder, const char *path, int flags, ...) {                  \
    va_list rest;                                                           \
    va_start(rest, flags);                                                  \
    mode_t mode = va_arg(rest, mode_t);                                     \
    va_end(rest);                                                           \
    stall(path);                                                            \
    int (*next)(int, const char *, int, ...) = dlsym(RTLD_NEXT, #name);     \
    return next(folder, path, flags, mode);                                 \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
