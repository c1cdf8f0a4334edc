// Writes in a directory and prints how many seconds it took: `write-load MODE DIRECTORY COUNT`.
//
// sequential: COUNT MiB over what is in a file, then fsync; a new file would be faster or slower by
// where its blocks come to lie in the sparse image below. random: COUNT times 4 KiB at a random place of
// a file that has its size already, each with fsync. files: COUNT files of 1 KiB, then syncfs; they
// are removed again, untimed. tree: the same files, and they stay.
// Compiled statically, so that it runs in a container that has no C library.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, BLOCK_BYTES = 4096, FILE_BYTES = 1024, FILES_PER_DIRECTORY = 1000 };
enum { RANDOM_FILE_BYTES = 64 << 20 };

static char piece[PIECE_BYTES];

static void fail(const char *what) {
  fprintf(stderr, "write-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void write_all(int file, size_t size, off_t at) {
  if (pwrite(file, piece, size, at) != (ssize_t)size) fail("write");
}

static int opened(const char *path) {
  int file = open(path, O_CREAT | O_WRONLY, 0644);
  if (file < 0) fail(path);
  return file;
}

static double sequential(long count) {
  double started = now();
  int file = opened("sequential");
  for (long index = 0; index < count; index++) write_all(file, PIECE_BYTES, index * PIECE_BYTES);
  if (fsync(file) != 0) fail("fsync");
  double seconds = now() - started;
  close(file);
  return seconds;
}

static double random_places(long count) {
  int file = opened("random");
  for (long at = 0; at < RANDOM_FILE_BYTES; at += PIECE_BYTES) write_all(file, PIECE_BYTES, at);
  if (fsync(file) != 0) fail("fsync");
  uint64_t state = 0x9e3779b97f4a7c15u;
  double started = now();
  for (long index = 0; index < count; index++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint64_t block = state % (RANDOM_FILE_BYTES / BLOCK_BYTES);
    write_all(file, BLOCK_BYTES, (off_t)(block * BLOCK_BYTES));
    if (fsync(file) != 0) fail("fsync");
  }
  double seconds = now() - started;
  close(file);
  return seconds;
}

static void name_of(char *name, size_t size, long index, int is_directory) {
  long directory = index / FILES_PER_DIRECTORY;
  if (is_directory) snprintf(name, size, "files-%ld", directory);
  else snprintf(name, size, "files-%ld/%ld", directory, index);
}

static void sync_here(void) {
  int here = open(".", O_RDONLY | O_DIRECTORY);
  if (here < 0 || syncfs(here) != 0) fail("syncfs");
  close(here);
}

static double tree(long count) {
  char name[64];
  double started = now();
  for (long index = 0; index < count; index++) {
    name_of(name, sizeof name, index, 1);
    if (index % FILES_PER_DIRECTORY == 0 && mkdir(name, 0755) != 0) fail("mkdir");
    name_of(name, sizeof name, index, 0);
    int file = opened(name);
    write_all(file, FILE_BYTES, 0);
    close(file);
  }
  sync_here();
  return now() - started;
}

static double files(long count) {
  char name[64];
  double seconds = tree(count);
  for (long index = 0; index < count; index++) {
    name_of(name, sizeof name, index, 0);
    unlink(name);
  }
  for (long index = 0; index < count; index += FILES_PER_DIRECTORY) {
    name_of(name, sizeof name, index, 1);
    rmdir(name);
  }
  sync_here();
  return seconds;
}

int main(int count, char **words) {
  if (count != 4) {
    fputs("usage: write-load sequential|random|files|tree DIRECTORY COUNT\n", stderr);
    return 2;
  }
  memset(piece, 0x68, sizeof piece);
  if (chdir(words[2]) != 0) fail(words[2]);
  long amount = atol(words[3]);
  double seconds = -1;
  if (strcmp(words[1], "sequential") == 0) seconds = sequential(amount);
  if (strcmp(words[1], "random") == 0) seconds = random_places(amount);
  if (strcmp(words[1], "files") == 0) seconds = files(amount);
  if (strcmp(words[1], "tree") == 0) seconds = tree(amount);
  if (seconds < 0) return 2;
  printf("%.6f\n", seconds);
  return 0;
}
