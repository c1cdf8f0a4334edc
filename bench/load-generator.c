// Puts HTTP load on one engine's Unix socket and prints, as JSON, what came back and how fast.
//
// Decision: this is C, compiled with gcc when the bench starts, because the client shares the few
// cores of the machine with the engine it measures. A client in a scripting runtime needs about as
// much processor time per request as the engine does, and so hides half of every difference; this
// one needs a few microseconds, and reports its own processor time so that anyone can check.
//
// One thread per connection, keep-alive, one request in flight on each. A status other than the
// one that the mode expects is counted and shown; a connection that breaks ends the program.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 128 * 1024, CONNECTIONS_MAX = 256, REQUEST_BYTES_MAX = 4096 };
enum { CALLS_MAX = 4, ID_BYTES_MAX = 128 };

enum mode { MODE_CREATE, MODE_INSPECT, MODE_LIST, MODE_REMOVE, MODE_HOLD, MODE_MOUNT, MODE_CALLS };

struct settings {
  enum mode mode;
  const char *socket;
  const char *prefix;
  const char *path;
  int connections;
  long count;
  double seconds;
  long first;
  long names;
  long groups;
  long expect;
  const char *calls[CALLS_MAX];
  int call_count;
};

struct worker {
  pthread_t thread;
  int socket;
  char *buffer;
  size_t start;
  size_t end;
  char *body;
  size_t body_bytes;
  size_t body_capacity;
  uint64_t *latencies;
  size_t operations;
  size_t capacity;
  size_t wrong;
  char first_wrong[256];
  // What a `$id` in a call stands for: the `id` of the last answer that had one.
  char id[ID_BYTES_MAX];
  int number;
  uint64_t random;
  uint64_t finished;
  // The volume and the holder that this worker has mounted and not unmounted yet; -1: none.
  long mounted_volume;
  long mounted_holder;
};

static struct settings settings = {.connections = 1, .prefix = "bench", .path = "/v1.41/volumes"};
static atomic_long next_index;
static pthread_barrier_t barrier;
static uint64_t started;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load-generator: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(2);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *grown(void *memory, size_t bytes) {
  void *larger = realloc(memory, bytes);
  if (!larger) fail("out of memory");
  return larger;
}

static int connected(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(settings.socket) >= sizeof address.sun_path) fail("socket path is too long");
  strcpy(address.sun_path, settings.socket);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) fail("socket: %s", strerror(errno));
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0)
    fail("connect %s: %s", settings.socket, strerror(errno));
  return descriptor;
}

static void send_all(struct worker *worker, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t sent = send(worker->socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) fail("send: %s", strerror(errno));
    bytes += sent;
    size -= (size_t)sent;
  }
}

// Reads more into the buffer, behind what is there. The caller has made sure that there is room.
static void fill(struct worker *worker) {
  if (worker->start == worker->end) worker->start = worker->end = 0;
  if (worker->end == BUFFER_BYTES) {
    memmove(worker->buffer, worker->buffer + worker->start, worker->end - worker->start);
    worker->end -= worker->start;
    worker->start = 0;
    if (worker->end == BUFFER_BYTES) fail("a line or head of the reply is too long");
  }
  ssize_t got = recv(worker->socket, worker->buffer + worker->end, BUFFER_BYTES - worker->end, 0);
  if (got < 0) fail("receive: %s", strerror(errno));
  if (got == 0) fail("the engine closed the connection before its reply was whole");
  worker->end += (size_t)got;
}

// The bytes up to and including `mark`, taken out of the buffer; valid until the next read.
static char *taken_until(struct worker *worker, const char *mark, size_t *size) {
  size_t mark_bytes = strlen(mark);
  for (;;) {
    char *begin = worker->buffer + worker->start;
    char *found = memmem(begin, worker->end - worker->start, mark, mark_bytes);
    if (found) {
      *size = (size_t)(found - begin) + mark_bytes;
      worker->start += *size;
      return begin;
    }
    fill(worker);
  }
}

