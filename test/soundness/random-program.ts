// One algorithm: seeded tc programs that reckon with unknown numbers and use them as offsets behind a bounds check.
//
// Between steps this holds: r0 and r6–r9 are scalars, fp-16 is a pointer to a map value, in the main function fp-8 is the
// context; fp-88 … fp-25 are written. r1–r5 belong to a step. A tenth of the bounds are one too far.
import { type Random, seeded } from "../differential/scalar-program.ts";

/** Bytes of a value of the array map 0. */
export const VALUE_BYTES = 64;
/** Elements of map 0. */
export const ELEMENTS = 2;

/** A program and the numbers in it, which inputs should be near. */
export interface SoundnessProgram {
  readonly insns: Uint8Array;
  readonly constants: readonly number[];
}

type Insn = [opcode: number, dst: number, src: number, off: number, imm: number];

const CTX_SLOT = -8;
const VALUE_SLOT = -16;
const STACK_LOW = -88;
const SLOTS = [-88, -80, -72, -64, -56, -48, -40, -32];
const SCALARS = [0, 6, 7, 8, 9];
const SAVED = [6, 7, 8, 9];
const ALU = [0x00, 0x00, 0x10, 0x10, 0x20, 0x30, 0x40, 0x50, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xc0];
const JUMPS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const ATOMICS = [0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1];
const SIZE_BITS: Record<number, number> = { 1: 0x10, 2: 0x08, 4: 0, 8: 0x18 };
const SIZES = [1, 2, 4, 8];
const EDGES = [
  0, 1, -1, 2, -2, 7, 8, 63, 64, 127, 128, 255, 256, -128, -129, 0x7fff, 0x8000, -0x8000, 0xffff, 0x7fffffff,
  0x7ffffffe, -0x80000000, -0x7fffffff,
];

/** The program of a seed: about `steps` steps in its main function. */
export function soundnessProgram(seed: number, steps: number): SoundnessProgram {
  const random = seeded(seed);
  const constants: number[] = [];
  const functions = [new Body(random, true, constants)];
  for (let n = random(3); n > 1; n--) functions.push(new Body(random, false, constants));
  functions.forEach((body, n) => {
    body.make(n === 0 ? steps : 2 + random(5), functions.length - 1 - n);
  });
  return { insns: link(functions), constants };
}

class Body {
  readonly insns: Insn[] = [];
  readonly calls: number[] = [];
  private readonly random: Random;
  private readonly isMain: boolean;
  private readonly constants: number[];
  /** Branches land here: steps still to come until then. */
  private readonly open: { at: number; steps: number }[] = [];
  private forks = 0;
  private inLoop = false;

  constructor(random: Random, isMain: boolean, constants: number[]) {
    this.random = random;
    this.isMain = isMain;
    this.constants = constants;
  }

  make(steps: number, callees: number): void {
    this.begin();
    for (let i = 0; i < steps; i++) {
      this.step(callees);
      for (const branch of this.open) if (--branch.steps === 0) this.land(branch.at);
    }
    for (const branch of this.open) if (branch.steps > 0) this.land(branch.at);
    this.emit(0x95, 0, 0, 0, 0);
  }

  private emit(...insn: Insn): number {
    return this.insns.push(insn) - 1;
  }

