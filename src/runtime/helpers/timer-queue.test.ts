import { describe, expect, it } from "vitest";
import type { EmbeddedMap } from "../maps/index.ts";
import { type AsyncWork, TimerQueue } from "./timer-queue.ts";

const map = {} as EmbeddedMap; // the queue only compares it

function work(address: number, callback: () => void, clock: AsyncWork["clock"] = "monotonic"): AsyncWork {
  return {
    kind: "timer",
    address,
    map,
    value: address,
    clock,
    callback: () => {
      callback();
      return 0n;
    },
    args: () => [],
    due: undefined,
    cpu: 0,
  };
}

describe("TimerQueue", () => {
  it("fires what is due, earliest first, on each clock by its own time", () => {
    const queue = new TimerQueue();
    const fired: number[] = [];
    const timers = [8, 16, 24, 32].map((at) =>
      work(at, () => fired.push(at), at === 32 ? "realtime" : "monotonic"),
    );
    for (const timer of timers) expect(queue.init(timer)).toBe(true);
    for (const [i, due] of [30n, 10n, 99n, 5n].entries()) queue.arm(timers[i], due);
    expect(queue.next()).toEqual({ clock: "realtime", due: 5n });
    expect(queue.run((clock) => (clock === "realtime" ? 4n : 50n))).toBe(2);
    expect(fired).toEqual([16, 8]);
    expect(queue.run(() => 98n)).toBe(1);
    expect(queue.run(() => 99n)).toBe(1);
    expect(fired).toEqual([16, 8, 32, 24]);
    expect(queue.idle).toBe(true);
  });

  it("comes to an end with a timer that always arms itself for now", () => {
    const queue = new TimerQueue();
    const again = work(8, () => queue.arm(again, 0n));
    queue.init(again);
    queue.arm(again, 0n);
    expect(queue.run(() => 1n)).toBe(1000);
  });

  it("finds the others again when a callback throws", () => {
    const queue = new TimerQueue();
    const fired: number[] = [];
    const bad = work(8, () => {
      throw new Error("stopped");
    });
    const good = work(16, () => fired.push(16));
    for (const [timer, due] of [[bad, 1n] as const, [good, 2n] as const]) {
      queue.init(timer);
      queue.arm(timer, due);
    }
    expect(() => queue.run(() => 5n)).toThrow("stopped");
    expect(queue.run(() => 5n)).toBe(1);
    expect(fired).toEqual([16]);
  });

  it.each([8, 4096])("forgets what lies in a value that goes away (%i bytes)", (size) => {
    const queue = new TimerQueue();
    for (const at of [65536, 131072]) {
      const timer = work(at, () => {});
      queue.init(timer);
      queue.arm(timer, 1n);
    }
    queue.forget(65536, size);
    expect([queue.at(65536), queue.at(131072)?.due, queue.run(() => 1n)]).toEqual([undefined, 1n, 1]);
  });
});
