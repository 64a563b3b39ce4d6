// One algorithm: seeded tc programs of scalars, stack slots and packet bytes, with joins, bounded loops and functions.
// Many are wrong on purpose: nothing keeps a step from reading what is not there. For verdicts, not to be run.
import { type Random, seeded } from "./scalar-program.ts";

type Insn = [opcode: number, dst: number, src: number, off: number, imm: number];

const JUMPS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const ARITHMETIC = [0x00, 0x00, 0x10, 0x20, 0x40, 0x50, 0xa0];
const SHIFTS = [0x60, 0x70, 0xc0];
// opcode and bytes
const LOADS = [
  [0x79, 8],
  [0x61, 4],
  [0x69, 2],
  [0x71, 1],
  [0x81, 4],
  [0x89, 2],
  [0x91, 1],
];
const STORES = [
  [0x7b, 8],
  [0x63, 4],
  [0x6b, 2],
  [0x73, 1],
];
const CTX_SLOT = -8;
/** Scalars between steps; r1–r5 belong to a step. */
const SCALARS = [0, 6, 7, 8, 9];
const CALLEE_SAVED = [6, 7, 8, 9];

/** A program of about `steps` steps in its main function. */
export function branchingProgram(seed: number, steps: number): Uint8Array {
  const random = seeded(seed);
  const functions = [
    new Body(random, true),
    ...Array.from({ length: random(3) }, () => new Body(random, false)),
  ];
  functions.forEach((body, n) => {
    body.fill(n === 0 ? steps : 4 + random(8), functions.length - 1 - n);
  });
  return link(functions);
}

class Body {
  readonly insns: Insn[] = [];
  /** Calls: slot, and how many functions further on the callee is. */
  readonly calls: { at: number; callee: number }[] = [];
  private readonly forward: number[] = [];
  private readonly random: Random;
  private readonly isMain: boolean;

  constructor(random: Random, isMain: boolean) {
    this.random = random;
    this.isMain = isMain;
  }

  /** `callees`: functions behind this one. */
  fill(steps: number, callees: number): void {
    this.begin();
    for (let i = 0; i < steps; i++) this.step(callees);
    if (this.isMain || this.random(2)) this.emit(0xb7, 0, 0, 0, 0);
    const end = this.emit(0x95, 0, 0, 0, 0);
    for (const at of this.forward) {
      const farthest = end - at - 1;
      const far = this.random(3) === 0 ? farthest : this.random(Math.min(farthest, 12) + 1);
      this.insns[at][3] = Math.max(far, 0);
    }
  }