  private land(at: number): void {
    this.insns[at][3] = this.insns.length - at - 1;
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.random(items.length)];
  }

  private chance(percent: number): boolean {
    return this.random(100) < percent;
  }

  private scalar(): number {
    return this.pick(SCALARS);
  }

  private imm(): number {
    let value: number;
    switch (this.random(4)) {
      case 0:
        value = this.pick(EDGES);
        break;
      case 1:
        value = ((1 << this.random(32)) + this.random(5) - 2) | 0;
        break;
      case 2:
        value = this.random(256);
        break;
      default:
        value = (this.random(0x10000) * 0x10000 + this.random(0x10000)) | 0;
    }
    this.constants.push(value);
    return value;
  }

  private begin(): void {
    if (this.isMain) {
      this.emit(0x7b, 10, 1, CTX_SLOT, 0);
      this.emit(0x62, 10, 0, -20, this.random(ELEMENTS)); // the key
      this.emit(0x18, 1, 1, 0, 0);
      this.emit(0, 0, 0, 0, 0);
      this.emit(0xbf, 2, 10, 0, 0);
      this.emit(0x07, 2, 0, 0, -20);
      this.emit(0x85, 0, 0, 0, 1); // map_lookup_elem
      const found = this.emit(0x55, 0, 0, 0, 0);
      this.emit(0xb7, 0, 0, 0, 0);
      this.emit(0x95, 0, 0, 0, 0);
      this.land(found);
      this.emit(0x7b, 10, 0, VALUE_SLOT, 0);
      this.emit(0xbf, 1, 0, 0, 0);
      for (const reg of SAVED) this.load(reg, 1, 8 * this.random(VALUE_BYTES / 8), this.chance(70) ? 8 : 4);
    } else {
      this.emit(0x7b, 10, 5, VALUE_SLOT, 0);
      SAVED.forEach((reg, n) => {
        this.emit(0xbf, reg, n + 1, 0, 0);
      });
    }
    this.emit(0xbf, 0, this.pick(SAVED), 0, 0);
    for (const slot of SLOTS) {
      if (this.chance(70)) this.emit(0x7b, 10, this.pick(SAVED), slot, 0);
      else this.emit(0x7a, 10, 0, slot, this.pick([0, this.imm()]));
    }
  }

  private load(dst: number, base: number, off: number, size: number, signed = false): void {
    this.emit((signed && size < 8 ? 0x81 : 0x61) | SIZE_BITS[size], dst, base, off, 0);
  }

  private step(callees: number): void {
    const kind = this.random(100);
    if (kind < 32) this.alu();
    else if (kind < 40) this.move();
    else if (kind < 50) this.stack();
    else if (kind < 57) this.unknown();
    else if (kind < 71) this.branch();
    else if (kind < 88) this.variableAccess();
    else if (kind < 91) this.atomic();
    else if (kind < 94) this.loop();
    else if (kind < 97) this.related();
    else if (callees > 0 && !this.inLoop) this.call();
    else this.alu();
  }

  private alu(): void {
    const dst = this.scalar();
    const is64 = this.chance(60);
    const cls = is64 ? 0x07 : 0x04;
    const choice = this.random(24);
    if (choice === 0) this.emit(0x80 | cls, dst, 0, 0, 0);
    else if (choice === 1) this.emit(this.pick([0xd4, 0xdc, 0xd7]), dst, 0, 0, 16 << this.random(3));
    else if (choice < 6)
      this.emit(this.pick([0x60, 0x70, 0xc0]) | cls, dst, 0, 0, this.random(is64 ? 64 : 32));
    else if (choice < 9) this.emit(0x50 | cls, dst, 0, 0, this.imm());
    else {
      const op = this.pick(ALU);
      const signed = (op === 0x30 || op === 0x90) && this.chance(50) ? 1 : 0;
      const shifts = op === 0x60 || op === 0x70 || op === 0xc0;
      if (this.chance(50)) {
        const src = this.scalar();
        if (shifts && this.chance(70)) this.emit(0x57, src, 0, 0, is64 ? 63 : 31);
        this.emit(op | 8 | cls, dst, src, signed, 0);
      } else if (shifts) this.emit(op | cls, dst, 0, 0, this.random(is64 ? 64 : 32));
      else this.emit(op | cls, dst, 0, signed, op === 0x30 || op === 0x90 ? this.imm() || 3 : this.imm());
    }
  }

  private move(): void {
    if (this.chance(10)) {
      this.emit(0x18, this.scalar(), 0, 0, this.imm());
      this.emit(0, 0, 0, 0, this.imm());
      return;
    }
    if (this.chance(20)) {
      this.emit(this.pick([0xb7, 0xb4]), this.scalar(), 0, 0, this.imm());
      return;
    }
    const is64 = this.chance(50);
    const bits = this.chance(40) ? this.pick(is64 ? [8, 16, 32] : [8, 16]) : 0;
    this.emit(is64 ? 0xbf : 0xbc, this.scalar(), this.scalar(), bits, 0);
  }

  private stack(): void {
    for (let n = 1 + this.random(3); n > 0; n--) {
      const size = this.pick(SIZES);
      const off = this.pick(SLOTS) + size * (this.chance(60) ? 0 : this.random(8 / size));
      const choice = this.random(5);
      if (choice < 2)
        this.load(this.scalar(), 10, off, size); // signed ones: linked-fill.test.ts
      else if (choice < 4) this.emit(0x63 | SIZE_BITS[size], 10, this.scalar(), off, 0);
      else this.emit(0x62 | SIZE_BITS[size], 10, 0, off, this.pick([0, this.imm()]));
    }
  }

  /** A number nobody knows: of the map value, the context, a helper. */
  private unknown(): void {
    const dst = this.scalar();
    const choice = this.random(6);
    if (choice === 0 && this.isMain) {
      this.emit(0x79, 1, 10, CTX_SLOT, 0);
      if (this.chance(30)) this.load(dst, 1, this.pick([48, 52, 56, 60, 64]), this.pick([1, 2, 4]));
      else this.load(dst, 1, this.pick([0, 4, 8, 16, 32, 44]), 4);
    } else if (choice === 1) {
      this.emit(0x85, 0, 0, 0, 7); // get_prandom_u32
    } else {
      this.emit(0x79, 1, 10, VALUE_SLOT, 0);
      const size = this.pick(SIZES);
      this.load(dst, 1, size * this.random(VALUE_BYTES / size), size, this.chance(30));
    }
  }

  private branch(): void {
    if (this.forks >= 5 || this.inLoop) {
      this.alu();
      return;
    }
    this.forks++;
    const opcode = this.pick(JUMPS) | this.pick([5, 6]);
    const dst = this.scalar();
    const at = this.chance(35)
      ? this.emit(opcode | 8, dst, this.scalar(), 0, 0)
      : this.emit(opcode, dst, 0, 0, this.imm());
    this.open.push({ at, steps: 1 + this.random(4) });
  }

  /** Copies at a distance, compared and used: linked scalars. */
  private related(): void {
    const [a, b] = [this.scalar(), this.scalar()];
    const is64 = this.chance(60);
    this.emit(is64 ? 0xbf : 0xbc, a, b, 0, 0);
    if (this.chance(60)) this.emit(this.chance(70) ? 0x07 : 0x04, a, 0, 0, this.random(200) - 100);
    if (this.chance(30)) this.emit(0x7b, 10, b, this.pick(SLOTS), 0);
    this.branch();
  }

  /** Jumps over what follows unless 0 <= index <= limit; the index lies in the register returned. */
  private guard(index: number, limit: number, skips: number[]): number {
    const skip = (opcode: number, dst: number, src: number, imm: number): void => {
      skips.push(this.emit(opcode, dst, src, 0, imm));
    };
    const power = 31 - Math.clz32(limit + 1);
    switch (this.random(14)) {
      case 0:
        this.emit(this.pick([0x57, 0x54]), index, 0, 0, (1 << power) - 1);
        return index;
      case 1:
        skip(0x25, index, 0, limit);
        return index;
      case 2:
        skip(0x65, index, 0, limit);
        skip(0xc5, index, 0, 0);
        return index;
      case 3:
        this.emit(this.pick([0x97, 0x94]), index, 0, 0, 1 << power);
        this.emit(0x57, index, 0, 0, (1 << power) - 1);
        return index;
      case 4:
        this.emit(0x77, index, 0, 0, 64 - power);
        return index;
      case 5:
        this.emit(0xbc, index, index, 0, 0);
        skip(0x26, index, 0, limit);
        return index;
      case 6: {
        this.emit(0xbf, 3, index, this.pick([8, 16, 32]), 0);
        skip(0x65, 3, 0, limit);
        skip(0xc5, 3, 0, 0);
        return 3;
      }
      case 7:
        this.emit(0xb7, 3, 0, 0, limit);
        skip(this.chance(50) ? 0x2d : 0x3d, index, 3, 0);
        return index;
      case 8:
        this.emit(0xbf, 3, index, 0, 0);
        skip(0x25, 3, 0, limit);
        return index;
      case 9: {
        const distance = this.random(100);
        this.emit(0xbf, 3, index, 0, 0);
        this.emit(0x07, 3, 0, 0, distance);
        skip(0x25, 3, 0, limit + distance);
        skip(0xa5, 3, 0, distance);
        return index;
      }
      case 10:
        this.emit(0x67, index, 0, 0, 32);
        this.emit(this.pick([0xc7, 0x77]), index, 0, 0, 32);
        skip(0x65, index, 0, limit);
        skip(0xc5, index, 0, 0);
        return index;
      case 11: {
        // The known one on the left.
        this.emit(0xb7, 3, 0, 0, limit);
        skip(0xad, 3, index, 0);
        return index;
      }
      case 12:
        this.emit(0xb7, 3, 0, 0, 0);
        this.emit(0x1f, 3, index, 0, 0); // 0 - index
        skip(0x65, 3, 0, 0);
        skip(0xc5, 3, 0, -limit);
        this.emit(0x87, 3, 0, 0, 0);
        return 3;
      default:
        this.emit(0xbc, 3, index, 0, 0);
        skip(0x66, 3, 0, limit);
        skip(0xc6, 3, 0, 0);
        return 3;
    }
  }

  /** Memory at an unknown offset: map value, stack or packet. */
  private variableAccess(): void {
    if (this.forks >= 6 || this.inLoop) {
      this.alu();
      return;
    }
    this.forks++;
    const { random } = this;
    const kind = random(this.isMain ? 3 : 2);
    const size = kind === 1 && !this.chance(5) ? 1 : this.pick(SIZES); // the stack wants them aligned
    const off = random(20);
    const wrong = this.chance(10) ? 1 : 0;
    const span = kind === 2 ? 24 + random(60) : 64;
    const skips: number[] = [];
    const index = this.guard(this.pick(SAVED), span - size - off + wrong, skips);
    let low = 0;
    if (kind === 0) this.emit(0x79, 2, 10, VALUE_SLOT, 0);
    else if (kind === 1) {
      this.emit(0xbf, 2, 10, 0, 0);
      low = STACK_LOW;
    } else this.packetBounds(index, span, size, off, skips);
    const subtracted = kind === 0 && this.chance(10);
    if (kind !== 2 || low !== 0) {
      if (subtracted) {
        this.emit(0xbf, 4, index, 0, 0);
        this.emit(0x87, 4, 0, 0, 0);
        this.emit(0x1f, 2, 4, 0, 0);
      } else this.emit(0x0f, 2, index, 0, 0);
    }
    if (this.chance(20)) {
      this.emit(0x07, 2, 0, 0, low + off);
      low = -off;
    }
    const choice = random(4);
    if (choice < 2) this.load(this.scalar(), 2, low + off, size, kind !== 1 && this.chance(20));
    else if (choice === 2) this.emit(0x63 | SIZE_BITS[size], 2, this.scalar(), low + off, 0);
    else this.emit(0x62 | SIZE_BITS[size], 2, 0, low + off, this.imm());
    for (const at of skips) this.land(at);
  }

  /** r2 = data + index, skipped unless `size` bytes at `off` behind it are in the packet. */
  private packetBounds(index: number, span: number, size: number, off: number, skips: number[]): void {
    this.emit(0x79, 1, 10, CTX_SLOT, 0);
    if (this.chance(60)) {
      this.emit(0x61, 2, 1, 76, 0);
      this.emit(0x61, 4, 1, 80, 0);
      this.emit(0x0f, 2, index, 0, 0);
      this.emit(0xbf, 5, 2, 0, 0);
      this.emit(0x07, 5, 0, 0, size + off - (this.chance(6) ? 1 : 0));
    } else {
      // The farthest byte first, then the index.
      this.emit(0x61, 5, 1, 76, 0);
      this.emit(0x61, 4, 1, 80, 0);
      this.emit(0xbf, 2, 5, 0, 0);
      this.emit(0x0f, 2, index, 0, 0);
      this.emit(0xbf, 5, 2, 0, 0);
      this.emit(0x07, 5, 0, 0, this.chance(80) ? span : size + off);
    }
    const form = this.random(4);
    if (form === 0) skips.push(this.emit(0x2d, 5, 4, 0, 0));
    else if (form === 1) skips.push(this.emit(0xad, 4, 5, 0, 0));
    else if (form === 2) {
      this.emit(0xbd, 5, 4, 1, 0);
      skips.push(this.emit(0x05, 0, 0, 0, 0));
    } else {
      this.emit(0x3d, 4, 5, 1, 0);
      skips.push(this.emit(0x05, 0, 0, 0, 0));
    }
  }

  private atomic(): void {
    const size = this.pick([4, 8]);
    if (this.chance(50)) {
      this.emit(0xc3 | SIZE_BITS[size], 10, this.scalar(), this.pick(SLOTS), this.pick(ATOMICS));
      return;
    }
    this.emit(0x79, 2, 10, VALUE_SLOT, 0);
    this.emit(0xc3 | SIZE_BITS[size], 2, this.scalar(), 8 * this.random(VALUE_BYTES / 8), this.pick(ATOMICS));
  }

  /** Up to eight rounds, counted in a register that the body leaves alone. */
  private loop(): void {
    if (this.inLoop || this.forks >= 5) {
      this.alu();
      return;
    }
    this.forks += 2;
    this.inLoop = true;
    const counter = 5;
    const step = this.pick([1, 1, 2, 3]);
    const unknownEnd = this.chance(30);
    const end = this.scalar();
    if (unknownEnd) this.emit(0x57, end, 0, 0, 3);
    this.emit(0xb7, counter, 0, 0, 0);
    const top = this.insns.length;
    for (let n = 1 + this.random(3); n > 0; n--) this.pick([this.alu, this.move, this.stack]).call(this);
    this.emit(0x07, counter, 0, 0, step);
    if (unknownEnd) {
      this.emit(0xbf, 4, 10, 0, 0);
      const out = this.emit(0x3d, counter, end, 0, 0);
      this.emit(0xa5, counter, 0, top - this.insns.length - 1, 6);
      this.land(out);
    } else
      this.emit(this.pick([0xa5, 0xc5, 0xa6]), counter, 0, top - this.insns.length - 1, 1 + this.random(6));
    this.inLoop = false;
  }

  private call(): void {
    for (const reg of [1, 2, 3, 4]) this.emit(0xbf, reg, this.scalar(), 0, 0);
    this.emit(0x79, 5, 10, VALUE_SLOT, 0);
    this.calls.push(this.emit(0x85, 0, 1, 0, 0));
  }
}

function link(bodies: readonly Body[]): Uint8Array {
  const starts: number[] = [];
  let slots = 0;
  for (const body of bodies) {
    starts.push(slots);
    slots += body.insns.length;
  }
  const called = bodies.map((_, n) => n === 0 || bodies[n - 1].calls.length > 0);
  const count = called.indexOf(false);
  const kept = count < 0 ? bodies : bodies.slice(0, count);
  const bytes = new Uint8Array((count < 0 ? slots : starts[count]) * 8);
  const view = new DataView(bytes.buffer);
  kept.forEach((body, n) => {
    for (const at of body.calls) body.insns[at][4] = starts[n + 1] - (starts[n] + at) - 1;
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
