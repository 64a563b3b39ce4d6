import { ATTACH_TYPES } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachTargets, IterLink } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import type { LinuxProgram } from "../program.ts";
import { linuxError } from "../sys/index.ts";
import type { Attacher } from "./attacher.ts";
import { BpfLink } from "./link.ts";
import { withOpened } from "./opened.ts";

/** `enum bpf_cgroup_iter_order`. */
const ORDERS = { "self-only": 1, "descendants-pre": 2, "descendants-post": 3, "ancestors-up": 4 } as const;
/** `union bpf_iter_link_info`. */
const INFO_BYTES = 16;
const READ_BYTES = 65536;

/** Iterators (Linux 5.8): each reading of the link runs the program over all objects there are. */
export const iter: Attacher<"iter"> = {
  attach(context, program, target) {
    const { cgroup } = target;
    if (cgroup === undefined) return create(context, program, infoOf(target, program.name));
    return withOpened(context.sys, cgroup, "cgroup", (fd) => {
      const info = words(
        ORDERS[target.cgroupOrder ?? "descendants-pre"],
        typeof fd === "number" ? fd : fd.number,
      );
      return create(context, program, info);
    });
  },

  // Those over elements of a map need to be told which; the kernel says so of those.
  fromSection: ({ attachTo }) =>
    attachTo === undefined || /map_elem|sk_storage_map/.test(attachTo) ? undefined : {},
};

function infoOf({ map, pid, tid }: AttachTargets["iter"], subject: string): Uint8Array | undefined {
  if (map !== undefined) {
    if (map instanceof LinuxMap) return words(map.fd);
    throw new BpfError("linux/invalid", `map '${map.name}' belongs to another kernel`, { subject });
  }
  return tid === undefined && pid === undefined ? undefined : words(tid ?? 0, pid ?? 0);
}

function words(...values: readonly number[]): Uint8Array {
  const info = new Uint8Array(INFO_BYTES);
  for (const [i, value] of values.entries()) new DataView(info.buffer).setUint32(i * 4, value, true);
  return info;
}

function create(context: LinuxContext, program: LinuxProgram, info: Uint8Array | undefined): IterLink {
  const target = `iterator ${program.spec.attachTo ?? ""}`.trim();
  const fd = context.sys.bpfFd(
    "BPF_LINK_CREATE",
    {
      progFd: program.handle,
      attachType: ATTACH_TYPES.BPF_TRACE_ITER,
      iterInfo: info,
      iterInfoLen: info?.length,
    },
    {
      doing: `attaching '${program.name}' to ${target}`,
      what: `link of '${program.name}'`,
      needs: program.needs,
      subject: program.name,
    },
  );
  return new LinuxIterLink(context, { kind: "iter", program: program.name, target }, fd);
}

class LinuxIterLink extends BpfLink implements IterLink {
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    const { sys } = this.context;
    const doing = `reading ${this.target}`;
    using file = sys.bpfFd(
      "BPF_ITER_CREATE",
      { linkFd: this.handle },
      { doing, what: this.target, subject: this.program },
    );
    const buffer = new Uint8Array(READ_BYTES);
    for (;;) {
      const length = await sys.callAsync("read", file, buffer, buffer.length);
      if (length === AGAIN) continue;
      if (length < 0) throw linuxError(length, { doing, subject: this.program });
      if (length === 0) return;
      yield buffer.slice(0, length);
    }
  }

  async text(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const bytes of this.read()) text += decoder.decode(bytes, { stream: true });
    return text + decoder.decode();
  }
}

/** The kernel breaks long runs off; the next read goes on. */
const AGAIN = -11;
