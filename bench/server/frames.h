/* What the load server says: WebSocket frames around the JSON that a real gateway (2026.9.6) sends. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* A growing buffer of bytes; `sent` of them are written already. */
typedef struct {
    char *bytes;
    size_t size, sent, capacity;
} Buffer;

/* One run being streamed. Texts are prefixes of the pool, cut between words. */
typedef struct {
    char run_id[80];
    int agent;             /* stream `agent` events (what openclaw-node reads) instead of `chat` events */
    int unicode;           /* texts with characters outside ASCII */
    uint64_t frame, frames; /* the next frame, and how many there will be */
    uint64_t low, period;  /* the text grows from word `low` over `period` frames, then starts anew (replace) */
    double words;          /* words per frame */
} Run;

void frames_init(const char *hello_path);
void buffer_reserve(Buffer *buffer, size_t more);
void buffer_add(Buffer *buffer, const char *bytes, size_t size);
/* size: the mean length of a frame in bytes; grow: one reply that grows from nothing to `size` bytes of text. */
void run_init(Run *run, uint64_t frames, size_t size, int grow);
/* seq is the connection's event counter. */
void add_delta(Buffer *buffer, Run *run, uint64_t seq);
void add_final(Buffer *buffer, const Run *run, uint64_t seq);
void add_text_frame(Buffer *buffer, const char *json, size_t size);
void add_challenge(Buffer *buffer);
void add_hello(Buffer *buffer, const char *id);
void add_response(Buffer *buffer, const char *id, const char *payload);
/* A call of the tool "echo" of a node; number names it, text_size is about the bytes of its one argument. */
void add_invoke(Buffer *buffer, uint64_t number, size_t text_size, uint64_t seq);
/* The receipt of a node's list of tools, which counts as a whole. */
void add_tools_taken(Buffer *buffer, const char *id);

#endif
