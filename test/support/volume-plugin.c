// A volume plugin for managed plugins of the tests: static, small, and badly behaved when asked.
//
// It serves /run/docker/plugins/SOCKET with the volume protocol. A volume is a directory below
// DATA, which lies on disk as its options do, so that it outlives the process; the counts of mounts
// are kept in memory, as many real plugins do. One thread per connection, one call at a time.
//
// Environment: DATA (/volumes), SOCKET (plugin.sock), EXIT_AT_START=n (exit status),
// EXIT_AFTER_MS=n (exit status 3), LISTEN=never, LISTEN_AFTER_MS=n, IGNORE_TERM=1, LOG_LINES=n,
// CHILD=1 (leaves a child that ignores SIGTERM), FORK_AT_TERM=n (on SIGTERM makes n children that
// ignore it and make more of them).
// Options of a volume: crash=CALL and hang=CALL (Mount, Unmount, Remove, Get, Path, List, Create),
// mute=CALL (does it, and hangs), fail=CALL (answers an error); of what hangs there is a file
// `.hangs-VOLUME` in DATA,
// type=tmpfs (Mount mounts one), size=… of it,
// sshcmd=USER@HOST:/PATH (Mount runs sshfs, which gets all other options, as vieux/sshfs does),
// path=symlink (answers a path through an absolute symbolic link to its directory),
// path=/ANYTHING (answers that), path=@TEXT (answers a link of its own with that target).
// Beyond the protocol: Test.Read with Name: the text of that file, as the plugin sees it;
// Test.Exit with Name: ends with that status; Test.Log with Name: writes it, as one line;
// Test.Mount with Name: mounts a tmpfs there; Test.Mounts with Name: so many of them, in DATA.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, BODY_MAX = 256 * 1024, OPTIONS_MAX = 32, VOLUMES_MAX = 1024 };

struct request {
  char name[TEXT_MAX];
  char id[TEXT_MAX];
  int count;
  char keys[OPTIONS_MAX][256];
  char values[OPTIONS_MAX][TEXT_MAX];
};

struct count {
  char name[256];
  int mounts;
};

static const char *data;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct count counts[VOLUMES_MAX];

static const char *setting(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value == NULL || *value == '\0' ? otherwise : value;
}

static void sleep_ms(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
  while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
  }
}

static int *mounts_of(const char *name) {
  struct count *free_one = NULL;
  for (int index = 0; index < VOLUMES_MAX; index++) {
    if (strcmp(counts[index].name, name) == 0) return &counts[index].mounts;
    if (counts[index].name[0] == '\0' && free_one == NULL) free_one = &counts[index];
  }
  if (free_one == NULL) abort();
  snprintf(free_one->name, sizeof free_one->name, "%s", name);
  return &free_one->mounts;
}

// JSON, as much as engines send.

static const char *skip_space(const char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') at++;
  return at;
}

static size_t put_utf8(char *out, unsigned code) {
  if (code < 0x80) return out[0] = (char)code, 1;
  if (code < 0x800) {
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    return 2;
  }
  out[0] = (char)(0xe0 | code >> 12);
  out[1] = (char)(0x80 | (code >> 6 & 0x3f));
  out[2] = (char)(0x80 | (code & 0x3f));
  return 3;
}

static const char *read_string(const char *at, char *out, size_t size) {
  size_t length = 0;
  for (at++; *at != '\0' && *at != '"'; at++) {
    if (length + 4 >= size) return NULL;
    if (*at != '\\') {
      out[length++] = *at;
      continue;
    }
    at++;
    unsigned code = 0;
    switch (*at) {
      case 'n': out[length++] = '\n'; break;
      case 't': out[length++] = '\t'; break;
      case 'r': out[length++] = '\r'; break;
      case 'b': out[length++] = '\b'; break;
      case 'f': out[length++] = '\f'; break;
      case 'u':
        if (sscanf(at + 1, "%4x", &code) != 1) return NULL;
        length += put_utf8(out + length, code);
        at += 4;
        break;
      case '\0': return NULL;
      default: out[length++] = *at;
    }
  }
  out[length] = '\0';
  return *at == '"' ? at + 1 : NULL;
}

