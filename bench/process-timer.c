// Runs one program to its end and prints, as JSON, how long the whole process took.
//
// In C for the reason that load-generator.c gives: starting a process from a large runtime costs
// milliseconds that would be counted for both sides and draw every ratio towards one.
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double of(struct timeval time) {
  return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

int main(int count, char **words) {
  int ends[2];
  if (count < 2 || pipe(ends) < 0) {
    fputs("usage: process-timer PROGRAM [ARGUMENT]...\n", stderr);
    return 2;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);

  double before = milliseconds();
  pid_t child;
  int error = posix_spawn(&child, words[1], &actions, NULL, words + 1, environ);
  if (error != 0) {
    fprintf(stderr, "process-timer: %s: %s\n", words[1], strerror(error));
    return 2;
  }
  close(ends[1]);
  char bytes[65536];
  long lines = 0;
  ssize_t got;
  while ((got = read(ends[0], bytes, sizeof bytes)) > 0)
    for (ssize_t i = 0; i < got; i++) lines += bytes[i] == '\n';
  int status;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) continue;
  double after = milliseconds();

  printf("{\"wallMs\":%.4f,\"processorMs\":%.4f,\"rssKib\":%ld,\"lines\":%ld,\"exit\":%d}\n",
         after - before, of(usage.ru_utime) + of(usage.ru_stime), usage.ru_maxrss, lines,
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
