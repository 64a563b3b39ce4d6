import { describe, expect, it } from "vitest";
import { fromHex } from "../../base/index.ts";
import { Memory } from "../memory.ts";
import { bprintf } from "./bprintf.ts";

/** What the arguments of the rows point to: offset in TEXT from the start of the second page. */
const TEXT_AT = 65536;
const TEXT = new Uint8Array([
  ...new TextEncoder().encode("hello\0\0world\0"),
  ...new Uint8Array(100).fill(0x41),
  0,
  ...fromHex("c0a80102 000102030405060708090a0b0c0d0e0f"),
]);
const [HELLO, WORLD, LONG, IP4, IP6] = [0, 7, 13, 114, 118].map((offset) => BigInt(TEXT_AT + offset));
const MAX = 2n ** 64n - 1n;

/** Recorded from Linux 6.18: bpf_snprintf in a tc program, run by BPF_PROG_TEST_RUN. Number: return value, an error. */
const ROWS: readonly (readonly [format: string, args: readonly bigint[], want: string | number])[] = [
  ["plain", [], "plain"],
  ["100%%", [], "100%"],
  ["%d", [MAX - 4n], "-5"],
  ["%d", [0xffffffffn], "-1"],
  ["%u", [MAX], "4294967295"],
  ["%ld", [MAX - 4n], "-5"],
  ["%lld", [MAX - 4n], "-5"],
  ["%lu", [MAX], "18446744073709551615"],
  ["%llx", [0xdeadbeefcafebaben], "deadbeefcafebabe"],
  ["%x", [0xdeadbeefcafebaben], "cafebabe"],
  ["%X", [0xabcdefn], "ABCDEF"],
  ["[%5d]", [42n], "[   42]"],
  ["[%-5d]", [42n], "[42   ]"],
  ["[%05d]", [42n], "[00042]"],
  ["[%05d]", [MAX - 41n], "[-0042]"],
  ["[%+d]", [42n], "[+42]"],
  ["[% d]", [42n], "[ 42]"],
  ["[%+5d]", [42n], "[  +42]"],
  ["[%-05d]", [42n], "[42   ]"],
  ["[%0-5d]", [42n], "[42   ]"],
  ["[%08x]", [0xbeefn], "[0000beef]"],
  ["[%+x]", [0xbeefn], "[beef]"],
  ["[%i]", [7n], "[7]"],
  ["[% u]", [7n], "[7]"],
  ["[%20lx]", [0xbeefn], "[                beef]"],
  ["[%s]", [HELLO], "[hello]"],
  ["[%10s]", [HELLO], "[     hello]"],
  ["[%-10s]", [HELLO], "[hello     ]"],
  ["[%2s]", [HELLO], "[hello]"],
  ["[%05s]", [HELLO], "[hello]"],
  ["[%s]", [WORLD], "[world]"],
  ["[%s]", [0n], "[]"],
  ["[%s]", [1n], "[]"],
  ["[%pks]", [HELLO], "[hello]"],
  ["[%10pks]", [HELLO], "[hello]"],
  ["[%c]", [65n], "[A]"],
  ["[%5c]", [65n], "[    A]"],
  ["[%-5c]", [65n], "[A    ]"],
  ["[%05c]", [65n], "[    A]"],
  ["[%c]", [0n], "[\0]"],
  ["%d%c%d", [1n, 65n, 2n], "1A2"],
  ["%pI4", [IP4], "192.168.1.2"],
  ["%pi4", [IP4], "192.168.001.002"],
  ["%pI6", [IP6], "0001:0203:0405:0607:0809:0a0b:0c0d:0e0f"],
  ["%pi6", [IP6], "000102030405060708090a0b0c0d0e0f"],
  ["%pI4x", [IP4], "192.168.1.2"],
  ["%pI4 x", [IP4], "192.168.1.2 x"],
  ["%pI6c!", [IP6], "0001:0203:0405:0607:0809:0a0b:0c0d:0e0f!"],
  ["[%20pI4]", [IP4], "[192.168.1.2]"],
  ["%pI4", [0n], "0.0.0.0"],
  ["%p", [0n], "0000000000000000"],
  ["%p", [MAX], "ffffffffffffffff"],
  ["[%5p]", [0n], "[    0]"],
  ["[%20p]", [0n], "[                   0]"],
  [
    "%px|%10px|%-10px|%20px",
    [0x1234n, 0x1234n, 0x1234n, 0x1234n],
    "0000000000001234|      1234|1234      |                1234",
  ],
  ["[%020px]", [0x1234n], "[00000000000000001234]"],
  ["[%pxyz]", [0x1234n], "[0000000000001234]"],
  ["%pK", [0n], "0000000000000000"],
  ["%ps", [0x1234n], "0x1234"],
  ["%pS", [0x1234n], "0x1234"],
  ["%pB", [0x1234n], "0x1234"],
  ["[%20ps]", [0x1234n], "[              0x1234]"],
  ["[%-20ps]", [0x1234n], "[0x1234              ]"],
  ["[%20pB]", [0x1234n], "[0x1234]"],
  ["[%psoO]", [0x1234n], "[0x1234]"],
  ["%lld%%%s", [1n, HELLO], "1%hello"],
  ["%s,", [HELLO], "hello,"],
  ["%d", [1n, 2n], "1"],
  ["%dpp", [1n], "1pp"],
  ["%d\t\n", [3n], "3\t\n"],
  ["%s%s%s%s%s%s", [LONG, LONG, LONG, LONG, LONG, LONG], "A".repeat(506)],
  ["%s%s%s%s%s%d", [LONG, LONG, LONG, LONG, LONG, 7n], `${"A".repeat(500)}7`],
  ["%s%s%s%s%s%s%d", [LONG, LONG, LONG, LONG, LONG, LONG, 7n], -28],
  ["%d", [], -22],
  ["%d %d", [1n], -22],
  ["%z", [1n], -22],
  ["%hd", [1n], -22],
  ["%.3d", [1n], -22],
  ["%*d", [1n, 2n], -22],
  ["%#x", [1n], -22],
  ["%", [1n], -22],
  ["%", [], -22],
  ["%%%", [1n], -22],
  ["%lllx", [1n], -22],
  ["%pI5", [1n], -22],
  ["%pX", [1n], -22],
  ["%sx", [HELLO], -22],
  ["\x01", [], -22],
  ["%l", [1n], -22],
  ["%lp", [1n], -22],
  ["%lc", [1n], -22],
  ["%ls", [1n], -22],
  ["%5%", [1n], -22],
  ["%5%%d", [1n], -22],
  ["% %d", [1n], -22],
  ["%o", [1n], -22],
  ["%pb", [1n], -22],
  ["%pe", [1n], -22],
];

