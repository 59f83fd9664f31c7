#include "frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BYTES 700000
#define MAX_WORDS 200000
#define SESSION "agent:main:main"
#define NODE "bench-node"

/* Prose as a model writes it: an escaped line break or quote every dozen words. */
typedef struct {
    char *bytes;
    uint32_t *ends; /* ends[n]: length of the first n words */
    uint64_t words;
} Pool;

static Pool ascii_pool, unicode_pool;
static char *hello; /* the payload of hello-ok */

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

static void fill(Pool *pool, int unicode) {
    static const char *const plain[] = {"The",  " gateway", " streams", " every",  " reply",  " as",   " a",     " row",
                                        " of",  " events,", " and",     " each",   " one",    " holds", " the",  " text",
                                        " so",  " far;",    " \\\"it",  " is\\\"", " simple", " to",    " read.", "\\n\\n"};
    static const char *const marked[] = {" \u2014", " na\u00efve", " \u201cquoted\u201d"};
    pool->bytes = allocate(POOL_BYTES);
    pool->ends = allocate(sizeof(uint32_t) * MAX_WORDS);
    pool->ends[0] = 0;
    size_t size = 0;
    while (pool->words + 1 < MAX_WORDS && size < POOL_BYTES - 64) {
        uint64_t n = pool->words;
        const char *word = unicode && n % 9 == 8 ? marked[n / 9 % 3] : plain[n % 24];
        size_t length = strlen(word);
        memcpy(pool->bytes + size, word, length);
        size += length;
        pool->ends[++pool->words] = (uint32_t)size;
    }
}

void frames_init(const char *hello_path) {
    fill(&ascii_pool, 0);
    fill(&unicode_pool, 1);
    FILE *file = fopen(hello_path, "r");
    if (file == NULL) {
        perror(hello_path);
        exit(1);
    }
    hello = allocate(1 << 20);
    size_t size = fread(hello, 1, (1 << 20) - 1, file);
    while (size > 0 && hello[size - 1] == '\n') size--;
    hello[size] = 0;
    fclose(file);
}

void buffer_reserve(Buffer *buffer, size_t more) {
    if (buffer->size + more <= buffer->capacity) return;
    size_t capacity = buffer->capacity ? buffer->capacity : 512;
    while (capacity < buffer->size + more) capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (buffer->bytes == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    buffer->capacity = capacity;
}

void buffer_add(Buffer *buffer, const char *bytes, size_t size) {
    buffer_reserve(buffer, size);
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

static void add_header(Buffer *buffer, size_t size) {
    unsigned char head[10] = {0x81};
    size_t length = 2;
    if (size < 126) {
        head[1] = (unsigned char)size;
    } else if (size < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(size >> 8);
        head[3] = (unsigned char)size;
        length = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++) head[2 + i] = (unsigned char)((uint64_t)size >> (8 * (7 - i)));
        length = 10;
    }
    buffer_add(buffer, (char *)head, length);
}

void add_text_frame(Buffer *buffer, const char *json, size_t size) {
    add_header(buffer, size);
    buffer_add(buffer, json, size);
}

static Pool *pool_of(const Run *run) { return run->unicode ? &unicode_pool : &ascii_pool; }

static uint64_t words_within(const Pool *pool, size_t bytes) {
    uint64_t low = 0, high = pool->words;
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        if (pool->ends[middle] <= bytes) low = middle;
        else high = middle - 1;
    }
    return low;
}

#define ENVELOPE 290 /* bytes of a chat delta around its two texts */

void run_init(Run *run, uint64_t frames, size_t size, int grow) {
    Pool *pool = pool_of(run);
    run->frame = 0;
    run->frames = frames;
    if (grow) {
        run->low = 0;
        run->period = frames;
        run->words = (double)words_within(pool, size) / (double)frames;
        return;
    }
    /* A saw: the text grows by a word (about five bytes) per frame around the mean, and starts anew when it is full. */
    size_t text = size > ENVELOPE + 30 ? size - ENVELOPE - 5 : 30;
    run->period = text < 400 ? 2 * words_within(pool, text) : 100;
    if (run->period < 8) run->period = 8;
    uint64_t middle = words_within(pool, text);
    run->low = middle > run->period / 2 ? middle - run->period / 2 : 0;
    run->words = 1;
}

/* snprintf would cost more than the rest of a small frame. */
static void add_number(Buffer *buffer, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buffer_add(buffer, digits + at, sizeof digits - at);
}

#define ADD(buffer, literal) buffer_add(buffer, literal, sizeof literal - 1)

typedef struct {
    const char *bytes;
    size_t size;
} Text;

