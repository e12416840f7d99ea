#pragma once

/*
 * What a piece of code writes to standard error, for tests.
 *
 * Threads: the main thread, one capture at a time.
 * Owns: the text, until capture_fini.
 */

struct capture {
    int saved_fd; /* the real standard error */
    int file_fd;
    char *text; /* after capture_end; ends with a terminator */
};

void capture_begin(struct capture *capture);

/* Standard error is the real one again, the text is in `text`. */
void capture_end(struct capture *capture);
void capture_fini(struct capture *capture);