function format(text: string, args: readonly bigint[], room = 1023): string | number {
  const formatted = bprintf(memoryWithText(), new TextEncoder().encode(`${text}\0`), args, room);
  return typeof formatted === "number" ? formatted : new TextDecoder().decode(formatted.bytes);
}

function memoryWithText(): Memory {
  const memory = new Memory(new WebAssembly.Memory({ initial: 2 }));
  memory.write(TEXT_AT, TEXT);
  return memory;
}

describe("bprintf answers as Linux does", () => {
  it.each(ROWS)("%s", (text, args, want) => expect(format(text, args)).toBe(want));

  it("takes bytes above 127 as plain text", () => expect(format("é %d", [1n])).toBe("é 1"));

  it.each([
    ["%99999d", [1n], 100000 - 1],
    ["%65537d", [1n], 65538 - 1],
    ["%99999s|", [HELLO], 100001 - 1],
    ["%s %s", [LONG, LONG], 202 - 1],
  ])("%s: cuts to the room, returns the whole length", (text, args, length) => {
    const formatted = bprintf(memoryWithText(), new TextEncoder().encode(`${text}\0`), args, 19);
    expect(formatted).toMatchObject({ length, bytes: { length: 19 } });
  });

  it("hides addresses behind 32 bits for %p", () => {
    expect(format("%p", [0x12345678_9abcdef0n])).toMatch(/^00000000[0-9a-f]{8}$/);
  });

  it("refuses a format without a NUL", () => {
    expect(bprintf(memoryWithText(), new TextEncoder().encode("abc"), [], 100)).toBe(-22);
  });
});
