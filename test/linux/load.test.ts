// Loading, running and attaching in the kernel of this machine. Needs root.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openKernel } from "../../src/kernel/index.ts";
import { readObject } from "../../src/object/index.ts";
import { openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const guard = () => readObject(readFileSync(new URL("../../fixtures/demo/guard.bpf.o", import.meta.url)));

describe.skipIf(reason !== undefined)(`openKernel("linux") ${reason ?? ""}`, () => {
  it("loads, runs and releases", async () => {
    using kernel = await openKernel("linux");
    const collection = await kernel.load(guard());
    expect([...collection.maps.keys()]).toEqual(["blocked", "by_protocol", "drops", ".rodata", ".bss"]);
    const program = collection.programs.get("guard");
    expect(program?.run({ data: new Uint8Array(64) }).retval).toBe(2);
    expect(program?.verifiedInsns).toBeGreaterThan(50);
    expect(kernel.held.fds).toBeGreaterThan(5);
    collection[Symbol.dispose]();
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  });

  it("attaches XDP to an interface of its own, and takes it off", async () => {
    const dev = `skep${process.pid % 100000}`;
    execFileSync("ip", ["link", "add", dev, "type", "veth", "peer", "name", `${dev}p`]);
    try {
      using kernel = await openRunningKernel();
      using collection = await kernel.load(guard());
      const link = collection.programs.get("guard")?.attach({ kind: "xdp", interface: dev, mode: "generic" });
      const shown = () => execFileSync("ip", ["link", "show", dev], { encoding: "utf8" });
      expect(shown()).toContain("xdp");
      expect(link?.id).toBeGreaterThan(0);
      link?.close();
      expect(shown()).not.toContain("xdp");
    } finally {
      execFileSync("ip", ["link", "del", dev]);
    }
  });
});
