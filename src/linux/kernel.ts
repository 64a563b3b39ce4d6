import { BpfError } from "../base/index.ts";
import {
  type CollectionSpec,
  type Link,
  type LinuxCollection,
  type LinuxKernel,
  type LinuxKernelOptions,
  type LoadOptions,
  type ProgramSpec,
  type StructOpsSpec,
  setGlobals,
  setKconfig,
  withMapSizes,
} from "../object/index.ts";
import { attachProgram, attachStructOps, targetOfSection } from "./attach/index.ts";
import type { LinuxContext } from "./context.ts";
import { Poller } from "./events/poller.ts";
import { Inspection } from "./inspect/index.ts";
import { uploadBtf } from "./load/btf-upload.ts";
import { createMap } from "./load/create-map.ts";
import { KernelFacts, possibleCpus } from "./load/kernel-facts.ts";
import { loadProgram } from "./load/load-program.ts";
import { createStructOps, StructOpsMap } from "./load/struct-ops.ts";
import { createToken } from "./load/token.ts";
import { globalsOf } from "./maps/globals.ts";
import type { LinuxMap } from "./maps/linux-map.ts";
import type { LinuxProgram } from "./program.ts";
import { Sys } from "./sys/index.ts";

/**
 * Opens the kernel that this process runs on. Cheap: what the kernel has is found out when it is first needed.
 * @throws BpfError `linux/not-linux`, `linux/no-ffi`; where a token was asked for, as `createToken`.
 */
export async function openLinuxKernel(options: LinuxKernelOptions = {}): Promise<LinuxKernel> {
  const sys = await Sys.open();
  try {
    return new RunningKernel(sys, options);
  } catch (error) {
    sys[Symbol.dispose]();
    throw error;
  }
}

/** The Linux kernel behind the port. */
export class RunningKernel implements LinuxKernel {
  readonly kind = "linux";
  readonly numCpus: number;
  /** What the parts of `src/linux` work with. */
  readonly context: LinuxContext;
  readonly inspect: Inspection;
  private memlockRaised = false;

  constructor(sys: Sys, options: LinuxKernelOptions) {
    this.numCpus = possibleCpus();
    const facts = new KernelFacts(sys);
    sys.token = createToken(sys, facts, options.token);
    const context: LinuxContext = {
      sys,
      facts,
      numCpus: this.numCpus,
      options,
      poller: new Poller(sys),
      maps: new Map(),
      programs: new Map(),
      usdtSlots: new WeakMap(),
      attach: (program, target) => attachProgram(context, program, target),
    };
    this.context = context;
    this.inspect = new Inspection(context);
  }

  get version(): string {
    return this.context.facts.version;
  }

  get held() {
    return this.context.sys.held;
  }

  async load(spec: CollectionSpec, options: LoadOptions = {}): Promise<LinuxCollection> {
    if (spec.byteOrder === "big") {
      throw new BpfError("linux/byte-order", "the object is big-endian, this machine is little-endian", {
        hint: "compile with -target bpfel",
      });
    }
    const { context } = this;
    this.raiseMemlock();
    const structOps = chooseStructOps(spec, options.structOps);
    const chosen = choosePrograms(spec, options.programs, structOps);
    const settled = this.settle(spec, options);
    const maps = new Map<string, LinuxMap>();
    const programs = new Map<string, LinuxProgram>();
    const links: Link[] = [];
    const close = (): void => {
      for (const link of links.splice(0).reverse()) link.close();
      for (const program of programs.values()) program.close();
      for (const map of [...maps.values()].reverse()) map.close();
      btf?.fd.close();
    };
    const btf = settled.btf && uploadBtf(context, settled.btf, chosen);
    try {
      for (const map of settled.maps) {
        maps.set(map.name, createMap(context, map, { btf: settled.btf, btfFd: btf?.fd, made: maps }));
      }
      for (const map of settled.maps) if (map.frozen) maps.get(map.name)?.freeze();
      for (const variable of structOps) {
        if (settled.btf === undefined) continue;
        maps.set(variable.name, createStructOps(context, variable, settled.btf, btf?.fd));
      }
      for (const program of chosen) {
        programs.set(program.name, loadProgram(context, program, { spec: settled, options, maps, btf }));
      }
      fillSlots(settled, maps, programs);
      for (const map of maps.values()) if (map instanceof StructOpsMap) map.fill(programs);
    } catch (error) {
      close();
      throw error;
    }
    const attachAll = (): readonly Link[] => {
      const made = attachEach(context, programs.values(), maps.values());
      links.push(...made);
      return made;
    };
    const globals = globalsOf(maps.values());
    return { spec: settled, programs, maps, globals, attachAll, [Symbol.dispose]: close };
  }

