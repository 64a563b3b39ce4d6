// Programs on tracepoints and perf events see exactly what a child process does. Needs root.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LinuxContext, RunningKernel } from "../../src/linux/index.ts";
import { type AttachOptions, readObject } from "../../src/object/index.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const object = () => readObject(readFileSync(new URL("../../fixtures/linux/events.bpf.o", import.meta.url)));

/** A shell that waits for a line on its standard input, does its work, and ends. */
function child(work: string): ChildProcess {
  return spawn("/bin/sh", ["-c", `read line; ${work}`], { stdio: ["pipe", "inherit", "inherit"] });
}

describe.skipIf(reason !== undefined)(`events of Linux ${reason ?? ""}`, () => {
  let kernel: RunningKernel & { readonly context: LinuxContext };

  beforeEach(async () => {
    kernel = await openRunningKernel();
  });

  afterEach(() => {
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
    kernel[Symbol.dispose]();
  });

  /** Attaches, lets a child work, detaches; how often the program ran for the child, and the cookie it saw. */
  async function count(name: string, options: AttachOptions | undefined, work: string) {
    const process = child(work);
    await once(process, "spawn");
    using collection = await kernel.load(object(), {
      programs: [name],
      globals: {
        target_pid: process.pid ?? 0,
        ...(kernel.context.sys.libc.arch === "arm64" && { syscall_nr: 172 }),
      },
    });
    using _link = collection.programs.get(name)?.attach(options);
    process.stdin?.write("go\n");
    await once(process, "exit");
    const read = (variable: string) => Number(collection.globals.get(variable)?.get());
    return { hits: read("hits"), cookie: read("cookie") };
  }

  const repeat = (n: number, work: string) => `i=0; while [ $i -lt ${n} ]; do i=$((i+1)); ${work} done`;
  /** A shell makes a process for each command that is not its own. */
  const forks = (n: number) => repeat(n, "/bin/true;");

  it("a tracepoint, by its section and by name with a cookie", async () => {
    const named = { kind: "tracepoint", category: "sched", name: "sched_process_fork", cookie: 77 } as const;
    expect(await count("fork_tp", undefined, forks(5))).toEqual({ hits: 5, cookie: 0 });
    if (kernel.context.facts.has("bpf-cookie")) {
      expect(await count("fork_tp", named, forks(3))).toEqual({ hits: 3, cookie: 77 });
    } else {
      expect((await count("fork_tp", named, forks(3)).catch((error) => error)).code).toBe(
        "linux/unsupported",
      );
    }
  });

  it("a raw tracepoint, by its section and by name", async () => {
    expect((await count("fork_raw_tp", undefined, forks(4))).hits).toBe(4);
    const other = { kind: "raw-tracepoint", name: "sched_process_exec" } as const;
    expect((await count("fork_raw_tp", other, forks(4))).hits).toBe(0);
  });

  it("a clock, many times while the child is busy", async () => {
    const event = { kind: "perf-event", event: "cpu-clock", frequency: 1000, cookie: 5 } as const;
    const { hits, cookie } = await count("sample", event, repeat(300_000, ""));
    expect(hits).toBeGreaterThan(30);
    if (kernel.context.facts.has("bpf-cookie")) expect(cookie).toBe(5);
  });

  it("says what is wrong with an event", async () => {
    using collection = await kernel.load(object(), { programs: ["fork_tp", "sample", "fork_raw_tp"] });
    const attach = (name: string, options: AttachOptions) =>
      codeOf(() => collection.programs.get(name)?.attach(options));
    expect(attach("fork_tp", { kind: "tracepoint", category: "sched", name: "nothing" })?.code).toBe(
      "linux/no-tracepoint",
    );
    expect(attach("fork_tp", { kind: "tracepoint", category: "../..", name: "x" })?.code).toBe(
      "linux/no-tracepoint",
    );
    expect(attach("fork_raw_tp", { kind: "raw-tracepoint", name: "nothing" })?.code).toBe("linux/not-found");
    expect(attach("sample", { kind: "perf-event", frequency: 1, period: 1 })?.code).toBe("linux/invalid");
    expect(attach("sample", { kind: "perf-event", event: { type: 999, config: 0n } })?.code).toBe(
      "linux/not-found",
    );
  });
});
