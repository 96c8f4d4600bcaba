/* SPDX-License-Identifier: Apache-2.0 */
/* scribe: an agent that starts in milliseconds. Serves HTTP on 127.0.0.1:$PORT: /readyz, and /write, which appends one numbered line to /state/records and
 * answers when it is durable. A line is "NUMBER GENERATION CHECKSUM"; a file that is not one whole sequence of them ends it with status 3. With $REPLACE the
 * file is replaced for each line, so that it is whole after a cut of the power, too, which may leave the end of an appended line.
 *
 * The file /mode of its root says how it behaves:
 *
 *     good          serves
 *     exits         ends at once
 *     never-ready   /readyz says 503
 *     crashes       ends a moment after it was found ready */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORDS "/state/records"
#define LINE_MAX_LENGTH 200
#define CRASH_AFTER_MSEC 100

static const char *generation, *nonce;
static char mode[32] = "good";
static unsigned long written;

static long long now_msec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (long long) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* FNV-1a of what stands before it in the line. */
static unsigned checksum(const char *text)
{
    unsigned sum = 2166136261U;

    for (; *text; text++)
        sum = (sum ^ (unsigned char) *text) * 16777619U;
    return sum;
}

static void make_line(char line[LINE_MAX_LENGTH], unsigned long number, const char *by)
{
    int n = snprintf(line, LINE_MAX_LENGTH - 12, "%lu %s ", number, by);

    snprintf(line + n, 12, "%08x\n", checksum(line));
}

static int read_records(void)
{
    FILE *f = fopen(RECORDS, "re");
    char line[LINE_MAX_LENGTH], expected[LINE_MAX_LENGTH], by[100];
    unsigned long number;

    if (!f)
        return errno == ENOENT ? 0 : -1;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lu %99s", &number, by) != 2 || number != written + 1)
            return -1;
        make_line(expected, number, by);
        if (strcmp(line, expected) != 0)
            return -1;
        written = number;
    }
    fclose(f);
    return 0;
}

static int write_line(int fd)
{
    char line[LINE_MAX_LENGTH];

    make_line(line, written + 1, generation);
    return write(fd, line, strlen(line)) == (ssize_t) strlen(line) && fsync(fd) == 0 ? 0 : -1;
}

static int copy_records(int fd)
{
    int from = open(RECORDS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), r;

    if (from < 0)
        return errno == ENOENT ? 0 : -1;
    while ((r = (int) sendfile(fd, from, NULL, 1 << 20)) > 0)
        ;
    close(from);
    return r;
}

static int replace(void)
{
    int directory = open("/state", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = -1;
    int fd = open(RECORDS ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (directory >= 0 && fd >= 0 && copy_records(fd) == 0 && write_line(fd) == 0 &&
        rename(RECORDS ".new", RECORDS) == 0)
        r = fsync(directory);
    close(fd);
    close(directory);
    return r;
}

static int append(void)
{
    int fd = open(RECORDS, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), r;

    if (fd < 0)
        return -1;
    r = write_line(fd);
    close(fd);
    return r;
}

static int write_record(void)
{
    int r = getenv("REPLACE") ? replace() : append();

    if (r == 0)
        written++;
    return r;
}

static void answer(int fd, const char *status)
{
    char body[400], text[600];

    snprintf(body, sizeof(body), "{\"generation\":\"%s\",\"nonce\":\"%s\",\"number\":%lu}", generation, nonce, written);
    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
             strlen(body), body);
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        perror("send");
}

/* Returns whether it was found ready. */
static int serve(int fd)
{
    struct timeval limit = {1, 0};
    char request[2048];
    ssize_t n;
    int ready = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    n = recv(fd, request, sizeof(request) - 1, 0);
    if (n <= 0)
        return 0;
    request[n] = '\0';
    if (strncmp(request, "GET /readyz ", 12) == 0) {
        ready = strcmp(mode, "never-ready") != 0;
        answer(fd, ready ? "200 OK" : "503 Service Unavailable");
    } else if (strncmp(request, "GET /write ", 11) == 0)
        answer(fd, write_record() == 0 ? "200 OK" : "500 Internal Server Error");
    else
        answer(fd, "404 Not Found");
    return ready;
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short) strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 128) < 0) {
        perror("listen");
        return -1;
    }
    return fd;
}

static void read_mode(void)
{
    FILE *f = fopen("/mode", "re");

    if (f && fscanf(f, "%31s", mode) != 1)
        mode[0] = '\0';
    if (f)
        fclose(f);
}

int main(void)
{
    const char *port = getenv("PORT");
    long long end = 0;
    int listener;

    generation = getenv("MOSS_GENERATION");
    nonce = getenv("MOSS_NONCE");
    read_mode();
    if (!generation || !nonce || !port || strcmp(mode, "exits") == 0)
        return 2;
    if (read_records() < 0) {
        fprintf(stderr, RECORDS " is no whole sequence after number %lu\n", written);
        return 3;
    }
    listener = listen_on(port);
    if (listener < 0)
        return 4;
    for (;;) {
        struct pollfd p = {.fd = listener, .events = POLLIN};
        int fd;

        if (poll(&p, 1, end ? (int) (end > now_msec() ? end - now_msec() : 0) : -1) == 0)
            return 5;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (serve(fd) && !end && strcmp(mode, "crashes") == 0)
            end = now_msec() + CRASH_AFTER_MSEC;
        close(fd);
    }
}
