// The running kernel as oracle: a small server for bpf(2). Requests are lines of words on stdin, answers are lines of
// JSON on stdout; kernel.ts is its client. Maps and programs are known by the numbers it hands out. Nothing is attached.
//
//   map TYPE KEY VALUE MAX FLAGS EXTRA INNER BTF KEYTYPE VALUETYPE   INNER and BTF: number of a map/BTF, or -
//   btf HEX
//   prog TYPE ATTACH FLAGS LICENSE HEX [BTF FUNCHEX]  lddw with src 1 or 2 names a map by our number in imm
//   log TYPE LEVEL HEX [FLAGS]                 the verifier's log of a program without maps, accepted or not
//   run PROG REPEAT FLAGS CPU DATA CTX         hex or -
//   update MAP KEY VALUE FLAGS                 VALUE: hex, or pN / mN for the descriptor of a program or map
//   lookup MAP KEY FLAGS | delete MAP KEY | pop MAP KEY | next MAP KEY|- | dump MAP | freeze MAP
//   drain MAP                                  committed records of a ring buffer
//   caps MASK                                  capabilities in effect while programs are verified; - : all
//   reset                                      closes everything
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_OBJECTS 65536
#define LOG_BYTES (1 << 20)
#define OUT_BYTES (1 << 18)

struct object {
	int fd;
	unsigned type, key, value, max; /* maps: what was asked for */
};
static struct object maps[MAX_OBJECTS], progs[MAX_OBJECTS], btfs[MAX_OBJECTS];
static int n_maps, n_progs, n_btfs, n_cpus;
static char log_text[LOG_BYTES];

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

/* Capabilities that a verified program's loader has; maps and BTF are made with all of them. */
static unsigned long long loader_caps = ~0ULL;

static void set_effective(unsigned long long mask)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data))
		exit(1);
	data[0].effective = data[0].permitted & (unsigned)mask;
	data[1].effective = data[1].permitted & (unsigned)(mask >> 32);
	if (syscall(SYS_capset, &header, data))
		exit(1);
}

static long bpf_as_loader(int cmd, union bpf_attr *attr)
{
	if (loader_caps == ~0ULL)
		return bpf(cmd, attr);
	set_effective(loader_caps);
	long result = bpf(cmd, attr);
	int error = errno;
	set_effective(~0ULL);
	errno = error;
	return result;
}

static int possible_cpus(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/possible", "r");
	int last = 0, first;
	if (!f)
		return 1;
	int n = fscanf(f, "%d-%d", &first, &last);
	fclose(f);
	return n == 2 ? last + 1 : 1;
}

