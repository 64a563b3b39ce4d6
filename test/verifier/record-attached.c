// Records what the running kernel says of programs that attach to another program's functions:
//   cc test/verifier/record-attached.c -lbpf -lelf -lz -o record && ./record TARGET.bpf.o PROGRAM ATTACHED.bpf.o
// prints JSON as fixtures/attached/answers.json holds it. As root, on a kernel that lets programs attach to programs.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static char verifier_log[1 << 20];

static int no_output(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int is_figure(const char *line)
{
	return !strncmp(line, "processed ", 10) || !strncmp(line, "verification time ", 18) ||
	       !strncmp(line, "stack depth ", 12);
}

/* The last line that says something; cuts the log up. */
static const char *last_words(char *text)
{
	const char *last = "";

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!is_figure(line))
			last = line;
	return last;
}

/* Loads one program of the object alone; 0: accepted, 1: rejected, -1: not put to the kernel. */
static int judge(const char *path, const char *name, int target)
{
	struct bpf_object *object = bpf_object__open(path);
	struct bpf_program *program;
	int known = 0;

	verifier_log[0] = 0;
	bpf_object__for_each_program(program, object) {
		const char *function = strchr(bpf_program__section_name(program), '/');
		int wanted = !strcmp(bpf_program__name(program), name);

		bpf_program__set_autoload(program, wanted);
		if (!wanted)
			continue;
		known = function && !bpf_program__set_attach_target(program, target, function + 1);
		bpf_program__set_log_buf(program, verifier_log, sizeof(verifier_log));
		bpf_program__set_log_level(program, 1);
	}
	int verdict = known ? bpf_object__load(object) != 0 : -1;

	bpf_object__close(object);
	return verdict;
}

int main(int argc, char **argv)
{
	struct utsname kernel;
	struct bpf_program *program;
	const char *comma = "";

	if (argc != 4 || uname(&kernel))
		return 2;
	libbpf_set_print(no_output);
	struct bpf_object *target = bpf_object__open(argv[1]);
	struct bpf_object *attached = bpf_object__open(argv[3]);

	if (!target || !attached || bpf_object__load(target)) {
		fprintf(stderr, "cannot load %s\n", argv[1]);
		return 1;
	}
	int fd = bpf_program__fd(bpf_object__find_program_by_name(target, argv[2]));

	printf("{\n  \"kernel\": \"%s\",\n  \"programs\": {", kernel.release);
	bpf_object__for_each_program(program, attached) {
		const char *name = bpf_program__name(program);
		int verdict = judge(argv[3], name, fd);

		if (verdict < 0)
			continue;
		printf("%s\n    \"%s\": { \"accepted\": %s", comma, name, verdict ? "false" : "true");
		if (verdict)
			printf(", \"message\": \"%s\"", last_words(verifier_log));
		printf(" }");
		comma = ",";
	}
	printf("\n  }\n}\n");
	return 0;
}