// Reads `size` bytes of the body; they are kept only when somebody will look at them.
static void take_body(struct worker *worker, size_t size, bool keep) {
  while (size > 0) {
    if (worker->start == worker->end) fill(worker);
    size_t part = worker->end - worker->start;
    if (part > size) part = size;
    if (keep) {
      if (worker->body_bytes + part > worker->body_capacity) {
        worker->body_capacity = (worker->body_bytes + part) * 2;
        worker->body = grown(worker->body, worker->body_capacity);
      }
      memcpy(worker->body + worker->body_bytes, worker->buffer + worker->start, part);
      worker->body_bytes += part;
    }
    worker->start += part;
    size -= part;
  }
}

static void take_chunks(struct worker *worker, bool keep) {
  for (;;) {
    size_t size;
    char *line = taken_until(worker, "\r\n", &size);
    char *end;
    size_t chunk = strtoul(line, &end, 16);
    if (end == line) fail("the reply has a chunk without a size");
    take_body(worker, chunk, keep);
    taken_until(worker, "\r\n", &size);
    if (chunk == 0) return;
  }
}

// Sends one request and reads its whole reply. Bodies of wrong statuses are always kept.
static int exchange(struct worker *worker, const char *request, size_t size, int expected,
                    bool keep) {
  send_all(worker, request, size);
  size_t head_bytes;
  char *head = taken_until(worker, "\r\n\r\n", &head_bytes);
  if (head_bytes < 16 || strncmp(head, "HTTP/1.1 ", 9) != 0) fail("the reply is not HTTP/1.1");
  int status = atoi(head + 9);
  long length = -1;
  bool chunked = false;
  char *end = head + head_bytes;
  for (char *line = memchr(head, '\n', head_bytes); line && line + 1 < end;
       line = memchr(line + 1, '\n', (size_t)(end - line - 1))) {
    if (strncasecmp(line + 1, "content-length:", 15) == 0) length = atol(line + 16);
    if (strncasecmp(line + 1, "transfer-encoding:", 18) == 0) chunked = true;
  }
  worker->body_bytes = 0;
  keep = keep || status != expected;
  if (strncmp(request, "HEAD ", 5) == 0) return status;
  if (chunked) take_chunks(worker, keep);
  else if (length > 0) take_body(worker, (size_t)length, keep);
  else if (length < 0 && status != 204 && status != 304) fail("a reply has no length");
  return status;
}

static void remember_wrong(struct worker *worker, const char *what, int status) {
  if (worker->wrong++ > 0) return;
  int body = worker->body_bytes > 160 ? 160 : (int)worker->body_bytes;
  snprintf(worker->first_wrong, sizeof worker->first_wrong, "%s, status %d: %.*s", what, status,
           body, worker->body ? worker->body : "");
  for (char *at = worker->first_wrong; *at; at++)
    if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20) *at = '\'';
}

static size_t occurrences(const struct worker *worker, const char *text) {
  size_t count = 0;
  size_t text_bytes = strlen(text);
  const char *at = worker->body;
  const char *end = at + worker->body_bytes;
  while (at && (at = memmem(at, (size_t)(end - at), text, text_bytes))) {
    count++;
    at += text_bytes;
  }
  return count;
}

static uint64_t random_number(struct worker *worker) {
  worker->random ^= worker->random << 13;
  worker->random ^= worker->random >> 7;
  worker->random ^= worker->random << 17;
  return worker->random;
}

