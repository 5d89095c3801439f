// SPDX-License-Identifier: LGPL-2.1-or-later
// What a RabbitMQ can do at most for one publisher: frames that were made once and are only numbered, written from
// one buffer, and confirmations that are only counted (AMQP 0-9-1, and RabbitMQ's confirm.select). One thread, no
// library, no queueing, no copy of a message. What is faster than this, the server is not.
//
//   amqp_raw [--max-length N] [--exchange NAME] [--size N] [--window N] [--burst N] HOST PORT QUEUE COUNT
//
// prints messages/s and cpu-us/message. Queue, messages and their properties are those of the adapter's benchmark
// (pkg/adapters/amqp/bench_test.go): in memory, mandatory, by the default exchange or by one of topics.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { METHOD = 1, HEADER = 2, BODY = 3, END = 0xce, CHANNEL = 1 };

static int fd = -1;

static _Noreturn void
die (const char *what)
{
  fprintf (stderr, "amqp_raw: %s%s%s\n", what, errno ? ": " : "", errno ? strerror (errno) : "");
  exit (1);
}

// A growing buffer of frames.
typedef struct {
  uint8_t *data;
  size_t len, room, frame;
} Out;

static void
bytes (Out *o, const void *data, size_t n)
{
  if (o->len + n > o->room) {
    o->room = 2 * (o->len + n);
    o->data = realloc (o->data, o->room);
    if (!o->data)
      die ("no memory");
  }
  memcpy (o->data + o->len, data, n);
  o->len += n;
}

static void
number (Out *o, uint64_t v, int size)
{
  uint8_t b[8];
  for (int i = 0; i < size; i++)
    b[i] = (uint8_t) (v >> 8 * (size - 1 - i));
  bytes (o, b, (size_t) size);
}

static void
text (Out *o, const char *s)
{
  number (o, strlen (s), 1);
  bytes (o, s, strlen (s));
}

static void
begin (Out *o, int kind, int channel)
{
  o->frame = o->len;
  number (o, (uint64_t) kind, 1);
  number (o, (uint64_t) channel, 2);
  number (o, 0, 4);
}

static void
end (Out *o)
{
  uint32_t n = htonl ((uint32_t) (o->len - o->frame - 7));
  memcpy (o->data + o->frame + 3, &n, 4);
  number (o, END, 1);
}

static void
method (Out *o, int channel, int class, int id)
{
  begin (o, METHOD, channel);
  number (o, (uint64_t) class, 2);
  number (o, (uint64_t) id, 2);
}

// Reading

static uint8_t in[1 << 20];
static size_t in_len;
static uint64_t count, confirmed, returned;
static uint8_t *answered; // by delivery tag, which counts from 1
static uint64_t lowest = 1; // all before it are answered

static uint64_t
get (const uint8_t *p, int size)
{
  uint64_t v = 0;
  for (int i = 0; i < size; i++)
    v = v << 8 | p[i];
  return v;
}

static void
confirm (uint64_t tag, int multiple)
{
  if (tag > count)
    die ("the server confirms what was not sent");
  for (uint64_t t = multiple ? lowest : tag; t <= tag; t++) {
    confirmed += !answered[t];
    answered[t] = 1;
  }
  if (multiple && tag >= lowest)
    lowest = tag + 1;
}

// Takes a frame that is whole; gives its method, 0 for another frame.
static uint32_t
frame (const uint8_t *p, size_t n)
{
  if (p[0] != METHOD || n < 4)
    return 0;
  uint32_t m = (uint32_t) get (p + 7, 4);
  switch (m) {
    case 60 << 16 | 80: // basic.ack
      confirm (get (p + 11, 8), p[19] & 1);
      break;
    case 60 << 16 | 50:
      returned++;
      break;
    case 60 << 16 | 120:
      errno = 0;
      die ("the server refuses messages (basic.nack)");
    case 10 << 16 | 50:
    case 20 << 16 | 40:
      fprintf (stderr, "amqp_raw: the server closes: %.*s\n", p[13], p + 14);
      exit (1);
  }
  return m;
}