  private emit(...insn: Insn): number {
    return this.insns.push(insn) - 1;
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)];
  }

  private begin(): void {
    const { random } = this;
    if (this.isMain) this.emit(0x7b, 10, 1, CTX_SLOT, 0);
    for (const reg of CALLEE_SAVED) {
      if (this.isMain) this.emit(0x85, 0, 0, 0, 7);
      this.emit(0xbf, reg, this.isMain ? 0 : 1 + random(4), 0, 0);
      if (random(2)) this.emit(0x57, reg, 0, 0, this.pick([1, 7, 15, 63, 255, 1023]));
    }
    this.emit(0xb7, 0, 0, 0, 0);
    for (const slot of [-16, -24, -32, -40]) this.emit(0x7b, 10, this.pick(CALLEE_SAVED), slot, 0);
  }

  private imm(): number {
    const near = this.random(5) - 2;
    switch (this.random(5)) {
      case 0:
        return near;
      case 1:
        return ((1 << this.random(32)) + near) | 0;
      case 2:
        return this.random(256);
      case 3:
        return this.random(64);
      default:
        return (this.random(0x10000) * 0x10000 + this.random(0x10000)) | 0;
    }
  }

  private step(callees: number): void {
    const kind = this.random(100);
    if (kind < 25) this.arithmetic();
    else if (kind < 40) this.move();
    else if (kind < 44) this.emit(this.pick([0xb7, 0xb4]), this.pick(SCALARS), 0, 0, this.imm());
    else if (kind < 64) this.jump();
    else if (kind < 72) this.stackAccess(STORES, 10);
    else if (kind < 81) this.stackAccess(LOADS, undefined);
    else if (kind < 83)
      this.emit(this.pick([0x7a, 0x72]), 10, 0, -(16 + 8 * this.random(4)), this.pick([0, this.imm()]));
    else if (kind < 85)
      this.emit(this.pick([0xd4, 0xdc, 0xd7]), this.pick(SCALARS), 0, 0, 16 << this.random(3));
    else if (kind < 86) this.emit(this.pick([0x84, 0x87]), this.pick(SCALARS), 0, 0, 0);
    else if (kind < 88) this.contextLoad();
    else if (kind < 90) this.variableStackAccess();
    else if (kind < 92) this.emit(0x85, 0, 0, 0, 7);
    else if (kind < 94) this.loop();
    else if (kind < 96) this.packetAccess();
    else if (kind < 98 && callees > 0) this.call(callees);
    else this.forward.push(this.emit(0x05, 0, 0, 0, 0));
  }

  private arithmetic(): void {
    const is64 = this.random(2);
    const width = is64 ? 7 : 4;
    const dst = this.pick(SCALARS);
    if (this.random(4) === 0) this.emit(this.pick(SHIFTS) | width, dst, 0, 0, this.random(is64 ? 64 : 32));
    else if (this.random(3) === 0)
      this.emit(this.pick(ARITHMETIC) | width | 8, dst, this.pick(SCALARS), 0, 0);
    else this.emit(this.pick(ARITHMETIC) | width, dst, 0, 0, this.imm());
  }

  private move(): void {
    const is64 = this.random(2);
    const bits = this.random(4) === 0 ? this.pick(is64 ? [8, 16, 32] : [8, 16]) : 0;
    this.emit(is64 ? 0xbf : 0xbc, this.pick(SCALARS), this.pick(SCALARS), bits, 0);
  }

  private jump(): void {
    const opcode = this.pick(JUMPS) | this.pick([5, 6]);
    const dst = this.pick(SCALARS);
    if (this.random(3) === 0) this.forward.push(this.emit(opcode | 8, dst, this.pick(SCALARS), 0, 0));
    else this.forward.push(this.emit(opcode, dst, 0, 0, this.imm()));
  }

  private stackAccess(table: readonly (readonly number[])[], dst: number | undefined): void {
    const [opcode, bytes] = this.pick(table);
    const off = -(16 + 8 * this.random(4)) + (bytes < 8 ? this.pick([0, 8 - bytes]) : 0);
    const reg = this.pick(SCALARS);
    if (dst === undefined) this.emit(opcode, reg, 10, off, 0);
    else this.emit(opcode, dst, reg, off, 0);
  }

  private contextLoad(): void {
    if (!this.isMain) return;
    this.emit(0x79, 1, 10, CTX_SLOT, 0);
    this.emit(0x61, this.pick(SCALARS), 1, this.pick([0, 4, 8, 16]), 0);
  }

  private variableStackAccess(): void {
    const index = this.pick(SCALARS);
    this.emit(0xbf, 2, 10, 0, 0);
    this.emit(0x57, index, 0, 0, this.pick([1, 3, 8, 24]));
    this.emit(0x0f, 2, index, 0, 0);
    if (this.random(2)) this.emit(0x71, this.pick(SCALARS), 2, -40, 0);
    else this.emit(0x73, 2, this.pick(SCALARS), -40, 0);
  }

  /** Counts a register up to a constant. */
  private loop(): void {
    const counter = this.pick(CALLEE_SAVED);
    const others = SCALARS.filter((reg) => reg !== counter);
    this.emit(0xb7, counter, 0, 0, 0);
    const top = this.insns.length;
    for (let i = this.random(3); i >= 0; i--) {
      const opcode = this.pick([0x07, 0x27, 0x57, 0xbf, 0x0f, 0xaf]);
      if (opcode & 8) this.emit(opcode, this.pick(others), this.pick(SCALARS), 0, 0);
      else this.emit(opcode, this.pick(others), 0, 0, this.imm());
    }
    this.emit(0x07, counter, 0, 0, 1);
    this.emit(0xa5, counter, 0, top - this.insns.length - 1, 1 + this.random(12));
  }

  /** Packet bytes at a constant or variable offset, usually after the right comparison. */
  private packetAccess(): void {
    if (!this.isMain) return;
    const bytes = this.pick([1, 2, 4, 14]);
    this.emit(0x79, 1, 10, CTX_SLOT, 0);
    this.emit(0x61, 2, 1, 76, 0); // data
    this.emit(0x61, 3, 1, 80, 0); // data_end
    if (this.random(2)) {
      const index = this.pick(SCALARS);
      this.emit(0x57, index, 0, 0, this.pick([7, 255, 0xffff]));
      this.emit(0x0f, 2, index, 0, 0);
    }
    this.emit(0xbf, 4, 2, 0, 0);
    this.emit(0x07, 4, 0, 0, bytes - (this.random(8) === 0 ? 1 : 0));
    const [a, b] = this.random(3) ? [4, 3] : [3, 4];
    this.emit(this.pick([0x2d, 0x3d, 0xad, 0xbd]), a, b, 1, 0);
    this.emit(0x71, this.pick(SCALARS), 2, bytes - 1, 0);
  }

  private call(callees: number): void {
    for (const reg of [1, 2, 3, 4]) this.emit(0xbf, reg, this.pick(SCALARS), 0, 0);
    const at = this.emit(0x85, 0, 1, 0, 0);
    this.calls.push({ at, callee: 1 + this.random(callees) });
  }
}

function link(bodies: readonly Body[]): Uint8Array {
  const starts: number[] = [];
  let slots = 0;
  for (const body of bodies) {
    starts.push(slots);
    slots += body.insns.length;
  }
  const bytes = new Uint8Array(slots * 8);
  const view = new DataView(bytes.buffer);
  bodies.forEach((body, n) => {
    for (const { at, callee } of body.calls) body.insns[at][4] = starts[n + callee] - (starts[n] + at) - 1;
    body.insns.forEach(([opcode, dst, src, off, imm], i) => {
      const slot = (starts[n] + i) * 8;
      view.setUint8(slot, opcode);
      view.setUint8(slot + 1, dst | (src << 4));
      view.setInt16(slot + 2, off, true);
      view.setInt32(slot + 4, imm, true);
    });
  });
  return bytes;
}
