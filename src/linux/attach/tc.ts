import type { LinuxContext } from "../context.ts";
import { type Attribute, cString, decodeAttributes, Netlink, u32Bytes } from "../sys/index.ts";
import type { Attacher } from "./attacher.ts";
import { interfaceIndex } from "./interfaces.ts";
import { UndoLink } from "./link.ts";

/** include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h */
const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const NLM_F_ECHO = 0x08;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const CLSACT = 0xfffffff1;
const CLSACT_HANDLE = 0xffff0000;
const PARENTS = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
const ETH_P_ALL_BIG_ENDIAN = 0x0300;

/** Filters of the clsact qdisc, as before tcx. The qdisc is made when it is not there, and goes with its last filter. */
export const tc: Attacher<"tc"> = {
  attach(context, program, target) {
    const ifindex = interfaceIndex(context.sys, target.interface);
    const { direction = "ingress", priority = 0, handle = 0, replace = false } = target;
    const where = `interface ${target.interface} ${direction}`;
    const facts = {
      doing: `attaching '${program.name}' to ${where}`,
      needs: program.needs,
      subject: program.name,
    };
    const parent = PARENTS[direction];
    const netlink = new Netlink(context.sys);
    try {
      const made = addClsact(netlink, ifindex, facts);
      try {
        const flags = NLM_F_ECHO | NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL);
        const options: Attribute[] = [
          [TCA_BPF_FD, u32Bytes(program.fd)],
          [TCA_BPF_NAME, cString(program.name)],
          [TCA_BPF_FLAGS, u32Bytes(TCA_BPF_FLAG_ACT_DIRECT)],
        ];
        const header = tcMessage({ ifindex, handle, parent, priority });
        const answers = netlink.request(
          RTM_NEWTFILTER,
          flags,
          header,
          [
            [TCA_KIND, BPF],
            [TCA_OPTIONS, options],
          ],
          facts,
        );
        const placed = answers.find(({ type }) => type === RTM_NEWTFILTER)?.body;
        const filter = { ifindex, parent, ...placeOf(placed, { handle, priority }) };
        return filterLink(context, netlink, { program: program.name, target: where }, filter, made);
      } catch (error) {
        if (made) removeClsact(netlink, ifindex);
        throw error;
      }
    } catch (error) {
      netlink[Symbol.dispose]();
      throw error;
    }
  },
};

const BPF = cString("bpf");

interface Filter {
  readonly ifindex: number;
  readonly parent: number;
  readonly handle: number;
  /** 1 to 65535; 0: the kernel's choice. */
  readonly priority: number;
}

/** `struct tcmsg`. */
function tcMessage({ ifindex, handle, parent, priority }: Filter): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, handle, true);
  view.setUint32(12, parent, true);
  view.setUint32(16, priority === 0 && parent === CLSACT ? 0 : (priority << 16) | ETH_P_ALL_BIG_ENDIAN, true);
  return bytes;
}

/** Where the kernel says it put the filter. */
function placeOf(body: Uint8Array | undefined, asked: Pick<Filter, "handle" | "priority">) {
  if (body === undefined) return asked;
  const view = new DataView(body.buffer, body.byteOffset);
  return { handle: view.getUint32(8, true), priority: view.getUint32(16, true) >>> 16 };
}

/** True when there was none before. */
function addClsact(netlink: Netlink, ifindex: number, facts: { doing: string }): boolean {
  const header = tcMessage({ ifindex, handle: CLSACT_HANDLE, parent: CLSACT, priority: 0 });
  try {
    netlink.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, header, [[TCA_KIND, cString("clsact")]], facts);
    return true;
  } catch (error) {
    if ((error as { errno?: string }).errno === "EEXIST") return false;
    throw error;
  }
}

function removeClsact(netlink: Netlink, ifindex: number): void {
  const header = tcMessage({ ifindex, handle: CLSACT_HANDLE, parent: CLSACT, priority: 0 });
  ignoringMissing(() => netlink.request(RTM_DELQDISC, 0, header, [], { doing: "removing the clsact qdisc" }));
}

function filterLink(
  context: LinuxContext,
  netlink: Netlink,
  names: { readonly program: string; readonly target: string },
  filter: Filter,
  madeClsact: boolean,
): UndoLink {
  const undo = (): void => {
    try {
      const facts = { doing: `detaching '${names.program}' from ${names.target}` };
      ignoringMissing(() => netlink.request(RTM_DELTFILTER, 0, tcMessage(filter), [[TCA_KIND, BPF]], facts));
      if (madeClsact && !hasFilters(netlink, filter.ifindex)) removeClsact(netlink, filter.ifindex);
    } finally {
      netlink[Symbol.dispose]();
    }
  };
  return new UndoLink(context, { kind: "tc", ...names }, undo, { outlives: true });
}

function hasFilters(netlink: Netlink, ifindex: number): boolean {
  return Object.values(PARENTS).some((parent) => {
    const header = tcMessage({ ifindex, handle: 0, parent, priority: 0 });
    const facts = { doing: "listing filters" };
    let filters: { body: Uint8Array }[] = [];
    ignoringMissing(() => {
      filters = netlink.request(RTM_GETTFILTER, NLM_F_DUMP, header, [], facts);
    });
    return filters.some(({ body }) => decodeAttributes(body, 20).has(TCA_KIND));
  });
}

/** An interface or qdisc that is gone has taken its filters with it. */
function ignoringMissing(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    const { errno } = error as { errno?: string };
    if (errno !== "ENOENT" && errno !== "ENODEV" && errno !== "EINVAL") throw error;
  }
}