static void add_chat(Buffer *buffer, const Run *run, Text delta, Text whole, int replace, uint64_t seq) {
    ADD(buffer, "{\"type\":\"event\",\"event\":\"chat\",\"payload\":{\"runId\":\"");
    buffer_add(buffer, run->run_id, strlen(run->run_id));
    ADD(buffer, "\",\"sessionKey\":\"" SESSION "\",\"agentId\":\"main\",\"seq\":");
    add_number(buffer, run->frame + 1);
    ADD(buffer, ",\"state\":\"delta\",\"deltaText\":\"");
    buffer_add(buffer, delta.bytes, delta.size);
    if (replace) ADD(buffer, "\",\"replace\":true,\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"");
    else ADD(buffer, "\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"");
    buffer_add(buffer, whole.bytes, whole.size);
    ADD(buffer, "\"}],\"timestamp\":1795378511565}},\"seq\":");
    add_number(buffer, seq);
    ADD(buffer, "}");
}

static void add_agent(Buffer *buffer, const Run *run, Text delta, Text whole, uint64_t seq) {
    ADD(buffer, "{\"type\":\"event\",\"event\":\"agent\",\"payload\":{\"runId\":\"");
    buffer_add(buffer, run->run_id, strlen(run->run_id));
    ADD(buffer, "\",\"stream\":\"assistant\",\"data\":{\"text\":\"");
    buffer_add(buffer, whole.bytes, whole.size);
    ADD(buffer, "\",\"delta\":\"");
    buffer_add(buffer, delta.bytes, delta.size);
    ADD(buffer, "\",\"itemId\":\"b850fb26\"},\"sessionKey\":\"" SESSION "\",\"agentId\":\"main\",\"seq\":");
    add_number(buffer, run->frame + 1);
    ADD(buffer, ",\"ts\":1795378511741,\"isHeartbeat\":false},\"seq\":");
    add_number(buffer, seq);
    ADD(buffer, "}");
}

#define MAX_HEADER 10

void add_delta(Buffer *buffer, Run *run, uint64_t seq) {
    Pool *pool = pool_of(run);
    uint64_t step = run->frame % run->period;
    uint64_t last = run->low + (uint64_t)((double)(step + 1) * run->words);
    uint64_t before = step == 0 ? 0 : run->low + (uint64_t)((double)step * run->words);
    Text delta = {pool->bytes + pool->ends[before], pool->ends[last] - pool->ends[before]};
    Text whole = {pool->bytes, pool->ends[last]};
    /* The header's length depends on the frame's: the frame is written behind room for the longest, then moved up. */
    buffer_reserve(buffer, MAX_HEADER + 600 + delta.size + whole.size);
    size_t start = buffer->size, body = start + MAX_HEADER;
    buffer->size = body;
    if (run->agent) add_agent(buffer, run, delta, whole, seq);
    else add_chat(buffer, run, delta, whole, step == 0 && run->frame > 0, seq);
    size_t size = buffer->size - body;
    buffer->size = start;
    add_header(buffer, size);
    memmove(buffer->bytes + buffer->size, buffer->bytes + body, size);
    buffer->size += size;
    run->frame++;
}

void add_final(Buffer *buffer, const Run *run, uint64_t seq) {
    Pool *pool = pool_of(run);
    uint64_t step = (run->frames - 1) % run->period;
    size_t text_size = pool->ends[run->low + (uint64_t)((double)(step + 1) * run->words)];
    char head[400], tail[100];
    int head_size = snprintf(head, sizeof head,
                             "{\"type\":\"event\",\"event\":\"chat\",\"payload\":{\"runId\":\"%s\",\"sessionKey\":\"" SESSION
                             "\",\"agentId\":\"main\",\"seq\":%llu,\"state\":\"final\",\"stopReason\":\"stop\",\"message\":"
                             "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"",
                             run->run_id, (unsigned long long)run->frames);
    int tail_size = snprintf(tail, sizeof tail, "\"}],\"timestamp\":1795378523550}},\"seq\":%llu}", (unsigned long long)seq);
    add_header(buffer, (size_t)(head_size + tail_size) + text_size);
    buffer_add(buffer, head, (size_t)head_size);
    buffer_add(buffer, pool->bytes, text_size);
    buffer_add(buffer, tail, (size_t)tail_size);
}

void add_challenge(Buffer *buffer) {
    static const char json[] = "{\"type\":\"event\",\"event\":\"connect.challenge\",\"payload\":{\"nonce\":"
                               "\"13c57296-9181-4c42-80f4-bf19caf72a59\",\"ts\":1795378506816}}";
    add_text_frame(buffer, json, sizeof json - 1);
}

void add_response(Buffer *buffer, const char *id, const char *payload) {
    size_t size = strlen(payload) + strlen(id) + 64;
    char *json = allocate(size);
    int length = snprintf(json, size, "{\"type\":\"res\",\"id\":\"%s\",\"ok\":true,\"payload\":%s}", id, payload);
    add_text_frame(buffer, json, (size_t)length);
    free(json);
}

void add_hello(Buffer *buffer, const char *id) { add_response(buffer, id, hello); }

void add_invoke(Buffer *buffer, uint64_t number, size_t text_size, uint64_t seq) {
    /* The pool is JSON already: as a text within a text of JSON its backslashes and quotes are escaped once more. */
    uint64_t words = words_within(&ascii_pool, text_size);
    size_t plain = ascii_pool.ends[words], size = 0;
    char *text = allocate(2 * plain + 1), *json = allocate(2 * plain + 900);
    for (size_t at = 0; at < plain; at++) {
        char byte = ascii_pool.bytes[at];
        if (byte == '\\' || byte == '"') text[size++] = '\\';
        text[size++] = byte;
    }
    text[size] = 0;
    int length = sprintf(json,
                         "{\"type\":\"event\",\"event\":\"node.invoke.request\",\"payload\":{\"id\":"
                         "\"11111111-2222-4333-8444-%012llu\",\"nodeId\":\"" NODE "\",\"command\":\"mcp.tools.call.v1\","
                         "\"paramsJSON\":\"{\\\"server\\\":\\\"bench\\\",\\\"tool\\\":\\\"echo\\\",\\\"arguments\\\":"
                         "{\\\"text\\\":\\\"%s\\\"}}\",\"timeoutMs\":30000,\"idempotencyKey\":\"call-%llu\","
                         "\"sessionKey\":\"" SESSION "\"},\"seq\":%llu}",
                         (unsigned long long)number, text, (unsigned long long)number, (unsigned long long)seq);
    add_text_frame(buffer, json, (size_t)length);
    free(text);
    free(json);
}

void add_tools_taken(Buffer *buffer, const char *id) {
    add_response(buffer, id, "{\"nodeId\":\"" NODE "\",\"tools\":[{\"name\":\"echo\"}]}");
}
