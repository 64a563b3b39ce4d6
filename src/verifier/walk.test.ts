import { describe, expect, it } from "vitest";
import type { ProgramTypeName } from "../abi/index.ts";
import { assemble } from "../isa/index.ts";
import type { Capabilities } from "./capabilities.ts";
import type { VerifierProgram } from "./input.ts";
import { Verifier } from "./verify.ts";

interface Row {
  readonly name: string;
  readonly text: string;
  readonly type?: ProgramTypeName;
  readonly capabilities?: Capabilities;
  /** Processed instructions of an accepted program, or the last line of a rejection, with the instruction. */
  readonly want: number | readonly [message: string, insn: number];
}

/** Answers of Linux 6.18.44, root unless the row says otherwise. */
const ROWS: readonly Row[] = [
  // registers and ALU
  { name: "the least program", text: "r0 = 0\nexit", want: 2 },
  { name: "r0 never set", text: "exit", want: ["R0 !read_ok", 0] },
  { name: "reads what nobody set", text: "r0 = r2\nexit", want: ["R2 !read_ok", 0] },
  {
    name: "writes the frame pointer",
    text: "r10 = 0\nr0 = 0\nexit",
    want: ["frame pointer is read only", 0],
  },
  { name: "divides by an immediate 0", text: "r0 = 1\nr0 /= 0\nexit", want: ["div by zero", 1] },
  { name: "shifts too far", text: "r0 = 1\nr0 <<= 64\nexit", want: ["invalid shift 64", 1] },
  { name: "a dead branch is not walked", text: "r0 = 1\nif r0 == 1 goto x\nr0 = r9\nx: exit", want: 3 },
  {
    name: "32-bit comparison bounds the low half",
    text: "call 7\nw0 &= 7\nif w0 > 7 goto bad\nr0 = 0\nexit\nbad: r0 = r9\nexit",
    want: 5,
  },
  // pointers
  {
    name: "pointer times pointer",
    text: "r0 = r10\nr0 *= r10\nexit",
    want: ["R0 pointer *= pointer prohibited", 1],
  },
  {
    name: "pointer times number",
    text: "r1 *= 2\nr0 = 0\nexit",
    want: ["R1 pointer arithmetic with *= operator prohibited", 0],
  },
  {
    name: "unbounded number on a stack pointer",
    text: "call 7\nr1 = r10\nr1 += r0\nr0 = *(u8 *)(r1 + 0)\nexit",
    want: ["math between fp pointer and register with unbounded min value is not allowed", 2],
  },
  {
    name: "number minus pointer",
    text: "r0 = 1\nr0 -= r10\nexit",
    want: ["R0 tried to subtract pointer from scalar", 1],
  },
  // stack
  {
    name: "below the stack",
    text: "*(u64 *)(r10 - 520) = 0\nr0 = 0\nexit",
    want: ["invalid write to stack R10 off=-520 size=8", 0],
  },
  {
    name: "spill and fill keep a pointer",
    text: "*(u64 *)(r10 - 8) = r1\nr1 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r1 + 0)\nexit",
    want: 4,
  },
  {
    name: "half of a spilled pointer",
    text: "*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\nexit",
    want: ["invalid size of register fill", 1],
  },
  {
    name: "unwritten stack, without privilege",
    text: "r0 = *(u64 *)(r10 - 8)\nexit",
    capabilities: "unprivileged",
    want: ["invalid read from stack R10 off=-8 size=8", 0],
  },
  { name: "unwritten stack, as root", text: "r0 = *(u64 *)(r10 - 8)\nexit", want: 2 },
  {
    name: "variable offset inside the stack",
    text: "call 7\nr0 &= 7\n*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += r0\nr0 = *(u8 *)(r1 - 16)\nexit",
    want: 8,
  },
  // packets
  {
    name: "packet without a check",
    text: "r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nexit",
    type: "BPF_PROG_TYPE_XDP",
    want: ["R2 offset is outside of the packet", 1],
  },
  {
    name: "packet behind a check",
    text: "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 8\nr0 = 1\nif r4 > r3 goto x\nr0 = *(u64 *)(r2 + 0)\nx: exit",
    type: "BPF_PROG_TYPE_XDP",
    want: 9,
  },
  {
    name: "one byte more than was checked",
    text: "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 8\nr0 = 1\nif r4 > r3 goto x\nr0 = *(u64 *)(r2 + 1)\nx: exit",
    type: "BPF_PROG_TYPE_XDP",
    want: ["R2 offset is outside of the packet", 6],
  },
  // loops
  { name: "a bounded loop", text: "r0 = 0\nx: r0 += 1\nif r0 < 10 goto x\nexit", want: 22 },
  { name: "an endless loop", text: "x: goto x\nr0 = 0\nexit", want: ["unreachable insn 1", 1] },
  {
    name: "a loop that changes nothing",
    text: "call 7\nx: if r0 > 5 goto x\nr0 = 0\nexit",
    want: ["infinite loop detected at insn 1", 1],
  },
  // calls
  { name: "a function gives r0", text: "call f\nexit\nf: r0 = 7\nexit", want: 4 },
  {
    name: "a function keeps r6–r9 of its caller",
    text: "r6 = 1\ncall f\nr0 = r6\nexit\nf: r0 = 7\nexit",
    want: 6,
  },
  { name: "a call clobbers r1", text: "call f\nr0 = r1\nexit\nf: r0 = 7\nexit", want: ["R1 !read_ok", 1] },
  {
    name: "a function returns its stack",
    text: "call f\nexit\nf: r0 = r10\nexit",
    want: ["cannot return stack pointer to the caller", 3],
  },
  {
    name: "recursion",
    text: "call f\nexit\nf: call f\nexit",
    want: ["the call stack of 9 frames is too deep", 2],
  },
  // exit values
  {
    name: "a cgroup program returns 0 or 1",
    text: "r0 = 2\nexit",
    type: "BPF_PROG_TYPE_CGROUP_DEVICE",
    want: ["At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]", 1],
  },
  { name: "a socket filter returns anything", text: "r0 = *(u32 *)(r1 + 0)\nexit", want: 2 },
];

