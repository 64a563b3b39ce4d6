import { type AttachTypeName, type Capability, type ProgramTypeName, programTypeRow } from "../abi/index.ts";
import type {
  AttachOptions,
  AttachTargets,
  IterLink,
  Link,
  LinuxProgramPort,
  ProgramSpec,
  RunInput,
  RunResult,
} from "../object/index.ts";
import type { LinuxContext } from "./context.ts";
import type { LinuxMap } from "./maps/linux-map.ts";
import { objectInfo, pinObject } from "./object-info.ts";
import { runProgram } from "./run-program.ts";
import type { Fd } from "./sys/index.ts";

/** A program in the kernel. */
export class LinuxProgram implements LinuxProgramPort {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  readonly spec: ProgramSpec;
  readonly id: number;
  readonly verifiedInsns: number;
  readonly log: string;
  /** The descriptor; closed with the collection. */
  readonly handle: Fd;
  /** Those of its collection, by name. */
  readonly maps: ReadonlyMap<string, LinuxMap>;
  private readonly context: LinuxContext;

  constructor(
    context: LinuxContext,
    spec: ProgramSpec & { readonly type: ProgramTypeName },
    handle: Fd,
    log: string,
    maps: ReadonlyMap<string, LinuxMap>,
  ) {
    this.context = context;
    this.spec = spec;
    this.name = spec.name;
    this.type = spec.type;
    this.attachType = spec.attachType;
    this.handle = handle;
    this.log = log;
    this.maps = maps;
    const info = objectInfo(context.sys, handle, PROG_INFO_SIZE);
    this.id = info?.getUint32(4, true) ?? 0;
    if (!context.programs.has(this.id)) context.programs.set(this.id, this);
    this.verifiedInsns = info?.getUint32(VERIFIED_INSNS, true) ?? 0;
  }

  get fd(): number {
    return this.handle.number;
  }

  /** Capabilities that loading and attaching such a program needs. */
  get needs(): readonly Capability[] {
    return programTypeRow(this.type).capabilities;
  }

  run(input: RunInput = {}): RunResult {
    return runProgram(this.context.sys, this, input);
  }

  attach(options: { readonly kind: "iter" } & AttachTargets["iter"]): IterLink;
  attach(options?: AttachOptions): Link;
  attach(options?: AttachOptions): Link {
    return this.context.attach(this, options);
  }

  pin(path: string): void {
    pinObject(this.context.sys, this.handle, path, `program '${this.name}'`);
  }

  close(): void {
    const { programs } = this.context;
    if (programs.get(this.id) === this) programs.delete(this.id);
    this.handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** `struct bpf_prog_info` of include/uapi/linux/bpf.h @ v6.12. */
const PROG_INFO_SIZE = 232;
const VERIFIED_INSNS = 216;