static uint32_t
take (uint32_t until)
{
  ssize_t n = read (fd, in + in_len, sizeof in - in_len);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n <= 0)
    die ("the server has closed the connection");
  in_len += (size_t) n;
  size_t at = 0;
  uint32_t found = 0;
  while (in_len - at >= 8) {
    size_t size = get (in + at + 3, 4);
    if (in_len - at < size + 8)
      break;
    uint32_t m = frame (in + at, size);
    if (m == until)
      found = m;
    at += size + 8;
  }
  memmove (in, in + at, in_len - at);
  in_len -= at;
  return found;
}

static void
put_all (Out *o)
{
  for (size_t at = 0; at < o->len;) {
    ssize_t n = write (fd, o->data + at, o->len - at);
    if (n < 0)
      die ("write");
    at += (size_t) n;
  }
  o->len = 0;
}

static void
ask (Out *o, int class, int id)
{
  put_all (o);
  while (!take ((uint32_t) (class << 16 | id)))
    ;
}

static double
now (clockid_t clock)
{
  struct timespec t;
  clock_gettime (clock, &t);
  return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

// Opens the connection and a channel that confirms.
static void
greet (Out *out)
{
  bytes (out, "AMQP\0\0\11\1", 8);
  ask (out, 10, 10); // start
  method (out, 0, 10, 11);
  number (out, 0, 4);
  text (out, "PLAIN");
  number (out, 12, 4);
  bytes (out, "\0guest\0guest", 12);
  text (out, "en_US");
  end (out);
  ask (out, 10, 30); // tune
  method (out, 0, 10, 31);
  number (out, 1, 2);
  number (out, 131072, 4);
  number (out, 0, 2);
  end (out);
  method (out, 0, 10, 40); // open
  text (out, "/");
  number (out, 0, 2);
  end (out);
  ask (out, 10, 41);
  method (out, CHANNEL, 20, 10);
  number (out, 0, 1);
  end (out);
  ask (out, 20, 11);
  method (out, CHANNEL, 85, 10); // confirm.select
  number (out, 0, 1);
  end (out);
  ask (out, 85, 11);
}

static void
declare (Out *out, const char *queue, const char *exchange, int max)
{
  method (out, CHANNEL, 50, 10); // queue.declare
  number (out, 0, 2);
  text (out, queue);
  number (out, 0, 1);
  Out table = { 0 };
  if (max) {
    text (&table, "x-max-length");
    number (&table, 'I', 1);
    number (&table, (uint64_t) max, 4);
  }
  number (out, table.len, 4);
  bytes (out, table.data ? table.data : (uint8_t *) "", table.len);
  end (out);
  ask (out, 50, 11);
  if (*exchange) {
    method (out, CHANNEL, 40, 10); // exchange.declare
    number (out, 0, 2);
    text (out, exchange);
    text (out, "topic");
    number (out, 2, 1); // durable
    number (out, 0, 4);
    end (out);
    ask (out, 40, 11);
    method (out, CHANNEL, 50, 20); // queue.bind
    number (out, 0, 2);
    text (out, queue);
    text (out, exchange);
    text (out, queue);
    number (out, 0, 1);
    number (out, 0, 4);
    end (out);
    ask (out, 50, 21);
  }
  method (out, CHANNEL, 50, 30); // purge
  number (out, 0, 2);
  text (out, queue);
  number (out, 0, 1);
  end (out);
  ask (out, 50, 31);
}

// Appends a burst of messages with the properties that the adapter sends.
static void
messages (Out *out, int burst, int size, const char *queue, const char *exchange)
{
  for (int i = 0; i < burst; i++) {
    method (out, CHANNEL, 60, 40); // publish
    number (out, 0, 2);
    text (out, exchange);
    text (out, queue);
    number (out, 1, 1); // mandatory
    end (out);
    begin (out, HEADER, CHANNEL);
    number (out, 60, 2);
    number (out, 0, 2);
    number (out, (uint64_t) size, 8);
    number (out, 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7 | 1 << 6 | 1 << 3, 2);
    text (out, "application/octet-stream");
    number (out, 16 + 9, 4);
    text (out, "timestamp_in_ms");
    number (out, 'l', 1);
    number (out, 1600000000123, 8);
    number (out, 1, 1); // transient
    text (out, "0123456789abcdef-1234567");
    number (out, 1600000000, 8);
    text (out, "gst-edgewire");
    end (out);
    begin (out, BODY, CHANNEL);
    for (int k = 0; k < size; k++)
      number (out, 0, 1);
    end (out);
  }
}

int
main (int argc, char **argv)
{
  int size = 1000, window = 1000, burst = 64, max = 0, o;
  const char *exchange = "";
  static const struct option options[] = {
    { "size", 1, 0, 's' }, { "window", 1, 0, 'w' }, { "burst", 1, 0, 'b' }, { "max-length", 1, 0, 'm' }, { "exchange", 1, 0, 'e' }, { 0 },
  };
  while ((o = getopt_long (argc, argv, "", options, NULL)) != -1)
    switch (o) {
      case 's': size = atoi (optarg); break;
      case 'w': window = atoi (optarg); break;
      case 'b': burst = atoi (optarg); break;
      case 'm': max = atoi (optarg); break;
      case 'e': exchange = optarg; break;
      default: return 2;
    }
  if (argc - optind != 4 || size < 1 || burst < 1 || window < burst) {
    fprintf (stderr, "usage: amqp_raw [options] HOST PORT QUEUE COUNT\n");
    return 2;
  }
  const char *queue = argv[optind + 2];
  uint64_t sent = 0;
  count = strtoull (argv[optind + 3], NULL, 10);
  answered = calloc (count + 1, 1);
  if (!answered)
    die ("no memory");
  struct addrinfo *a, hints = { .ai_socktype = SOCK_STREAM };
  if (getaddrinfo (argv[optind], argv[optind + 1], &hints, &a))
    die ("no such host");
  fd = socket (a->ai_family, SOCK_STREAM, 0);
  if (fd < 0 || connect (fd, a->ai_addr, a->ai_addrlen))
    die ("connect");
  int yes = 1;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);

  Out out = { 0 };
  greet (&out);
  declare (&out, queue, exchange, max);
  messages (&out, burst, size, queue, exchange);
  size_t one = out.len / (size_t) burst;

  double began = now (CLOCK_MONOTONIC), cpu = now (CLOCK_PROCESS_CPUTIME_ID);
  size_t at = 0, due = 0; // of what is being written
  while (confirmed < count) {
    if (at == due) {
      uint64_t n = (uint64_t) window - (sent - confirmed);
      n = n < count - sent ? n : count - sent;
      n = n < (uint64_t) burst ? n : (uint64_t) burst;
      // A burst is worth waiting for, unless it is the last one.
      if (n == (uint64_t) burst || sent + n == count) {
        at = 0;
        due = n * one;
        sent += n;
      }
    }
    struct pollfd p = { .fd = fd, .events = (short) (POLLIN | (at < due ? POLLOUT : 0)) };
    if (poll (&p, 1, 30000) <= 0)
      die ("the server is silent");
    if (p.revents & POLLOUT) {
      ssize_t n = send (fd, out.data + at, due - at, MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN)
        die ("write");
      if (n > 0)
        at += (size_t) n;
    }
    if (p.revents & (POLLIN | POLLHUP | POLLERR))
      take (1);
  }
  double spent = now (CLOCK_MONOTONIC) - began, work = now (CLOCK_PROCESS_CPUTIME_ID) - cpu;
  if (returned)
    die ("messages were returned");
  printf ("%.0f messages/s %.3f cpu-us/message\n", (double) count / spent, work * 1e6 / (double) count);
  close (fd);
  return 0;
}
