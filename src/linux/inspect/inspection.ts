import type { ProgramTypeName } from "../../abi/index.ts";
import { BpfError, nearNames } from "../../base/index.ts";
import type {
  Link,
  LinkInfo,
  LinuxCollection,
  LinuxInspection,
  MapInfo,
  MapSpec,
  ObjectReference,
  ProgramInfo,
  ProgramSpec,
} from "../../object/index.ts";
import { BpfLink } from "../attach/link.ts";
import type { LinuxContext } from "../context.ts";
import { linuxMap } from "../events/index.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import { LinuxProgram } from "../program.ts";
import { type Fd, linuxError } from "../sys/index.ts";
import { featureReport, helpersOf } from "./features.ts";
import { idsOf, type ObjectKind, openId, openPin } from "./ids.ts";
import { KernelBtfs } from "./kernel-btfs.ts";
import { linkInfo } from "./link-info.ts";
import { mapInfo } from "./map-info.ts";
import { findOwners, kindOfFd } from "./owners.ts";
import { pinAll, unpin } from "./pins.ts";
import { programInfo } from "./program-info.ts";

/** Looks at and opens what is loaded in the kernel, by whomever. */
export class Inspection implements LinuxInspection {
  private readonly context: LinuxContext;

  constructor(context: LinuxContext) {
    this.context = context;
  }

  *programs(): IterableIterator<ProgramInfo> {
    const btfs = new KernelBtfs(this.context.sys);
    for (const fd of this.opened("program")) yield programInfo(this.context.sys, fd, btfs);
  }

  *maps(): IterableIterator<MapInfo> {
    for (const fd of this.opened("map")) yield mapInfo(this.context.sys, fd);
  }

  *links(): IterableIterator<LinkInfo> {
    for (const fd of this.opened("link")) {
      yield linkInfo(this.context.sys, fd);
    }
  }

  owners(): ReturnType<LinuxInspection["owners"]> {
    const { program, map, link } = findOwners();
    return { programs: program, maps: map, links: link };
  }

