import type { EmbeddedMap } from "../maps/map.ts";
import { TimerQueue } from "./timer-queue.ts";

/** An object that a program made with `bpf_obj_new` and the like. */
export interface ProgramObject {
  readonly size: number;
  /** Bytes from one CPU's copy to the next; 0: one copy for all. */
  readonly stride: number;
  /** Owners; freed at zero. */
  count: number;
}

/** What a kptr field of a map value holds: enough to make a pointer of it again. */
export interface StoredPointer {
  readonly address: number;
  readonly kind: number;
  readonly base: number;
  readonly end: number;
}

/** What helpers keep between runs: one object for each kernel, made by the engine. */
export class HelperState {
  readonly timers = new TimerQueue();
  /** 8 bytes for the key of an array element whose timer fires; 0 before the first. */
  keyScratch = 0;
  /** Reserved ring-buffer records by address. */
  readonly records = new Map<number, EmbeddedMap>();
  /** Objects by address. */
  readonly objects = new Map<number, ProgramObject>();
  /** kptrs by the address of the field. */
  readonly pointers = new Map<number, StoredPointer>();

  /** The `size` bytes of a map value at `start` go away: timers in it are cancelled, pointers dropped. */
  forget(start: number, size: number): void {
    this.timers.forget(start, size);
    for (const slot of this.pointers.keys())
      if (slot >= start && slot < start + size) this.pointers.delete(slot);
  }
}
