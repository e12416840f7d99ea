#include "tests/support/tcp.h"

#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/conn.h"

void tcp_connect(int *near, int *far, int far_room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    conn_bound_buffers(listener);
    CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (far_room != TCP_ROOM_DEFAULT)
        setsockopt(*far, SOL_SOCKET, SO_RCVBUF, &far_room, sizeof far_room);
    CU_ASSERT_EQUAL_FATAL(connect(*far, (struct sockaddr *)&address, len), 0);
    *near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(*near != -1);
    close(listener);
}

void tcp_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}