/** One object; what is not a string or `Opts` is passed over word by word. */
static const char *read_object(const char *at, struct request *request, bool is_opts) {
  static _Thread_local char key[TEXT_MAX], value[TEXT_MAX];
  at = skip_space(at);
  if (*at != '{') return NULL;
  at = skip_space(at + 1);
  while (*at == '"') {
    at = read_string(at, key, sizeof key);
    if (at == NULL) return NULL;
    at = skip_space(at);
    if (*at != ':') return NULL;
    at = skip_space(at + 1);
    if (*at == '"') {
      at = read_string(at, value, sizeof value);
      if (at == NULL) return NULL;
      if (is_opts && request->count < OPTIONS_MAX) {
        snprintf(request->keys[request->count], 256, "%.255s", key);
        strcpy(request->values[request->count++], value);
      } else if (strcmp(key, "Name") == 0) {
        strcpy(request->name, value);
      } else if (strcmp(key, "ID") == 0) {
        strcpy(request->id, value);
      }
    } else if (*at == '{') {
      at = read_object(at, request, true);
      if (at == NULL) return NULL;
    } else {
      at += strcspn(at, ",}");
    }
    at = skip_space(at);
    if (*at == ',') at = skip_space(at + 1);
  }
  return *at == '}' ? at + 1 : NULL;
}

static void put_string(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < 0x20) fprintf(out, "\\u%04x", *text);
    else fputc(*text, out);
  }
  fputc('"', out);
}

static void put_error(FILE *out, const char *text) {
  fputs("{\"Err\":", out);
  put_string(out, text);
  fputc('}', out);
}

// Volumes on disk.

static void place_of(char *out, const char *folder, const char *name) {
  snprintf(out, TEXT_MAX, "%s%s/%.255s", data, folder, name);
}

static bool option_of(const char *name, const char *key, char *out) {
  char path[TEXT_MAX], line[TEXT_MAX];
  place_of(path, "/.options", name);
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool is_found = false;
  size_t length = strlen(key);
  while (!is_found && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    is_found = strncmp(line, key, length) == 0 && line[length] == '=';
    if (is_found) snprintf(out, TEXT_MAX, "%s", line + length + 1);
  }
  (void)fclose(file);
  return is_found;
}

static bool is_there(const char *name) {
  char path[TEXT_MAX];
  place_of(path, "", name);
  return *name != '\0' && *name != '.' && strchr(name, '/') == NULL && access(path, F_OK) == 0;
}

static void remove_tree(const char *path) {
  DIR *directory = opendir(path);
  if (directory != NULL) {
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      char below[TEXT_MAX];
      if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= TEXT_MAX) continue;
      if (unlink(below) != 0) remove_tree(below);
    }
    closedir(directory);
  }
  rmdir(path);
}

/** The path that Mount, Path, Get and List answer. */
static void answered_path(const char *name, char *out) {
  char wanted[TEXT_MAX], target[TEXT_MAX];
  place_of(out, "", name);
  if (!option_of(name, "path", wanted)) return;
  if (*wanted == '/') {
    strcpy(out, wanted);
    return;
  }
  strcpy(target, *wanted == '@' ? wanted + 1 : out);
  place_of(out, "/.links", name);
  unlink(out);
  if (symlink(target, out) != 0) perror("symlink");
}

/** Answers what went wrong, or NULL. */
static const char *make_volume(const struct request *request) {
  char path[TEXT_MAX];
  if (*request->name == '\0' || *request->name == '.' || strchr(request->name, '/') != NULL) {
    return "bad name";
  }
  place_of(path, "", request->name);
  if (mkdir(path, 0755) != 0 && errno != EEXIST) return strerror(errno);
  place_of(path, "/.options", request->name);
  FILE *file = fopen(path, "we");
  for (int index = 0; file != NULL && index < request->count; index++) {
    fprintf(file, "%s=%s\n", request->keys[index], request->values[index]);
  }
  return file == NULL || fclose(file) != 0 ? strerror(errno) : NULL;
}

/** Becomes sshfs, with all options but sshcmd handed on. */
static void exec_sshfs(const char *name, const char *source, const char *path) {
  static char lines[OPTIONS_MAX][TEXT_MAX];
  const char *words[2 * OPTIONS_MAX + 4] = {"sshfs", source, path};
  char options[TEXT_MAX];
  place_of(options, "/.options", name);
  FILE *file = fopen(options, "re");
  int count = 3;
  for (int index = 0; file != NULL && index < OPTIONS_MAX; index++) {
    if (fgets(lines[index], TEXT_MAX, file) == NULL) break;
    lines[index][strcspn(lines[index], "\n")] = '\0';
    if (strncmp(lines[index], "sshcmd=", 7) == 0) continue;
    size_t length = strlen(lines[index]);
    if (lines[index][length - 1] == '=') lines[index][length - 1] = '\0';
    words[count++] = "-o";
    words[count++] = lines[index];
  }
  signal(SIGPIPE, SIG_DFL);
  execvp("sshfs", (char *const *)words);
  perror("sshfs");
  _exit(127);
}