const verifier = new Verifier();

function programOf(text: string, type: ProgramTypeName = "BPF_PROG_TYPE_SOCKET_FILTER"): VerifierProgram {
  return {
    name: "test",
    type,
    attachType: undefined,
    insns: assemble(text).bytes,
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf: undefined,
  };
}

describe("verify", () => {
  it.each(ROWS)("$name", ({ text, type, capabilities, want }) => {
    const verdict = verifier.verify(programOf(text, type), { capabilities: capabilities ?? "root" });
    if (typeof want === "number") {
      expect(verdict).toMatchObject({ verdict: "accepted", insnsProcessed: want });
    } else {
      const [message, insn] = want;
      expect(verdict).toMatchObject({ verdict: "rejected", error: { message, insn } });
    }
  });

  it("gives up after the limit of processed instructions, and is as good as new for the next program", () => {
    const program = programOf("r0 = 0\nx: r0 += 1\nif r0 < 100000 goto x\nexit");
    expect(verifier.verify(program, { insnLimit: 1000 })).toMatchObject({
      verdict: "rejected",
      error: { code: "verifier/too-complex", message: "BPF program is too large. Processed 1001 insn" },
    });
    expect(verifier.verify(program).verdict).toBe("accepted");
  });

  it("names the memory limit instead of taking more", () => {
    const program = programOf("r0 = 0\nx: r0 += 1\nif r0 < 100000 goto x\nexit");
    expect(verifier.verify(program, { memoryLimit: 1 << 20 })).toMatchObject({
      verdict: "unsupported",
      feature: "state memory beyond the limit",
    });
  });
});

describe("log", () => {
  it("prints source lines, instructions and what they change, as the kernel does", () => {
    const lines = [{ insn: 0, file: "/src/a.c", line: 7, column: 1, text: "  keep(ctx);" }];
    const program = { ...programOf("*(u64 *)(r10 - 8) = r1\nexit"), lines };
    const { log } = verifier.verify(program, { logLevel: 1 });
    expect(log.split("\n")).toEqual([
      "0: R1=ctx() R10=fp0",
      "; keep(ctx); @ a.c:7",
      "0: (7b) *(u64 *)(r10 -8) = r1         ; R1=ctx() R10=fp0 fp-8=ctx()",
      "1: (95) exit",
      "R0 !read_ok",
      "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
      "",
    ]);
  });

  it("forgets what passed at level 1", () => {
    const { log } = verifier.verify(programOf("r0 = 0\nexit"), { logLevel: 1 });
    expect(log).toBe(
      "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
    );
  });
});
