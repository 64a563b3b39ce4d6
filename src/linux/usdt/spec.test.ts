import { describe, expect, it } from "vitest";
import { toHex } from "../../base/index.ts";
import { parseUsdtArguments } from "./arguments.ts";
import { encodeUsdtSpec } from "./spec.ts";

const WITHOUT_TYPES = { valueSize: 208, btf: undefined, valueType: 0 };

describe("encodeUsdtSpec", () => {
  it("writes what usdt.bpf.h reads", () => {
    const args = parseUsdtArguments("-4@$-9 8@%rax -2@16(%rbp)", "x64");
    const bytes = encodeUsdtSpec(args, 0x1122n, WITHOUT_TYPES);
    expect(toHex(bytes.subarray(0, 48)).match(/.{32}/g)).toEqual([
      "f7ffffffffffffff0000000000000120",
      "00000000000000000100000050000000",
      "10000000000000000200000020000130",
    ]);
    expect(toHex(bytes.subarray(192))).toBe("22110000000000000300000000000000");
  });

  it("refuses what the program's usdt.bpf.h does not know", () => {
    const args = parseUsdtArguments("8@(%rax,%rbx,8)", "x64");
    expect(() => encodeUsdtSpec(args, 0n, WITHOUT_TYPES)).toThrow(/no room for args\[0\].idx_reg_off/);
    expect(() => encodeUsdtSpec([], 0n, { ...WITHOUT_TYPES, valueSize: 8 })).toThrow(/no room/);
  });
});
