/* The load server: one thread, epoll, plain WebSocket. Prints its port; ends when its standard input is closed.

   Speaks challenge, connect, hello-ok. chat.send (and agent) with a message "bench FRAMES SIZE PACE_US KIND" streams that
   many frames. PACE_US: 0 is flat out. KIND: saw (frames of SIZE bytes), unicode (the same, with characters outside ASCII),
   grow (one reply that grows to SIZE bytes). bench.times answers with the send times of the latest paced run, in
   nanoseconds of the monotonic clock. bench.calls with such a message calls the tool of the latest node FRAMES times, PACE_US
   calls at once, and answers when all have their result. Every other method is answered at once. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "frames.h"
#include "websocket.h"

#define BATCH 262144 /* bytes made at once: a few of the kernel's socket buffers */
#define READ_SIZE 262144
#define MAX_TIMES 100000

typedef struct Connection Connection;

typedef struct Job {
    int kind; /* KIND_TIMER */
    Run run;
    Connection *connection;
    int timer; /* -1: flat out */
    char id[80];
    struct Job *next;
} Job;

enum { KIND_LISTENER, KIND_INPUT, KIND_CONNECTION, KIND_TIMER };

struct Connection {
    int kind; /* KIND_CONNECTION */
    int fd, upgraded, watched_events, dead;
    uint64_t seq;
    Buffer in, out;
    Job *flat;  /* round robin: the next to send */
    Job *paced;
};

/* The calls that are made of a node, and who asked for them. */
static struct {
    Connection *node, *asker;
    char id[80];
    unsigned long left, open, size;
    uint64_t number;
} calls;

static int poller;
static uint64_t times[MAX_TIMES];
static size_t time_count;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void watch(Connection *connection, int events) {
    if (connection->watched_events == events) return;
    struct epoll_event event = {.events = (uint32_t)events, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
    connection->watched_events = events;
}

/* Write what can be written; idle connections keep no buffer. */
static void flush(Connection *connection) {
    Buffer *out = &connection->out;
    while (out->sent < out->size) {
        ssize_t count = send(connection->fd, out->bytes + out->sent, out->size - out->sent, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno != EAGAIN) connection->dead = 1;
            break;
        }
        out->sent += (size_t)count;
    }
    int full = out->sent < out->size;
    if (!full) {
        out->size = out->sent = 0;
        if (connection->flat == NULL && connection->paced == NULL) {
            free(out->bytes);
            memset(out, 0, sizeof *out);
        }
    }
    watch(connection, EPOLLIN | (full || connection->flat != NULL ? EPOLLOUT : 0));
}

static void finish(Connection *connection, Job *job) {
    if (job->run.agent) add_response(&connection->out, job->id, "{\"status\":\"ok\"}");
    else add_final(&connection->out, &job->run, ++connection->seq);
    if (job->timer >= 0) close(job->timer);
    free(job);
}

/* One more batch for a connection that is streamed to flat out: one frame of each run in turn. */
static void refill(Connection *connection) {
    Job **at = &connection->flat;
    while (connection->flat != NULL && connection->out.size < BATCH) {
        Job *job = *at;
        if (job == NULL) {
            at = &connection->flat;
            continue;
        }
        add_delta(&connection->out, &job->run, ++connection->seq);
        if (job->run.frame == job->run.frames) {
            *at = job->next;
            finish(connection, job);
        } else {
            at = &job->next;
        }
    }
}

static void on_timer(Job *job) {
    uint64_t ticks;
    Connection *connection = job->connection;
    if (read(job->timer, &ticks, sizeof ticks) != sizeof ticks) return;
    while (ticks-- > 0 && job->run.frame < job->run.frames) {
        if (time_count < MAX_TIMES) times[time_count++] = now_ns();
        add_delta(&connection->out, &job->run, ++connection->seq);
    }
    if (job->run.frame == job->run.frames) {
        Job **at = &connection->paced;
        while (*at != job) at = &(*at)->next;
        *at = job->next;
        finish(connection, job);
    }
    flush(connection);
}

