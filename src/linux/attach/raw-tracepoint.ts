import { BpfError } from "../../base/index.ts";
import { cString } from "../sys/index.ts";
import type { Attacher } from "./attacher.ts";
import { BpfLink } from "./link.ts";

/** `raw_tp/NAME`, `raw_tp.w/NAME`: BPF_RAW_TRACEPOINT_OPEN. */
export const rawTracepoint: Attacher<"raw-tracepoint"> = {
  attach(context, program, { name, cookie }) {
    const fd = context.sys.bpfFd(
      "BPF_RAW_TRACEPOINT_OPEN",
      {
        name: cString(name),
        progFd: program.handle,
        cookie: cookie === undefined ? undefined : BigInt(cookie),
      },
      {
        doing: `attaching '${program.name}' to raw tracepoint ${name}`,
        what: `raw tracepoint ${name}`,
        needs: program.needs,
        subject: program.name,
      },
    );
    const target = `raw tracepoint ${name}`;
    return new BpfLink(context, { kind: "raw-tracepoint", program: program.name, target }, fd);
  },

  fromSection({ name, section, attachTo }) {
    if (attachTo === undefined) return undefined;
    if (!/^\w+$/.test(attachTo)) {
      throw new BpfError("linux/bad-section", `section '${section}' names no tracepoint`, { subject: name });
    }
    return { name: attachTo };
  },
};
