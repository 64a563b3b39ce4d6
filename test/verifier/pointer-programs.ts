// One algorithm: seeded programs about pointers that move: map values and the stack plus bounded numbers, comparisons that
// are settled or not, spills, leaks of addresses, helpers that read and fill memory. Many are wrong on purpose.
import { encode, type Insn, tableOf } from "../../src/isa/index.ts";
import type { VerifierMap, VerifierProgram } from "../../src/verifier/index.ts";
import { type Random, seeded } from "../differential/scalar-program.ts";

const TYPES = [
  "SOCKET_FILTER",
  "SOCKET_FILTER",
  "SOCKET_FILTER",
  "CGROUP_SKB",
  "CGROUP_SKB",
  "SCHED_CLS",
] as const;
const MAPS: readonly VerifierMap[] = [
  array("small", 16),
  array("large", 64),
  { ...array("hash", 48), type: "BPF_MAP_TYPE_HASH", keySize: 8 },
];
const STORES = [0x7b, 0x63, 0x6b, 0x73];
const LOADS = [0x79, 0x61, 0x69, 0x71, 0x91];
const BYTES: Readonly<Record<number, number>> = {
  123: 8,
  99: 4,
  107: 2,
  115: 1,
  121: 8,
  97: 4,
  105: 2,
  113: 1,
  145: 1,
};
const COMPARISONS = [0x10, 0x20, 0x30, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
/** Registers: r6 the context, r7 a pointer, r8 a number, r9 another pointer or number. */
const CTX = 6;
const POINTER = 7;
const NUMBER = 8;
const OTHER = 9;

/** A program; the same seed gives the same one. */
export function pointerProgram(seed: number): VerifierProgram {
  const random = seeded(seed);
  const body = new Body(random);
  return {
    name: `seed ${seed}`,
    type: `BPF_PROG_TYPE_${TYPES[random(TYPES.length)]}`,
    attachType: undefined,
    insns: body.fill(4 + random(14)),
    maps: MAPS,
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: { testStateFreq: random(4) === 0, strictAlignment: random(8) === 0 },
    kernelBtf: undefined,
  };
}

function array(name: string, valueSize: number): VerifierMap {
  return { name, type: "BPF_MAP_TYPE_ARRAY", keySize: 4, valueSize, maxEntries: 4, flags: 0 };
}

class Body {
  private readonly insns: Insn[] = [];
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  fill(steps: number): Uint8Array {
    const { random } = this;
    this.emit(0xbf, CTX, 1);
    this.emit(0x7a, 10, 0, -8, 0);
    if (random(2)) this.emit(0x7b, 10, CTX, -16);
    if (random(3)) this.lookUp(POINTER, random(3));
    else this.emit(0xbf, POINTER, 10);
    this.number(NUMBER);
    if (random(2)) this.emit(0xbf, OTHER, this.pick([POINTER, NUMBER, 10, CTX]));
    else this.lookUp(OTHER, random(3));
    const branches: number[] = [];
    for (let i = 0; i < steps; i++) this.step(branches);
    if (random(4) > 0) this.emit(0xb7, 0, 0, 0, 0);
    else this.emit(0xbf, 0, this.pick([NUMBER, POINTER, OTHER]));
    const end = this.emit(0x95);
    for (const at of branches) {
      const far = random(4) === 0 ? end - at - 2 : random(Math.min(5, end - at - 1));
      this.insns[at] = { ...this.insns[at], off: Math.max(0, far) };
    }
    return encode(tableOf(this.insns));
  }

  private step(branches: number[]): void {
    const { random } = this;
    const pointer = this.pick([POINTER, POINTER, POINTER, OTHER, OTHER, 10]);
    switch (random(15)) {
      case 0:
      case 1:
      case 2: // pointer ± number
        if (pointer === 10) {
          this.emit(0xbf, 2, 10);
          this.emit(this.pick([0x0f, 0x1f]), 2, this.pick([NUMBER, OTHER]));
          this.access(2);
        } else this.emit(this.pick([0x0f, 0x0f, 0x1f]), pointer, this.pick([NUMBER, NUMBER, OTHER]));
        break;
      case 3: // number + pointer
        this.emit(0xbf, 3, NUMBER);
        this.emit(this.pick([0x0f, 0x0f, 0x1f]), 3, pointer);
        if (random(2)) this.access(3);
        break;
      case 4:
        this.emit(this.pick([0x07, 0x17]), pointer === 10 ? POINTER : pointer, 0, 0, random(24) - 8);
        break;
      case 5:
      case 6:
        this.access(pointer);
        break;
      case 7:
        this.number(this.pick([NUMBER, NUMBER, OTHER]));
        break;
      case 8:
        this.emit(this.pick([0x07, 0x17, 0x57, 0x27, 0x67]), NUMBER, 0, 0, random(9));
        break;
      case 9:
      case 10: {
        const op = this.pick(COMPARISONS) | this.pick([5, 5, 6]);
        const who = this.pick([NUMBER, NUMBER, NUMBER, OTHER, POINTER]);
        branches.push(
          random(3)
            ? this.emit(op, who, 0, 0, this.pick([0, 0, 1, 3, 8, 16, -1]))
            : this.emit(op | 8, who, this.pick([NUMBER, OTHER, 10])),
        );
        break;
      }
      case 11: // spill and fill
        this.emit(0x7b, 10, this.pick([POINTER, NUMBER, OTHER, CTX]), this.pick([-16, -24, -32]));
        if (random(2))
          this.emit(this.pick(LOADS), this.pick([NUMBER, POINTER, 4]), 10, this.pick([-16, -24, -32, -20]));
        break;
      case 12:
        if (random(2)) {
          this.emit(0xb7, NUMBER, 0, 0, random(16));
          branches.push(this.emit(this.pick(COMPARISONS) | 5, NUMBER, 0, 0, random(16)));
        } else this.emit(this.pick([0x0f, 0x1f, 0x0c, 0x1c]), NUMBER, this.pick([NUMBER, OTHER]));
        break;
      case 13:
        this.call();
        break;
      default:
        this.emit(
          this.pick([0xbf, 0xbf, 0xbc]),
          this.pick([POINTER, NUMBER, OTHER]),
          this.pick([POINTER, NUMBER, OTHER, 10]),
        );
    }
  }

  private access(pointer: number): void {
    const { random } = this;
    const off = (size: number): number => {
      const at = pointer === 10 ? -8 * (1 + random(5)) : random(20);
      return random(3) ? at & -size : at;
    };
    if (random(2)) {
      const op = this.pick(LOADS);
      this.emit(op, this.pick([0, 4, NUMBER]), pointer, off(BYTES[op]));
    } else if (random(3)) {
      const op = this.pick(STORES);
      this.emit(op, pointer, this.pick([NUMBER, NUMBER, OTHER, POINTER]), off(BYTES[op]));
    } else this.emit(this.pick([0x7a, 0x62, 0x72]), pointer, 0, off(8), random(2));
  }

  /** A number in `reg`: unknown, masked on one side of zero or on both. */
  private number(reg: number): void {
    const { random } = this;
    this.emit(0x61, reg, CTX, random(2) ? 0 : 4);
    if (random(8) === 0) return;
    this.emit(0x57, reg, 0, 0, this.pick([1, 3, 7, 7, 15, 31]));
    if (random(3) === 0) this.emit(0x17, reg, 0, 0, this.pick([1, 4, 8, 32]));
    if (random(6) === 0) this.emit(0x87, reg);
  }

  /** A map's value in `reg`; the program ends where there is none. */
  private lookUp(reg: number, map: number): void {
    this.emit(0x18, 1, 1, 0, map);
    this.emit(0);
    this.emit(0xbf, 2, 10);
    this.emit(0x07, 2, 0, 0, -8);
    this.emit(0x85, 0, 0, 0, 1);
    this.emit(0x55, 0, 0, 2, 0);
    this.emit(0xb7, 0, 0, 0, 0);
    this.emit(0x95);
    this.emit(0xbf, reg, 0);
  }

  private call(): void {
    const { random } = this;
    if (random(3) === 0) {
      this.emit(0x85, 0, 0, 0, this.pick([7, 8, 5, 14, 6, 113]));
      this.emit(0xbf, NUMBER, 0);
      return;
    }
    // skb_load_bytes into the stack or a value
    this.emit(0xbf, 1, CTX);
    this.emit(0xb7, 2, 0, 0, 0);
    this.emit(0xbf, 3, this.pick([10, 10, POINTER]));
    this.emit(0x07, 3, 0, 0, this.pick([-8, -16, -32, 0]));
    if (random(2)) this.emit(0xb7, 4, 0, 0, this.pick([4, 8, 16]));
    else this.emit(0xbf, 4, NUMBER);
    this.emit(0x85, 0, 0, 0, 26);
  }

  private emit(opcode: number, dst = 0, src = 0, off = 0, imm = 0): number {
    return this.insns.push({ opcode, dst, src, off, imm }) - 1;
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)];
  }
}
