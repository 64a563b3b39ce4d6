import type { Host } from "./host.ts";
import {
  CURRENT_CLOCK_USES,
  CURRENT_COMM,
  CURRENT_MONOTONIC,
  CURRENT_PID_TGID,
  CURRENT_RANDOM,
  CURRENT_RANDOM_LEFT,
  CURRENT_RANDOM_MAX,
  CURRENT_REALTIME,
  CURRENT_TASK_KNOWN,
  CURRENT_UID_GID,
  REFILL_CLOCK,
  REFILL_RANDOM,
} from "./layout.ts";
import type { KernelModule } from "./wasm-module.ts";

/** Linux: TASK_COMM_LEN. */
const COMM_BYTES = 16;

/**
 * Keeps the copies of clocks, random numbers and the current task that helpers in wasm read. With `uses` 0 each question
 * is one to the host; else a reading of the clock serves so many further ones of the same run, and random numbers are
 * fetched in advance, in order.
 */
export class Moment {
  private readonly module: KernelModule;
  private readonly host: Host;
  private readonly uses: number;
  private readonly block: number;

  constructor(module: KernelModule, host: Host, uses: number) {
    this.module = module;
    this.host = host;
    this.uses = uses;
    this.block = module.exports.currentBlock?.() ?? 0; // a module that runs nothing has none
  }

  /** A run begins: what it asks for is read anew. */
  forget(): void {
    const { view } = this.module.memory;
    view.setUint32(this.block + CURRENT_CLOCK_USES, 0, true);
    view.setUint32(this.block + CURRENT_TASK_KNOWN, 0, true);
  }

  /** Fills the part that REFILL_… names. */
  refill(what: number): void {
    if (what === REFILL_CLOCK) this.clock();
    else if (what === REFILL_RANDOM) this.random();
    else this.task();
  }

  private clock(): void {
    const [monotonic, realtime] = [this.host.nowNs(), this.host.realtimeNs()];
    const { view } = this.module.memory;
    view.setBigUint64(this.block + CURRENT_MONOTONIC, monotonic, true);
    view.setBigUint64(this.block + CURRENT_REALTIME, realtime, true);
    view.setUint32(this.block + CURRENT_CLOCK_USES, this.uses, true);
  }

  private random(): void {
    const count = this.uses === 0 ? 1 : CURRENT_RANDOM_MAX;
    for (let left = count; left > 0; left--) {
      const value = this.host.random32();
      this.module.memory.view.setUint32(this.block + CURRENT_RANDOM + 4 * (left - 1), value, true);
    }
    this.module.memory.view.setUint32(this.block + CURRENT_RANDOM_LEFT, count, true);
  }

  private task(): void {
    const { pid, tgid, uid, gid, comm } = this.host.task;
    const { view, u8 } = this.module.memory;
    view.setUint32(this.block + CURRENT_PID_TGID, pid, true);
    view.setUint32(this.block + CURRENT_PID_TGID + 4, tgid, true);
    view.setUint32(this.block + CURRENT_UID_GID, uid, true);
    view.setUint32(this.block + CURRENT_UID_GID + 4, gid, true);
    const at = this.block + CURRENT_COMM;
    u8.fill(0, at, at + COMM_BYTES);
    u8.set(new TextEncoder().encode(comm).subarray(0, COMM_BYTES - 1), at);
    view.setUint32(this.block + CURRENT_TASK_KNOWN, 1, true);
  }
}
