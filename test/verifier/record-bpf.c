/* Records what a process asks of bpf(2): every BPF_PROG_LOAD with the maps and BTF behind its descriptors, so that the
 * same programs can be put to our verifier. Preloaded (LD_PRELOAD) into the oracle's loaders, which call libc's
 * syscall(); see record.ts. Writes $SKEP_RECORD/<n>.json, n counting the parent's forks from 0, one JSON object: the
 * last BPF_PROG_LOAD at log level 4 (how the loaders mark the program under test). With SKEP_RECORD_ONLY=<n> only that
 * child runs, and SKEP_RECORD_LEVEL=<level> writes the verifier's log at that level to $SKEP_RECORD/<n>.log.
 * Errors only make it write less: the loader must not notice. Linux only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS 4096

/* What a descriptor stands for. */
static struct fd_info {
	enum { NOTHING, MAP, BTF } kind;
	union bpf_attr attr; /* MAP */
	int frozen;
	unsigned char *value; /* MAP: of the first element, after an update of key 0 */
	unsigned char *btf; /* BTF */
	unsigned btf_size;
	int inner; /* MAP: index into kept, -1 */
} fds[FDS], kept[FDS];
static int nkept, forks;

pid_t fork(void)
{
	static pid_t (*real)(void);
	const char *only = getenv("SKEP_RECORD_ONLY");
	pid_t pid;

	if (only && forks != atoi(only))
		return forks++, 1 << 22; /* no such child: wait() fails at once */
	if (!real)
		real = dlsym(RTLD_NEXT, "fork");
	pid = real();
	if (pid > 0)
		forks++;
	return pid;
}

static void hex(FILE *out, const char *key, const unsigned char *bytes, size_t n)
{
	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%02x", bytes[i]);
	putc('"', out);
}

/* A name of at most 15 characters that the kernel has accepted or will judge: letters, digits, '_' and '.'. */
static void text(FILE *out, const char *key, const char *name, size_t max)
{
	fprintf(out, ",\"%s\":\"", key);
	for (; max && *name; name++, max--)
		if (*name >= ' ' && *name < 127 && *name != '"' && *name != '\\')
			putc(*name, out);
	putc('"', out);
}

/* BTF is written once for all programs that share it: $SKEP_RECORD/btf-<fnv1a>.bin. */
static void btf_ref(FILE *out, const char *dir, int fd)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	char path[1024];
	FILE *file;

	if (fd <= 0 || fd >= FDS || fds[fd].kind != BTF)
		return;
	for (unsigned i = 0; i < fds[fd].btf_size; i++)
		hash = (hash ^ fds[fd].btf[i]) * 0x100000001b3ull;
	fprintf(out, ",\"btf\":\"btf-%016llx.bin\"", (unsigned long long)hash);
	snprintf(path, sizeof(path), "%s/btf-%016llx.bin", dir, (unsigned long long)hash);
	if (!access(path, F_OK) || !(file = fopen(path, "w")))
		return;
	fwrite(fds[fd].btf, 1, fds[fd].btf_size, file);
	fclose(file);
}

static void map(FILE *out, const char *dir, const struct fd_info *info)
{
	const union bpf_attr *a = &info->attr;

	fprintf(out, "{\"type\":%u,\"keySize\":%u,\"valueSize\":%u,\"maxEntries\":%u,\"flags\":%u,\"mapExtra\":\"%llu\"",
		a->map_type, a->key_size, a->value_size, a->max_entries, a->map_flags, (unsigned long long)a->map_extra);
	text(out, "name", a->map_name, sizeof(a->map_name));
	fprintf(out, ",\"keyType\":%u,\"valueType\":%u,\"kernelValueType\":%u,\"frozen\":%s", a->btf_key_type_id,
		a->btf_value_type_id, a->btf_vmlinux_value_type_id, info->frozen ? "true" : "false");
	btf_ref(out, dir, a->btf_fd);
	if (info->value)
		hex(out, "value", info->value, a->value_size);
	if (info->inner >= 0) {
		fputs(",\"inner\":", out);
		map(out, dir, &kept[info->inner]);
	}
	putc('}', out);
}

static void prog(const union bpf_attr *a, long result, int error)
{
	const char *dir = getenv("SKEP_RECORD");
	const struct bpf_insn *insns = (void *)(uintptr_t)a->insns;
	char path[1024];
	FILE *out;
	int first = 1;

	if (!dir || a->log_level != 4)
		return;
	snprintf(path, sizeof(path), "%s/%d.json", dir, forks);
	out = fopen(path, "w"); /* the last try is the one that counts */
	if (!out)
		return;
	fprintf(out, "{\"type\":%u,\"attachType\":%u,\"flags\":%u,\"attachBtfId\":%u,\"errno\":%d", a->prog_type,
		a->expected_attach_type, a->prog_flags, a->attach_btf_id, result < 0 ? error : 0);
	text(out, "name", a->prog_name, sizeof(a->prog_name));
	text(out, "license", a->license ? (char *)(uintptr_t)a->license : "", 128);
	hex(out, "insns", (void *)insns, a->insn_cnt * 8ul);
	btf_ref(out, dir, a->prog_btf_fd);
	fputs(",\"maps\":{", out);
	for (unsigned i = 0; i < a->insn_cnt; i++) {
		int fd = insns[i].imm;

		if (insns[i].code != 0x18)
			continue;
		int mark = insns[i++].src_reg;
		if (mark == BPF_PSEUDO_MAP_IDX || mark == BPF_PSEUDO_MAP_IDX_VALUE)
			fd = a->fd_array ? ((int *)(uintptr_t)a->fd_array)[fd] : -1;
		else if (mark != BPF_PSEUDO_MAP_FD && mark != BPF_PSEUDO_MAP_VALUE)
			continue;
		if (fd < 0 || fd >= FDS || fds[fd].kind != MAP)
			continue;
		fprintf(out, "%s\"%d\":", first ? "" : ",", insns[i - 1].imm);
		map(out, dir, &fds[fd]);
		first = 0;
	}
	fputs("},\"funcInfo\":[", out);
	for (unsigned i = 0; i < a->func_info_cnt && a->func_info_rec_size >= 8; i++) {
		const unsigned *row = (void *)(uintptr_t)(a->func_info + (unsigned long)i * a->func_info_rec_size);

		fprintf(out, "%s[%u,%u]", i ? "," : "", row[0], row[1]);
	}
	fputs("]}\n", out);
	fclose(out);
}

