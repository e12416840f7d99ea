#include "tests/support/capture.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void capture_begin(struct capture *capture)
{
    capture->text = NULL;
    capture->saved_fd = dup(STDERR_FILENO);
    capture->file_fd = memfd_create("stderr", MFD_CLOEXEC);
    CU_ASSERT_FATAL(capture->saved_fd >= 0 && capture->file_fd >= 0);
    CU_ASSERT_FATAL(dup2(capture->file_fd, STDERR_FILENO) == STDERR_FILENO);
}

void capture_end(struct capture *capture)
{
    struct stat status = {0};
    CU_ASSERT_FATAL(dup2(capture->saved_fd, STDERR_FILENO) == STDERR_FILENO);
    close(capture->saved_fd);
    CU_ASSERT_FATAL(fstat(capture->file_fd, &status) == 0);
    size_t len = (size_t)status.st_size;
    capture->text = calloc(len + 1, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(capture->text);
    CU_ASSERT_EQUAL(pread(capture->file_fd, capture->text, len, 0), (ssize_t)len);
    close(capture->file_fd);
}

void capture_fini(struct capture *capture)
{
    free(capture->text);
    capture->text = NULL;
}
