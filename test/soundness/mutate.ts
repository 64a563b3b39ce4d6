import { decode } from "../../src/isa/index.ts";
import { type Random, seeded } from "../differential/scalar-program.ts";

const JA = 0x05;
const CALL = 0x85;
const EXIT = 0x95;
const LDDW = 0x18;
const COMPARISONS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const ARITHMETIC = [0x00, 0x10, 0x20, 0x40, 0x50, 0xa0, 0xc0];
const IMMEDIATES = [0, 1, -1, 3, 4, 8, 63, 64, 65, 255, 4096, 0x7fffffff, -0x80000000];

/** The program with one to three of its checks, offsets, sizes, registers or numbers changed. */
export function mutant(insns: Uint8Array, seed: number): Uint8Array {
  const random = seeded(seed);
  const bytes = insns.slice();
  const view = new DataView(bytes.buffer);
  for (let n = 1 + random(3), tries = 40; n > 0 && tries > 0; tries--) {
    if (change(view, random)) n--;
  }
  return bytes;
}

/** False when nothing was changed: the instruction has no such part. */
function change(view: DataView, random: Random): boolean {
  const table = decode(new Uint8Array(view.buffer));
  const slot = random(table.length);
  const at = slot * 8;
  const opcode = view.getUint8(at);
  const kind = opcode & 7;
  if (opcode === 0 || (slot > 0 && table.opcode[slot - 1] === LDDW)) return false;
  const isMemory = kind === 1 || kind === 2 || kind === 3;
  const isAlu = kind === 4 || kind === 7;
  const isBranch = (kind === 5 || kind === 6) && (opcode & 0xf0) !== 0 && opcode !== CALL && opcode !== EXIT;
  switch (random(9)) {
    case 0: // a check is gone, or always taken
      if (!isBranch) return false;
      if (random(2) === 0) view.setInt16(at + 2, 0, true);
      else if (view.getInt16(at + 2, true) >= 0) view.setUint16(at, JA, true);
      if (view.getUint8(at) === JA) view.setInt32(at + 4, 0, true);
      return true;
    case 1: // another comparison
      if (!isBranch) return false;
      view.setUint8(at, (opcode & 0x0f) | COMPARISONS[random(COMPARISONS.length)]);
      return true;
    case 2: // another offset
      if (!isMemory) return false;
      view.setInt16(at + 2, view.getInt16(at + 2, true) + [-8, -4, -1, 1, 4, 8, 64, -64][random(8)], true);
      return true;
    case 3: // another size
      if (!isMemory || (opcode & 0xe0) !== 0x60) return false;
      view.setUint8(at, (opcode & ~0x18) | (random(4) << 3));
      return true;
    case 4: // another number
      if (!(isAlu || isBranch) || (opcode & 8) !== 0 || (opcode & 0xf0) === 0xd0) return false;
      if (random(2) === 0) view.setInt32(at + 4, IMMEDIATES[random(IMMEDIATES.length)], true);
      else view.setInt32(at + 4, view.getInt32(at + 4, true) + random(9) - 4, true);
      return true;
    case 5: {
      // another register
      if (!(isMemory || isAlu || isBranch)) return false;
      const registers = view.getUint8(at + 1);
      if (random(2) === 0) view.setUint8(at + 1, (registers & 0xf0) | random(11));
      else if ((opcode & 8) !== 0 || kind === 1 || kind === 3)
        view.setUint8(at + 1, (registers & 0x0f) | (random(11) << 4));
      else return false;
      return true;
    }
    case 6: // another operation
      if (!isAlu || !ARITHMETIC.includes(opcode & 0xf0) || view.getInt16(at + 2, true) !== 0) return false;
      view.setUint8(at, (opcode & 0x0f) | ARITHMETIC[random(ARITHMETIC.length)]);
      return true;
    case 7: // nothing at all
      if (opcode === EXIT || opcode === CALL || opcode === LDDW || opcode === JA) return false;
      view.setUint16(at, 0x00bf, true); // r0 = r0
      view.setUint32(at + 2, 0, true);
      view.setUint16(at + 6, 0, true);
      return true;
    default: // another helper, or a jump elsewhere
      if (opcode === CALL && table.src[slot] === 0 && random(4) === 0) {
        view.setInt32(at + 4, [1, 2, 3, 5, 7, 8, 12, 23, 26, 44][random(10)], true);
        return true;
      }
      if (!isBranch) return false;
      view.setInt16(at + 2, view.getInt16(at + 2, true) + random(5) - 2, true);
      return true;
  }
}
