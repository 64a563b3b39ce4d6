// What goes wrong in the running kernel, as typed errors; and nothing of it stays. Needs root.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BpfError } from "../../src/base/index.ts";
import { openKernel } from "../../src/kernel/index.ts";
import { cString } from "../../src/linux/index.ts";
import { readObject } from "../../src/object/index.ts";
import { mapSpec, specOf } from "../../src/runtime/spec.fixture.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const RETURN_TWO = "r0 = 2\nexit";
const fixture = (name: string) => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));

async function failure(action: Promise<unknown>): Promise<BpfError> {
  const error = await action.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof BpfError) return error;
  throw new Error(`a BpfError was expected, not ${String(error)}`);
}

describe.skipIf(reason !== undefined)(`errors of the running kernel ${reason ?? ""}`, () => {
  it("a rejected program: the kernel's message, its log, our verifier's place and cause", async () => {
    using kernel = await openKernel("linux");
    const error = await failure(kernel.load(readObject(fixture("mistakes/context-offset.bpf.o"))));
    expect(error).toMatchObject({ code: "linux/rejected", errno: "EACCES" });
    expect(error.log).toContain("variable ctx access");
    expect(error.source?.file).toContain("context-offset");
    expect(error.cause).toMatchObject({ code: expect.stringMatching(/^verifier\//) });
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  });

  it("without the verifier's words nothing is made up", async () => {
    using kernel = await openKernel("linux", { explain: () => undefined });
    const error = await failure(kernel.load(readObject(fixture("mistakes/context-offset.bpf.o"))));
    expect(error).toMatchObject({ code: "linux/rejected" });
    expect(error.cause).toBeUndefined();
  });

  it("names the capabilities that are missing and how to grant them", async () => {
    const script = `
      import { openKernel } from "./src/kernel/index.ts";
      import { mapSpec, specOf } from "./src/runtime/spec.fixture.ts";
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const kernel = await openKernel("linux");
      const spec = specOf({ text: "r0 = 2\\nexit", type: "BPF_PROG_TYPE_XDP" }, [mapSpec("values")]);
      await kernel.load(spec).catch(({ code, message, hint, errno }) => {
        process.stdout.write(JSON.stringify({ code, message, hint, errno }));
      });
    `;
    const { build } = await import("esbuild");
    const bundled = await build({
      stdin: { contents: script, resolveDir: process.cwd(), loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      target: "node20",
      packages: "external",
      alias: { "#linux": "./src/linux/index.ts" },
    });
    // A user without rights must be able to read the FFI library: it is loaded before they are given up.
    const text = `import "koffi";\n${bundled.outputFiles[0].text}`;
    const said = execFileSync(process.execPath, ["--input-type=module"], { input: text, encoding: "utf8" });
    const error = JSON.parse(said) as { code: string; message: string; hint: string; errno: string };
    expect(error).toMatchObject({ code: "linux/no-capability", errno: "EPERM" });
    expect(error.message).toContain("CAP_BPF");
    expect(error.hint).toMatch(/sudo.*setcap cap_bpf,cap_perfmon,cap_net_admin\+ep/);
  });

  it("a map that is full, missing and existing keys, a frozen map", async () => {
    using kernel = await openRunningKernel();
    const hash = mapSpec("h", { type: "BPF_MAP_TYPE_HASH", maxEntries: 1 });
    using collection = await kernel.load(specOf({ text: RETURN_TWO, type: "BPF_PROG_TYPE_XDP" }, [hash]));
    const map = collection.maps.get("h");
    const key = (n: number) => new Uint8Array([n, 0, 0, 0]);
    const value = new Uint8Array(8);
    expect(map?.lookup(key(1))).toBeUndefined();
    map?.update(key(1), value, "noexist");
    expect(codeOf(() => map?.update(key(1), value, "noexist"))).toEqual({
      code: "linux/exists",
      errno: "EEXIST",
    });
    expect(codeOf(() => map?.update(key(2), value))).toEqual({ code: "linux/too-big", errno: "E2BIG" });
    expect(codeOf(() => map?.update(new Uint8Array(3), value))).toEqual({
      code: "linux/invalid",
      errno: "EINVAL",
    });
    expect(codeOf(() => map?.update(key(1), new Uint8Array(7)))).toEqual({
      code: "linux/invalid",
      errno: "EINVAL",
    });
    map?.freeze();
    expect(codeOf(() => map?.update(key(1), value))).toEqual({ code: "linux/no-permission", errno: "EPERM" });
  });

  it("using what was closed", async () => {
    using kernel = await openRunningKernel();
    const collection = await kernel.load(
      specOf({ text: RETURN_TWO, type: "BPF_PROG_TYPE_XDP" }, [mapSpec("values")]),
    );
    const program = [...collection.programs.values()][0];
    const map = collection.maps.get("values");
    collection[Symbol.dispose]();
    expect(codeOf(() => program.run({ data: new Uint8Array(64) }))).toEqual({
      code: "linux/closed",
      errno: "EBADF",
    });
    expect(codeOf(() => map?.lookup(new Uint8Array(4)))).toEqual({ code: "linux/closed", errno: "EBADF" });
  });

  it("no interface of that name, no target, no such CPU", async () => {
    using kernel = await openRunningKernel();
    using collection = await kernel.load(specOf({ text: RETURN_TWO, type: "BPF_PROG_TYPE_XDP" }));
    const program = [...collection.programs.values()][0];
    expect(codeOf(() => program.attach({ kind: "xdp", interface: "nosuchdev" }))).toEqual({
      code: "linux/no-interface",
      errno: "ENODEV",
    });
    expect(codeOf(() => program.attach())?.code).toBe("linux/no-target");
    expect(codeOf(() => program.run({ data: new Uint8Array(64), cpu: 4000 }))).toEqual({
      code: "linux/no-cpu",
      errno: "ENXIO",
    });
  });

  it("maps pinned by name are used again; another form under the name is an error", async () => {
    const dir = mkdtempSync(join(tmpdir(), "skep-bpffs-"));
    execFileSync("mount", ["-t", "bpf", "bpf", dir]);
    try {
      using kernel = await openRunningKernel({ pinPath: dir });
      const pinned = mapSpec("kept", { pinning: "by-name" });
      const spec = (maxEntries: number) =>
        specOf({ text: RETURN_TWO, type: "BPF_PROG_TYPE_XDP" }, [{ ...pinned, maxEntries }]);
      const first = await kernel.load(spec(4));
      first.maps.get("kept")?.update(new Uint8Array(4), new Uint8Array(8).fill(7));
      first[Symbol.dispose]();
      using second = await kernel.load(spec(4));
      expect(second.maps.get("kept")?.lookup(new Uint8Array(4))).toEqual(new Uint8Array(8).fill(7));
      const mismatch = await failure(kernel.load(spec(5)));
      expect(mismatch).toMatchObject({ code: "linux/pin-mismatch", subject: "kept" });
      expect(mismatch.message).toContain("max_entries 4, not 5");
      const program = [...second.programs.values()][0];
      program.pin(join(dir, "program"));
      expect(codeOf(() => program.pin(join(dir, "program")))).toEqual({
        code: "linux/exists",
        errno: "EEXIST",
      });
      expect(codeOf(() => program.pin("/tmp/not-bpffs"))?.code).toBe("linux/no-permission");
      const { result } = kernel.context.sys.tryBpf("BPF_OBJ_GET", {
        pathname: cString(join(dir, "program")),
      });
      expect(result).toBeGreaterThan(0);
      kernel.context.sys.call("close", result);
    } finally {
      execFileSync("umount", [dir]);
      rmSync(dir, { recursive: true });
    }
  });

  it("1,000 times load and close: no descriptor and no memory is kept", async () => {
    using kernel = await openRunningKernel();
    const spec = readObject(fixture("demo/guard.bpf.o"));
    const around = async (times: number) => {
      for (let i = 0; i < times; i++) (await kernel.load(spec))[Symbol.dispose]();
      return process.memoryUsage().rss;
    };
    const before = await around(200);
    const after = await around(800);
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
    expect(after - before).toBeLessThan(64 << 20);
  });

  it("globals: set before, read and written live, constants refused", async () => {
    using kernel = await openRunningKernel();
    using collection = await kernel.load(readObject(fixture("demo/guard.bpf.o")));
    const constants = [...collection.globals.values()].filter(({ writable }) => !writable);
    const variables = [...collection.globals.values()].filter(({ writable }) => writable);
    expect(constants.length).toBeGreaterThan(0);
    expect(variables.length).toBeGreaterThan(0);
    expect(codeOf(() => constants[0].set(1))?.code).toBe("linux/frozen");
    const variable = variables[0];
    const { bytes } = variable;
    const value = bytes.slice().fill(1);
    variable.set(value);
    const { map } = variable as unknown as { map: { lookup(key: Uint8Array): Uint8Array } };
    expect(map.lookup(new Uint8Array(4)).subarray(0, value.length)).toEqual(value);
    collection[Symbol.dispose]();
    // A view that outlives the collection reaches nothing.
    expect([...bytes]).toEqual(new Array(bytes.length).fill(0));
    expect(codeOf(() => variable.get())?.code).toBe("linux/closed");
  });
});
