// BPF tokens: a process in a user namespace of its own, without any capability outside of it, loads what root delegated to
// it through a bpf filesystem. Needs root and util-linux; in namespaces of the test's own.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openKernel } from "../../src/kernel/index.ts";
import { cString, KernelFacts, Sys } from "../../src/linux/index.ts";
import { TestMount } from "./bpf-fs.ts";
import { ChildScript } from "./child.ts";
import { whyNoLinux } from "./open.ts";
import { finish } from "./probed.ts";

const NAMESPACES = ["unshare", "-U", "-r", "-m", "-n"];
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;

/**
 * Prints the descriptor of a bpf filesystem that is to be, waits until root has set its options and made it, mounts it, and tells how
 * each way of opening the kernel went: a program and a map loaded, run and attached in the own network.
 */
const CHILD = `
  import { once } from "node:events";
  import { cString, Sys } from "./src/linux/index.ts";
  import { openKernel } from "./src/kernel/index.ts";
  import { mapSpec, specOf } from "./src/runtime/spec.fixture.ts";
  const AT_FDCWD = -100;
  const MOVE_MOUNT_F_EMPTY_PATH = 4;
  const sys = await Sys.open();
  const context = sys.check({ doing: "opening bpffs" }, "fsopen", cString("bpf"), 0);
  console.log(context);
  await once(process.stdin, "data");
  const mount = sys.check({ doing: "mounting bpffs" }, "fsmount", context, 0, 0);
  const attempt = async (token, type) => {
    const told = {};
    let kernel;
    try {
      kernel = await openKernel("linux", token === undefined ? {} : { token });
      told.opened = kernel.held.fds;
      const spec = specOf({ text: "r0 = 2\\nexit", type }, [mapSpec("values")]);
      const collection = await kernel.load(spec);
      const [program] = collection.programs.values();
      const values = collection.maps.get("values");
      const key = new Uint8Array(4);
      values.update(key, new Uint8Array(8).fill(7));
      told.value = values.lookup(key)[0];
      told.flags = kernel.context.maps.get(values.id).spec.flags;
      values.freeze();
      try {
        values.update(key, new Uint8Array(8));
      } catch ({ code, hint }) {
        told.frozen = { code, hint };
      }
      told.retval = program.run({ data: new Uint8Array(64) }).retval;
      told.probes = ["memcg-accounting", "btf-func"].map((name) => kernel.context.facts.has(name));
      if (type === "BPF_PROG_TYPE_XDP") told.link = program.attach({ kind: "xdp", interface: "lo", mode: "generic" }).id > 0;
    } catch ({ code, errno, message, hint }) {
      told.error = { code, errno, message, hint };
    }
    kernel?.[Symbol.dispose]();
    if (kernel !== undefined) told.held = kernel.held;
    return told;
  };
  const told = {
    none: await attempt("", "BPF_PROG_TYPE_XDP"),
    unasked: await attempt(undefined, "BPF_PROG_TYPE_XDP"),
    xdp: await attempt(mount, "BPF_PROG_TYPE_XDP"),
    socketFilter: await attempt("/proc/self/fd/" + mount, "BPF_PROG_TYPE_SOCKET_FILTER"),
  };
  process.env.LIBBPF_BPF_TOKEN_PATH = "/proc/self/fd/" + mount;
  told.environment = await attempt(undefined, "BPF_PROG_TYPE_XDP");
  told.notEnvironment = await attempt("", "BPF_PROG_TYPE_XDP");
  delete process.env.LIBBPF_BPF_TOKEN_PATH;
  const where = { from: cString(""), to: cString("/sys/fs/bpf") };
  sys.check({ doing: "mounting bpffs" }, "move_mount", mount, where.from, AT_FDCWD, where.to, MOVE_MOUNT_F_EMPTY_PATH);
  told.usualPlace = await attempt(undefined, "BPF_PROG_TYPE_XDP");
  sys.call("close", mount);
  console.log(JSON.stringify(told));
`;

const ANY = { delegate_cmds: "any", delegate_maps: "any", delegate_progs: "any", delegate_attachs: "any" };
const NOTHING = { fds: 0, mappings: 0, cleanups: 0 };

function whyNoToken(): string | undefined {
  const why = whyNoLinux();
  if (why !== undefined) return why;
  const { error, status, stderr } = spawnSync("unshare", [...NAMESPACES.slice(1), "true"], {
    encoding: "utf8",
  });
  if (error !== undefined) return "needs unshare (util-linux)";
  return status === 0 ? undefined : `user namespaces are refused: ${stderr}`;
}

