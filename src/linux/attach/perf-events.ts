import { readFileSync } from "node:fs";
import { BpfError } from "../../base/index.ts";
import type { AttachKind, Cookie, Link } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { type Fd, IOCTL, linuxError, type SysArg } from "../sys/index.ts";
import { createLink } from "./attacher.ts";
import { UndoLink } from "./link.ts";

/** PERF_TYPE_* of include/uapi/linux/perf_event.h. */
export const PERF_TYPE = { HARDWARE: 0, SOFTWARE: 1, TRACEPOINT: 2 } as const;
const ATTR_SIZE = 128;
const PERF_FLAG_FD_CLOEXEC = 8;
const SAMPLE_BY_FREQUENCY = 1n << 10n;

/** What to open: fields of `struct perf_event_attr`, and where to look. */
export interface PerfEventInput {
  readonly type: number;
  readonly config?: bigint;
  /** Events, or with `byFrequency` samples a second. */
  readonly sample?: bigint;
  readonly byFrequency?: boolean;
  /** Number, or memory whose address is passed. */
  readonly config1?: bigint | Uint8Array;
  readonly config2?: bigint;
  /** Process; -1: all. */
  readonly pid: number;
  /** CPU; -1: all (with a process only). */
  readonly cpu: number;
}

/** perf_event_open(2). @throws BpfError `linux/…`; the message starts with `doing`. */
export function openPerfEvent(
  context: LinuxContext,
  program: LinuxProgram,
  input: PerfEventInput,
  doing: string,
  hints: Readonly<Record<string, string>> = {},
): Fd {
  const { sys } = context;
  const attr = new Uint8Array(ATTR_SIZE);
  const view = new DataView(attr.buffer);
  const { config1 = 0n } = input;
  view.setUint32(0, input.type, true);
  view.setUint32(4, ATTR_SIZE, true);
  view.setBigUint64(8, input.config ?? 0n, true);
  view.setBigUint64(16, input.sample ?? 1n, true);
  view.setBigUint64(40, input.byFrequency ? SAMPLE_BY_FREQUENCY : 0n, true);
  view.setBigUint64(56, config1 instanceof Uint8Array ? sys.libc.addressOf(config1) : config1, true);
  view.setBigUint64(64, input.config2 ?? 0n, true);
  const args: SysArg[] = [attr, input.pid, input.cpu, -1, PERF_FLAG_FD_CLOEXEC];
  const result = sys.call("perf_event_open", ...args);
  if (result >= 0) return sys.own(result, `perf event of '${program.name}'`);
  const error = linuxError(result, { doing, needs: ["CAP_PERFMON"], subject: program.name });
  const hint = hints[error.errno ?? ""];
  throw hint === undefined
    ? error
    : new BpfError(error.code, error.message, { ...error, hint, cause: error });
}

/**
 * Attaches the program to a perf event, which the link then owns: through a bpf link (Linux 5.15), else by ioctl.
 * @throws BpfError `linux/…`, with the event closed.
 */
export function attachToPerfEvent(
  context: LinuxContext,
  program: LinuxProgram,
  where: { readonly kind: AttachKind; readonly target: string; readonly cookie?: Cookie | undefined },
  event: Fd,
): Link {
  const { sys, facts } = context;
  const { kind, target, cookie } = where;
  try {
    if (facts.has("bpf-cookie")) {
      const input = { target: event, perfCookie: cookie === undefined ? undefined : BigInt(cookie) };
      const link = createLink(context, program, { kind, target, attachType: "BPF_PERF_EVENT" }, input);
      // The link holds the event; enabling it is the owner's part.
      sys.check({ doing: `enabling ${target}` }, "ioctl", event, IOCTL.PERF_EVENT_IOC_ENABLE, 0);
      event.close();
      return link;
    }
    if (cookie !== undefined) {
      throw new BpfError(
        "linux/unsupported",
        `attaching '${program.name}' to ${target}: cookies need Linux 5.15`,
        {
          errno: "EOPNOTSUPP",
          subject: program.name,
        },
      );
    }
    const call = {
      doing: `attaching '${program.name}' to ${target}`,
      needs: program.needs,
      subject: program.name,
    };
    sys.check(call, "ioctl", event, IOCTL.PERF_EVENT_IOC_SET_BPF, program.fd);
    sys.check(call, "ioctl", event, IOCTL.PERF_EVENT_IOC_ENABLE, 0);
    return new UndoLink(context, { kind, program: program.name, target }, () => event.close());
  } catch (error) {
    event.close();
    throw error;
  }
}

/** The number of a PMU such as `kprobe`; undefined when the kernel was built without. */
export function pmuType(name: string): number | undefined {
  const text = readPmu(name, "type");
  return text === undefined ? undefined : Number(text);
}

/** The first bit of a field of a PMU's config: `"config:0"`, `"config:32-63"`. */
export function pmuBit(name: string, field: string): bigint {
  const match = /^config:(\d+)/.exec(readPmu(name, `format/${field}`) ?? "");
  return BigInt(match?.[1] ?? 0);
}

function readPmu(name: string, file: string): string | undefined {
  try {
    return readFileSync(`/sys/bus/event_source/devices/${name}/${file}`, "latin1");
  } catch {
    return undefined;
  }
}
