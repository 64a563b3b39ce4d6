import { describe, expect, it } from "vitest";
import { toHex } from "../base/index.ts";
import { assemble } from "./assemble.ts";
import { decode } from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import { PseudoCall, PseudoLoad } from "./opcode.ts";

const textOf = (bytes: Uint8Array) => disassemble(decode(bytes)).map((line) => line.text);

describe.each([
  {
    name: "labels",
    text: "a: r0 = 1\nb:\n goto a\n if r0 == 0 goto b\nexit",
    want: ["r0 = 0x1", "goto -0x2", "if r0 == 0x0 goto -0x2", "exit"],
  },
  { name: "numeric labels", text: "1: goto 1f\n goto 1b\n1: exit", want: ["goto +0x1", "goto -0x2", "exit"] },
  {
    name: "labels over a wide load",
    text: "goto x; r1 = 5 ll; x: exit",
    want: ["goto +0x2", "r1 = 0x5 ll", "exit"],
  },
  { name: "gotol and may_goto", text: "x: gotol x\nmay_goto x", want: ["gotol -0x1", "may_goto -0x2"] },
  {
    name: "comments",
    text: "; source line\nr0 = 0 # one\nr1 = 1 // two\n/* three\n */ exit",
    want: ["r0 = 0x0", "r1 = 0x1", "exit"],
  },
  {
    name: "no white space",
    text: "r0=5;if r1!=0x5 goto+0;*(u8*)(r1+4)=r2;r0^=r1",
    want: ["r0 = 0x5", "if r1 != 0x5 goto +0x0", "*(u8 *)(r1 + 0x4) = r2", "r0 ^= r1"],
  },
  { name: "upper case", text: "R0 = R1\nEXIT", want: ["r0 = r1", "exit"] },
  {
    name: "number forms",
    text: "r0 = 0b101; r0 = 017; r0 = 'a'; r0 = '\\n'; r0 = -(1 + 2) * 3; r0 = ~0; r0 = 1 << 4 | 1",
    want: ["r0 = 0x5", "r0 = 0xf", "r0 = 0x61", "r0 = 0xa", "r0 = -0x9", "r0 = -0x1", "r0 = 0x11"],
  },
  { name: "an unsigned word", text: "w0 = 0xffffffff", want: ["w0 = -0x1"] },
  {
    name: "local calls",
    text: "call f\nexit\nf: exit\ncall +1\ncall -2",
    want: ["call 0x1 <local>", "exit", "exit", "call 0x1 <local>", "call -0x2 <local>"],
  },
  {
    name: "a function's address",
    text: "r1 = f ll\nexit\nf: exit",
    want: ["ld_pseudo r1, 0x4, 0x2", "exit", "exit"],
  },
  {
    name: "directives",
    text: "\t.text\n\t.globl f\n\t.type f,@function\nf:\n\texit\n.Lfunc_end0:\n\t.size f, .Lfunc_end0-f\n",
    want: ["exit"],
  },
  {
    name: "signed operators",
    text: "r1 s>>= 2; r1 s/= r2; w1 s%= 3; if r1 s< r2 goto +0; if w1 s>= -1 goto +1",
    want: ["r1 s>>= 0x2", "r1 s/= r2", "w1 s%= 0x3", "if r1 s< r2 goto +0x0", "if w1 s>= -0x1 goto +0x1"],
  },
  {
    name: "32-bit atomics before alu32",
    text: "lock *(u32 *)(r1 + 0) += r2",
    want: ["lock *(u32 *)(r1 + 0x0) += r2"],
  },
  {
    name: "loads into w registers",
    text: "w1 = *(u32 *)(r2 + 0); *(u8 *)(r1 + 0) = w3",
    want: ["r1 = *(u32 *)(r2 + 0x0)", "*(u8 *)(r1 + 0x0) = r3"],
  },
])("assemble $name", ({ text, want }) => {
  it("gives the instructions", () => {
    const assembly = assemble(text);
    expect(assembly.diagnostics).toEqual([]);
    expect(textOf(assembly.bytes)).toEqual(want);
  });
});

