import type { VerifierEnv } from "../env.ts";
import { C, TYPE } from "../layout.ts";
import type { IteratorPlace } from "../objects/iterator.ts";
import { IterState, TypeFlag } from "../register-types.ts";
import { markConstZero } from "../regs.ts";
import { frameReg, frameSlotRow } from "../state-rows.ts";
import { pushPath } from "../states.ts";
import { findPrevEntry, sameCallsites, widenImprecise } from "../widen.ts";

/**
 * The iterator's next element: this path goes on as if there was none; another one, with the element, is walked later.
 * `process_iter_next_call` @ v6.18
 */
export function forkIterator(env: VerifierEnv, insn: number, place: IteratorPlace): void {
  const { i32 } = env.mem;
  const state = env.slotRow(env.cur.frames[place.frameNo], place.slot);
  if ((i32[state + C] & 3) === IterState.ACTIVE) {
    const { parent } = env.cur;
    if (parent === undefined || parent.insn !== insn || !sameCallsites(env, parent, env.cur)) {
      env.fail("verifier/internal", "bug: bad parent state for iter next call", "EFAULT");
    }
    const previous = findPrevEntry(env, parent, insn);
    const queued = pushPath(env, insn + 1, insn, false);
    const mem = env.mem.i32; // the push may have grown the memory
    // depth counts iterations, above two bits of state
    mem[frameSlotRow(queued.frames[place.frameNo], place.slot) + C] += 4;
    if (previous !== undefined) widenImprecise(env, previous, queued);
    mem[frameReg(queued.frames[queued.curFrame], 0) + TYPE] &= ~TypeFlag.PTR_MAYBE_NULL;
  }
  const now = env.mem.i32;
  now[state + C] = (now[state + C] & ~3) | IterState.DRAINED;
  markConstZero(env, env.reg(0));
}
