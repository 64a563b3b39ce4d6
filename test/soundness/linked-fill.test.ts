import { expect, it } from "vitest";
import { assemble } from "../../src/isa/index.ts";
import { LinuxOracle } from "../differential/kernel.ts";
import { SoundnessBench } from "./check-program.ts";

// What Linux 6.18 gets wrong, found by execution.test.ts: a fill that extends the sign of a spilled 32-bit number stays
// linked to it, so that a comparison of the one is believed of the other. We judge as Linux does; the checked interpreter
// stops the access.
const PROGRAM = `
  *(u32 *)(r10 - 20) = 0
  r1 = values ll
  r2 = r10
  r2 += -20
  call 1
  if r0 != 0 goto found
  r0 = 0
  exit
found:
  r6 = *(u32 *)(r0 + 0)
  *(u64 *)(r10 - 32) = r6
  r7 = *(s32 *)(r10 - 32)
  if r7 s>= 0 goto out
  r6 >>= 63             // the verifier: r6 is negative, too, hence 1; in truth 0
  r6 ^= 1
  r6 *= 1000
  r0 += r6
  r0 = *(u8 *)(r0 + 0)
out:
  r0 = 0
  exit
`;

function program(map: number): Uint8Array {
  const { ok, bytes, diagnostics } = assemble(PROGRAM, { symbol: () => ({ src: 1, imm: map }) });
  if (!ok) throw new Error(diagnostics[0].message);
  return bytes;
}

it("accepts an access outside of a map value through a linked, sign-extended fill, as Linux does", async () => {
  const bench = await SoundnessBench.open();
  const checked = bench.check({ insns: program(0), constants: [-1, -0x80000000] }, 1, 50);
  expect(checked.verdict).toBe("accepted");
  expect(checked.problem).toContain("linked");
});

it("is accepted by the running kernel", async (context) => {
  const oracle = await LinuxOracle.open();
  if (typeof oracle === "string") return context.skip(oracle);
  const map = await oracle.createMap({
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: 64,
    maxEntries: 2,
  });
  const { errno, log } = await oracle.verify(
    { type: "BPF_PROG_TYPE_SCHED_CLS", insns: program(map as number) },
    2,
  );
  oracle.close();
  expect(errno, log).toBeUndefined();
});