/** sshfs ends when its mount is there, and leaves a process that serves it. */
static bool mount_sshfs(FILE *out, const char *name, const char *source, const char *path) {
  char words[64];
  int status = 0;
  pid_t child = fork();
  if (child == 0) exec_sshfs(name, source, path);
  if (child > 0 && waitpid(child, &status, 0) == child && status == 0) return true;
  snprintf(words, sizeof words, "sshfs ended with %d: see the log", WEXITSTATUS(status));
  put_error(out, words);
  return false;
}

/** False: what went wrong has been written. */
static bool mount_storage(FILE *out, const char *name, const char *path) {
  char text[TEXT_MAX], size[TEXT_MAX], words[TEXT_MAX + 8];
  if (option_of(name, "sshcmd", text)) return mount_sshfs(out, name, text, path);
  if (!option_of(name, "type", text) || strcmp(text, "tmpfs") != 0) return true;
  snprintf(words, sizeof words, "size=%s", option_of(name, "size", size) ? size : "1m");
  if (mount("tmpfs", path, "tmpfs", 0, words) == 0) return true;
  put_error(out, strerror(errno));
  return false;
}

static void mount_volume(FILE *out, const char *name) {
  char path[TEXT_MAX];
  int *mounts = mounts_of(name);
  place_of(path, "", name);
  if (*mounts == 0 && !mount_storage(out, name, path)) return;
  *mounts += 1;
  answered_path(name, path);
  fputs("{\"Err\":\"\",\"Mountpoint\":", out);
  put_string(out, path);
  fputc('}', out);
}

static void unmount_volume(FILE *out, const char *name) {
  char path[TEXT_MAX], text[TEXT_MAX];
  int *mounts = mounts_of(name);
  place_of(path, "", name);
  if (*mounts == 0) {
    put_error(out, "not mounted");
    return;
  }
  *mounts -= 1;
  bool is_tmpfs = option_of(name, "type", text) && strcmp(text, "tmpfs") == 0;
  bool has_mount = is_tmpfs || option_of(name, "sshcmd", text);
  if (*mounts == 0 && has_mount && umount2(path, MNT_DETACH) != 0) put_error(out, strerror(errno));
  else fputs("{\"Err\":\"\"}", out);
  // The first process of a process namespace has everybody's orphans.
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

static void remove_volume(FILE *out, const char *name) {
  char path[TEXT_MAX];
  if (*mounts_of(name) > 0) {
    put_error(out, "still mounted");
    return;
  }
  place_of(path, "", name);
  remove_tree(path);
  place_of(path, "/.options", name);
  unlink(path);
  place_of(path, "/.links", name);
  unlink(path);
  fputs("{\"Err\":\"\"}", out);
}

static void put_volume(FILE *out, const char *name) {
  char path[TEXT_MAX], created[64];
  struct stat facts;
  place_of(path, "", name);
  if (stat(path, &facts) != 0) facts.st_ctime = 0;
  strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime(&facts.st_ctime));
  int mounts = *mounts_of(name);
  fputs("{\"Name\":", out);
  put_string(out, name);
  answered_path(name, path);
  fputs(",\"Mountpoint\":", out);
  put_string(out, mounts > 0 ? path : "");
  fprintf(out, ",\"CreatedAt\":\"%s\",\"Status\":{\"mounts\":%d,\"pid\":%d}}", created, mounts,
          (int)getpid());
}

static void list_volumes(FILE *out) {
  DIR *directory = opendir(data);
  const char *separator = "";
  fputs("{\"Err\":\"\",\"Volumes\":[", out);
  for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    fputs(separator, out);
    put_volume(out, entry->d_name);
    separator = ",";
  }
  if (directory != NULL) closedir(directory);
  fputs("]}", out);
}