static int text_of(const char *json, const char *key, char *value, size_t size) {
    const char *at = strstr(json, key);
    if (at == NULL) return 0;
    at += strlen(key);
    size_t length = strcspn(at, "\"");
    if (length >= size) return 0;
    memcpy(value, at, length);
    value[length] = 0;
    return 1;
}

static void start(Connection *connection, const char *id, const char *json, int agent) {
    Job *job = calloc(1, sizeof *job);
    unsigned long frames = 0, size = 0, pace = 0;
    char message[200], kind[20] = "saw", payload[200];
    if (!text_of(json, "\"message\":\"bench ", message, sizeof message)) strcpy(message, "1 300 0 saw");
    sscanf(message, "%lu %lu %lu %19s", &frames, &size, &pace, kind);
    if (!text_of(json, "\"idempotencyKey\":\"", job->run.run_id, sizeof job->run.run_id)) strcpy(job->run.run_id, id);
    strcpy(job->id, id);
    job->kind = KIND_TIMER;
    job->connection = connection;
    job->timer = -1;
    job->run.agent = agent;
    job->run.unicode = strcmp(kind, "unicode") == 0;
    run_init(&job->run, frames ? frames : 1, size, strcmp(kind, "grow") == 0);
    snprintf(payload, sizeof payload, "{\"runId\":\"%s\",\"status\":\"%s\"}", job->run.run_id, agent ? "accepted" : "started");
    add_response(&connection->out, id, payload);
    if (pace == 0) {
        job->next = connection->flat;
        connection->flat = job;
        return;
    }
    job->next = connection->paced;
    connection->paced = job;
    job->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {.it_interval = {0, (long)pace * 1000}, .it_value = {0, (long)pace * 1000}};
    timerfd_settime(job->timer, 0, &every, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = job};
    epoll_ctl(poller, EPOLL_CTL_ADD, job->timer, &event);
}

static void send_times(Connection *connection, const char *id) {
    Buffer list = {0};
    buffer_add(&list, "[", 1);
    for (size_t i = 0; i < time_count; i++) {
        char number[24];
        buffer_add(&list, number, (size_t)sprintf(number, i ? ",%llu" : "%llu", (unsigned long long)times[i]));
    }
    buffer_add(&list, "]", 2); /* with its zero */
    add_response(&connection->out, id, list.bytes);
    free(list.bytes);
    time_count = 0;
}

/* Call the tool of the node until so many calls are open, or tell the asker that all are over. */
static void call_tools(unsigned long most) {
    Connection *node = calls.node;
    for (; node != NULL && calls.open < most && calls.left > 0; calls.open++, calls.left--)
        add_invoke(&node->out, ++calls.number, calls.size, ++node->seq);
    if (calls.asker != NULL && (node == NULL || calls.open == 0)) {
        add_response(&calls.asker->out, calls.id, node != NULL ? "{\"ok\":true}" : "{\"ok\":false}");
        flush(calls.asker);
        calls.asker = NULL;
    }
}

static void start_calls(Connection *connection, const char *id, const char *json) {
    char message[200];
    unsigned long count = 1, size = 0, at_once = 1;
    if (text_of(json, "\"message\":\"bench ", message, sizeof message)) sscanf(message, "%lu %lu %lu", &count, &size, &at_once);
    strcpy(calls.id, id);
    calls.asker = connection;
    calls.left = count;
    calls.size = size;
    call_tools(at_once);
    if (calls.node != NULL && calls.node != connection) flush(calls.node);
}

static void on_node(Connection *connection, const char *id, const char *method) {
    if (strcmp(method, "node.invoke.result") == 0) {
        add_response(&connection->out, id, "{\"ok\":true}");
        unsigned long open = calls.open--;
        call_tools(open);
        return;
    }
    calls.node = connection;
    add_tools_taken(&connection->out, id);
}

static void on_request(Connection *connection, const char *json) {
    char id[80], method[80];
    if (!text_of(json, "\"id\":\"", id, sizeof id) || !text_of(json, "\"method\":\"", method, sizeof method)) return;
    if (strcmp(method, "connect") == 0) add_hello(&connection->out, id);
    else if (strcmp(method, "chat.send") == 0) start(connection, id, json, 0);
    else if (strcmp(method, "agent") == 0) start(connection, id, json, 1);
    else if (strcmp(method, "bench.times") == 0) send_times(connection, id);
    else if (strcmp(method, "bench.calls") == 0) start_calls(connection, id, json);
    else if (strcmp(method, "node.pluginTools.update") == 0 || strcmp(method, "node.invoke.result") == 0)
        on_node(connection, id, method);
    else add_response(&connection->out, id, "{\"ok\":true,\"ts\":1795378511565,\"status\":\"done\"}");
}

