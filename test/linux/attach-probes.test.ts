// Uprobes and USDT probes see exactly what a child process calls: counted by the program and by the child. Needs root.
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { functionOffset, openBinary } from "../../src/linux/binary/index.ts";
import type { LinuxContext, RunningKernel } from "../../src/linux/index.ts";
import type { FeatureName } from "../../src/linux/load/features.ts";
import { usdtPlaces } from "../../src/linux/usdt/index.ts";
import { versionCode } from "../../src/linux/version.ts";
import { type AttachOptions, type LinuxCollection, readObject } from "../../src/object/index.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";
import { finish, ProbedProgram, whyNoCompiler } from "./probed.ts";

const reason = whyNoLinux() ?? whyNoCompiler();
const object = () => readObject(readFileSync(new URL("../../fixtures/linux/probes.bpf.o", import.meta.url)));
const TIMES = 25;
/** 1 + 2 + … */
const SUM = (TIMES * (TIMES + 1)) / 2;

describe.skipIf(reason !== undefined)(`probes in user space on Linux ${reason ?? ""}`, () => {
  let kernel: RunningKernel & { readonly context: LinuxContext };
  let program: ProbedProgram;

  // One for all tests: reading the kernel's types takes seconds in an emulated machine.
  beforeAll(async () => {
    kernel = await openRunningKernel();
    program = new ProbedProgram();
  });

  afterAll(() => {
    kernel?.[Symbol.dispose]();
    program?.[Symbol.dispose]();
  });

  afterEach(() => {
    Reflect.deleteProperty(kernel.context.facts, "has"); // what `without` put there
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  });

  const read = (collection: LinuxCollection, name: string) => Number(collection.globals.get(name)?.get());
  const facts = (collection: LinuxCollection) => ({
    hits: read(collection, "hits"),
    cookies: read(collection, "cookies"),
    returns: read(collection, "returns"),
    argCount: read(collection, "arg_count"),
  });
  const offsetOf = (name: string) =>
    functionOffset(openBinary(program.path, kernel.context.sys.libc.arch), name);

  /**
   * Attaches, lets the child run, detaches, lets another one run: what was counted. `pid` in options stands for the
   * child's; without it the program itself counts only the child.
   */
  async function probe(name: string, options: AttachOptions | undefined, byPid = false) {
    const child = await program.start(TIMES);
    using collection = await kernel.load(object(), {
      programs: [name],
      globals: { target_pid: byPid ? 0 : child.pid },
    });
    const to = byPid && options !== undefined ? ({ ...options, pid: child.pid } as AttachOptions) : options;
    const link = collection.programs.get(name)?.attach(to);
    // With a filter on the process another one is not seen.
    if (byPid) await finish(await program.start(TIMES));
    const printed = await finish(child);
    link?.close();
    const seen = facts(collection);
    await finish(await program.start(1));
    expect(facts(collection)).toEqual(seen);
    const [sum, semaphore] = printed.split(" ").map(Number);
    expect(sum).toBe(SUM * 2 + SUM + TIMES);
    const args = (collection.globals.get("args")?.get() ?? []) as readonly bigint[]; // __s64 args[12]
    return { ...seen, semaphore, args };
  }

  describe("uprobe", () => {
    it("counts calls of a function, by name and by offset, with its cookie", async () => {
      const to = { kind: "uprobe", binary: program.path, function: "plain", cookie: 9 } as const;
      expect(await probe("enter", to)).toMatchObject({ hits: TIMES, cookies: 9 * TIMES });
      const place = { kind: "uprobe", binary: program.path, offset: offsetOf("other") } as const;
      expect(await probe("enter", place)).toMatchObject({ hits: TIMES, cookies: 0 });
    });

    it("sees what a function returns", async () => {
      const to = { kind: "uprobe", binary: program.path, function: "plain" } as const;
      expect(await probe("leave", to)).toMatchObject({ hits: TIMES, returns: SUM * 2 });
    });

    it("sees one process only, when asked to", async () => {
      const to = { kind: "uprobe", binary: program.path, function: "other" } as const;
      expect(await probe("enter", to, true)).toMatchObject({ hits: TIMES });
    });

    it("attaches to a library by the section's name", async () => {
      expect(await probe("enter_getppid", undefined)).toMatchObject({ hits: TIMES });
      const { hits, returns } = await probe("leave_getppid", undefined);
      expect([hits, returns]).toEqual([TIMES, TIMES * process.pid]);
    });

    it("finds a version of a library's function", async ({ skip }) => {
      if (kernel.context.sys.libc.arch !== "x64") skip("versions differ by processor");
      const to = { kind: "uprobe", binary: "libc.so.6", function: "getppid@GLIBC_2.2.5" } as const;
      expect(await probe("enter", to)).toMatchObject({ hits: TIMES });
    });

    it("says what is wrong", async () => {
      using collection = await kernel.load(object(), { programs: ["enter", "enter_multi"] });
      const failed = (options: AttachOptions, name = "enter") =>
        codeOf(() => collection.programs.get(name)?.attach(options).close())?.code;
      const binary = program.path;
      expect(failed({ kind: "uprobe", binary: "libnothing.so.1", function: "x" })).toBe("linux/not-found");
      expect(failed({ kind: "uprobe", binary: "/nothing", function: "x" })).toBe("linux/not-found");
      expect(failed({ kind: "uprobe", binary: "/tmp", function: "x" })).toBe("linux/bad-binary");
      expect(failed({ kind: "uprobe", binary: "/etc/passwd", function: "x" })).toBe("elf/not-elf");
      expect(failed({ kind: "uprobe", binary, function: "nothing" })).toBe("linux/no-function");
      expect(failed({ kind: "uprobe", binary: "libc.so.6", function: "strlen" })).toBe("linux/no-function");
      expect(failed({ kind: "uprobe", binary: "libc.so.6", function: "getppid@NO_1" })).toBe(
        "linux/no-function",
      );
      expect(failed({ kind: "uprobe", binary })).toBe("linux/invalid");
      expect(failed({ kind: "uprobe", binary, offset: 1n << 40n })).toBe("linux/invalid");
      expect(failed({ kind: "uprobe", binary, function: "plain", pid: 2 ** 22 })).toBe("linux/not-found");
      expect(failed({ kind: "uprobe", binary, function: "plain" }, "enter_multi")).toBe("linux/invalid");
      expect(failed({ kind: "uprobe-multi", binary, functions: ["plain"] })).toBe(
        kernel.context.facts.has("uprobe-multi") ? "linux/invalid" : "linux/unsupported",
      );
    });
  });

  describe("uprobe-multi", () => {
    const needs = (feature: "uprobe-multi", context: LinuxContext, skip: (note: string) => void) => {
      if (!context.facts.has(feature)) skip("needs Linux 6.6");
    };

    it("counts several functions, each with its cookie", async ({ skip }) => {
      needs("uprobe-multi", kernel.context, skip);
      const functions = ["plain", "other"];
      const to = { kind: "uprobe-multi", binary: program.path, functions, cookies: [100, 1] } as const;
      expect(await probe("enter_multi", to)).toMatchObject({ hits: 2 * TIMES, cookies: 101 * TIMES });
      const offsets = functions.map(offsetOf);
      const places = { kind: "uprobe-multi", binary: program.path, offsets } as const;
      expect(await probe("leave_multi", places)).toMatchObject({
        hits: 2 * TIMES,
        returns: SUM * 3 + TIMES,
      });
    });

    it("takes all functions that a pattern fits", async ({ skip }) => {
      needs("uprobe-multi", kernel.context, skip);
      const to = { kind: "uprobe-multi", binary: program.path, pattern: "fire_*" } as const;
      expect(await probe("enter_multi", to)).toMatchObject({ hits: 3 * TIMES });
      expect(await probe("enter_multi", { ...to, pattern: "?lain" }, true)).toMatchObject({ hits: TIMES });
      expect(await probe("enter_getpp", undefined)).toMatchObject({ hits: TIMES });
    });

    it("sees calls and returns of one session", async ({ skip }) => {
      if (kernel.context.facts.versionCode < versionCode("6.13")) skip("needs Linux 6.13");
      const to = { kind: "uprobe-multi", binary: program.path, functions: ["plain"], cookies: [5] } as const;
      expect(await probe("session", to)).toMatchObject({
        hits: 2 * TIMES,
        cookies: 5 * TIMES,
        returns: SUM * 2,
      });
    });

    it("says what is wrong", async ({ skip }) => {
      needs("uprobe-multi", kernel.context, skip);
      using collection = await kernel.load(object(), { programs: ["enter_multi"] });
      const failed = (options: AttachOptions) =>
        codeOf(() => collection.programs.get("enter_multi")?.attach(options).close())?.code;
      const binary = program.path;
      expect(failed({ kind: "uprobe-multi", binary, pattern: "nothing*" })).toBe("linux/not-found");
      expect(failed({ kind: "uprobe-multi", binary, functions: ["plain"], cookies: [1, 2] })).toBe(
        "linux/invalid",
      );
    });
  });

  describe("usdt", () => {
    const usdt = (name: string, more: object = {}) =>
      ({ kind: "usdt", binary: program.path, provider: "demo", name, ...more }) as AttachOptions;

    it("counts a probe, with its cookie", async () => {
      expect(await probe("probe", usdt("plain", { cookie: 6 }))).toMatchObject({
        hits: TIMES,
        cookies: 6 * TIMES,
      });
    });

    it("attaches to all places that have the probe, each with its own arguments", async () => {
      const { hits, args, argCount } = await probe("probe", usdt("twice"));
      expect([hits, args[0], argCount]).toEqual([2 * TIMES, 7n, 1]);
    });

    it("raises the semaphore, and reads every kind of operand", async () => {
      const { hits, semaphore, args, argCount } = await probe("probe", usdt("guarded"), true);
      expect([hits, semaphore, argCount]).toEqual([TIMES, 1, 7]);
      expect(args.slice(0, 8)).toEqual([-9n, -77n, -77n, 0xffffffb3n, -2n, 0x5678n, 0x41n, 0n]);
    });

    /** As on a kernel that lacks features. */
    const without = (...missing: readonly FeatureName[]) => {
      const { facts: known } = kernel.context;
      const has = known.has.bind(known);
      Object.assign(known, { has: (name: FeatureName) => !missing.includes(name) && has(name) });
    };

    it("does the same with single uprobes", async () => {
      without("uprobe-multi");
      const twice = usdt("twice", { cookie: 3 });
      expect(await probe("probe", twice)).toMatchObject({ hits: 2 * TIMES, cookies: 6 * TIMES });
      expect(await probe("probe", usdt("guarded"), true)).toMatchObject({ hits: TIMES, semaphore: 1 });
    });

    it("tells programs by address which probe it is, on kernels without cookies", async () => {
      without("uprobe-multi", "bpf-cookie");
      const child = await program.start(1);
      using collection = await kernel.load(object(), { programs: ["probe"] });
      const to = collection.programs.get("probe");
      expect(codeOf(() => to?.attach(usdt("twice")))?.code).toBe("linux/unsupported");
      const link = to?.attach(usdt("twice", { pid: child.pid }));
      const known = () => [...(collection.maps.get("__bpf_usdt_ip_to_spec_id")?.entries() ?? [])];
      const addresses = known().map(([key]) =>
        new DataView(key.buffer, key.byteOffset).getBigUint64(0, true),
      );
      const [low, high] = addresses.sort((a, b) => (a < b ? -1 : 1));
      const places = usdtPlaces(openBinary(program.path, kernel.context.sys.libc.arch).elf);
      const twice = places.filter(({ name }) => name === "twice");
      expect(addresses.length).toBe(2);
      expect(high - low).toBe(BigInt(twice[1].offset - twice[0].offset));
      expect(readFileSync(`/proc/${child.pid}/maps`, "latin1")).toContain((low & ~0xfffn).toString(16));
      link?.close();
      expect(known()).toEqual([]);
      await finish(child);
    });

    it("gives slots back, and leaves none behind when it fails", async () => {
      using collection = await kernel.load(object(), {
        programs: ["probe"],
        maxEntries: { __bpf_usdt_specs: 2 },
      });
      const to = collection.programs.get("probe");
      const failed = (options: AttachOptions) => codeOf(() => to?.attach(options))?.code;
      for (let i = 0; i < 3; i++) {
        expect(failed(usdt("nothing"))).toBe("linux/no-probe");
        expect(failed({ ...usdt("plain"), binary: "/bin/sh" } as AttachOptions)).toBe("linux/no-probe");
        expect(failed(usdt("plain", { pid: 2 ** 22 }))).toBe("linux/not-found");
        const link = to?.attach(usdt("twice"));
        expect(failed(usdt("plain"))).toBe("linux/no-space");
        link?.close();
      }
    });
  });
});
