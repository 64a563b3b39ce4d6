import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../base/index.ts";
import { assemble } from "./assemble.ts";
import { decode } from "./decode.ts";
import { disassemble } from "./disassemble.ts";

// What LLVM 19 cannot print or prints ambiguously; the rest is in test/isa against llvm-objdump's own output.
describe.each([
  { bytes: "d3 21 08 00 00 01 00 00", text: "w1 = load_acquire((u8 *)(r2 + 0x8))" },
  { bytes: "cb 21 08 00 00 01 00 00", text: "w1 = load_acquire((u16 *)(r2 + 0x8))" },
  { bytes: "c3 21 08 00 00 01 00 00", text: "w1 = load_acquire((u32 *)(r2 + 0x8))" },
  { bytes: "db 21 f8 ff 00 01 00 00", text: "r1 = load_acquire((u64 *)(r2 - 0x8))" },
  { bytes: "d3 21 08 00 10 01 00 00", text: "store_release((u8 *)(r1 + 0x8), w2)" },
  { bytes: "cb 21 08 00 10 01 00 00", text: "store_release((u16 *)(r1 + 0x8), w2)" },
  { bytes: "c3 21 08 00 10 01 00 00", text: "store_release((u32 *)(r1 + 0x8), w2)" },
  { bytes: "db 21 08 00 10 01 00 00", text: "store_release((u64 *)(r1 + 0x8), r2)" },
  { bytes: "40 30 00 00 fc ff ff ff", text: "r0 = *(u32 *)skb[r3 - 0x4]" },
  { bytes: "85 00 00 00 05 00 00 00", text: "call 0x5" },
  { bytes: "85 00 00 00 ff ff ff ff", text: "call -0x1 <helper>" },
  { bytes: "85 10 00 00 05 00 00 00", text: "call 0x5 <local>" },
  { bytes: "85 10 00 00 fa ff ff ff", text: "call -0x6 <local>" },
  { bytes: "85 20 00 00 05 00 00 00", text: "call 0x5 <kfunc>" },
  { bytes: "85 20 02 00 05 00 00 00", text: "call 0x5 <kfunc module 0x2>" },
  { bytes: "18 21 00 00 07 00 00 00 00 00 00 00 09 00 00 00", text: "ld_pseudo r1, 0x2, 0x7, 0x9" },
  { bytes: "18 01 00 00 00 00 00 00 00 00 00 00 00 00 00 80", text: "r1 = -0x8000000000000000 ll" },
  { bytes: "7b 21 00 80 00 00 00 00", text: "*(u64 *)(r1 - 0x8000) = r2" },
])("$text", ({ bytes, text }) => {
  it("disassembles", () => expect(disassemble(decode(fromHex(bytes)))).toEqual([{ slot: 0, text }]));
  it("assembles", () => expect(toHex(assemble(text).bytes)).toBe(bytes.replaceAll(" ", "")));
});

describe.each([
  { name: "no opcode", bytes: "ff 00 00 00 00 00 00 00" },
  { name: "first half of a wide load at the end", bytes: "18 01 00 00 00 00 00 00" },
  { name: "a reserved field set", bytes: "07 11 00 00 01 00 00 00" },
  { name: "register 12", bytes: "bf 1c 00 00 00 00 00 00" },
  { name: "an atomic add on one byte", bytes: "d3 21 00 00 00 00 00 00" },
  { name: "sign extension of 64 bits", bytes: "99 21 00 00 00 00 00 00" },
  { name: "a byte swap of 8 bits", bytes: "d7 01 00 00 08 00 00 00" },
])("$name", ({ bytes }) => {
  it("is <unknown>", () => expect(disassemble(decode(fromHex(bytes)))[0].text).toBe("<unknown>"));
});

describe("symbolic names", () => {
  const { bytes } = assemble(
    "f: call 1\n call f\n r1 = 0 ll\n ld_pseudo r2, 2, 7, 4\n if r1 == 0 goto f\n goto +0\n exit",
  );
  it("asks the caller for each name", () => {
    const lines = disassemble(decode(bytes), {
      label: (slot) => (slot === 0 ? "f" : undefined),
      symbol: ({ kind, imm, extra }) => {
        if (kind === "helper") return "bpf_map_lookup_elem";
        return kind === "load" ? `map${imm}+${extra}` : undefined;
      },
    });
    expect(lines.map((line) => line.text)).toEqual([
      "call bpf_map_lookup_elem",
      "call -0x2 <local f>",
      "r1 = 0x0 ll",
      "r2 = map7+4 ll",
      "if r1 == 0x0 goto -0x7 <f>",
      "goto +0x0",
      "exit",
    ]);
    expect(lines.map((line) => line.slot)).toEqual([0, 1, 2, 4, 6, 7, 8]);
  });
});
