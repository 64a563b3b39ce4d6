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
  /** Time on its clock at which it fires, nanoseconds; undefined: not armed. Set by {@link TimerQueue.arm}. */
  due: bigint | undefined;
  /** CPU that armed it; its callback runs there. */
  cpu: number;
}

/** Present time on each clock. */
export type TimerClocks = (clock: TimerClock) => bigint;

/**
 * Rounds that one call of {@link TimerQueue.run} makes: a timer that arms itself again for now would go on for ever.
 */
const MAX_ROUNDS = 1000;
/** Timers and work queues lie at multiples of this from the start of their value. */
const FIELD_ALIGN = 8;

/**
 * The kernel's timers and work queues. Nothing fires by itself: whoever drives the kernel calls {@link run} between
 * program runs, with the host's clocks.
 */
export class TimerQueue {
  private readonly works = new Map<number, AsyncWork>();
  private readonly armed = new Set<AsyncWork>();
  /** Nothing on a clock is due before this; too early at worst. Keeps `run` cheap while nothing is due. */
  private readonly earliest = new Map<TimerClock, bigint>();
  /** The work whose callback is running. */
  running: AsyncWork | undefined;

  /** True when nothing is armed. */
  get idle(): boolean {
    return this.armed.size === 0;
  }

  /** False when the field is already in use. */
  init(work: AsyncWork): boolean {
    if (this.works.has(work.address)) return false;
    this.works.set(work.address, work);
    return true;
  }

  at(address: number): AsyncWork | undefined {
    return this.works.get(address);
  }

  arm(work: AsyncWork, due: bigint): void {
    work.due = due;
    this.armed.add(work);
    const earliest = this.earliest.get(work.clock);
    if (earliest === undefined || due < earliest) this.earliest.set(work.clock, due);
  }

  disarm(work: AsyncWork): void {
    work.due = undefined;
    this.armed.delete(work);
  }

  /** The value at [start, start + size) goes away, and its timers with it. */
  forget(start: number, size: number): void {
    if (this.works.size * FIELD_ALIGN < size) {
      for (const work of this.works.values()) {
        if (work.address >= start && work.address < start + size) this.drop(work);
      }
    } else {
      for (let at = start; at < start + size; at += FIELD_ALIGN) this.drop(this.works.get(at));
    }
  }

  /** Forgets everything that belongs to a map. */
  forgetMap(map: EmbeddedMap): void {
    for (const work of this.works.values()) if (work.map === map) this.drop(work);
  }

  /**
   * When the next one fires on its own clock; undefined when nothing is armed. Work queues are due at once (0).
   */
  next(): { readonly clock: TimerClock; readonly due: bigint } | undefined {
    let first: { clock: TimerClock; due: bigint } | undefined;
    for (const { clock, due } of this.armed) {
      if (due !== undefined && (first === undefined || due < first.due)) first = { clock, due };
    }
    return first;
  }

  /** Runs every callback that is due, earliest first, those they arm for now included. Returns how many ran. */
  run(clocks: TimerClocks): number {
    let ran = 0;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const due = this.takeDue(clocks);
      if (due.length === 0) break;
      for (const work of due) ran += this.fire(work);
    }
    return ran;
  }

  /** What is due now, earliest first. */
  private takeDue(clocks: TimerClocks): AsyncWork[] {
    const now = new Map([...this.earliest.keys()].map((clock) => [clock, clocks(clock)] as const));
    if (![...now].some(([clock, time]) => this.earliest.get(clock)! <= time)) return [];
    this.earliest.clear();
    const due: AsyncWork[] = [];
    for (const work of this.armed) {
      if (work.due! <= now.get(work.clock)!) due.push(work);
      this.arm(work, work.due!); // a callback that throws leaves the rest to be found again
    }
    return due.sort((a, b) => (a.due! < b.due! ? -1 : a.due! > b.due! ? 1 : 0));
  }

  /** 1 when the callback ran; it may have been cancelled by one before it. */
  private fire(work: AsyncWork): number {
    if (work.due === undefined || work.callback === undefined || work.args === undefined) return 0;
    this.disarm(work);
    this.running = work;
    try {
      work.callback(work.cpu, work.args());
    } finally {
      this.running = undefined;
    }
    return 1;
  }

  private drop(work: AsyncWork | undefined): void {
    if (work === undefined) return;
    this.works.delete(work.address);
    this.disarm(work);
  }
}
