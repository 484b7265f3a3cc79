/* A printer's firmware behind a pseudo-terminal, fast enough to measure hosts with.
 *
 *   cc -O2 -o firmware firmware.c
 *   firmware PATH [--baud N] [--delay MS] [--advanced] [--noise PER_MILLION] [--quiet]
 *
 * It numbers lines as Marlin does: a damaged or missing line is asked for again, what
 * was received after it is thrown away, and a repeated line is dropped. Each move must
 * have an E that is 0.001 higher than that of the move before it; SIGTERM prints how many
 * came, how many were out of order, and how many lines were asked for again.
 *
 * --baud paces both directions as a serial line does (10 bits a byte), and --delay adds
 * a time for each direction (USB adapter, main loop). Without --quiet it reports
 * temperatures every two seconds once it has been told to (M155).
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define QUEUE 65536 /* power of two */
#define BUFFERED 4  /* commands, as Marlin's BUFSIZE */

typedef struct {
    int64_t at;
    int size;
    char text[160];
} Item;

typedef struct {
    Item *items;
    unsigned head, tail;
    int64_t free_at; /* when the line is idle again */
} Lane;

static int master;
static int64_t per_byte, delay;
static int advanced, quiet, noise, reports;
static Lane up, down;
static long moves, disordered, resends, dropped;
static int64_t first_at, last_at; // of the moves
static long expected_e = -1;
static long last; /* number of the last line */
static uint64_t chance = 88172645463325252ull;
static volatile sig_atomic_t over;

static void on_signal(int number) { (void)number; over = 1; }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static uint64_t draw(void) {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance;
}

static void damage(char *text, int size) {
    if (noise && size > 2 && draw() % 1000000 < (uint64_t)noise)
        text[draw() % (size - 1)] ^= 1 << draw() % 6;
}

static void put(Lane *lane, const char *text, int size, int64_t now) {
    if (lane->tail - lane->head >= QUEUE) return;
    Item *item = &lane->items[lane->tail++ % QUEUE];
    if (size > (int)sizeof item->text) size = sizeof item->text;
    memcpy(item->text, text, size);
    item->size = size;
    int64_t begin = lane->free_at > now ? lane->free_at : now;
    lane->free_at = begin + size * per_byte;
    item->at = lane->free_at + delay;
}

static void say(const char *text, int64_t now) {
    char line[160];
    int size = snprintf(line, sizeof line, "%s\n", text);
    damage(line, size);
    put(&down, line, size, now);
}

static void refuse(const char *why, int64_t now) {
    char text[120];
    resends++;
    snprintf(text, sizeof text, "Error:%s, Last Line: %ld", why, last);
    say(text, now);
    snprintf(text, sizeof text, "Resend: %ld", last + 1);
    say(text, now);
    say("ok", now);
    /* What has arrived is thrown away. */
    while (up.head != up.tail && up.items[up.head % QUEUE].at <= now) up.head++;
}

static void acknowledge(long number, int64_t now) {
    char text[48];
    if (!advanced) {
        say("ok", now);
        return;
    }
    unsigned waiting = 0;
    for (unsigned i = up.head; i != up.tail && waiting < BUFFERED - 1; i++)
        if (up.items[i % QUEUE].at <= now) waiting++;
    if (number >= 0)
        snprintf(text, sizeof text, "ok N%ld P15 B%u", number, BUFFERED - 1 - waiting);
    else
        snprintf(text, sizeof text, "ok P15 B%u", BUFFERED - 1 - waiting);
    say(text, now);
}

static void execute(const char *command, long number, int64_t now) {
    if (!strncmp(command, "G1 ", 3) || !strncmp(command, "G0 ", 3)) {
        const char *e = strrchr(command, 'E');
        if (e) {
            long value = atol(e + 1) * 1000; /* E1.234 is move 1234 */
            const char *point = strchr(e, '.');
            if (point) value += atol(point + 1);
            if (expected_e >= 0 && value != expected_e && value != 0) disordered++;
            expected_e = value + 1;
            if (!moves++) first_at = now;
            last_at = now;
        }
    } else if (!strncmp(command, "M105", 4)) {
        say("ok T:20.00 /0.00 B:20.00 /0.00 @:0 B@:0", now);
        return;
    } else if (!strncmp(command, "M115", 4)) {
        say("FIRMWARE_NAME:Marlin 2.1.2 (Bench) PROTOCOL_VERSION:1.0 "
            "MACHINE_TYPE:Bench EXTRUDER_COUNT:1", now);
        say("Cap:AUTOREPORT_TEMP:1", now);
        say("Cap:AUTOREPORT_SD_STATUS:0", now);
    } else if (!strncmp(command, "M114", 4)) {
        say("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", now);
    } else if (!strncmp(command, "M155", 4)) {
        const char *s = strchr(command, 'S');
        reports = s ? atoi(s + 1) : 0;
    } else if (!strncmp(command, "M27", 3) || !strncmp(command, "M20", 3) ||
               !strncmp(command, "M21", 3)) {
        char text[64];
        snprintf(text, sizeof text, "echo:Unknown command: \"%.4s\"", command);
        say(text, now);
    }
    acknowledge(number, now);
}

