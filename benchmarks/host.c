/* The least that a host has to do: numbered and checksummed lines, some in flight.
 *
 *   cc -O2 -o host host.c
 *   host PORT LINES [IN_FLIGHT]
 *
 * Prints the seconds and the processor seconds that it took, as JSON. It sends a line
 * again when it is asked for, and is no host for a printer: it has no timeouts.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The number of the first move, as the bridge's: on a slow line each digit counts. */
#define FIRST 1000

static int port;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double processor_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_utime.tv_usec / 1e6 + used.ru_stime.tv_sec +
           used.ru_stime.tv_usec / 1e6;
}

static void send_line(long number, const char *text) {
    char line[128];
    int size = snprintf(line, sizeof line, "N%ld %s", number, text);
    unsigned sum = 0;
    for (int i = 0; i < size; i++) sum ^= (unsigned char)line[i];
    size += snprintf(line + size, sizeof line - size, "*%u\n", sum);
    if (write(port, line, size) != size) exit(3);
}

static void send_move(long i) {
    char text[96];
    snprintf(text, sizeof text, "G1 X%ld.%03ld Y%ld.%ld E%ld.%03ld", i % 200, i % 997,
             i % 180, i % 10, i / 1000, i % 1000);
    send_line(FIRST + i, text);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    long count = atol(argv[2]), window = argc > 3 ? atol(argv[3]) : 1;
    port = open(argv[1], O_RDWR | O_NOCTTY);
    if (port < 0) return 1;
    struct termios raw;
    tcgetattr(port, &raw);
    cfmakeraw(&raw);
    tcsetattr(port, TCSANOW, &raw);
    send_line(FIRST - 1, "M110 N999");
    long sent = -1, acknowledged = -1; /* the greeting's ok makes it 0 */
    char data[4096];
    int kept = 0, skip = 0;
    double begun = 0, used = 0;
    while (acknowledged < count) {
        ssize_t n = read(port, data + kept, sizeof data - kept - 1);
        if (n <= 0) return 4;
        kept += n;
        data[kept] = 0;
        char *line = data, *end;
        while ((end = strchr(line, '\n'))) {
            *end = 0;
            if (!strncmp(line, "Resend:", 7)) {
                acknowledged = atol(line + 7) - FIRST;
                sent = acknowledged;
                skip = 1;
            } else if (!strncmp(line, "ok", 2)) {
                if (skip)
                    skip = 0;
                else
                    acknowledged++;
                if (sent < 0) sent = 0;
            }
            line = end + 1;
        }
        kept = data + kept - line;
        memmove(data, line, kept);
        if (acknowledged < 0) continue;
        if (!begun) {
            begun = now_s();
            used = processor_s();
        }
        while (sent < count && sent - acknowledged < window) send_move(sent++);
    }
    printf("{\"seconds\": %.6f, \"processor\": %.6f}\n", now_s() - begun,
           processor_s() - used);
    return 0;
}
