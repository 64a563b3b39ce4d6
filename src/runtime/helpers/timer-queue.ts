import type { CallbackArg, DeferredCallback } from "../helper-call.ts";
import type { EmbeddedMap } from "../maps/map.ts";

/** The clock a timer was initialised with. */
export type TimerClock = "monotonic" | "realtime" | "boottime";

/** A `bpf_timer` or `bpf_wq` inside a map value. */
export interface AsyncWork {
  readonly kind: "timer" | "workqueue";
  /** Address of the field. */
  readonly address: number;
  readonly map: EmbeddedMap;
  /** Address of the map value that holds it. */
  readonly value: number;
  readonly clock: TimerClock;
  callback: DeferredCallback | undefined;
  /** Arguments after the map: key and value pointers, worked out when it fires. */
  args: (() => readonly CallbackArg[]) | undefined;
  /** Time on its clock at which it fires, nanoseconds; undefined: not armed. */
  due: bigint | undefined;
  /** CPU that armed it; its callback runs there. */
  cpu: number;
}

/** Present time on each clock. */
export type TimerClocks = (clock: TimerClock) => bigint;

/** Callbacks one call of {@link TimerQueue.run} may make: a timer that re-arms itself for now would go on for ever. */
const MAX_CALLBACKS = 100_000;

/**
 * The kernel's timers and work queues. Nothing fires by itself: whoever drives the kernel calls {@link run} between
 * program runs, with the host's clocks.
 */
export class TimerQueue {
  private readonly works = new Map<number, AsyncWork>();
  /** The work whose callback is running. */
  running: AsyncWork | undefined;

  /** False when the field is already in use. */
  init(work: AsyncWork): boolean {
    if (this.works.has(work.address)) return false;
    this.works.set(work.address, work);
    return true;
  }

  at(address: number): AsyncWork | undefined {
    return this.works.get(address);
  }

  /** The value at [start, start + size) goes away, and its timers with it. */
  forget(start: number, size: number): void {
    for (const address of this.works.keys()) {
      if (address >= start && address < start + size) this.works.delete(address);
    }
  }

  /** Forgets everything that belongs to a map. */
  forgetMap(map: EmbeddedMap): void {
    for (const [address, work] of this.works) if (work.map === map) this.works.delete(address);
  }

  /**
   * When the next one fires on its own clock; undefined when nothing is armed. Work queues are due at once (0).
   */
  next(): { readonly clock: TimerClock; readonly due: bigint } | undefined {
    const first = this.first();
    return first === undefined ? undefined : { clock: first.clock, due: first.due! };
  }

  /** Runs every callback that is due, earliest first, those they arm for now included. Returns how many ran. */
  run(clocks: TimerClocks): number {
    let ran = 0;
    while (ran < MAX_CALLBACKS) {
      const work = this.first((candidate) => candidate.due! <= clocks(candidate.clock));
      if (work === undefined) break;
      work.due = undefined;
      if (work.callback === undefined || work.args === undefined) continue;
      this.running = work;
      try {
        work.callback(work.cpu, work.args());
      } finally {
        this.running = undefined;
      }
      ran++;
    }
    return ran;
  }

  private first(eligible: (work: AsyncWork) => boolean = () => true): AsyncWork | undefined {
    let first: AsyncWork | undefined;
    for (const work of this.works.values()) {
      if (work.due === undefined || !eligible(work)) continue;
      if (first === undefined || work.due < first.due!) first = work;
    }
    return first;
  }
}
