// Hooks inside of the kernel see exactly what a child process does, and change it. Needs root, and a kernel that has them:
// `npm run test:vm -- 6.12` boots one. Only there it is an error when the kernel refuses what its version should have.
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { BpfError } from "../../src/base/index.ts";
import type { LinuxContext, RunningKernel } from "../../src/linux/index.ts";
import { versionCode } from "../../src/linux/version.ts";
import type { AttachOptions, IterLink, LinuxCollection, LoadOptions } from "../../src/object/index.ts";
import { readObject } from "../../src/object/index.ts";
import { openRunningKernel, whyNoLinux } from "./open.ts";
import { finish, ProbedProgram, startWaiting, whyNoCompiler } from "./probed.ts";
import { ip, TestNetwork, whyNoNetwork } from "./test-network.ts";

const reason =
  whyNoLinux() ??
  whyNoCompiler() ??
  (process.arch === "x64" ? undefined : "the fixture names system calls of x86-64");
const object = (name = "kernel-hooks") =>
  readObject(readFileSync(new URL(`../../fixtures/linux/${name}.bpf.o`, import.meta.url)));
const TIMES = 20;
const isGuest = process.env.SKEP_GUEST !== undefined;
const CONGESTION_CONTROL = ["cc_init", "cc_ssthresh", "cc_cong_avoid", "cc_undo_cwnd"];
/** Debian's 6.1 was built without CONFIG_FPROBE. */
const FPROBE = "6.12";
const SYSCALL = "__x64_sys_getpgid";

