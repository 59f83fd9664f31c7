/* The server's side of a WebSocket: the answer to the upgrade, and frames read out of bytes. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stddef.h>
#include "frames.h"

/* Adds the 101 response to a whole upgrade request; 0 where there is no key in it. */
int add_upgrade(Buffer *buffer, const char *request);

typedef struct {
    int opcode;
    char *payload; /* unmasked in place */
    size_t size;
} Frame;

/* The bytes that the first frame takes, and the frame; 0 when it is not whole yet. */
size_t read_frame(char *bytes, size_t size, Frame *frame);

#endif
