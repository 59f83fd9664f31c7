#define _GNU_SOURCE
#include "websocket.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

/* SHA-1 (RFC 3174) of fewer than 120 bytes: what an upgrade needs, and no more. */
static void sha1(const unsigned char *message, size_t size, unsigned char digest[20]) {
    unsigned char blocks[128] = {0};
    size_t total = size < 56 ? 64 : 128;
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    memcpy(blocks, message, size);
    blocks[size] = 0x80;
    for (int i = 0; i < 4; i++) blocks[total - 1 - i] = (unsigned char)(size * 8 >> (8 * i));
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) {
            const unsigned char *p = blocks + at + 4 * i;
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const unsigned char bytes[20], char text[29]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 7; i++) {
        uint32_t group = (uint32_t)bytes[3 * i] << 16 | (uint32_t)bytes[3 * i + 1] << 8 | (i < 6 ? bytes[3 * i + 2] : 0);
        for (int j = 0; j < 4; j++) text[4 * i + j] = digits[group >> (18 - 6 * j) & 63];
    }
    text[27] = '=';
    text[28] = 0;
}

int add_upgrade(Buffer *buffer, const char *request) {
    const char *name = strcasestr(request, "sec-websocket-key:");
    char key[128], accept[29], response[256];
    unsigned char digest[20];
    if (name == NULL || sscanf(name + 18, " %60[^\r\n ]", key) != 1) return 0;
    strcat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    sha1((unsigned char *)key, strlen(key), digest);
    base64(digest, accept);
    int size = snprintf(response, sizeof response,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    buffer_add(buffer, response, (size_t)size);
    return 1;
}

size_t read_frame(char *bytes, size_t size, Frame *frame) {
    unsigned char *head = (unsigned char *)bytes;
    if (size < 6) return 0;
    size_t length = head[1] & 127, at = 2;
    if (length == 126) {
        length = (size_t)head[2] << 8 | head[3];
        at = 4;
    } else if (length == 127) {
        if (size < 14) return 0;
        length = 0;
        for (int i = 0; i < 8; i++) length = length << 8 | head[2 + i];
        at = 10;
    }
    if (size < at + 4 + length) return 0;
    const unsigned char *mask = head + at;
    frame->opcode = head[0] & 15;
    frame->payload = bytes + at + 4;
    frame->size = length;
    for (size_t i = 0; i < length; i++) frame->payload[i] ^= (char)mask[i & 3];
    return at + 4 + length;
}