describe("names", () => {
  const symbol = (name: string, use: "call" | "load") => {
    if (use === "call" && name === "bpf_map_lookup_elem") return { src: PseudoCall.HELPER, imm: 1 };
    if (use === "load" && name === "events") return { src: PseudoLoad.MAP_VALUE, imm: 3, nextImm: 8 };
    return undefined;
  };
  it("come from the caller", () => {
    const assembly = assemble("call bpf_map_lookup_elem\nr1 = events + 4 ll", { symbol });
    expect(textOf(assembly.bytes)).toEqual(["call 0x1", "ld_pseudo r1, 0x2, 0x3, 0xc"]);
  });
  it("lose against labels", () => {
    const assembly = assemble("bpf_map_lookup_elem: call bpf_map_lookup_elem", { symbol });
    expect(textOf(assembly.bytes)).toEqual(["call -0x1 <local>"]);
  });
});

it("reports labels and the line of each slot", () => {
  const assembly = assemble("a:\n r1 = 1 ll\nb: exit\n");
  expect(assembly.labels).toEqual(
    new Map([
      ["a", 0],
      ["b", 2],
    ]),
  );
  expect(assembly.lines).toEqual([2, 2, 3]);
});

it("writes big-endian bytes", () => {
  expect(toHex(assemble("*(u64 *)(r10 - 8) = r1", { byteOrder: "big" }).bytes)).toBe("7ba1fff800000000");
});

describe.each([
  {
    text: "r0 = 1\n  frob r1",
    code: "isa/syntax",
    line: 2,
    column: 3,
    message: "'frob' starts no instruction",
  },
  { text: "r0 = ", code: "isa/syntax", line: 1, column: 5, message: "the statement ends too early" },
  { text: "r12 = 1", code: "isa/syntax", line: 1, column: 1, message: "'r12' starts no instruction" },
  {
    text: "r0 = 1 2",
    code: "isa/syntax",
    line: 1,
    column: 8,
    message: "expected the end of the statement, found '2'",
  },
  {
    text: "r0 = 4294967296",
    code: "isa/syntax",
    line: 1,
    column: 6,
    message: "4294967296 does not fit a 32-bit immediate",
  },
  {
    text: "r0 = *(u32 *)(r1 + 40000)",
    code: "isa/syntax",
    line: 1,
    column: 18,
    message: "40000 does not fit a 16-bit offset",
  },
  {
    text: "exit; goto nowhere",
    code: "isa/unknown-label",
    line: 1,
    column: 12,
    message: "label 'nowhere' is not defined",
  },
  {
    text: "call nothing",
    code: "isa/unknown-label",
    line: 1,
    column: 6,
    message: "name 'nothing' is not defined",
  },
  { text: "a: exit\na: exit", code: "isa/syntax", line: 2, column: 1, message: "label 'a' is defined twice" },
  {
    text: "r1 = le16 r2",
    code: "isa/syntax",
    line: 1,
    column: 11,
    message: "the operand must be the register assigned to, r1",
  },
  {
    text: "if r1 == w2 goto +1",
    code: "isa/syntax",
    line: 1,
    column: 10,
    message: "expected an r register, found 'w2'",
  },
  {
    text: "w1 = *(u64 *)(r2 + 0)",
    code: "isa/syntax",
    line: 1,
    column: 8,
    message: "'u64' does not fit a w register",
  },
  { text: "r0 = 1 / 0", code: "isa/syntax", line: 1, column: 8, message: "'/' has no value here" },
  { text: ".byte 1", code: "isa/syntax", line: 1, column: 1, message: "directive '.byte' is not supported" },
  { text: "r0 = @", code: "isa/syntax", line: 1, column: 6, message: "expected a number, found '@'" },
])("assemble refuses $text", ({ text, code, line, column, message }) => {
  it("and says where and why", () => {
    const { ok, diagnostics } = assemble(text, { file: "x.s" });
    expect(ok).toBe(false);
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      code,
      message,
      source: { file: "x.s", line, column, text: text.split("\n")[line - 1] },
    });
  });
});

it("goes on after an error", () => {
  const { diagnostics } = assemble("frob\nr0 = 0\nfrob\nexit");
  expect(diagnostics.map((diagnostic) => diagnostic.source?.line)).toEqual([1, 3]);
});

it("says when a jump is too far for 16 bits", () => {
  const { diagnostics } = assemble(`goto far\n${"r0 = 0\n".repeat(40000)}far: exit`);
  expect(diagnostics[0]).toMatchObject({ code: "isa/far-jump", hint: "use gotol" });
});