static int digit(int c)
{
	return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* Bytes of hex text in a fresh buffer with room for `room` bytes at least. */
static unsigned char *from_hex(const char *text, size_t *size, size_t room)
{
	size_t n = text && strcmp(text, "-") ? strlen(text) / 2 : 0;
	unsigned char *bytes = calloc(1, (n > room ? n : room) + 8);
	for (size_t i = 0; i < n; i++)
		bytes[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
	if (size)
		*size = n;
	return bytes;
}

static void put_hex(const char *name, const unsigned char *bytes, size_t n)
{
	printf(",\"%s\":\"", name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	putchar('"');
}

static void put_text(const char *name, const char *text)
{
	printf(",\"%s\":\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			printf("\\u%04x", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void answer(long result)
{
	printf("{\"errno\":%d", result < 0 ? errno : 0);
}

/* The next word of the line, "" at its end. */
static char *word(void)
{
	char *w = strtok(NULL, " \n");
	return w ? w : "";
}

static unsigned long long number(void)
{
	return strtoull(word(), NULL, 0);
}

static struct object *object(struct object *list, int count, const char *name)
{
	long i = strtol(name, NULL, 10);
	if (i < 0 || i >= count) {
		fprintf(stderr, "harness: no object %s\n", name);
		exit(1);
	}
	return &list[i];
}

static int is_per_cpu(const struct object *map)
{
	return map->type == BPF_MAP_TYPE_PERCPU_HASH || map->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH || map->type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/* Bytes of a value as bpf(2) copies it. */
static size_t value_bytes(const struct object *map)
{
	return is_per_cpu(map) ? (size_t)((map->value + 7) & ~7u) * n_cpus : map->value;
}

static void create_map(void)
{
	union bpf_attr attr = {};
	struct object map = {};
	attr.map_type = map.type = number();
	attr.key_size = map.key = number();
	attr.value_size = map.value = number();
	attr.max_entries = map.max = number();
	attr.map_flags = number();
	attr.map_extra = number();
	char *inner = word(), *btf = word();
	if (*inner && *inner != '-')
		attr.inner_map_fd = object(maps, n_maps, inner)->fd;
	if (*btf && *btf != '-') {
		attr.btf_fd = object(btfs, n_btfs, btf)->fd;
		attr.btf_key_type_id = number();
		attr.btf_value_type_id = number();
	}
	long fd = bpf(BPF_MAP_CREATE, &attr);
	answer(fd);
	if (fd >= 0 && n_maps < MAX_OBJECTS) {
		map.fd = fd;
		maps[n_maps] = map;
		printf(",\"id\":%d", n_maps++);
	}
}

static void load_btf(void)
{
	size_t size;
	union bpf_attr attr = {};
	unsigned char *bytes = from_hex(word(), &size, 0);
	attr.btf = (unsigned long)bytes;
	attr.btf_size = size;
	attr.btf_log_buf = (unsigned long)log_text;
	attr.btf_log_size = LOG_BYTES;
	attr.btf_log_level = 1;
	log_text[0] = 0;
	long fd = bpf(BPF_BTF_LOAD, &attr);
	answer(fd);
	if (fd >= 0) {
		btfs[n_btfs].fd = fd;
		printf(",\"id\":%d", n_btfs++);
	} else
		put_text("log", log_text);
	free(bytes);
}

static void load_prog(void)
{
	union bpf_attr attr = {};
	size_t size, func_size = 0;
	attr.prog_type = number();
	attr.expected_attach_type = number();
	attr.prog_flags = number();
	char *license = word();
	struct bpf_insn *insns = (void *)from_hex(word(), &size, 0);
	unsigned char *funcs = NULL;
	size_t n = size / 8;
	char *btf = word();
	if (*btf) {
		attr.prog_btf_fd = object(btfs, n_btfs, btf)->fd;
		funcs = from_hex(word(), &func_size, 0);
		attr.func_info = (unsigned long)funcs;
		attr.func_info_rec_size = 8;
		attr.func_info_cnt = func_size / 8;
	}
	for (size_t i = 0; i + 1 < n; i++) {
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD || insns[i].src_reg == BPF_PSEUDO_MAP_VALUE) {
			char name[16];
			snprintf(name, sizeof(name), "%d", insns[i].imm);
			insns[i].imm = object(maps, n_maps, name)->fd;
		}
		i++;
	}
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = n;
	attr.license = (unsigned long)license;
	long fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0 && errno != EPERM) { /* once more, for the log */
		attr.log_buf = (unsigned long)log_text;
		attr.log_size = LOG_BYTES;
		attr.log_level = 1;
		log_text[0] = 0;
		fd = bpf(BPF_PROG_LOAD, &attr);
	}
	answer(fd);
	if (fd >= 0 && n_progs < MAX_OBJECTS) {
		progs[n_progs].fd = fd;
		printf(",\"id\":%d", n_progs++);
	} else {
		size_t length = strlen(log_text);
		put_text("log", log_text + (length > 4000 ? length - 4000 : 0));
	}
	free(insns);
	free(funcs);
}

static void log_prog(void)
{
	union bpf_attr attr = {};
	size_t size;
	attr.prog_type = number();
	attr.log_level = number();
	unsigned char *insns = from_hex(word(), &size, 0);
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = size / 8;
	attr.prog_flags = number();
	attr.license = (unsigned long)"GPL";
	attr.log_buf = (unsigned long)log_text;
	attr.log_size = LOG_BYTES;
	log_text[0] = 0;
	long fd = bpf(BPF_PROG_LOAD, &attr);
	answer(fd);
	put_text("log", log_text);
	if (fd >= 0)
		close(fd);
	free(insns);
}

/* The verifier's log of any program: type, attach type, flags, BTF id of the hook, level, license in hex, instructions,
 * BTF or -, func_info records or -. */
static void verify_prog(void)
{
	union bpf_attr attr = {};
	size_t size, func_size = 0;
	attr.prog_type = number();
	attr.expected_attach_type = number();
	attr.prog_flags = number();
	attr.attach_btf_id = number();
	attr.log_level = number();
	char *license = (char *)from_hex(word(), NULL, 128);
	struct bpf_insn *insns = (void *)from_hex(word(), &size, 0);
	char *btf = word();
	unsigned char *funcs = from_hex(word(), &func_size, 0);
	if (*btf && *btf != '-') {
		attr.prog_btf_fd = object(btfs, n_btfs, btf)->fd;
		attr.func_info = (unsigned long)funcs;
		attr.func_info_rec_size = 8;
		attr.func_info_cnt = func_size / 8;
	}
	for (size_t i = 0; i + 1 < size / 8; i++) {
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD || insns[i].src_reg == BPF_PSEUDO_MAP_VALUE) {
			int map = insns[i].imm; /* a program may be wrong about it */
			insns[i].imm = map >= 0 && map < n_maps ? maps[map].fd : -1;
		}
		i++;
	}
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = size / 8;
	attr.license = (unsigned long)license;
	attr.log_buf = (unsigned long)log_text;
	attr.log_size = LOG_BYTES;
	log_text[0] = 0;
	long fd = bpf_as_loader(BPF_PROG_LOAD, &attr);
	answer(fd);
	put_text("log", log_text);
	if (fd >= 0)
		close(fd);
	free(license);
	free(insns);
	free(funcs);
}

static void run_prog(void)
{
	static unsigned char data_out[OUT_BYTES], ctx_out[OUT_BYTES];
	union bpf_attr attr = {};
	size_t data_size, ctx_size;
	attr.test.prog_fd = object(progs, n_progs, word())->fd;
	attr.test.repeat = number();
	attr.test.flags = number();
	attr.test.cpu = number();
	unsigned char *data = from_hex(word(), &data_size, 0), *ctx = from_hex(word(), &ctx_size, 0);
	attr.test.data_in = data_size ? (unsigned long)data : 0;
	attr.test.data_size_in = data_size;
	attr.test.ctx_in = ctx_size ? (unsigned long)ctx : 0;
	attr.test.ctx_size_in = ctx_size;
	if (data_size) {
		attr.test.data_out = (unsigned long)data_out;
		attr.test.data_size_out = OUT_BYTES;
	}
	if (ctx_size) {
		attr.test.ctx_out = (unsigned long)ctx_out;
		attr.test.ctx_size_out = ctx_size;
	}
	long result = bpf(BPF_PROG_TEST_RUN, &attr);
	answer(result);
	printf(",\"retval\":%u,\"duration\":%u", attr.test.retval, attr.test.duration);
	if (result >= 0 && data_size)
		put_hex("data", data_out, attr.test.data_size_out);
	if (result >= 0 && ctx_size)
		put_hex("ctx", ctx_out, attr.test.ctx_size_out);
	free(data);
	free(ctx);
}

static void element(const char *op)
{
	union bpf_attr attr = {};
	struct object *map = object(maps, n_maps, word());
	char *key_text = word();
	unsigned char *key = from_hex(key_text, NULL, map->key);
	unsigned char *value = NULL, *next = calloc(1, map->key + 8);
	size_t bytes = value_bytes(map);
	long result;
	attr.map_fd = map->fd;
	attr.key = map->key ? (unsigned long)key : 0;
	if (!strcmp(op, "update")) {
		char *text = word();
		value = from_hex(*text == 'p' || *text == 'm' ? "-" : text, NULL, bytes);
		if (*text == 'p')
			memcpy(value, &object(progs, n_progs, text + 1)->fd, 4);
		if (*text == 'm')
			memcpy(value, &object(maps, n_maps, text + 1)->fd, 4);
		attr.value = (unsigned long)value;
		attr.flags = number();
		answer(bpf(BPF_MAP_UPDATE_ELEM, &attr));
	} else if (!strcmp(op, "delete")) {
		answer(bpf(BPF_MAP_DELETE_ELEM, &attr));
	} else if (!strcmp(op, "next")) {
		attr.key = *key_text == '-' ? 0 : (unsigned long)key;
		attr.next_key = (unsigned long)next;
		answer(result = bpf(BPF_MAP_GET_NEXT_KEY, &attr));
		if (result >= 0)
			put_hex("key", next, map->key);
	} else {
		value = from_hex("-", NULL, bytes);
		attr.value = (unsigned long)value;
		attr.flags = number();
		int bloom = map->type == BPF_MAP_TYPE_BLOOM_FILTER;
		if (bloom) { /* the value is the question */
			free(value);
			attr.value = (unsigned long)(value = from_hex(key_text, NULL, bytes));
			attr.key = 0;
		}
		answer(result = bpf(!strcmp(op, "pop") ? BPF_MAP_LOOKUP_AND_DELETE_ELEM : BPF_MAP_LOOKUP_ELEM, &attr));
		if (result >= 0)
			put_hex("value", value, bytes);
	}
	free(key);
	free(value);
	free(next);
}

static void dump(void)
{
	struct object *map = object(maps, n_maps, word());
	unsigned char *key = calloc(1, map->key + 8), *next = calloc(1, map->key + 8);
	unsigned char *value = calloc(1, value_bytes(map) + 8);
	int first = 1;
	printf("{\"errno\":0,\"entries\":[");
	for (int have = 0;; have = 1) {
		union bpf_attr attr = {};
		attr.map_fd = map->fd;
		attr.key = have ? (unsigned long)key : 0;
		attr.next_key = (unsigned long)next;
		if (bpf(BPF_MAP_GET_NEXT_KEY, &attr) < 0)
			break;
		memcpy(key, next, map->key);
		memset(&attr, 0, sizeof(attr));
		attr.map_fd = map->fd;
		attr.key = (unsigned long)key;
		attr.value = (unsigned long)value;
		if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) < 0)
			continue;
		printf("%s{\"k\":1", first ? "" : ",");
		put_hex("key", key, map->key);
		put_hex("value", value, value_bytes(map));
		putchar('}');
		first = 0;
	}
	putchar(']');
	free(key);
	free(next);
	free(value);
}

static void drain(void)
{
	struct object *map = object(maps, n_maps, word());
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	unsigned char *producer = mmap(NULL, page + 2 * (size_t)map->max, PROT_READ, MAP_SHARED, map->fd, page);
	if (consumer == MAP_FAILED || producer == MAP_FAILED) {
		answer(-1);
		return;
	}
	unsigned long *at = (void *)consumer, end = *(volatile unsigned long *)producer;
	unsigned char *ring = producer + page;
	int first = 1;
	printf("{\"errno\":0,\"records\":[");
	while (*at < end) {
		unsigned char *record = ring + (*at & (map->max - 1));
		unsigned length = *(volatile unsigned *)record;
		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
			printf("%s{\"k\":1", first ? "" : ",");
			put_hex("data", record + 8, length);
			putchar('}');
			first = 0;
		}
		length &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		*(volatile unsigned long *)at += (length + 8 + 7) & ~7u;
	}
	putchar(']');
	munmap(consumer, page);
	munmap(producer, page + 2 * (size_t)map->max);
}