static void read_for_test(FILE *out, const char *path) {
  static char text[BODY_MAX];
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    put_error(out, strerror(errno));
    return;
  }
  size_t length = 0;
  for (ssize_t got; length < sizeof text - 1 &&
                    (got = read(descriptor, text + length, sizeof text - 1 - length)) > 0;) {
    length += (size_t)got;
  }
  close(descriptor);
  // Lists of words (environ, cmdline) have a NUL after each.
  for (size_t index = 0; index < length; index++) {
    if (text[index] == '\0') text[index] = '\n';
  }
  text[length] = '\0';
  fputs("{\"Err\":\"\",\"Text\":", out);
  put_string(out, text);
  fputc('}', out);
}

static void mount_for_test(FILE *out, const char *path) {
  if (mount("tmpfs", path, "tmpfs", 0, "size=1m") != 0) put_error(out, strerror(errno));
  else fputs("{\"Err\":\"\"}", out);
}

static void mount_many(FILE *out, int count) {
  char path[TEXT_MAX];
  for (int index = 0; index < count; index++) {
    snprintf(path, sizeof path, "%s/many-%d", data, index);
    if ((mkdir(path, 0755) != 0 && errno != EEXIST) ||
        mount("tmpfs", path, "tmpfs", 0, "size=4k") != 0) {
      put_error(out, strerror(errno));
      return;
    }
  }
  fputs("{\"Err\":\"\"}", out);
}

/** Says that it is here, and never anything again. */
static void hang(const char *name) {
  char path[TEXT_MAX];
  snprintf(path, sizeof path, "%s/.hangs-%.255s", data, name);
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  pthread_mutex_unlock(&lock);
  for (;;) pause();
}

/** crash=, hang= and fail= of the volume: true when the answer has been written. */
static bool misbehave(FILE *out, const char *call, const struct request *request) {
  char wanted[TEXT_MAX];
  const char *name = request->name;
  if (option_of(name, "crash", wanted) && strcmp(wanted, call) == 0) {
    fprintf(stderr, "crash at %s of %s\n", call, name);
    _exit(3);
  }
  if (option_of(name, "hang", wanted) && strcmp(wanted, call) == 0) hang(name);
  if (!option_of(name, "fail", wanted) || strcmp(wanted, call) != 0) return false;
  snprintf(wanted, sizeof wanted, "%s of %.255s fails as it was told to", call, name);
  put_error(out, wanted);
  return true;
}

static void answer_volume_call(FILE *out, const char *call, struct request *request) {
  if (strcmp(call, "Create") == 0) {
    const char *error = make_volume(request);
    if (error != NULL) put_error(out, error);
    else if (!misbehave(out, call, request)) fputs("{\"Err\":\"\"}", out);
    return;
  }
  if (strcmp(call, "List") == 0) {
    list_volumes(out);
    return;
  }
  if (strcmp(call, "Capabilities") == 0) {
    fputs("{\"Capabilities\":{\"Scope\":\"local\"}}", out);
    return;
  }
  if (!is_there(request->name)) {
    put_error(out, "no such volume");
    return;
  }
  if (misbehave(out, call, request)) return;
  char mute[TEXT_MAX];
  bool is_mute = option_of(request->name, "mute", mute) && strcmp(mute, call) == 0;
  if (strcmp(call, "Mount") == 0) mount_volume(out, request->name);
  else if (strcmp(call, "Unmount") == 0) unmount_volume(out, request->name);
  else if (strcmp(call, "Remove") == 0) remove_volume(out, request->name);
  else if (strcmp(call, "Path") == 0 || strcmp(call, "Get") == 0) {
    bool is_get = *call == 'G';
    char path[TEXT_MAX];
    fputs(is_get ? "{\"Err\":\"\",\"Volume\":" : "{\"Err\":\"\",\"Mountpoint\":", out);
    answered_path(request->name, path);
    if (is_get) put_volume(out, request->name);
    else put_string(out, path);
    fputc('}', out);
  } else {
    put_error(out, "no such call");
  }
  if (is_mute) hang(request->name);
}

static void answer(FILE *out, const char *path, struct request *request) {
  if (strcmp(path, "/Plugin.Activate") == 0) fputs("{\"Implements\":[\"VolumeDriver\"]}", out);
  else if (strcmp(path, "/Test.Read") == 0) read_for_test(out, request->name);
  else if (strcmp(path, "/Test.Exit") == 0) _exit(atoi(request->name));
  else if (strcmp(path, "/Test.Mount") == 0) mount_for_test(out, request->name);
  else if (strcmp(path, "/Test.Mounts") == 0) mount_many(out, atoi(request->name));
  else if (strcmp(path, "/Test.Log") == 0) {
    fprintf(stderr, "%s\n", request->name);
    fputs("{\"Err\":\"\"}", out);
  } else if (strncmp(path, "/VolumeDriver.", 14) == 0) {
    answer_volume_call(out, path + 14, request);
  } else {
    put_error(out, "no such call");
  }
}

