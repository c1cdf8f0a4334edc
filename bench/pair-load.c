// Moves the same data through two mounts by turns, and prints how many seconds each piece took, a
// pair a line: `pair-load write|read FIRST SECOND MIB PAIRS NUMBER [DISK]`.
//
// The turns are A B, B A, A B, … so that whatever the machine does meanwhile falls on both alike.
// write: MIB MiB over what is in a file of each directory, and an fsync, which is part of the time.
// Both files stay open to the end: rclone sends a file when it is closed.
// read: the files NUMBER, NUMBER + 1, … of each directory, MIB MiB each, every one once. The kernel
// must have none of their pages: it is asked to drop them, and then whether it has.
// Before each piece DISK, if given, is synced: where what is mounted keeps its cache.
// One program for all pieces, compiled statically: the start of one takes as long as some of them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, PAGE_BYTES = 4096, TWO = 2 };

static char piece[PIECE_BYTES];
static int disk = -1;

static void fail(const char *what) {
  fprintf(stderr, "pair-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int opened(const char *directory, const char *name, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int file = open(path, flags, 0644);
  if (file < 0) fail(path);
  return file;
}

static double written(int file, long mib) {
  double started = now();
  for (long index = 0; index < mib; index++) {
    if (pwrite(file, piece, PIECE_BYTES, index * PIECE_BYTES) != PIECE_BYTES) fail("write");
  }
  if (fsync(file) != 0) fail("fsync");
  return now() - started;
}

static void forgotten(int file, long bytes) {
  if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0) fail("fadvise");
  size_t pages = (size_t)bytes / PAGE_BYTES;
  unsigned char *known = malloc(pages);
  void *mapped = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, file, 0);
  if (known == NULL || mapped == MAP_FAILED) fail("mmap");
  if (mincore(mapped, (size_t)bytes, known) != 0) fail("mincore");
  size_t resident = 0;
  for (size_t index = 0; index < pages; index++) resident += known[index] & 1;
  munmap(mapped, (size_t)bytes);
  free(known);
  if (resident == 0) return;
  fprintf(stderr, "pair-load: %zu of %zu pages are in memory already\n", resident, pages);
  exit(1);
}

static double read_once(const char *directory, const char *name, long mib) {
  int file = opened(directory, name, O_RDONLY);
  forgotten(file, mib * PIECE_BYTES);
  double started = now();
  long bytes = 0;
  for (ssize_t got; (got = read(file, piece, PIECE_BYTES)) != 0; bytes += got) {
    if (got < 0) fail("read");
  }
  double seconds = now() - started;
  if (bytes != mib * PIECE_BYTES) {
    fprintf(stderr, "pair-load: %s/%s has %ld bytes\n", directory, name, bytes);
    exit(1);
  }
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
  return seconds;
}

int main(int count, char **words) {
  int is_write = count > 1 && strcmp(words[1], "write") == 0;
  if (count < 7 || count > 8 || (!is_write && strcmp(words[1], "read") != 0)) {
    fputs("usage: pair-load write|read FIRST SECOND MIB PAIRS NUMBER [DISK]\n", stderr);
    return 2;
  }
  memset(piece, 0x68, sizeof piece);
  const char *places[TWO] = {words[2], words[3]};
  long mib = atol(words[4]), pairs = atol(words[5]), number = atol(words[6]);
  if (count == 8) disk = opened(words[7], ".", O_RDONLY | O_DIRECTORY);
  int files[TWO];
  for (int each = 0; is_write && each < TWO; each++) {
    files[each] = opened(places[each], "written", O_CREAT | O_WRONLY);
    // The first time is another one: the file grows.
    written(files[each], mib);
  }
  for (long pair = 0; pair < pairs; pair++) {
    double seconds[TWO];
    char name[32];
    snprintf(name, sizeof name, "%ld", number + pair);
    for (int turn = 0; turn < TWO; turn++) {
      int each = pair % 2 == 0 ? turn : 1 - turn;
      if (disk >= 0 && syncfs(disk) != 0) fail("syncfs");
      seconds[each] = is_write ? written(files[each], mib) : read_once(places[each], name, mib);
    }
    printf("%.6f %.6f\n", seconds[0], seconds[1]);
    fflush(stdout);
  }
  for (int each = 0; is_write && each < TWO; each++) close(files[each]);
  return 0;
}
