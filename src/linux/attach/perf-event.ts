import { BpfError } from "../../base/index.ts";
import type { AttachTargets, Link, PerfEventName } from "../../object/index.ts";
import { onlineCpus } from "../load/kernel-facts.ts";
import type { Attacher } from "./attacher.ts";
import { UndoLink } from "./link.ts";
import { attachToPerfEvent, openPerfEvent, PERF_TYPE } from "./perf-events.ts";

const { HARDWARE, SOFTWARE } = PERF_TYPE;
/** PERF_COUNT_HW_*, PERF_COUNT_SW_* of include/uapi/linux/perf_event.h. */
const EVENTS: Readonly<Record<PerfEventName, { readonly type: number; readonly config: bigint }>> = {
  cycles: { type: HARDWARE, config: 0n },
  instructions: { type: HARDWARE, config: 1n },
  "cache-references": { type: HARDWARE, config: 2n },
  "cache-misses": { type: HARDWARE, config: 3n },
  branches: { type: HARDWARE, config: 4n },
  "branch-misses": { type: HARDWARE, config: 5n },
  "cpu-clock": { type: SOFTWARE, config: 0n },
  "task-clock": { type: SOFTWARE, config: 1n },
  "page-faults": { type: SOFTWARE, config: 2n },
  "context-switches": { type: SOFTWARE, config: 3n },
  "cpu-migrations": { type: SOFTWARE, config: 4n },
};

const HINTS = {
  ENOENT: "this processor or virtual machine has no such counter: take cpu-clock",
  EOPNOTSUPP: "this processor or virtual machine has no such counter: take cpu-clock",
};

/** Samples of a performance counter or clock, on each CPU. */
export const perfEvent: Attacher<"perf-event"> = {
  attach(context, program, target) {
    const { sys } = context;
    const { event = "cpu-clock", pid = -1, cookie } = target;
    if (target.perfEvent !== undefined) {
      const own = sys.check(
        { doing: "duplicating the perf event" },
        "fcntl",
        target.perfEvent,
        F_DUPFD_CLOEXEC,
        0,
      );
      const where = { kind: "perf-event", target: `perf event ${target.perfEvent}`, cookie } as const;
      return attachToPerfEvent(context, program, where, sys.own(own, where.target));
    }
    const name = typeof event === "string" ? event : `perf event ${event.type}:${event.config}`;
    const { type, config } = typeof event === "string" ? EVENTS[event] : event;
    const links: Link[] = [];
    try {
      for (const cpu of target.cpus ?? onlineCpus()) {
        const place = `${name} on CPU ${cpu}`;
        const input = { type, config, pid, cpu, ...samplingOf(target, program.name) };
        const fd = openPerfEvent(context, program, input, `attaching '${program.name}' to ${place}`, HINTS);
        links.push(attachToPerfEvent(context, program, { kind: "perf-event", target: place, cookie }, fd));
      }
    } catch (error) {
      for (const link of links) link.close();
      throw error;
    }
    const undo = (): void => {
      for (const link of links) link.close();
    };
    return new UndoLink(context, { kind: "perf-event", program: program.name, target: name }, undo);
  },
};

const F_DUPFD_CLOEXEC = 1030;
/** Samples a second when nothing was said: what perf record takes. */
const DEFAULT_FREQUENCY = 4000;

function samplingOf({ frequency, period }: AttachTargets["perf-event"], subject: string) {
  if (frequency !== undefined && period !== undefined) {
    throw new BpfError("linux/invalid", "a perf event has a frequency or a period, not both", {
      errno: "EINVAL",
      subject,
    });
  }
  return period === undefined
    ? { sample: BigInt(frequency ?? DEFAULT_FREQUENCY), byFrequency: true }
    : { sample: BigInt(period) };
}