  openMap(reference: ObjectReference): LinuxMap {
    const { context } = this;
    const fd = this.open("map", reference);
    try {
      const info = mapInfo(context.sys, fd);
      if (info.type === undefined) throw unknownType("map", info.id, info.typeId);
      const btf = new KernelBtfs(context.sys).get(info.btfId);
      const spec: MapSpec = {
        name: info.name,
        type: info.type,
        keySize: info.keySize,
        valueSize: info.valueSize,
        maxEntries: info.maxEntries,
        flags: info.flags,
        mapExtra: info.mapExtra,
        numaNode: 0,
        pinning: "none",
        keyType: info.keyType,
        valueType: info.valueType,
        inner: undefined,
        values: [],
        data: undefined,
        section: ".maps",
        variables: [],
        frozen: info.frozen,
      };
      return linuxMap(context, spec, btf, fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  openProgram(reference: ObjectReference): LinuxProgram {
    const { context } = this;
    const fd = this.open("program", reference);
    try {
      const info = programInfo(context.sys, fd, new KernelBtfs(context.sys));
      if (info.type === undefined) throw unknownType("program", info.id, info.typeId);
      return new LinuxProgram(context, { ...NO_SOURCE, name: info.name, type: info.type }, fd, "", new Map());
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  openLink(reference: { readonly id: number } | { readonly pin: string }): Link {
    const { context } = this;
    const fd = this.open("link", reference);
    const info = linkInfo(context.sys, fd);
    // The kernel's kinds of links are fewer than ours of attachments.
    const facts = {
      kind: LINK_KINDS[info.type] ?? "trace",
      program: `program ${info.programId}`,
      target: info.target,
    };
    return new BpfLink(context, facts, fd);
  }

  detach(reference: { readonly id: number } | { readonly pin: string }): void {
    using fd = this.open("link", reference);
    const { result } = this.context.sys.tryBpf("BPF_LINK_DETACH", { linkFd: fd });
    if (result >= 0) return;
    throw linuxError(result, {
      doing: `detaching ${fd.what}`,
      command: "BPF_LINK_DETACH",
      hint: "this kind of link ends when its pin is removed (skep unpin) and the processes that hold it end (skep links names them)",
    });
  }

  pinAll(collection: LinuxCollection, directory: string): readonly string[] {
    return pinAll(collection, directory);
  }

  unpin(path: string): void {
    unpin(this.context.sys, path);
  }

  enableStats(): Disposable {
    return this.context.sys.bpfFd(
      "BPF_ENABLE_STATS",
      { type: BPF_STATS_RUN_TIME },
      { doing: "turning statistics on", what: "statistics", needs: ["CAP_SYS_ADMIN"] },
    );
  }

  features(): ReturnType<LinuxInspection["features"]> {
    return featureReport(this.context);
  }

  helpersOf(type: ProgramTypeName): readonly string[] {
    return helpersOf(this.context, type);
  }

  /** Each object of a kind, open while its turn lasts; those that end meanwhile are left out. */
  private *opened(kind: ObjectKind): Generator<Fd> {
    for (const id of idsOf(this.context.sys, kind)) {
      using fd = openId(this.context.sys, kind, id);
      if (fd !== undefined) yield fd;
    }
  }

  private open(kind: "map" | "program" | "link", reference: ObjectReference): Fd {
    const { sys } = this.context;
    if ("pin" in reference) {
      const fd = openPin(sys, reference.pin);
      const found = kindOfFd(fd);
      if (found === undefined || found === kind) return fd;
      fd.close();
      throw new BpfError("linux/invalid", `what is pinned at ${reference.pin} is a ${found}, no ${kind}`, {
        errno: "EINVAL",
        subject: reference.pin,
      });
    }
    const id =
      "id" in reference ? reference.id : this.idOf(kind === "map" ? "map" : "program", reference.name);
    const fd = openId(sys, kind, id);
    if (fd !== undefined) return fd;
    throw new BpfError("linux/not-found", `there is no ${kind} with the id ${id}`, {
      errno: "ENOENT",
      subject: String(id),
      hint: `skep ${kind === "program" ? "ps" : `${kind}s`} lists those there are`,
    });
  }

  /** The only object with the name; the kernel cuts names after 15 characters. */
  private idOf(kind: "map" | "program", name: string): number {
    const all = [...(kind === "map" ? this.maps() : this.programs())];
    const short = name.slice(0, NAME_LENGTH);
    const found = all.filter((info) => info.name === name || info.name === short);
    if (found.length === 1) return found[0].id;
    if (found.length > 1) {
      throw new BpfError("linux/ambiguous", `${found.length} ${kind}s have the name '${name}'`, {
        subject: name,
        hint: `name it by its id: ${found.map(({ id }) => id).join(", ")}`,
      });
    }
    const near = nearNames(
      name,
      all.map((info) => info.name),
    );
    throw new BpfError("linux/not-found", `there is no ${kind} '${name}'`, {
      errno: "ENOENT",
      subject: name,
      hint:
        near.length > 0
          ? `did you mean ${near.join(", ")}?`
          : `skep ${kind === "map" ? "maps" : "ps"} lists all`,
    });
  }
}

const NAME_LENGTH = 15;
const BPF_STATS_RUN_TIME = 0;

/** The kind of attachment that a type of link stands for. */
const LINK_KINDS: Readonly<Record<string, Link["kind"]>> = {
  raw_tracepoint: "raw-tracepoint",
  tracing: "trace",
  cgroup: "cgroup",
  iter: "iter",
  netns: "sk-lookup",
  xdp: "xdp",
  perf_event: "perf-event",
  kprobe_multi: "kprobe-multi",
  struct_ops: "struct-ops",
  netfilter: "netfilter",
  tcx: "tcx",
  uprobe_multi: "uprobe-multi",
  netkit: "netkit",
  sockmap: "sockmap",
};

/** A program that is there already: the kernel keeps no source of it. */
const NO_SOURCE: Omit<ProgramSpec, "name" | "type"> = {
  section: "",
  attachType: undefined,
  attachTo: undefined,
  flags: { sleepable: false, xdpFrags: false },
  autoload: true,
  insns: new Uint8Array(0),
  references: [],
  coreRelocations: [],
  funcs: [],
  lines: [],
};

function unknownType(kind: string, id: number, type: number): BpfError {
  return new BpfError("linux/unsupported", `${kind} ${id} has type ${type}, which is not known here`, {
    subject: String(id),
    hint: "it is newer than this version of skep",
  });
}
