import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import type { Arch } from "../sys/index.ts";
import { parseUsdtArguments } from "./arguments.ts";

const rows: readonly { text: string; arch: Arch; want: object }[] = [
  { text: "-4@$-9", arch: "x64", want: { where: "constant", value: -9n, bytes: 4, signed: true } },
  { text: "8@%rax", arch: "x64", want: { where: "register", register: 80, bytes: 8, signed: false } },
  { text: "2@%r9w", arch: "x64", want: { where: "register", register: 64, bytes: 2 } },
  { text: "1@%sil", arch: "x64", want: { where: "register", register: 104, bytes: 1 } },
  { text: "8@%r15", arch: "x64", want: { where: "register", register: 0 } },
  { text: "8@%rip", arch: "x64", want: { where: "register", register: 128 } },
  { text: "-4@-1204(%rbp)", arch: "x64", want: { where: "memory", register: 32, value: -1204n } },
  { text: "8@(%rsp)", arch: "x64", want: { where: "memory", register: 152, value: 0n } },
  {
    text: "1@-96(%rbp,%rax,8)",
    arch: "x64",
    want: { where: "indexed", register: 32, index: 80, scaleShift: 3, value: -96n },
  },
  { text: "4@(%rcx,%rdx)", arch: "x64", want: { where: "indexed", register: 88, index: 96, scaleShift: 0 } },
  { text: "-8@x0", arch: "arm64", want: { where: "register", register: 0, bytes: 8, signed: true } },
  { text: "4@w30", arch: "arm64", want: { where: "register", register: 240, bytes: 4 } },
  { text: "8@sp", arch: "arm64", want: { where: "register", register: 248 } },
  { text: "-4@[sp, 96]", arch: "arm64", want: { where: "memory", register: 248, value: 96n } },
  { text: "4@[x1]", arch: "arm64", want: { where: "memory", register: 8, value: 0n } },
  { text: "4@5", arch: "arm64", want: { where: "constant", value: 5n } },
];

describe("parseUsdtArguments", () => {
  it.each(rows)("reads $text ($arch)", ({ text, arch, want }) => {
    expect(parseUsdtArguments(text, arch)).toEqual([expect.objectContaining(want)]);
  });

  it("reads several, and none", () => {
    expect(parseUsdtArguments(" -4@%esi -4@-24(%rbp)  -4@%ecx ", "x64").map(({ where }) => where)).toEqual([
      "register",
      "memory",
      "register",
    ]);
    expect(parseUsdtArguments("", "x64")).toEqual([]);
  });

  it.each([
    { text: "8@%xmm0", arch: "x64" },
    { text: "8f@%rax", arch: "x64" },
    { text: "3@%rax", arch: "x64" },
    { text: "8@counter(%rip)", arch: "x64" },
    { text: "8@(%rax,%rbx,3)", arch: "x64" },
    { text: "8@%rax,", arch: "x64" },
    { text: "8", arch: "x64" },
    { text: "8@x31", arch: "arm64" },
    { text: "8@%rax", arch: "arm64" },
    { text: Array(13).fill("8@%rax").join(" "), arch: "x64" },
  ] as const)("refuses $text ($arch)", ({ text, arch }) => {
    expect(() => parseUsdtArguments(text, arch)).toThrow(BpfError);
  });
});