const reason = whyNoToken();
const sys = reason === undefined ? await Sys.open() : undefined;
const version = sys === undefined ? 0 : new KernelFacts(sys).versionCode;
const tooOld = reason ?? (version < 0x60900 ? "needs Linux 6.9" : undefined);
const tooNew = reason ?? (version < 0x60900 ? undefined : "needs a kernel before 6.9");
afterAll(() => sys?.[Symbol.dispose]());

describe.skipIf(tooOld !== undefined)(`BPF tokens ${tooOld ?? ""}`, () => {
  let script: ChildScript;
  beforeAll(async () => {
    script = await ChildScript.bundle(CHILD);
  });
  afterAll(() => script[Symbol.dispose]());

  /** What the child tells when root set these options on its filesystem. */
  const told = async (options: Readonly<Record<string, string>>) => {
    const { child, line } = await script.start([], NAMESPACES);
    try {
      if (sys === undefined || child.pid === undefined) throw new Error("there is no child");
      using process = sys.own(sys.check({ doing: "opening the child" }, "pidfd_open", child.pid, 0), "child");
      const number = sys.check({ doing: "taking its descriptor" }, "pidfd_getfd", process, Number(line), 0);
      using filesystem = sys.own(number, "bpffs of the child");
      for (const [name, value] of Object.entries(options)) {
        const doing = `setting ${name}`;
        sys.check({ doing }, "fsconfig", filesystem, FSCONFIG_SET_STRING, cString(name), cString(value), 0);
      }
      // Only root may: what is delegated is not the namespace's own.
      const doing = "creating bpffs";
      sys.check({ doing }, "fsconfig", filesystem, FSCONFIG_CMD_CREATE, undefined, undefined, 0);
      let complaint = "";
      child.stderr?.on("data", (bytes) => {
        complaint += String(bytes);
      });
      const text = await finish(child);
      if (child.exitCode !== 0) throw new Error(`child ended with ${child.exitCode}: ${complaint}`);
      return JSON.parse(text);
    } finally {
      if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
    }
  };

  it("load, run and attach what root delegated; nothing without one", async () => {
    const { none, unasked, xdp, socketFilter, environment, notEnvironment, usualPlace } = await told(ANY);
    for (const without of [none, unasked, notEnvironment]) {
      expect(without.opened).toBe(0);
      expect(without.error).toMatchObject({ code: "linux/no-capability", errno: "EPERM" });
      expect(without.error.message).toContain("CAP_BPF");
      expect(without.error.hint).toContain("token");
      expect(without.held).toEqual(NOTHING);
    }
    const all = {
      opened: 1,
      value: 7,
      flags: 0,
      frozen: xdp.frozen,
      retval: 2,
      probes: [true, true],
      held: NOTHING,
    };
    expect(xdp.frozen).toMatchObject({
      code: "linux/no-permission",
      hint: expect.stringContaining("frozen"),
    });
    expect(xdp).toEqual({ ...all, link: true });
    expect(socketFilter).toEqual(all);
    expect(environment).toEqual(xdp);
    expect(usualPlace).toEqual(xdp);
  });

  it("give what was delegated and no more", async () => {
    const { xdp, socketFilter } = await told({ ...ANY, delegate_progs: "xdp" });
    expect(xdp).toMatchObject({ retval: 2, link: true });
    expect(socketFilter.error).toMatchObject({ code: "linux/no-capability", errno: "EPERM" });
    expect(socketFilter.error.hint).toContain("delegate_progs");
    expect(socketFilter.held).toEqual(NOTHING);
  });

  it("of a filesystem that delegates nothing are an error that says how to mount it", async () => {
    const { xdp } = await told({});
    expect(xdp.error).toMatchObject({ code: "linux/no-delegation", errno: "ENOENT" });
    for (const option of Object.keys(ANY)) expect(xdp.error.hint).toContain(`${option}=`);
  });

  it("are not for the initial user namespace, nor of other filesystems", async () => {
    using bpf = new TestMount("bpf");
    using other = new TestMount("tmpfs");
    await expect(openKernel("linux", { token: bpf.path })).rejects.toMatchObject({
      code: "linux/unsupported",
    });
    await expect(openKernel("linux", { token: other.path })).rejects.toMatchObject({ code: "linux/invalid" });
    const nowhere = `${other.path}/nowhere`;
    await expect(openKernel("linux", { token: nowhere })).rejects.toMatchObject({ code: "linux/not-found" });
    using kernel = await openKernel("linux", { token: "" });
    expect(kernel.held.fds).toBe(0);
  });
});

it.skipIf(tooNew !== undefined)(`BPF tokens of older kernels are unsupported ${tooNew ?? ""}`, async () => {
  using bpf = new TestMount("bpf");
  await expect(openKernel("linux", { token: bpf.path })).rejects.toMatchObject({
    code: "linux/unsupported",
    message: expect.stringContaining("6.9"),
  });
});
