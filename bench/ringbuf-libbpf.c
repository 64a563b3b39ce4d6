// The peer of bench/ringbuf.ts: reads a ring buffer with libbpf, as its users do. ringbuf-libbpf MAP-ID MILLISECONDS
// prints the records it got, the nanoseconds it took, and the 50th and 99th percentile of their age when it got them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLES 65536

static unsigned long long count, ages[SAMPLES];

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int take(void *context, void *data, size_t size)
{
	unsigned long long *record = data;

	/* The clock is read for every 64th only: reading it costs as much as the record. */
	if ((count & 63) == 0 || count < SAMPLES / 2)
		ages[(count >> (count < SAMPLES / 2 ? 0 : 6)) % SAMPLES] = now() - record[1];
	count++;
	return 0;
}

static int ascending(const void *a, const void *b)
{
	unsigned long long x = *(unsigned long long *)a, y = *(unsigned long long *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int fd = bpf_map_get_fd_by_id(argc == 3 ? atoi(argv[1]) : 0);
	struct ring_buffer *ring = fd < 0 ? NULL : ring_buffer__new(fd, take, NULL, NULL);
	unsigned long long start, end, samples;

	if (!ring) {
		fprintf(stderr, "usage: ringbuf-libbpf MAP-ID MILLISECONDS\n");
		return 1;
	}
	start = now();
	end = start + atoi(argv[2]) * 1000000ULL;
	while (now() < end)
		ring_buffer__poll(ring, 10);
	end = now();
	samples = count < SAMPLES ? count : SAMPLES;
	qsort(ages, samples, sizeof(*ages), ascending);
	printf("%llu %llu %llu %llu\n", count, end - start, samples ? ages[samples / 2] : 0,
	       samples ? ages[samples * 99 / 100] : 0);
	return 0;
}
