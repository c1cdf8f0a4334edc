// A volume plugin that costs next to nothing, or is dead: `plugin-server SOCKET DIRECTORY MODE`.
//
// works: volumes are directories of DIRECTORY, their names kept in memory. hangs: connections are
// taken, and nothing is ever answered. trickles: an answer begins and goes on for ever, a byte each
// 20 ms. Ends with its standard input.
//
// Decision: this is C for the reason that bench/load-generator.c is: what the plugin itself needs
// is taken off both engines' times, and a plugin that needs much hides what they add.
// Beyond the protocol: Bench.Fill with Name: makes as many volumes as that number says;
// Bench.Counts: how many calls of Mount and Unmount there were.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 8192, NAME_BYTES_MAX = 128, SLOTS = 1 << 16, TRICKLE_MS = 20 };

struct answer {
  char *text;
  size_t bytes;
  size_t capacity;
};

static const char *directory;
static const char *mode;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Names by their hash; those of removed volumes stay as a name with `is_there` false.
static struct {
  char name[NAME_BYTES_MAX];
  bool is_there;
} volumes[SLOTS];
static size_t name_count;
static long mounts, unmounts;

static void fail(const char *what) {
  fprintf(stderr, "plugin-server: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void put(struct answer *answer, const char *format, ...) {
  va_list arguments;
  for (;;) {
    size_t room = answer->capacity - answer->bytes;
    va_start(arguments, format);
    int bytes = vsnprintf(answer->text + answer->bytes, room, format, arguments);
    va_end(arguments);
    if (bytes < 0) fail("vsnprintf");
    if ((size_t)bytes < room) {
      answer->bytes += (size_t)bytes;
      return;
    }
    answer->capacity = (answer->capacity + (size_t)bytes) * 2 + 1024;
    answer->text = realloc(answer->text, answer->capacity);
    if (!answer->text) fail("realloc");
  }
}

static size_t slot_of(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char *at = name; *at; at++) hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
  size_t slot = hash % SLOTS;
  while (volumes[slot].name[0] && strcmp(volumes[slot].name, name) != 0) slot = (slot + 1) % SLOTS;
  return slot;
}

static const char *path_of(const char *name) {
  static char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) fail("path");
  return path;
}

static void create(const char *name) {
  size_t slot = slot_of(name);
  if (!volumes[slot].name[0]) {
    if (++name_count > SLOTS / 2) fail("too many volumes");
    strcpy(volumes[slot].name, name);
  }
  volumes[slot].is_there = true;
  if (mkdir(path_of(name), 0755) != 0 && errno != EEXIST) fail(path_of(name));
}

// The text of a field; empty where there is none. Names of the bench have nothing to unescape.
static void field(const char *body, const char *key, char *value) {
  value[0] = 0;
  const char *at = strstr(body, key);
  if (!at) return;
  at += strlen(key);
  while (*at == ' ' || *at == ':') at++;
  if (*at++ != '"') return;
  size_t bytes = strcspn(at, "\"");
  if (bytes >= NAME_BYTES_MAX || memchr(at, '/', bytes)) return;
  memcpy(value, at, bytes);
  value[bytes] = 0;
}

static void answer_volume(struct answer *answer, const char *call, const char *name) {
  size_t slot = slot_of(name);
  if (strcmp(call, "Create") == 0) {
    create(name);
    put(answer, "{\"Err\":\"\"}");
  } else if (!name[0] || !volumes[slot].is_there) {
    put(answer, "{\"Err\":\"no such volume\"}");
  } else if (strcmp(call, "Get") == 0) {
    put(answer, "{\"Err\":\"\",\"Volume\":{\"Name\":\"%s\",\"Mountpoint\":\"%s\"}}", name,
        path_of(name));
  } else if (strcmp(call, "Mount") == 0 || strcmp(call, "Path") == 0) {
    mounts += *call == 'M';
    put(answer, "{\"Err\":\"\",\"Mountpoint\":\"%s\"}", path_of(name));
  } else if (strcmp(call, "Unmount") == 0) {
    unmounts++;
    put(answer, "{\"Err\":\"\"}");
  } else if (strcmp(call, "Remove") == 0) {
    rmdir(path_of(name));
    volumes[slot].is_there = false;
    put(answer, "{\"Err\":\"\"}");
  } else {
    put(answer, "{\"Err\":\"no such call\"}");
  }
}

static void answer_list(struct answer *answer) {
  const char *separator = "";
  put(answer, "{\"Err\":\"\",\"Volumes\":[");
  for (size_t slot = 0; slot < SLOTS; slot++) {
    if (!volumes[slot].is_there) continue;
    const char *name = volumes[slot].name;
    put(answer, "%s{\"Name\":\"%s\",\"Mountpoint\":\"%s\"}", separator, name, path_of(name));
    separator = ",";
  }
  put(answer, "]}");
}

