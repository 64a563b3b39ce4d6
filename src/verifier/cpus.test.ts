import { expect, it } from "vitest";
import { assemble } from "../isa/index.ts";
import { verify } from "./verify.ts";

// A byte of a value of 16 bytes by the processor's number.
const CODE = [
  "*(u32 *)(r10 - 0x4) = 0x0",
  "r2 = r10",
  "r2 += -0x4",
  "ld_pseudo r1, 0x1, 0x0",
  "call 0x1",
  "if r0 != 0x0 goto +0x2",
  "r0 = 0x0",
  "exit",
  "r6 = r0",
  "call 0x8",
  "r6 += r0",
  "r0 = *(u8 *)(r6 + 0x0)",
  "exit",
].join("\n");

it.each([
  { numCpus: 16, verdict: "accepted" },
  { numCpus: 17, verdict: "rejected" },
  { numCpus: undefined, verdict: "rejected" },
])("the processor's number lies below $numCpus", ({ numCpus, verdict }) => {
  const program = {
    name: "cpu",
    type: "BPF_PROG_TYPE_SOCKET_FILTER",
    attachType: undefined,
    insns: assemble(CODE).bytes,
    maps: [{ name: "m", type: "BPF_MAP_TYPE_ARRAY", keySize: 4, valueSize: 16, maxEntries: 1, flags: 0 }],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf: undefined,
  } as const;
  expect(verify(program, numCpus === undefined ? {} : { numCpus }).verdict).toBe(verdict);
});