  [Symbol.dispose](): void {
    this.context.sys[Symbol.dispose]();
    this.context.maps.clear();
    this.context.programs.clear();
  }

  /** Before Linux 5.11 maps and programs count against RLIMIT_MEMLOCK; where it cannot be raised the kernel will say so. */
  private raiseMemlock(): void {
    const { sys, facts } = this.context;
    if (this.memlockRaised || facts.has("memcg-accounting")) return;
    this.memlockRaised = true;
    const unlimited = new Uint8Array(16).fill(0xff);
    sys.call("prlimit64", 0, RLIMIT_MEMLOCK, unlimited, 0);
  }

  /** The spec with globals, kconfig and map sizes as they will be. */
  private settle(spec: CollectionSpec, options: LoadOptions): CollectionSpec {
    const { facts } = this.context;
    let settled = options.globals === undefined ? spec : setGlobals(spec, options.globals);
    if (spec.externs.some(({ kind }) => kind === "kconfig")) {
      settled = setKconfig(settled, {
        kernelVersion: facts.versionCode,
        hasBpfCookie: facts.has("bpf-cookie"),
        hasSyscallWrapper: facts.hasSyscallWrapper,
        config: { ...facts.config, ...options.kconfig },
      });
    }
    return withMapSizes(settled, options);
  }
}

const RLIMIT_MEMLOCK = 8;

function chooseStructOps(
  spec: CollectionSpec,
  names: readonly string[] | undefined,
): readonly StructOpsSpec[] {
  return spec.structOps.filter(({ name, autoload }) => names?.includes(name) ?? autoload);
}

/** Those named; else those that load by themselves, where struct_ops programs need a variable that is created. */
function choosePrograms(
  spec: CollectionSpec,
  names: readonly string[] | undefined,
  structOps: readonly StructOpsSpec[],
): readonly ProgramSpec[] {
  if (names === undefined) {
    const used = (program: string, among: readonly StructOpsSpec[]): boolean =>
      among.some(({ funcs }) => funcs.some((func) => func.program === program));
    return spec.programs.filter(({ name, type, autoload }) =>
      type === "BPF_PROG_TYPE_STRUCT_OPS" && used(name, spec.structOps) ? used(name, structOps) : autoload,
    );
  }
  return names.map((name) => {
    const program = spec.programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
    throw new BpfError("linux/no-such-program", `there is no program '${name}'`, {
      subject: name,
      hint: `there are: ${spec.programs.map((candidate) => candidate.name).join(", ")}`,
    });
  });
}

/** Declared initial slots of program arrays and maps of maps; programs that were not chosen leave theirs empty. */
function fillSlots(
  spec: CollectionSpec,
  maps: ReadonlyMap<string, LinuxMap>,
  programs: ReadonlyMap<string, LinuxProgram>,
): void {
  for (const { name, values } of spec.maps) {
    for (const { key, map, program } of values) {
      const value = map === undefined ? programs.get(program ?? "") : maps.get(map);
      if (value === undefined) continue;
      const index = new Uint8Array(4);
      new DataView(index.buffer).setUint32(0, key, true);
      maps.get(name)?.update(index, value);
    }
  }
}

/** What section names say, and the struct_ops variables; all of it or nothing. */
function attachEach(
  context: LinuxContext,
  programs: Iterable<LinuxProgram>,
  maps: Iterable<LinuxMap>,
): Link[] {
  const links: Link[] = [];
  try {
    for (const program of programs) {
      const target = targetOfSection(program.spec);
      if (target !== undefined) links.push(program.attach(target));
    }
    for (const map of maps) if (map instanceof StructOpsMap) links.push(attachStructOps(context, map));
    return links;
  } catch (error) {
    for (const link of links.reverse()) link.close();
    throw error;
  }
}