static void answer_call(struct answer *answer, const char *call, const char *body) {
  char name[NAME_BYTES_MAX];
  field(body, "\"Name\"", name);
  if (strcmp(call, "Plugin.Activate") == 0) {
    put(answer, "{\"Implements\":[\"VolumeDriver\"]}");
  } else if (strcmp(call, "VolumeDriver.Capabilities") == 0) {
    put(answer, "{\"Capabilities\":{\"Scope\":\"local\"}}");
  } else if (strcmp(call, "VolumeDriver.List") == 0) {
    answer_list(answer);
  } else if (strcmp(call, "Bench.Fill") == 0) {
    char filled[NAME_BYTES_MAX];
    const char *prefix = strrchr(directory, '/');
    for (int index = 0; index < atoi(name); index++) {
      snprintf(filled, sizeof filled, "%s-%d", prefix ? prefix + 1 : directory, index);
      create(filled);
    }
    put(answer, "{\"Err\":\"\"}");
  } else if (strcmp(call, "Bench.Counts") == 0) {
    put(answer, "{\"mounts\":%ld,\"unmounts\":%ld}", mounts, unmounts);
  } else if (strncmp(call, "VolumeDriver.", 13) == 0) {
    answer_volume(answer, call + 13, name);
  } else {
    put(answer, "{\"Err\":\"no such call\"}");
  }
}

// One request, with its body. False: the other side has gone, or sends what is none.
static bool read_request(int client, char *buffer, char **body) {
  size_t length = 0, wanted = 0;
  for (*body = NULL; !*body || length < wanted;) {
    if (length + 1 >= REQUEST_BYTES_MAX) return false;
    ssize_t got = recv(client, buffer + length, REQUEST_BYTES_MAX - 1 - length, 0);
    if (got <= 0) return false;
    length += (size_t)got;
    buffer[length] = 0;
    char *end = *body ? NULL : strstr(buffer, "\r\n\r\n");
    if (!end) continue;
    char *header = strcasestr(buffer, "\r\ncontent-length:");
    *body = end + 4;
    wanted = (size_t)(*body - buffer) + (header && header < end ? (size_t)atol(header + 17) : 0);
  }
  return true;
}

static void misbehave(int client) {
  if (strcmp(mode, "hangs") == 0) {
    for (;;) pause();
  }
  dprintf(client, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
  struct timespec rest = {.tv_nsec = TRICKLE_MS * 1000000L};
  while (send(client, " ", 1, MSG_NOSIGNAL) == 1) nanosleep(&rest, NULL);
}

static void *serve(void *argument) {
  int client = (int)(intptr_t)argument;
  char buffer[REQUEST_BYTES_MAX], *body, call[64], head[160];
  struct answer answer = {0};
  while (read_request(client, buffer, &body)) {
    if (strcmp(mode, "works") != 0) {
      misbehave(client);
      break;
    }
    call[0] = 0;
    sscanf(buffer, "POST /%63s", call);
    answer.bytes = 0;
    // Room for the head, which is written when the length is known.
    put(&answer, "%159s", "");
    pthread_mutex_lock(&lock);
    answer_call(&answer, call, body);
    pthread_mutex_unlock(&lock);
    size_t head_bytes = (size_t)snprintf(
        head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n", answer.bytes - 159);
    char *from = answer.text + 159 - head_bytes;
    memcpy(from, head, head_bytes);
    size_t left = (size_t)(answer.text + answer.bytes - from);
    for (ssize_t sent; left > 0 && (sent = send(client, from, left, MSG_NOSIGNAL)) > 0;) {
      from += sent;
      left -= (size_t)sent;
    }
    if (left > 0) break;
  }
  free(answer.text);
  close(client);
  return NULL;
}

static void *end_with_input(void *argument) {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  exit(0);
  return argument;
}

int main(int count, char **words) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (count != 4 || strlen(words[1]) >= sizeof address.sun_path) {
    fputs("plugin-server SOCKET DIRECTORY works|hangs|trickles\n", stderr);
    return 2;
  }
  directory = words[2];
  mode = words[3];
  strcpy(address.sun_path, words[1]);
  if (mkdir(directory, 0755) != 0 && errno != EEXIST) fail(directory);
  unlink(words[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail(words[1]);
  if (listen(listener, 128) != 0) fail("listen");
  pthread_t thread;
  pthread_create(&thread, NULL, end_with_input, NULL);
  puts("listening");
  fflush(stdout);
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0) close(client);
    else pthread_detach(thread);
  }
}