static int written_create(char *request, long index) {
  char body[512];
  char labels[64] = "{}";
  if (settings.groups > 0)
    snprintf(labels, sizeof labels, "{\"group\":\"%ld\"}", index % settings.groups);
  int body_bytes = snprintf(body, sizeof body, "{\"Name\":\"%s-%ld\",\"Labels\":%s}",
                            settings.prefix, index, labels);
  return snprintf(request, REQUEST_BYTES_MAX,
                  "POST /v1.41/volumes/create HTTP/1.1\r\nHost: bench\r\n"
                  "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                  body_bytes, body);
}

static int written_plain(char *request, const char *method, const char *path) {
  return snprintf(request, REQUEST_BYTES_MAX, "%s %s HTTP/1.1\r\nHost: bench\r\n\r\n", method,
                  path);
}

// A call of the volume driver socket. Holders have ids of their own, in hex digits as Docker's.
static int written_call(char *request, const char *call, long volume, long holder) {
  char body[512];
  int body_bytes = snprintf(body, sizeof body, "{\"Name\":\"%s-%ld\",\"ID\":\"%064lx\"}",
                            settings.prefix, volume, holder);
  return snprintf(request, REQUEST_BYTES_MAX,
                  "POST /VolumeDriver.%s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s",
                  call, body_bytes, body);
}

// A Mount, or the Unmount of what this worker mounted last. Failures are in `Err`, with status 200.
static void operate_plugin(struct worker *worker, long index) {
  char request[REQUEST_BYTES_MAX];
  int size;
  if (settings.mode == MODE_MOUNT && worker->mounted_volume >= 0) {
    size = written_call(request, "Unmount", worker->mounted_volume, worker->mounted_holder);
    worker->mounted_volume = -1;
  } else {
    long chosen = (long)(random_number(worker) % (uint64_t)settings.names);
    worker->mounted_volume = settings.mode == MODE_HOLD ? index : chosen;
    // Those that hold (`hold`) have small numbers.
    worker->mounted_holder = settings.mode == MODE_HOLD ? index : settings.first + index;
    size = written_call(request, "Mount", worker->mounted_volume, worker->mounted_holder);
  }
  int status = exchange(worker, request, (size_t)size, 200, true);
  if (status != 200 || !memmem(worker->body, worker->body_bytes, "\"Err\":\"\"", 8))
    remember_wrong(worker, "the call failed", status);
}

// One place of a call's text: what it stands for goes to `into`. Returns how much of it was read.
static size_t place_of(const struct worker *worker, const char *at, long index, char *into) {
  if (*at == '@') sprintf(into, "%ld", index);
  else if (*at == '#') sprintf(into, "%d", worker->number);
  else if (strncmp(at, "$id", 3) == 0) strcpy(into, worker->id);
  else sprintf(into, "%c", *at);
  return strncmp(at, "$id", 3) == 0 ? 3 : 1;
}

// `METHOD PATH` or `METHOD PATH BODY` as a request. Each `@` in it becomes the operation's number,
// each `#` the connection's, each `$id` what the last answer called its `id`.
static int written_call_of(const struct worker *worker, char *request, const char *call,
                           long index) {
  char text[REQUEST_BYTES_MAX / 2];
  size_t size = 0;
  for (const char *at = call; *at;) {
    if (size + ID_BYTES_MAX > sizeof text) fail("a call is too long");
    at += place_of(worker, at, index, text + size);
    size += strlen(text + size);
  }
  text[size] = 0;
  char *path = strchr(text, ' ');
  if (!path) fail("a call has no path: %s", call);
  *path++ = 0;
  char *body = strchr(path, ' ');
  if (!body) return written_plain(request, text, path);
  *body++ = 0;
  return snprintf(request, REQUEST_BYTES_MAX,
                  "%s %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  text, path, strlen(body), body);
}

static void remember_id(struct worker *worker) {
  static const char mark[] = "\"id\":\"";
  const char *end = worker->body + worker->body_bytes;
  const char *found =
      worker->body_bytes ? memmem(worker->body, worker->body_bytes, mark, sizeof mark - 1) : NULL;
  if (!found) return;
  const char *id = found + sizeof mark - 1;
  const char *quote = memchr(id, '"', (size_t)(end - id));
  if (!quote || quote - id >= ID_BYTES_MAX) fail("an answer's id has no end");
  memcpy(worker->id, id, (size_t)(quote - id));
  worker->id[quote - id] = 0;
}

// All calls, one after the other, are one operation. Any status of success is right.
static void operate_calls(struct worker *worker, long index) {
  char request[REQUEST_BYTES_MAX];
  for (int i = 0; i < settings.call_count; i++) {
    int size = written_call_of(worker, request, settings.calls[i], settings.first + index);
    int status = exchange(worker, request, (size_t)size, 200, true);
    if (status < 200 || status > 299) {
      remember_wrong(worker, settings.calls[i], status);
      return;
    }
    remember_id(worker);
  }
}

// One request of the mode, and the check of its reply.
static void operate(struct worker *worker, long index) {
  if (settings.mode == MODE_HOLD || settings.mode == MODE_MOUNT) {
    operate_plugin(worker, index);
    return;
  }
  if (settings.mode == MODE_CALLS) {
    operate_calls(worker, index);
    return;
  }
  char request[REQUEST_BYTES_MAX];
  char path[512];
  int size = 0;
  int expected = 200;
  bool keep = false;
  if (settings.mode == MODE_CREATE) {
    size = written_create(request, settings.first + index);
    expected = 201;
  } else if (settings.mode == MODE_REMOVE) {
    snprintf(path, sizeof path, "/v1.41/volumes/%s-%ld", settings.prefix, settings.first + index);
    size = written_plain(request, "DELETE", path);
    expected = 204;
  } else if (settings.mode == MODE_INSPECT) {
    long name = settings.first + (long)(random_number(worker) % (uint64_t)settings.names);
    snprintf(path, sizeof path, "/v1.41/volumes/%s-%ld", settings.prefix, name);
    size = written_plain(request, "GET", path);
    keep = true;
  } else {
    size = written_plain(request, "GET", settings.path);
    // Counting names costs time of its own: it is done for the first list of each connection.
    keep = worker->operations == 0;
  }
  int status = exchange(worker, request, (size_t)size, expected, keep);
  if (status != expected) {
    remember_wrong(worker, "unexpected status", status);
  } else if (settings.mode == MODE_INSPECT) {
    const char *name = strrchr(path, '/') + 1;
    if (!memmem(worker->body, worker->body_bytes, name, strlen(name)))
      remember_wrong(worker, "the reply does not name the volume", status);
  } else if (settings.mode == MODE_LIST && keep && settings.expect >= 0) {
    if (occurrences(worker, "\"Name\":") != (size_t)settings.expect)
      remember_wrong(worker, "the list has another number of volumes", status);
  }
}

static void *work(void *argument) {
  struct worker *worker = argument;
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  uint64_t deadline = started + (uint64_t)(settings.seconds * 1e9);
  uint64_t before = now();
  while (settings.seconds == 0 || before < deadline) {
    long index = atomic_fetch_add_explicit(&next_index, 1, memory_order_relaxed);
    if (settings.count > 0 && index >= settings.count) break;
    operate(worker, index);
    uint64_t after = now();
    if (worker->operations == worker->capacity) {
      worker->capacity = worker->capacity ? worker->capacity * 2 : 4096;
      worker->latencies = grown(worker->latencies, worker->capacity * sizeof(uint64_t));
    }
    worker->latencies[worker->operations++] = after - before;
    before = after;
  }
  worker->finished = before;
  // What is still mounted is unmounted, untimed: the next burst must not find it.
  if (settings.mode == MODE_MOUNT && worker->mounted_volume >= 0) operate_plugin(worker, 0);
  return NULL;
}

static int compared(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left;
  uint64_t b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static int report(struct worker *workers) {
  size_t operations = 0;
  size_t wrong = 0;
  uint64_t finished = started;
  const char *first_wrong = "";
  for (int i = 0; i < settings.connections; i++) {
    operations += workers[i].operations;
    wrong += workers[i].wrong;
    if (workers[i].finished > finished) finished = workers[i].finished;
    if (workers[i].wrong > 0 && !*first_wrong) first_wrong = workers[i].first_wrong;
  }
  if (operations == 0) fail("not one operation was done");
  uint64_t *all = grown(NULL, operations * sizeof(uint64_t));
  size_t filled = 0;
  for (int i = 0; i < settings.connections; i++) {
    memcpy(all + filled, workers[i].latencies, workers[i].operations * sizeof(uint64_t));
    filled += workers[i].operations;
  }
  qsort(all, operations, sizeof(uint64_t), compared);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double processor = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"operations\":%zu,\"seconds\":%.6f,\"processorSeconds\":%.6f,\"wrong\":%zu,"
         "\"firstWrong\":\"%s\",\"latencyMs\":{\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,"
         "\"max\":%.4f}}\n",
         operations, (double)(finished - started) / 1e9, processor, wrong, first_wrong,
         (double)all[operations / 2] / 1e6, (double)all[operations * 9 / 10] / 1e6,
         (double)all[operations * 99 / 100] / 1e6, (double)all[operations - 1] / 1e6);
  return wrong > 0 ? 1 : 0;
}

static enum mode parsed_mode(const char *word) {
  if (strcmp(word, "create") == 0) return MODE_CREATE;
  if (strcmp(word, "inspect") == 0) return MODE_INSPECT;
  if (strcmp(word, "list") == 0) return MODE_LIST;
  if (strcmp(word, "remove") == 0) return MODE_REMOVE;
  if (strcmp(word, "hold") == 0) return MODE_HOLD;
  if (strcmp(word, "mount") == 0) return MODE_MOUNT;
  if (strcmp(word, "calls") == 0) return MODE_CALLS;
  fail("--mode is create, inspect, list, remove, hold, mount or calls, not %s", word);
  return MODE_LIST;
}

static void parse(int count, char **words) {
  static const struct option options[] = {
      {"mode", 1, 0, 'm'},  {"socket", 1, 0, 's'}, {"prefix", 1, 0, 'p'},  {"path", 1, 0, 'u'},
      {"count", 1, 0, 'n'}, {"first", 1, 0, 'f'},  {"connections", 1, 0, 'c'}, {"names", 1, 0, 'k'},
      {"seconds", 1, 0, 't'}, {"groups", 1, 0, 'g'}, {"expect", 1, 0, 'e'}, {"call", 1, 0, 'r'},
      {0, 0, 0, 0}};
  settings.expect = -1;
  int option;
  while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
    switch (option) {
      case 'm': settings.mode = parsed_mode(optarg); break;
      case 's': settings.socket = optarg; break;
      case 'p': settings.prefix = optarg; break;
      case 'u': settings.path = optarg; break;
      case 'n': settings.count = atol(optarg); break;
      case 'f': settings.first = atol(optarg); break;
      case 'c': settings.connections = atoi(optarg); break;
      case 'k': settings.names = atol(optarg); break;
      case 't': settings.seconds = atof(optarg); break;
      case 'g': settings.groups = atol(optarg); break;
      case 'e': settings.expect = atol(optarg); break;
      case 'r':
        if (settings.call_count == CALLS_MAX) fail("--call may be given %d times", CALLS_MAX);
        settings.calls[settings.call_count++] = optarg;
        break;
      default: fail("unknown option");
    }
  }
  if (!settings.socket) fail("--socket is missing");
  if (settings.connections < 1 || settings.connections > CONNECTIONS_MAX)
    fail("--connections is 1 to %d", CONNECTIONS_MAX);
  if (settings.count <= 0 && settings.seconds <= 0) fail("give --count or --seconds");
  if ((settings.mode == MODE_INSPECT || settings.mode == MODE_MOUNT) && settings.names < 1)
    fail("--mode inspect and --mode mount need --names");
  if (settings.mode == MODE_CALLS && settings.call_count == 0) fail("--mode calls needs --call");
  if (settings.mode == MODE_HOLD) settings.names = 1;
}

int main(int count, char **words) {
  parse(count, words);
  struct worker *workers = calloc((size_t)settings.connections, sizeof *workers);
  if (!workers) fail("out of memory");
  pthread_barrier_init(&barrier, NULL, (unsigned)settings.connections + 1);
  for (int i = 0; i < settings.connections; i++) {
    workers[i].socket = connected();
    workers[i].buffer = grown(NULL, BUFFER_BYTES);
    workers[i].mounted_volume = -1;
    workers[i].number = i;
    workers[i].random = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) fail("no more threads");
  }
  pthread_barrier_wait(&barrier);
  started = now();
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < settings.connections; i++) pthread_join(workers[i].thread, NULL);
  return report(workers);
}
