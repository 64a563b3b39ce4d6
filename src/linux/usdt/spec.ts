import { BpfError } from "../../base/index.ts";
import { type Btf, type BtfMemberPlace, findMember, sizeOf } from "../../btf/index.ts";
import type { UsdtArgument } from "./arguments.ts";

/** Values of `enum __bpf_usdt_arg_type`. */
const KINDS: Readonly<Record<UsdtArgument["where"], bigint>> = {
  constant: 0n,
  register: 1n,
  memory: 2n,
  indexed: 3n,
};

/** Where a field lies in the value: bits from its start. */
type Field = readonly [at: number, bits: number];

/**
 * Writes `struct __bpf_usdt_spec`: what the program needs to find a probe's arguments. Its layout is that of the
 * usdt.bpf.h which the program was compiled with (it changed with libbpf 1.7): read from the map's BTF, without it the
 * first one's.
 * @throws BpfError `linux/bad-usdt` when the program's usdt.bpf.h cannot express an argument.
 */
export function encodeUsdtSpec(
  args: readonly UsdtArgument[],
  cookie: bigint,
  map: { readonly valueSize: number; readonly btf: Btf | undefined; readonly valueType: number },
): Uint8Array {
  const bytes = new Uint8Array(map.valueSize);
  const put = (path: string, value: bigint): void => {
    const field = fieldOf(map.btf, map.valueType, path);
    if (field === undefined || field[0] + field[1] > bytes.length * 8) throw noRoom(path);
    setBits(bytes, field, value);
  };
  for (const [i, arg] of args.entries()) {
    const at = `args[${i}]`;
    put(`${at}.val_off`, arg.value);
    put(`${at}.arg_type`, KINDS[arg.where]);
    put(`${at}.reg_off`, BigInt(arg.register));
    put(`${at}.arg_signed`, arg.signed ? 1n : 0n);
    put(`${at}.arg_bitshift`, BigInt(64 - arg.bytes * 8));
    if (arg.where !== "indexed") continue;
    put(`${at}.idx_reg_off`, BigInt(arg.index));
    put(`${at}.scale_bitshift`, BigInt(arg.scaleShift));
  }
  put("usdt_cookie", cookie);
  put("arg_cnt", BigInt(args.length));
  return bytes;
}

/** Bits of the layout before libbpf 1.7: 16 bytes an argument, 12 of them, the cookie and the count. */
const CLASSIC: Readonly<Record<string, Field>> = {
  val_off: [0, 64],
  arg_type: [64, 32],
  reg_off: [96, 16],
  arg_signed: [112, 8],
  arg_bitshift: [120, 8],
  usdt_cookie: [12 * 128, 64],
  arg_cnt: [12 * 128 + 64, 16],
};

function fieldOf(btf: Btf | undefined, type: number, path: string): Field | undefined {
  const place: BtfMemberPlace | undefined =
    btf === undefined || type === 0 ? undefined : findMember(btf, type, path);
  if (place !== undefined && btf !== undefined) {
    return [place.bitOffset, place.bitSize || sizeOf(btf, place.type) * 8];
  }
  if (btf !== undefined && type !== 0) return undefined;
  const [, index = "0", name] = /^(?:args\[(\d+)\]\.)?(\w+)$/.exec(path) ?? [];
  const field = name === undefined ? undefined : CLASSIC[name];
  return field && [field[0] + Number(index) * 128, field[1]];
}

function setBits(bytes: Uint8Array, [at, bits]: Field, value: bigint): void {
  for (let i = 0; i < bits; i++) {
    if ((value >> BigInt(i)) & 1n) bytes[(at + i) >> 3] |= 1 << ((at + i) & 7);
  }
}

function noRoom(path: string): BpfError {
  return new BpfError("linux/bad-usdt", `struct __bpf_usdt_spec of the program has no room for ${path}`, {
    errno: "EINVAL",
    subject: path,
    hint: "compile the program with a newer bpf/usdt.bpf.h; base + index × scale operands need that of libbpf 1.7",
  });
}
