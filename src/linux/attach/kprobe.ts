import { BpfError } from "../../base/index.ts";
import type { AttachTargets } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { cString } from "../sys/index.ts";
import type { Attacher } from "./attacher.ts";
import { attachToPerfEvent, openPerfEvent, pmuBit, pmuType } from "./perf-events.ts";

const HINTS = {
  ENOENT: "/proc/kallsyms lists the kernel's functions; inlined and notrace ones cannot be probed",
  EINVAL: "this place cannot be probed: not the start of an instruction, or on the kernel's blacklist",
  EADDRNOTAVAIL: "several functions have this name, or the offset lies outside of it: give the address",
};

/** The start of a kernel function, a place inside of it, or its return. */
export const kprobe: Attacher<"kprobe"> = {
  attach(context, program, target) {
    const { offset = 0, retprobe = /^kret/.test(program.spec.section) } = target;
    const type = pmuType("kprobe");
    if (type === undefined) {
      throw new BpfError(
        "linux/unsupported",
        "this kernel was built without kprobes (CONFIG_KPROBE_EVENTS)",
        {
          errno: "EOPNOTSUPP",
          subject: program.name,
          hint: "use a tracepoint, a raw tracepoint or fentry",
        },
      );
    }
    const symbol = symbolOf(context, target);
    const place = symbol ?? `0x${(target.address ?? 0n).toString(16)}`;
    const name = `${retprobe ? "return of " : ""}kernel function ${place}${offset ? `+${offset}` : ""}`;
    if (symbol === undefined && target.address === undefined) {
      throw new BpfError("linux/invalid", "a kprobe needs a function or an address", {
        subject: program.name,
      });
    }
    const event = openPerfEvent(
      context,
      program,
      {
        type,
        config: retprobe ? 1n << pmuBit("kprobe", "retprobe") : 0n,
        ...(symbol !== undefined && { config1: cString(symbol) }),
        config2: symbol === undefined ? target.address : BigInt(offset),
        pid: -1,
        cpu: 0,
      },
      `attaching '${program.name}' to ${name}`,
      HINTS,
    );
    return attachToPerfEvent(
      context,
      program,
      { kind: "kprobe", target: name, cookie: target.cookie },
      event,
    );
  },

  fromSection({ name, section, attachTo }) {
    if (attachTo === undefined) return undefined;
    const retprobe = /^kret/.test(section);
    if (/^k(ret)?syscall\//.test(section)) return { function: attachTo, syscall: true, retprobe };
    const match = /^([\w.$]+)(?:\+(0x[0-9a-f]+|\d+))?$/i.exec(attachTo);
    if (match === null || (retprobe && match[2] !== undefined)) {
      throw new BpfError("linux/bad-section", `section '${section}' names no function`, {
        subject: name,
        hint: 'SEC("kprobe/FUNCTION+OFFSET") or SEC("kretprobe/FUNCTION")',
      });
    }
    return { function: match[1], offset: Number(match[2] ?? 0), retprobe };
  },
};

/** System calls are functions of the processor's own naming. */
function symbolOf(
  context: LinuxContext,
  { function: name, syscall }: AttachTargets["kprobe"],
): string | undefined {
  if (name === undefined || !syscall) return name;
  if (!context.facts.hasSyscallWrapper) return `__se_sys_${name}`;
  return `${context.sys.libc.arch === "x64" ? "__x64_sys_" : "__arm64_sys_"}${name}`;
}