static void reset(void)
{
	while (n_progs)
		close(progs[--n_progs].fd);
	while (n_maps)
		close(maps[--n_maps].fd);
	while (n_btfs)
		close(btfs[--n_btfs].fd);
	answer(0);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	cpu_set_t first; /* so that per-CPU values of all runs land on CPU 0 */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	n_cpus = possible_cpus();
	printf("{\"errno\":0,\"cpus\":%d}\n", n_cpus);
	fflush(stdout);
	while (getline(&line, &room, stdin) > 0) {
		char *op = strtok(line, " \n");
		if (!op)
			continue;
		if (!strcmp(op, "map"))
			create_map();
		else if (!strcmp(op, "btf"))
			load_btf();
		else if (!strcmp(op, "prog"))
			load_prog();
		else if (!strcmp(op, "log"))
			log_prog();
		else if (!strcmp(op, "verify"))
			verify_prog();
		else if (!strcmp(op, "run"))
			run_prog();
		else if (!strcmp(op, "dump"))
			dump();
		else if (!strcmp(op, "drain"))
			drain();
		else if (!strcmp(op, "reset"))
			reset();
		else if (!strcmp(op, "caps")) {
			char *mask = word();
			loader_caps = *mask == '-' ? ~0ULL : strtoull(mask, NULL, 0);
			answer(0);
		}
		else if (!strcmp(op, "freeze")) {
			union bpf_attr attr = {};
			attr.map_fd = object(maps, n_maps, word())->fd;
			answer(bpf(BPF_MAP_FREEZE, &attr));
		} else
			element(op);
		printf("}\n");
		fflush(stdout);
	}
	return 0;
}
