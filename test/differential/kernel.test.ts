import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/index.ts";
import { LinuxOracle } from "./kernel.ts";

const opened = await LinuxOracle.open();
const reason = typeof opened === "string" ? opened : "";

describe.skipIf(reason !== "")(`the kernel as oracle${reason && ` (skipped: ${reason})`}`, () => {
  const oracle = opened as LinuxOracle;
  beforeAll(() => oracle.reset());
  afterAll(() => oracle.close());

  it("runs a program on a packet", async () => {
    const insns = fromHex("b700000002000000 9500000000000000");
    const program = await oracle.loadProgram({ type: "BPF_PROG_TYPE_XDP", attachType: "BPF_XDP", insns });
    expect(typeof program).toBe("number");
    const run = await oracle.run(program as number, { data: new Uint8Array(64) });
    expect([run.errno, run.retval, run.data?.length]).toEqual([undefined, 2, 64]);
  });

  it("gives the verifier's words for a rejected program", async () => {
    const rejected = await oracle.loadProgram({
      type: "BPF_PROG_TYPE_XDP",
      insns: fromHex("9500000000000000"),
    });
    expect(rejected).toMatchObject({ errno: "EACCES", log: expect.stringContaining("R0 !read_ok") });
  });

  it("creates, fills and dumps a map", async () => {
    const map = (await oracle.createMap({
      type: "BPF_MAP_TYPE_HASH",
      keySize: 4,
      valueSize: 2,
      maxEntries: 2,
    })) as number;
    expect(await oracle.update(map, fromHex("01000000"), fromHex("aabb"))).toBeUndefined();
    expect(await oracle.update(map, fromHex("01000000"), fromHex("aabb"), 1)).toBe("EEXIST");
    expect(toHex((await oracle.lookup(map, fromHex("01000000"))) as Uint8Array)).toBe("aabb");
    expect(await oracle.lookup(map, fromHex("02000000"))).toBe("ENOENT");
    expect((await oracle.dump(map)).map(({ value }) => toHex(value))).toEqual(["aabb"]);
  });

  it("names what bpf(2) refuses", async () => {
    expect(
      await oracle.createMap({ type: "BPF_MAP_TYPE_ARRAY", keySize: 8, valueSize: 4, maxEntries: 1 }),
    ).toBe("EINVAL");
  });
});
