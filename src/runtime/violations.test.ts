import { describe, expect, it } from "vitest";
import type { ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { openEmbeddedKernel } from "./embedded-kernel.ts";
import { specOf } from "./spec.fixture.ts";

const PACKET = Uint8Array.from({ length: 14 }, (_, i) => i);

async function runText(
  text: string,
  type: ProgramTypeName = "BPF_PROG_TYPE_XDP",
  uninitStack?: "zero",
): Promise<number> {
  using kernel = await openEmbeddedKernel(uninitStack === undefined ? {} : { uninitStack });
  using collection = await kernel.load(specOf({ text, type }));
  return collection.programs.get("prog")!.run({ data: PACKET, maxInsns: 1000 }).retval;
}

async function failure(text: string): Promise<BpfError> {
  const error = await runText(text).then(
    (retval) => new Error(`returned ${retval}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BpfError)) throw error;
  return error;
}

const LOOKUP = "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = values ll; call 1;";

/** Programs in LLVM's assembly; `insn` is the slot the error must name (a wide load takes two). */
const ROWS = [
  {
    name: "a register nobody set",
    text: "r0 = r3; exit",
    code: "runtime/uninitialised-register",
    insn: 0,
    message: "R3 !read_ok",
    hint: /r6-r9/,
  },
  {
    name: "r0 at exit",
    text: "exit",
    code: "runtime/uninitialised-register",
    insn: 0,
    message: "R0 !read_ok",
    hint: /every path/,
  },
  {
    name: "r1 after a call",
    text: "call 5; r0 = *(u32 *)(r1 + 0); exit",
    code: "runtime/uninitialised-register",
    insn: 1,
    message: "R1 !read_ok",
    hint: /r6-r9/,
  },
  {
    name: "r6 in a function",
    text: "r6 = 1; call f; exit; f: r0 = r6; exit",
    code: "runtime/uninitialised-register",
    insn: 3,
    message: "R6 !read_ok",
    hint: /value/,
  },
  {
    name: "stack bytes nobody wrote",
    text: "*(u32 *)(r10 - 8) = 1; r0 = *(u64 *)(r10 - 8); exit",
    code: "runtime/uninitialised-stack",
    insn: 1,
    message: "byte at fp-4 was never written (access of 8 bytes)",
    hint: /memset/,
  },
  {
    name: "stack of a function that has returned",
    text: "call f; call f; exit; f: r0 = *(u8 *)(r10 - 1); *(u8 *)(r10 - 1) = 1; exit",
    code: "runtime/uninitialised-stack",
    insn: 3,
    message: "byte at fp-1",
    hint: /initialise/,
  },
  {
    name: "below the stack",
    text: "*(u64 *)(r10 - 520) = 0; r0 = 0; exit",
    code: "runtime/out-of-bounds",
    insn: 0,
    message: "R10 = fp, 8 bytes at offset -520..-512, the frame is fp-512..fp",
    hint: /512 bytes/,
  },
  {
    name: "above the frame pointer",
    text: "r0 = *(u8 *)(r10 + 0); exit",
    code: "runtime/out-of-bounds",
    insn: 0,
    message: "offset 0..1",
    hint: /512 bytes/,
  },
  {
    name: "behind the packet",
    text: "r2 = *(u32 *)(r1 + 0); r2 += 14; r0 = *(u32 *)(r2 + 0); exit",
    code: "runtime/out-of-bounds",
    insn: 2,
    message: "R2 = packet+14, 4 bytes at offset 14..18, packet has 14 bytes",
    hint: /data_end/,
  },
  {
    name: "before the packet",
    text: "r2 = *(u32 *)(r1 + 0); r0 = *(u8 *)(r2 - 1); exit",
    code: "runtime/out-of-bounds",
    insn: 1,
    message: "offset -1..0",
    hint: /data_end/,
  },
  {
    name: "through packet_end",
    text: "r2 = *(u32 *)(r1 + 4); r0 = *(u8 *)(r2 - 1); exit",
    code: "runtime/not-a-pointer",
    insn: 1,
    message: "a packet end pointer cannot be dereferenced",
    hint: /pointers only come from/,
  },
  {
    name: "behind a map value",
    text: `${LOOKUP} r0 = *(u64 *)(r0 + 4); exit`,
    code: "runtime/out-of-bounds",
    insn: 6,
    message: "R0 = map value, 8 bytes at offset 4..12, map value has 8 bytes",
    hint: /index/,
  },
  {
    name: "a null result",
    text: "*(u32 *)(r10 - 4) = 5; r2 = r10; r2 += -4; r1 = values ll; call 1; r0 = *(u64 *)(r0 + 0); exit",
    code: "runtime/not-a-pointer",
    insn: 6,
    message: "R0 invalid mem access 'null'",
    hint: /NULL/,
  },
  {
    name: "a number as a pointer",
    text: "r1 = 0x123456; r0 = *(u8 *)(r1 + 0); exit",
    code: "runtime/not-a-pointer",
    insn: 1,
    message: "0x123456 is a number",
    hint: /probe_read/,
  },
  {
    name: "a pointer after 32-bit arithmetic",
    text: "r2 = r10; w2 += -8; r0 = *(u8 *)(r2 + 0); exit",
    code: "runtime/not-a-pointer",
    insn: 2,
    message: "R2 invalid mem access 'scalar'",
    hint: /arithmetic/,
  },
  {
    name: "through a map pointer",
    text: "r1 = values ll; r0 = *(u32 *)(r1 + 0); exit",
    code: "runtime/not-a-pointer",
    insn: 2,
    message: "a map pointer cannot be dereferenced",
    hint: /pointers/,
  },
  {
    name: "a store into a read-only map",
    text: "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = constants ll; call 1; *(u8 *)(r0 + 0) = 1; r0 = 0; exit",
    code: "runtime/read-only",
    insn: 6,
    message: "map value refused",
    hint: /const/,
  },
  {
    name: "a context field of the wrong size",
    text: "r0 = *(u8 *)(r1 + 0); exit",
    code: "runtime/context-access",
    insn: 0,
    message: "invalid bpf_context access off=0 size=1",
    hint: /data/,
  },
  {
    name: "past the context",
    text: "r0 = *(u32 *)(r1 + 64); exit",
    code: "runtime/context-access",
    insn: 0,
    message: "invalid bpf_context access off=64 size=4",
    hint: /no field at offset 64/,
  },
  {
    name: "a store into the context",
    text: "*(u32 *)(r1 + 0) = 1; r0 = 0; exit",
    code: "runtime/context-access",
    insn: 0,
    message: "off=0 size=4",
    hint: /written/,
  },
  {
    name: "a packet pointer after adjust_head",
    text: "r6 = r1; r7 = *(u32 *)(r1 + 0); r2 = -4; call 44; r0 = *(u8 *)(r7 + 0); exit",
    code: "runtime/stale-packet-pointer",
    insn: 4,
    message: "R7 is a packet pointer from before the packet was changed",
    hint: /data_end/,
  },
  {
    name: "a record after submit",
    text: "r1 = ring ll; r2 = 8; r3 = 0; call 131; r6 = r0; r1 = r0; r2 = 0; call 132; *(u8 *)(r6 + 0) = 1; r0 = 0; exit",
    code: "runtime/released-reference",
    insn: 9,
    message: "R6 points to memory that was already released",
    hint: /before/,
  },
  {
    name: "a record never submitted",
    text: "r1 = ring ll; r2 = 8; r3 = 0; call 131; r0 = 0; exit",
    code: "runtime/unreleased-reference",
    insn: 6,
    message: "Unreleased reference id=1",
    hint: /bpf_ringbuf_submit/,
  },
  {
    name: "a record submitted twice",
    text: "r1 = ring ll; r2 = 8; r3 = 0; call 131; r6 = r0; r1 = r0; r2 = 0; call 132; r1 = r6; r2 = 0; call 132; r0 = 0; exit",
    code: "runtime/released-reference",
    insn: 11,
    message: "R1 points to something that was already released",
    hint: /before/,
  },
  {
    name: "recursion",
    text: "call f; exit; f: call f; exit",
    code: "runtime/call-depth",
    insn: 2,
    message: "the call stack of 8 frames is too deep !",
    hint: /recurse/,
  },
  {
    name: "an endless loop",
    text: "r0 = 0; goto -1; exit",
    code: "runtime/budget",
    insn: 1,
    message: "instruction budget",
    hint: /maxInsns/,
  },
  {
    name: "a misaligned atomic",
    text: "*(u64 *)(r10 - 8) = 0; *(u64 *)(r10 - 16) = 0; r1 = 1; lock *(u64 *)(r10 - 12) += r1; r0 = 0; exit",
    code: "runtime/misaligned-atomic",
    insn: 3,
    message: "no multiple of 8",
    hint: /aligned/,
  },
  {
    name: "an atomic on the packet",
    text: "r2 = *(u32 *)(r1 + 0); r1 = 1; lock *(u32 *)(r2 + 0) += r1; r0 = 0; exit",
    code: "runtime/atomic-access",
    insn: 2,
    message: "BPF_ATOMIC stores into R2 packet is not allowed",
    hint: /map values/,
  },
  {
    name: "a write to r10",
    text: "r10 = 0; r0 = 0; exit",
    code: "runtime/unresolved",
    insn: 0,
    message: "frame pointer is read only",
    hint: /r10/,
  },
  {
    name: "a helper's uninitialised argument",
    text: "r1 = values ll; call 1; r0 = 0; exit",
    code: "runtime/uninitialised-register",
    insn: 2,
    message: "R2 !read_ok",
    hint: /r6-r9/,
  },
  {
    name: "a helper's key that nobody wrote",
    text: "r2 = r10; r2 += -4; r1 = values ll; call 1; r0 = 0; exit",
    code: "runtime/uninitialised-stack",
    insn: 4,
    message: "byte at fp-4",
    hint: /initialise/,
  },
  {
    name: "no map where a map must be",
    text: "r1 = 7; r2 = r10; call 1; r0 = 0; exit",
    code: "runtime/argument-type",
    insn: 2,
    message: "bpf_map_lookup_elem: R1 is something else, expected a map pointer",
    hint: /prototype/,
  },
  {
    name: "a helper that writes below the stack",
    text: "r1 = r10; r1 += -600; r2 = 16; call 16; r0 = 0; exit",
    code: "runtime/out-of-bounds",
    insn: 3,
    message: "bpf_get_current_comm: invalid stack access",
    hint: /512/,
  },
  {
    name: "a negative size",
    text: "r1 = r10; r1 += -16; r2 = -1; call 16; r0 = 0; exit",
    code: "runtime/bad-size",
    insn: 3,
    message: "with -1 bytes",
    hint: /upper bound/,
  },
] as const satisfies readonly {
  name: string;
  text: string;
  code: string;
  insn: number;
  message: string;
  hint: RegExp;
}[];

describe.each(ROWS)("$name", (row) => {
  it(`is ${row.code} at slot ${row.insn}`, async () => {
    const error = await failure(row.text);
    expect({ code: error.code, insn: error.insn }).toEqual({ code: row.code, insn: row.insn });
    expect(error.message).toContain(row.message);
    expect(error.hint).toMatch(row.hint);
    expect(error.source).toMatchObject({
      file: "prog.c",
      line: 10 + row.insn,
      text: `line of slot ${row.insn}`,
    });
    expect(error.subject).toBe("prog");
  });
});

describe.each([
  {
    name: "a helper the type may not use",
    text: "r0 = 0; call 9; exit",
    code: "runtime/helper-not-allowed",
    message: "program of this type cannot use helper bpf_skb_store_bytes#9",
  },
  {
    name: "an id that is no helper",
    text: "call 9999; exit",
    code: "runtime/unknown-helper",
    message: "invalid func unknown#9999",
  },
  { name: "a jump out of the program", text: "r0 = 0; goto +5; exit", code: "isa/bad-jump", message: "" },
])("load: $name", ({ text, code, message }) => {
  it(`is refused with ${code}`, async () => {
    const error = await failure(text);
    expect(error.message).toContain(message);
    expect(error.code).toBe(code);
  });
});

it("a failed run leaves the kernel usable, and nothing held", async () => {
  using kernel = await openEmbeddedKernel();
  const before = kernel.usedBytes;
  {
    using collection = await kernel.load(specOf({ text: "*(u64 *)(r10 - 520) = 0; r0 = 0; exit" }));
    expect(() => collection.programs.get("prog")!.run({ data: PACKET })).toThrow(BpfError);
  }
  using good = await kernel.load(specOf({ text: "r0 = 2; exit" }));
  expect(good.programs.get("prog")!.run({ data: PACKET }).retval).toBe(2);
  good[Symbol.dispose]();
  // What stays is the machine that runs are made on.
  expect(kernel.usedBytes - before).toBeLessThan(256 * 1024);
});

it("unwritten stack bytes read as zero where that is asked for", async () => {
  const text = "r0 = *(u64 *)(r10 - 8); exit";
  expect(await runText(text, "BPF_PROG_TYPE_XDP", "zero")).toBe(0);
});