/** Reads one request into `buffer`; false: the other side has gone, or sent what is none. */
static bool read_request(int client, char *buffer, char **body) {
  size_t length = 0, wanted = 0;
  *body = NULL;
  while (*body == NULL || length < wanted) {
    if (length + 1 >= BODY_MAX) return false;
    ssize_t got = read(client, buffer + length, BODY_MAX - 1 - length);
    if (got <= 0) return false;
    length += (size_t)got;
    buffer[length] = '\0';
    if (*body != NULL) continue;
    char *end = strstr(buffer, "\r\n\r\n");
    if (end == NULL) continue;
    *body = end + 4;
    char *header = strcasestr(buffer, "\r\ncontent-length:");
    long bytes = header == NULL || header > end ? 0 : atol(header + 17);
    wanted = (size_t)(*body - buffer) + (size_t)bytes;
  }
  return true;
}

static void *serve(void *argument) {
  int client = (int)(long)argument;
  char *buffer = malloc(BODY_MAX), *body = NULL;
  struct request *request = malloc(sizeof *request);
  while (buffer != NULL && request != NULL && read_request(client, buffer, &body)) {
    char path[256] = "", *text = NULL;
    size_t length = 0;
    sscanf(buffer, "%*s %255s", path);
    memset(request, 0, sizeof *request);
    (void)read_object(body, request, false);
    FILE *out = open_memstream(&text, &length);
    pthread_mutex_lock(&lock);
    answer(out, path, request);
    pthread_mutex_unlock(&lock);
    fclose(out);
    dprintf(client,
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.plugins.v1.2+json\r\n"
            "Content-Length: %zu\r\n\r\n%s",
            length, text);
    free(text);
  }
  free(request);
  free(buffer);
  close(client);
  return NULL;
}

static void *exit_later(void *argument) {
  sleep_ms((long)argument);
  fputs("the time is over\n", stderr);
  _exit(3);
}

static void end_well(int number) {
  (void)number;
  int count = atoi(setting("FORK_AT_TERM", "0"));
  for (int child = 0; child < count; child++) {
    if (fork() != 0) continue;
    signal(SIGTERM, SIG_IGN);
    setsid();
    for (int more = 0; more < 4; more++) {
      if (fork() == 0) break;
    }
    for (;;) pause();
  }
  _exit(0);
}

static void obey_environment(void) {
  pthread_t thread;
  const char *status = getenv("EXIT_AT_START");
  // The first process of a process namespace gets no signal that it does not handle.
  signal(SIGTERM, atoi(setting("IGNORE_TERM", "0")) == 1 ? SIG_IGN : end_well);
  signal(SIGPIPE, SIG_IGN);
  for (int line = 1; line <= atoi(setting("LOG_LINES", "0")); line++) printf("line %d\n", line);
  fflush(stdout);
  if (status != NULL && *status != '\0') {
    fprintf(stderr, "cannot start: EXIT_AT_START=%s\n", status);
    _exit(atoi(status));
  }
  if (atoi(setting("CHILD", "0")) == 1 && fork() == 0) {
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }
  long exit_ms = atol(setting("EXIT_AFTER_MS", "0"));
  if (exit_ms > 0) pthread_create(&thread, NULL, exit_later, (void *)exit_ms);
  if (strcmp(setting("LISTEN", ""), "never") == 0) {
    for (;;) pause();
  }
  sleep_ms(atol(setting("LISTEN_AFTER_MS", "0")));
}

int main(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char path[TEXT_MAX];
  data = setting("DATA", "/volumes");
  obey_environment();
  mkdir(data, 0755);
  for (int index = 0; index < 2; index++) {
    place_of(path, "", index == 0 ? ".options" : ".links");
    mkdir(path, 0755);
  }
  snprintf(address.sun_path, sizeof address.sun_path, "/run/docker/plugins/%s",
           setting("SOCKET", "plugin.sock"));
  unlink(address.sun_path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0) {
    perror(address.sun_path);
    return 1;
  }
  printf("listening on %s\n", address.sun_path);
  fflush(stdout);
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_t thread;
    if (client < 0) continue;
    if (pthread_create(&thread, NULL, serve, (void *)(long)client) != 0) close(client);
    else pthread_detach(thread);
  }
}