/* The log of one more load. */
static void log_of(const union bpf_attr *a, long (*real)(long, ...))
{
	const char *dir = getenv("SKEP_RECORD"), *level = getenv("SKEP_RECORD_LEVEL");
	const unsigned size = 256u << 20;
	union bpf_attr attr = *a;
	char path[1024], *log;
	FILE *out;
	long fd;

	if (!dir || !level || a->log_level != 4 || !(log = calloc(1, size)))
		return;
	attr.log_level = atoi(level);
	attr.log_size = size;
	attr.log_buf = (uintptr_t)log;
	fd = real(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof(path), "%s/%d.log", dir, forks);
	if ((out = fopen(path, "w"))) {
		fputs(log, out);
		fclose(out);
	}
	free(log);
}

static void made(int cmd, const union bpf_attr *a, long fd)
{
	struct fd_info *info;

	if (cmd == BPF_MAP_FREEZE && fd == 0 && a->map_fd < FDS)
		fds[a->map_fd].frozen = 1;
	if (cmd == BPF_MAP_UPDATE_ELEM && fd == 0 && a->map_fd < FDS && fds[a->map_fd].kind == MAP) {
		info = &fds[a->map_fd];
		if (info->attr.map_type == BPF_MAP_TYPE_ARRAY && *(unsigned *)(uintptr_t)a->key == 0) {
			free(info->value);
			info->value = malloc(info->attr.value_size);
			memcpy(info->value, (void *)(uintptr_t)a->value, info->attr.value_size);
		}
	}
	if (fd <= 0 || fd >= FDS || (cmd != BPF_MAP_CREATE && cmd != BPF_BTF_LOAD && cmd != BPF_PROG_LOAD))
		return;
	info = &fds[fd];
	memset(info, 0, sizeof(*info));
	info->inner = -1;
	if (cmd == BPF_MAP_CREATE) {
		info->kind = MAP;
		info->attr = *a;
		if (a->inner_map_fd > 0 && a->inner_map_fd < FDS && fds[a->inner_map_fd].kind == MAP && nkept < FDS) {
			kept[nkept] = fds[a->inner_map_fd]; /* its descriptor may be closed by then */
			info->inner = nkept++;
		}
	} else if (cmd == BPF_BTF_LOAD) {
		info->kind = BTF;
		info->btf_size = a->btf_size;
		info->btf = malloc(a->btf_size);
		memcpy(info->btf, (void *)(uintptr_t)a->btf, a->btf_size);
	}
}

/* libbpf copies descriptors with fcntl(F_DUPFD_CLOEXEC) and dup3(): what a number means moves along. */
static void copied(int from, int to)
{
	if (from >= 0 && from < FDS && to > 0 && to < FDS && fds[from].kind != NOTHING)
		fds[to] = fds[from];
}

int fcntl64(int fd, int cmd, ...)
{
	static int (*real)(int, int, ...);
	va_list ap;
	long arg;
	int result;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (!real)
		real = dlsym(RTLD_NEXT, "fcntl64");
	result = real(fd, cmd, arg);
	if (cmd == 1030 /* F_DUPFD_CLOEXEC */ || cmd == 0 /* F_DUPFD */)
		copied(fd, result);
	return result;
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return fcntl64(fd, cmd, arg);
}

int dup3(int from, int to, int flags)
{
	int result = syscall(SYS_dup3, from, to, flags);

	if (result >= 0)
		copied(from, to);
	return result;
}

long syscall(long nr, ...)
{
	static long (*real)(long, ...);
	va_list ap;
	long a, b, c, d, e, f, result;
	int error;

	va_start(ap, nr);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	f = va_arg(ap, long);
	va_end(ap);
	if (!real)
		real = dlsym(RTLD_NEXT, "syscall");
	result = real(nr, a, b, c, d, e, f);
	error = errno;
	if (nr == SYS_bpf) {
		union bpf_attr attr = {};

		memcpy(&attr, (void *)b, (unsigned long)c < sizeof(attr) ? (unsigned long)c : sizeof(attr));
		if ((int)a == BPF_PROG_LOAD)
			prog(&attr, result, error), log_of(&attr, real);
		made((int)a, &attr, result);
	}
	if (nr == SYS_dup3 && result >= 0)
		copied((int)a, (int)b);
	errno = error;
	return result;
}