static void receive(char *line, int size, int64_t now) {
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r')) size--;
    line[size] = 0;
    if (!size) return;
    if (line[0] != 'N') {
        char *star = strchr(line, '*');
        if (star) *star = 0;
        if (!strncmp(line, "M110", 4)) {
            char *n = strchr(line + 4, 'N');
            last = n ? atol(n + 1) : 0;
        }
        execute(line, -1, now);
        return;
    }
    char *end;
    long number = strtol(line + 1, &end, 10);
    while (*end == ' ') end++;
    char *star = strrchr(line, '*');
    int renumbers = !strncmp(end, "M110", 4);
    if (!renumbers && number != last + 1) {
        if (number == last || number == last - 1) {
            dropped++;
            return;
        }
        refuse("Line Number is not Last Line Number+1", now);
        return;
    }
    if (!star) {
        refuse("No Checksum with line number", now);
        return;
    }
    unsigned sum = 0;
    for (char *c = line; c < star; c++) sum ^= (unsigned char)*c;
    if (sum != (unsigned)atoi(star + 1)) {
        refuse("checksum mismatch", now);
        return;
    }
    *star = 0;
    last = number;
    if (renumbers) {
        char *n = strchr(end + 4, 'N');
        if (n) last = atol(n + 1);
    }
    execute(end, number, now);
}

static void flush_out(int64_t now) {
    char data[8192];
    int size = 0;
    while (down.head != down.tail) {
        Item *item = &down.items[down.head % QUEUE];
        if (item->at > now || size + item->size > (int)sizeof data) break;
        memcpy(data + size, item->text, item->size);
        size += item->size;
        down.head++;
    }
    for (int done = 0; done < size;) {
        ssize_t n = write(master, data + done, size - done);
        if (n > 0)
            done += n;
        else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {master, POLLOUT, 0};
            poll(&p, 1, 10);
            if (over) return;
        } else
            return;
    }
}

static int number_of(int argc, char **argv, const char *name, int fallback) {
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], name)) return i + 1 < argc ? atoi(argv[i + 1]) : 1;
    return fallback;
}

static int has(int argc, char **argv, const char *name) {
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], name)) return 1;
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int baud = number_of(argc, argv, "--baud", 0);
    per_byte = baud ? 10000000000ll / baud : 0;
    delay = number_of(argc, argv, "--delay", 0) * 1000000ll;
    noise = number_of(argc, argv, "--noise", 0);
    advanced = has(argc, argv, "--advanced");
    quiet = has(argc, argv, "--quiet");
    up.items = calloc(QUEUE, sizeof(Item));
    down.items = calloc(QUEUE, sizeof(Item));
    int slave;
    struct termios raw;
    if (!up.items || !down.items || openpty(&master, &slave, NULL, NULL, NULL)) return 1;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    unlink(argv[1]);
    if (symlink(ttyname(slave), argv[1])) return 1;
    fcntl(master, F_SETFL, O_NONBLOCK);
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGTERM, &act, NULL);
    char rest[4096];
    int kept = 0;
    int64_t report_at = 0;
    while (!over) {
        int64_t now = now_ns();
        while (up.head != up.tail && up.items[up.head % QUEUE].at <= now) {
            Item item = up.items[up.head++ % QUEUE];
            receive(item.text, item.size, now);
        }
        if (reports && !quiet && now >= report_at) {
            report_at = now + reports * 1000000000ll;
            say(" T:20.00 /0.00 B:20.00 /0.00 @:0 B@:0", now);
        }
        flush_out(now);
        int64_t next = INT64_MAX;
        if (up.head != up.tail) next = up.items[up.head % QUEUE].at;
        if (down.head != down.tail && down.items[down.head % QUEUE].at < next)
            next = down.items[down.head % QUEUE].at;
        if (reports && !quiet && report_at < next) next = report_at;
        struct timespec wait, *timeout = NULL;
        if (next != INT64_MAX) {
            int64_t left = next - now_ns();
            if (left < 0) left = 0;
            wait.tv_sec = left / 1000000000;
            wait.tv_nsec = left % 1000000000;
            timeout = &wait;
        }
        struct pollfd p = {master, POLLIN, 0};
        if (ppoll(&p, 1, timeout, NULL) <= 0 || !(p.revents & POLLIN)) continue;
        ssize_t n = read(master, rest + kept, sizeof rest - kept);
        if (n <= 0) continue;
        now = now_ns();
        kept += n;
        int begin = 0;
        for (int i = kept - n; i < kept; i++) {
            if (rest[i] != '\n') continue;
            damage(rest + begin, i + 1 - begin);
            put(&up, rest + begin, i + 1 - begin, now);
            begin = i + 1;
        }
        memmove(rest, rest + begin, kept - begin);
        kept -= begin;
        if (kept == sizeof rest) kept = 0;
    }
    printf("{\"moves\": %ld, \"disordered\": %ld, \"resends\": %ld, \"dropped\": %ld, "
           "\"seconds\": %.6f}\n",
           moves, disordered, resends, dropped, (last_at - first_at) / 1e9);
    unlink(argv[1]);
    return 0;
}
