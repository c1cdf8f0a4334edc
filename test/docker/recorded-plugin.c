// The volume plugin of the recordings, as far as its answers show: a stand-in with the same words.
//
// Volumes are names in memory, whose directories are made by a Mount. Options of a create: fail=err
// (Err), fail=500 (status 500 with Err), fail=500text (status 500 with text), fail=remove (its
// removal is refused). `-sock PATH` and `-scope SCOPE` as in the recorded config.
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 256, REQUEST_MAX = 65536, VOLUMES_MAX = 64 };

struct volume {
  char name[TEXT_MAX];
  char created[TEXT_MAX];
  bool refuses_removal;
};

static struct volume volumes[VOLUMES_MAX];
static const char *scope = "local";

static struct volume *find(const char *name) {
  for (int index = 0; index < VOLUMES_MAX; index++) {
    if (strcmp(volumes[index].name, name) == 0) return &volumes[index];
  }
  return NULL;
}

/** The string behind "KEY":, as it stands: engines send no escapes in what is used here. */
static void string_of(const char *json, const char *key, char *out) {
  char quoted[TEXT_MAX];
  snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
  const char *at = strstr(json, quoted);
  *out = '\0';
  if (at != NULL) (void)sscanf(at + strlen(quoted), "%255[^\"]", out);
}

static void answer(int client, int status, const char *body) {
  char head[TEXT_MAX];
  int length = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: application/vnd.docker.plugins.v1.2+json\r\n"
                        "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                        status, status == 200 ? "OK" : "Internal Server Error", strlen(body));
  if (write(client, head, (size_t)length) < 0) return;
  if (write(client, body, strlen(body)) < 0) return;
}

static void create(int client, const char *name, const char *fail) {
  if (strcmp(fail, "err") == 0) {
    answer(client, 200, "{\"Err\":\"create refused by plugin\"}");
  } else if (strcmp(fail, "500") == 0) {
    answer(client, 500, "{\"Err\":\"create refused with status 500\"}");
  } else if (strcmp(fail, "500text") == 0) {
    answer(client, 500, "plain text failure");
  } else {
    struct volume *volume = find(name);
    if (volume == NULL) volume = find("");
    if (volume == NULL) abort();
    snprintf(volume->name, sizeof volume->name, "%s", name);
    volume->refuses_removal = strcmp(fail, "remove") == 0;
    time_t now = time(NULL);
    strftime(volume->created, sizeof volume->created, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    answer(client, 200, "{}");
  }
}

static void list(int client) {
  char *body = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&body, &size);
  if (out == NULL) abort();
  fputs("{\"Volumes\":[", out);
  const char *comma = "";
  for (int index = 0; index < VOLUMES_MAX; index++) {
    const char *name = volumes[index].name;
    if (*name == '\0') continue;
    fprintf(out, "%s{\"Name\":\"%s\",\"Mountpoint\":\"/mnt/volumes/%s\"}", comma, name, name);
    comma = ",";
  }
  fputs("]}", out);
  (void)fclose(out);
  answer(client, 200, body);
  free(body);
}

static void of_volume(int client, const char *call, struct volume *volume) {
  char body[TEXT_MAX * 6];
  if (volume == NULL) {
    answer(client, 200, "{\"Err\":\"no such volume\"}");
  } else if (strcmp(call, "VolumeDriver.Get") == 0) {
    snprintf(body, sizeof body,
             "{\"Volume\":{\"Name\":\"%s\",\"Mountpoint\":\"/mnt/volumes/%s\",\"CreatedAt\":\"%s\","
             "\"Status\":{\"hello\":\"world\"}}}",
             volume->name, volume->name, volume->created);
    answer(client, 200, body);
  } else if (strcmp(call, "VolumeDriver.Remove") == 0) {
    if (volume->refuses_removal) {
      answer(client, 200, "{\"Err\":\"remove refused by plugin\"}");
    } else {
      volume->name[0] = '\0';
      answer(client, 200, "{}");
    }
  } else if (strcmp(call, "VolumeDriver.Unmount") == 0) {
    answer(client, 200, "{}");
  } else {
    snprintf(body, sizeof body, "/mnt/volumes/%s", volume->name);
    if (strcmp(call, "VolumeDriver.Mount") == 0) mkdir(body, 0755);
    snprintf(body, sizeof body, "{\"Mountpoint\":\"/mnt/volumes/%s\"}", volume->name);
    answer(client, 200, body);
  }
}

static void handle(int client, const char *call, const char *json) {
  char name[TEXT_MAX], fail[TEXT_MAX], body[TEXT_MAX];
  string_of(json, "Name", name);
  string_of(json, "fail", fail);
  if (strcmp(call, "Plugin.Activate") == 0) {
    answer(client, 200, "{\"Implements\":[\"VolumeDriver\"]}");
  } else if (strcmp(call, "VolumeDriver.Capabilities") == 0) {
    snprintf(body, sizeof body, "{\"Capabilities\":{\"Scope\":\"%s\"}}", scope);
    answer(client, 200, body);
  } else if (strcmp(call, "VolumeDriver.List") == 0) {
    list(client);
  } else if (strcmp(call, "VolumeDriver.Create") == 0) {
    create(client, name, fail);
  } else {
    of_volume(client, call, *name == '\0' ? NULL : find(name));
  }
}

/** Answers one request. Each has a connection of its own: an idle one would keep others waiting. */
static void serve(int client) {
  static char request[REQUEST_MAX];
  size_t used = 0;
  for (;;) {
    ssize_t got = read(client, request + used, sizeof request - 1 - used);
    if (got <= 0) return;
    used += (size_t)got;
    request[used] = '\0';
    const char *end = strstr(request, "\r\n\r\n");
    if (end == NULL) continue;
    const char *length = strcasestr(request, "\r\ncontent-length:");
    size_t wanted = length == NULL || length > end ? 0 : strtoul(length + 17, NULL, 10);
    if (strlen(end + 4) < wanted) continue;
    char call[TEXT_MAX];
    if (sscanf(request, "POST /%255s ", call) == 1) handle(client, call, end + 4);
    return;
  }
}

/** The first process of a namespace gets no signal that it does not handle. */
static void end(int number) {
  (void)number;
  _exit(0);
}

int main(int count, char **words) {
  signal(SIGTERM, end);
  const char *path = "/run/docker/plugins/vp.sock";
  for (int index = 1; index + 1 < count; index += 2) {
    if (strcmp(words[index], "-sock") == 0) path = words[index + 1];
    if (strcmp(words[index], "-scope") == 0) scope = words[index + 1];
  }
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  unlink(path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
    perror(path);
    return 1;
  }
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    serve(client);
    close(client);
  }
}