static void on_frame(Connection *connection, Frame *frame) {
    if (frame->opcode == 1) {
        char *json = malloc(frame->size + 1);
        memcpy(json, frame->payload, frame->size);
        json[frame->size] = 0;
        on_request(connection, json);
        free(json);
    } else if (frame->opcode == 8) {
        buffer_add(&connection->out, "\x88\x02\x03\xe8", 4);
    } else if (frame->opcode == 9) {
        char head[2] = {(char)0x8a, (char)frame->size};
        buffer_add(&connection->out, head, 2);
        buffer_add(&connection->out, frame->payload, frame->size);
    }
}

static void on_input(Connection *connection) {
    static char chunk[READ_SIZE + 1];
    Buffer *in = &connection->in;
    ssize_t count = recv(connection->fd, chunk, READ_SIZE, 0);
    if (count <= 0) {
        connection->dead = !(count < 0 && errno == EAGAIN);
        return;
    }
    buffer_add(in, chunk, (size_t)count);
    if (!connection->upgraded) {
        buffer_add(in, "", 1);
        in->size--;
        if (strstr(in->bytes, "\r\n\r\n") == NULL) return;
        connection->dead = !add_upgrade(&connection->out, in->bytes);
        connection->upgraded = 1;
        in->size = 0;
        add_challenge(&connection->out);
    }
    size_t at = 0, taken;
    Frame frame;
    while ((taken = read_frame(in->bytes + at, in->size - at, &frame)) > 0) {
        on_frame(connection, &frame);
        at += taken;
    }
    in->size -= at;
    memmove(in->bytes, in->bytes + at, in->size);
    if (in->size == 0) {
        free(in->bytes);
        memset(in, 0, sizeof *in);
    }
}

static void discard(Connection *connection) {
    Job *lists[] = {connection->flat, connection->paced};
    for (int i = 0; i < 2; i++) {
        for (Job *job = lists[i], *next; job != NULL; job = next) {
            next = job->next;
            if (job->timer >= 0) close(job->timer);
            free(job);
        }
    }
    if (connection == calls.asker) calls.asker = NULL;
    if (connection == calls.node) calls.node = NULL, calls.open = calls.left = 0, call_tools(0);
    close(connection->fd);
    free(connection->in.bytes);
    free(connection->out.bytes);
    free(connection);
}

static void on_connection(Connection *connection, uint32_t events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_input(connection);
    if (!connection->dead && (events & EPOLLOUT) && connection->out.size == 0) refill(connection);
    if (!connection->dead) flush(connection);
    if (connection->dead) discard(connection);
}

static void on_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection *connection = calloc(1, sizeof *connection);
    connection->kind = KIND_CONNECTION;
    connection->fd = fd;
    connection->watched_events = EPOLLIN;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on_loopback(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0) {
        perror("listen");
        exit(1);
    }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int count, char **arguments) {
    struct rlimit files;
    if (count != 2) return fprintf(stderr, "usage: server HELLO.json\n"), 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    frames_init(arguments[1]);
    poller = epoll_create1(0);
    int listener = listen_on_loopback(), listener_kind = KIND_LISTENER, input_kind = KIND_INPUT;
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &listener_kind};
    struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = &input_kind};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &on_listener);
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin);
    for (;;) {
        /* One event at a time: handling one may free what another of the same batch points to. */
        struct epoll_event event;
        if (epoll_wait(poller, &event, 1, -1) < 1) continue;
        int kind = *(int *)event.data.ptr;
        if (kind == KIND_LISTENER) on_accept(listener);
        else if (kind == KIND_INPUT) return 0;
        else if (kind == KIND_CONNECTION) on_connection(event.data.ptr, event.events);
        else on_timer(event.data.ptr);
    }
}
