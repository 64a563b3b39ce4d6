import type { AttachOptions, BpfMap, Link, LinuxKernelOptions, Program } from "../object/index.ts";
import type { Poller } from "./events/poller.ts";
import type { KernelFacts } from "./load/kernel-facts.ts";
import type { LinuxMap } from "./maps/linux-map.ts";
import type { LinuxProgram } from "./program.ts";
import type { Sys } from "./sys/index.ts";
import type { UsdtSlots } from "./usdt/index.ts";

/** What every part of an open Linux kernel works with. */
export interface LinuxContext {
  readonly sys: Sys;
  /** What the running kernel is and has; read when first asked for. */
  readonly facts: KernelFacts;
  /** Possible CPUs: per-CPU values have this many parts. */
  readonly numCpus: number;
  /** Waits for records of all buffers. */
  readonly poller: Poller;
  readonly options: LinuxKernelOptions;
  /** Open maps and programs of this kernel by id. */
  readonly maps: Map<number, LinuxMap>;
  readonly programs: Map<number, LinuxProgram>;
  /** Slots of `__bpf_usdt_specs` maps that attachments hold. */
  readonly usdtSlots: WeakMap<LinuxMap, UsdtSlots>;
  /** `attachProgram` of `attach/`, which knows programs; handed in here, so that programs need not know it. */
  readonly attach: (program: LinuxProgram, options?: AttachOptions) => Link;
}

/** Anything that a map's slot can be set to. */
export type SlotValue = Uint8Array | BpfMap | Program;