describe.skipIf(reason !== undefined)(`hooks inside of Linux ${reason ?? ""}`, () => {
  let kernel: RunningKernel & { readonly context: LinuxContext };
  let program: ProbedProgram;
  let directory: string;

  // One for all tests: reading the kernel's types and symbols takes seconds in an emulated machine.
  beforeAll(async () => {
    kernel = await openRunningKernel();
    program = new ProbedProgram();
    directory = mkdtempSync("/dev/shm/skep-"); // no overlay, whose files are opened twice
    writeFileSync(`${directory}/secret`, "");
  });

  afterAll(() => {
    kernel?.[Symbol.dispose]();
    program?.[Symbol.dispose]();
    if (directory !== undefined) rmSync(directory, { recursive: true });
  });

  afterEach(() => {
    // What the kernel keeps open for itself: types of modules, where something was not found in the kernel's own.
    const { fds, ...held } = kernel.held;
    const modules = fds === 0 ? [] : kernel.context.facts.modules.filter(({ fd }) => fd !== undefined);
    expect({ fds, ...held }).toEqual({ fds: modules.length, mappings: 0, cleanups: 0 });
  });

  /** Runs a test, or skips it where the kernel does not have `since` or, outside of a guest, refuses. */
  async function needs(context: TestContext, since: string, test: () => Promise<void>): Promise<void> {
    try {
      await test();
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      if (isGuest && kernel.context.facts.versionCode >= versionCode(since)) throw error;
      context.skip(error.message);
    }
  }

  async function load(options: LoadOptions): Promise<LinuxCollection> {
    return kernel.load(object(), { structOps: [], ...options });
  }

  const read = (collection: LinuxCollection, name: string) => Number(collection.globals.get(name)?.get());
  const counts = (collection: LinuxCollection) => ({
    hits: read(collection, "hits"),
    cookies: read(collection, "cookies"),
    returns: read(collection, "returns"),
  });

  /** Attaches, lets a child call getpgid, detaches, lets another one call it. */
  async function count(name: string, ...targets: readonly (AttachOptions | undefined)[]) {
    const child = await program.start(TIMES);
    using collection = await load({ programs: [name], globals: { target_pid: child.pid } });
    const links: { close(): void }[] = [];
    try {
      for (const to of targets) {
        const link = collection.programs.get(name)?.attach(to);
        if (link !== undefined) links.push(link);
      }
      await finish(child);
    } finally {
      for (const link of links) link.close();
      child.kill();
    }
    const seen = counts(collection);
    const other = await program.start(1);
    collection.globals.get("target_pid")?.set(other.pid);
    await finish(other);
    expect(counts(collection)).toEqual(seen);
    return seen;
  }

  /** All of the children are in this process's group. */
  const group = Number(readFileSync("/proc/self/stat", "latin1").split(") ")[1].split(" ")[2]);

  it.for([
    {
      name: "enter_kprobe",
      since: "5.15",
      to: { kind: "kprobe", function: SYSCALL, cookie: 3 },
      cookies: 3 * TIMES,
    },
    { name: "leave_kretprobe", since: "5.15", to: { kind: "kprobe", function: SYSCALL }, returns: true },
    {
      name: "enter_ksyscall",
      since: "5.15",
      to: { kind: "kprobe", function: "getpgid", syscall: true, cookie: 5 },
      cookies: 5 * TIMES,
    },
    { name: "leave_kretsyscall", since: "5.15", to: undefined, returns: true },
    {
      name: "enter_multi",
      since: FPROBE,
      to: { kind: "kprobe-multi", functions: [SYSCALL], cookies: [9] },
      cookies: 9 * TIMES,
    },
    {
      name: "leave_multi",
      since: FPROBE,
      to: { kind: "kprobe-multi", pattern: "__x64_sys_getpg*" },
      returns: true,
    },
    {
      name: "session",
      since: FPROBE,
      to: { kind: "kprobe-multi", functions: [SYSCALL], cookies: [2] },
      cookies: 2 * TIMES,
      hits: 2 * TIMES,
      returns: true,
    },
    { name: "enter_fentry", since: "5.19", to: { kind: "trace", cookie: 4 }, cookies: 4 * TIMES },
    { name: "leave_fexit", since: "5.5", to: { kind: "trace" }, returns: true },
  ] as const)("$name: by its section, and as told", async (row, context) => {
    const { name, since, to } = row;
    const want = {
      hits: "hits" in row ? row.hits : TIMES,
      returns: "returns" in row ? TIMES * group : 0,
    };
    await needs(context, since, async () => {
      expect(await count(name, undefined)).toEqual({ ...want, cookies: 0 });
      expect(await count(name, to)).toEqual({ ...want, cookies: "cookies" in row ? row.cookies : 0 });
    });
  });

  it("a kprobe by address, and several on one function, each with its cookie", async (context) => {
    await needs(context, "5.15", async () => {
      const address = kernel.context.facts.addressOf(SYSCALL);
      const first = { kind: "kprobe", address: address ?? 0n, cookie: 1 } as const;
      const second = { kind: "kprobe", function: SYSCALL, cookie: 100 } as const;
      expect(await count("enter_kprobe", first, second)).toEqual({
        hits: 2 * TIMES,
        cookies: 101 * TIMES,
        returns: 0,
      });
    });
  });

  it("says what is wrong with a kernel function", async (context) => {
    await needs(context, "5.15", async () => {
      using collection = await load({ programs: ["enter_kprobe"] });
      const attach = (to: AttachOptions) => () => collection.programs.get("enter_kprobe")?.attach(to);
      using _known = attach({ kind: "kprobe", function: SYSCALL })();
      expect(attach({ kind: "kprobe", function: "no_such_function" })).toThrow(
        expect.objectContaining({ code: "linux/not-found" }),
      );
      expect(attach({ kind: "kprobe" })).toThrow(expect.objectContaining({ code: "linux/invalid" }));
      expect(attach({ kind: "kprobe", function: SYSCALL, offset: 1 })).toThrow(BpfError);
    });
  });

  it("a typed tracepoint counts forks", async (context) => {
    await needs(context, "5.5", async () => {
      const child = await startWaiting("/bin/sh", ["-c", "read l; for i in 1 2 3 4; do /bin/true; done"]);
      using collection = await load({ programs: ["fork_typed"], globals: { target_pid: child.pid } });
      using _link = collection.programs.get("fork_typed")?.attach();
      await finish(child);
      expect(read(collection, "hits")).toBe(4);
    });
  });

  /** A child opens the file three times: what it could and could not, and what the shell said. */
  async function open(name: string, attach: boolean) {
    const file = `${directory}/secret`;
    const work = `read l; for i in 1 2 3; do if true < ${file}; then echo yes; else echo no; fi; done 2>&1`;
    const child = await startWaiting("/bin/sh", ["-c", work]);
    try {
      using collection = await load({
        programs: [name],
        globals: { target_pid: child.pid, target_inode: statSync(file).ino },
      });
      using _link = attach ? collection.programs.get(name)?.attach() : undefined;
      const lines = (await finish(child)).trim().split("\n");
      const said = (word: string) => lines.filter((line) => line === word).length;
      return {
        yes: said("yes"),
        no: said("no"),
        refused: read(collection, "refused"),
        hits: read(collection, "hits"),
        text: lines.join(),
      };
    } finally {
      child.kill();
    }
  }

  it.for([
    { name: "judge_file_open", says: "Operation not permitted" },
    { name: "change_file_open", says: "Permission denied" },
  ])("$name refuses to open a file", async ({ name, says }, context) => {
    await needs(context, "5.7", async () => {
      const { text, ...seen } = await open(name, true);
      expect(seen).toEqual({ yes: 0, no: 3, refused: 3, hits: 3 });
      expect(text).toContain(says);
      expect(await open(name, false)).toMatchObject({ yes: 3, no: 0, refused: 0 });
    });
  });

  it("a sleepable security hook sees, and lets pass", async (context) => {
    await needs(context, "5.11", async () => {
      expect(await open("see_file_open", true)).toMatchObject({ yes: 3, no: 0, hits: 3 });
    });
  });

  describe("iterators", () => {
    const attach = (collection: LinuxCollection, name: string, options: AttachOptions) =>
      collection.programs.get(name)?.attach(options) as IterLink; // all of these are of kind "iter"

    it("list tasks, as text and as a stream, all or one process's", async (context) => {
      await needs(context, "5.8", async () => {
        using collection = await load({ programs: ["each_task"] });
        using link = attach(collection, "each_task", { kind: "iter" });
        const text = await link.text();
        expect(text).toMatch(new RegExp(`^${process.pid} ${process.pid} `, "m"));
        let bytes = 0;
        for await (const part of link.read()) bytes += part.length;
        expect(bytes).toBeGreaterThan(text.length / 2);
      });
      await needs(context, "6.1", async () => {
        using collection = await load({ programs: ["each_task"] });
        using own = attach(collection, "each_task", { kind: "iter", pid: process.pid });
        const lines = (await own.text()).trim().split("\n");
        expect(lines.length).toBeGreaterThan(1);
        expect(lines.filter((line) => !line.startsWith(`${process.pid} `))).toEqual([]);
        using one = attach(collection, "each_task", { kind: "iter", tid: process.pid });
        expect(await one.text()).toMatch(new RegExp(`^${process.pid} ${process.pid} \\S+\n$`));
      });
    });

    it("walk the elements of a map", async (context) => {
      await needs(context, "5.8", async () => {
        using collection = await load({ programs: ["each_element"] });
        const map = collection.maps.get("numbers");
        if (map === undefined) throw new Error("no map");
        const key = new Uint32Array(1);
        const value = new BigUint64Array(1);
        for (let i = 0; i < 700; i++) {
          key[0] = i;
          value[0] = BigInt(i) ** 4n;
          map.update(new Uint8Array(key.buffer), new Uint8Array(value.buffer));
        }
        using link = attach(collection, "each_element", { kind: "iter", map });
        const seen = new Map<number, bigint>();
        const parts: Uint8Array[] = [];
        for await (const part of link.read()) parts.push(part);
        const all = new BigUint64Array(new Uint8Array(Buffer.concat(parts)).buffer);
        for (let i = 0; i < all.length; i += 2) seen.set(Number(all[i]), all[i + 1]);
        expect(all.length).toBe(1400);
        expect([...seen].every(([number, power]) => BigInt(number) ** 4n === power)).toBe(true);
        expect(seen.size).toBe(700);
      });
    });

    it("walk cgroups", async (context) => {
      const root = / (\S+) cgroup2 /.exec(readFileSync("/proc/mounts", "latin1"))?.[1];
      if (root === undefined) context.skip("needs cgroup v2");
      const parent = `${root}/skep-${process.pid}`;
      mkdirSync(parent);
      mkdirSync(`${parent}/child`);
      try {
        await needs(context, "6.1", async () => {
          using collection = await load({ programs: ["each_cgroup"] });
          const ids = async (order: "self-only" | "descendants-pre" | "descendants-post") => {
            using link = attach(collection, "each_cgroup", {
              kind: "iter",
              cgroup: parent,
              cgroupOrder: order,
            });
            return (await link.text()).trim().split("\n").map(Number);
          };
          const [outer, inner] = [statSync(parent).ino, statSync(`${parent}/child`).ino];
          expect(await ids("self-only")).toEqual([outer]);
          expect(await ids("descendants-pre")).toEqual([outer, inner]);
          expect(await ids("descendants-post")).toEqual([inner, outer]);
        });
      } finally {
        rmdirSync(`${parent}/child`);
        rmdirSync(parent);
      }
    });
  });

  it.for([
    { variable: "skep_cc", name: "skep_test_cc", since: "5.6" },
    { variable: "skep_cc_link", name: "skep_test_ccl", since: "6.4" },
  ])("struct_ops: $variable is a congestion control", async ({ variable, name, since }, context) => {
    await needs(context, since, async () => {
      const available = () =>
        readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "latin1").trim().split(" ");
      using net = new TestNetwork(kernel.context.sys);
      const inside = <Result>(action: () => Result): Result => net.inside(net.a, action);
      {
        using collection = await load({ structOps: [variable], programs: CONGESTION_CONTROL });
        using link = inside(() => collection.attachAll())[0];
        expect(link?.kind).toBe("struct-ops");
        expect(available()).toContain(name);
        const server = net.listener(net.a, 7100);
        const client = net.tcp(net.b);
        expect(client.connect(TestNetwork.addressA, 7100)).toBeUndefined();
        const accepted = server.accept();
        const text = new TextEncoder().encode(name);
        const { sys } = kernel.context;
        sys.check({ doing: "TCP_CONGESTION" }, "setsockopt", client.fd, 6, 13, text, text.length);
        expect(read(collection, "hits")).toBe(1);
        client.write(text);
        expect(accepted?.receive()).toEqual(text);
        accepted?.fd.close();
        client.fd.close();
      }
      expect(available()).not.toContain(name);
    });
  });

  it.skipIf(whyNoNetwork() !== undefined)("netkit drops what a device sends", async (context) => {
    await needs(context, "6.7", async () => {
      using net = new TestNetwork(kernel.context.sys);
      try {
        ip("-n", net.a, "link", "add", "first", "type", "netkit");
      } catch {
        if (!isGuest || kernel.context.facts.versionCode < versionCode("6.7"))
          context.skip("there is no netkit device");
        throw new Error("no netkit device can be made");
      }
      ip("-n", net.a, "link", "set", "nk0", "netns", net.b);
      ip("-n", net.a, "addr", "add", "10.78.1.1/24", "dev", "first");
      ip("-n", net.b, "addr", "add", "10.78.1.2/24", "dev", "nk0");
      ip("-n", net.a, "link", "set", "first", "up");
      ip("-n", net.b, "link", "set", "nk0", "up");
      const receiver = net.udp(net.b, 7200);
      const sender = net.udp(net.a);
      const arrives = () => {
        sender.send(new Uint8Array([1, 2, 3]), "10.78.1.2", 7200);
        return receiver.receive() !== undefined;
      };
      expect(arrives()).toBe(true);
      using collection = await kernel.load(object("network"), { programs: ["drop_all"] });
      const link = net.inside(net.a, () =>
        collection.programs.get("drop_all")?.attach({ kind: "netkit", interface: "first" }),
      );
      expect([arrives(), arrives(), read(collection, "seen")]).toEqual([false, false, 2]);
      net.inside(net.a, () => link?.close());
      expect(arrives()).toBe(true);
    });
  });

  it("attaches every program to what its section says", async (context) => {
    await needs(context, "5.19", async () => {
      const hasFprobe = kernel.context.facts.versionCode >= versionCode(FPROBE);
      const names = object()
        .programs.map(({ name }) => name)
        .filter((name) => !/^cc_|^each_(element|cgroup)$/.test(name)) // these need to be told more
        .filter((name) => hasFprobe || !/multi|session/.test(name));
      const child = await program.start(TIMES);
      try {
        using collection = await load({ programs: names, structOps: [], globals: { target_pid: child.pid } });
        const links = collection.attachAll();
        expect(links.map(({ program: name }) => name).sort()).toEqual(names.sort());
        await finish(child);
        const functions = names.filter((name) => /^(enter|leave)_/.test(name)).length + (hasFprobe ? 2 : 0);
        expect(read(collection, "hits")).toBe(functions * TIMES);
      } finally {
        child.kill();
      }
    });
  });
});
