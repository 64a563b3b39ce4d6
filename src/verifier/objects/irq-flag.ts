import type { VerifierEnv } from "../env.ts";
import { A, C, REF_OBJ_ID, SlotType, TYPE } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { acquireIrq, releaseIrq } from "../refs.ts";
import { RegType } from "../register-types.ts";
import { markPointer } from "../regs.ts";
import { frameOf, markSlotScratched, markSlotUsed, markSlotWritten } from "../stack.ts";
import { clearSlot, hasSlotType, isWholeSlot, objectSlot, setSlotType } from "./stack-object.ts";

/** Who saved the interrupts' state: plain functions, or a lock. `IRQ_NATIVE_KFUNC`, `IRQ_LOCK_KFUNC` */
const IRQ_CLASSES = ["native", "lock"] as const;

/** An argument that points to a saved interrupt state on the stack. `process_irq_flag` @ v6.18 */
export function checkIrqFlagUse(env: VerifierEnv, n: number, insn: number, name: string): void {
  const row = env.reg(n);
  if (env.mem.i32[row + TYPE] !== RegType.PTR_TO_STACK) {
    env.fail("verifier/irq-flag", `arg#${n - 1} doesn't point to an irq flag on stack`);
  }
  const kind = name.startsWith("bpf_res_spin_") ? 1 : 0;
  if (name === "bpf_local_irq_save" || name === "bpf_res_spin_lock_irqsave") save(env, n, insn, kind);
  else restore(env, n, kind);
}

function save(env: VerifierEnv, n: number, insn: number, kind: number): void {
  const row = env.reg(n);
  const before = objectSlot(env, row, "irq_flag", 1);
  const taken = typeof before !== "string" && hasSlotType(env, frameOf(env, row), before, SlotType.IRQ_FLAG);
  if (before === "bad" || taken) {
    env.fail("verifier/irq-flag", `expected uninitialized irq flag as arg#${n - 1}`);
  }
  env.access.checkMemAccess(env, insn, n, 0, 8, MemAccess.WRITE, -1, false, false);
  const slot = objectSlot(env, row, "irq_flag", 1);
  if (typeof slot === "string") env.unsupported("irq flag out of reach"); // the write has grown the stack
  const { i32 } = env.mem;
  const frameNo = i32[row + C];
  const frame = env.cur.frames[frameNo];
  const state = env.slotRow(frame, slot);
  markPointer(env, state, RegType.PTR_TO_STACK);
  i32[state + REF_OBJ_ID] = acquireIrq(env, insn);
  i32[state + A] = kind;
  setSlotType(env, frame, slot, SlotType.IRQ_FLAG);
  markSlotWritten(env, frameNo, slot);
  markSlotScratched(env, slot);
}

function restore(env: VerifierEnv, n: number, kind: number): void {
  const { i32 } = env.mem;
  const row = env.reg(n);
  const slot = objectSlot(env, row, "irq_flag", 1);
  const frameNo = i32[row + C];
  const frame = env.cur.frames[frameNo];
  const state = typeof slot === "string" ? 0 : env.slotRow(frame, slot);
  if (
    typeof slot === "string" ||
    i32[state + REF_OBJ_ID] === 0 ||
    !isWholeSlot(env, frame, slot, SlotType.IRQ_FLAG)
  ) {
    env.fail("verifier/irq-flag", `expected an initialized irq flag as arg#${n - 1}`);
  }
  markSlotUsed(env, frameNo, slot);
  if (i32[state + A] !== kind) {
    const saved = IRQ_CLASSES[i32[state + A]];
    env.fail(
      "verifier/irq-flag",
      `irq flag acquired by ${saved} kfuncs cannot be restored with ${IRQ_CLASSES[kind]} kfuncs`,
    );
  }
  if (releaseIrq(env, i32[state + REF_OBJ_ID]) !== "ok") {
    const expected = env.cur.refs.find((ref) => ref.id === env.cur.activeIrqId);
    env.fail(
      "verifier/irq-order",
      `cannot restore irq state out of order, expected id=${env.cur.activeIrqId} acquired at insn_idx=${expected?.insn ?? 0}`,
      "EACCES",
    );
  }
  clearSlot(env, frameNo, slot);
}
