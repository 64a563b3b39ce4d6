import { BpfError } from "../../base/index.ts";
import { tracepointId } from "../tracefs.ts";
import type { Attacher } from "./attacher.ts";
import { attachToPerfEvent, openPerfEvent, PERF_TYPE } from "./perf-events.ts";

/** `tp/CATEGORY/NAME`. */
export const tracepoint: Attacher<"tracepoint"> = {
  attach(context, program, { category, name, cookie }) {
    const id = tracepointId(context.sys, category, name);
    const target = `tracepoint ${category}/${name}`;
    const input = { type: PERF_TYPE.TRACEPOINT, config: BigInt(id), pid: -1, cpu: 0 };
    const event = openPerfEvent(context, program, input, `attaching '${program.name}' to ${target}`);
    return attachToPerfEvent(context, program, { kind: "tracepoint", target, cookie }, event);
  },

  fromSection({ name, section, attachTo }) {
    if (attachTo === undefined) return undefined;
    const parts = attachTo.split("/");
    if (parts.length === 2) return { category: parts[0], name: parts[1] };
    throw new BpfError("linux/bad-section", `section '${section}' names no tracepoint`, {
      subject: name,
      hint: 'SEC("tp/CATEGORY/NAME"), such as SEC("tp/sched/sched_switch")',
    });
  },
};
