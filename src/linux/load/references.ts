import { BpfError } from "../../base/index.ts";
import { type BtfIndex, essentialName } from "../../btf/index.ts";
import {
  type CollectionSpec,
  CoreMatcher,
  POISON_KFUNC,
  POISON_MAP,
  type ProgramSpec,
  type Reference,
  type Resolution,
  resolveProgram,
} from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import type { Fd } from "../sys/index.ts";
import type { KernelBtf } from "./kernel-facts.ts";

/** Instructions as PROG_LOAD takes them. */
export interface ResolvedProgram {
  readonly insns: Uint8Array;
  /** Descriptors of module BTF that calls of kernel functions name by index; slot 0 is vmlinux's. Empty: none needed. */
  readonly fdArray: readonly (Fd | undefined)[];
}

/**
 * Puts descriptors, addresses and BTF ids of the running kernel in the place of a program's references.
 * @throws BpfError `linux/no-kfunc`, `linux/no-ksym` for strong externs that the kernel does not have.
 */
export function resolveReferences(
  context: LinuxContext,
  spec: CollectionSpec,
  program: ProgramSpec,
  maps: ReadonlyMap<string, LinuxMap>,
): ResolvedProgram {
  const { facts } = context;
  const fdArray: (Fd | undefined)[] = [];

  const moduleIndex = (btf: KernelBtf): number => {
    if (btf.fd === undefined) return 0;
    if (fdArray.length === 0) fdArray.push(undefined);
    const known = fdArray.indexOf(btf.fd);
    return known > 0 ? known : fdArray.push(btf.fd) - 1;
  };

  const kfunc = (name: string) => {
    const found = facts.findType(essentialName(name), "func");
    return found && compatible(spec, name, found.btf.index, found.id) ? found : undefined;
  };

  const externIndex = (name: string): number =>
    Math.max(
      spec.externs.findIndex((extern) => extern.name === name),
      0,
    );

  const missing = (code: "linux/no-kfunc" | "linux/no-ksym", reference: Reference & { name: string }) =>
    new BpfError(
      code,
      `prog '${program.name}': '${reference.name}' is not in this kernel (${facts.version})`,
      {
        insn: reference.insn,
        subject: reference.name,
        hint: "load a module that has it, or declare it __weak and test it with bpf_ksym_exists()",
      },
    );

  const resolve = (reference: Reference): Resolution => {
    switch (reference.kind) {
      case "map":
      case "map-value": {
        const map = maps.get(reference.map);
        if (map !== undefined) return { kind: "fd", fd: map.fd };
        const index = spec.maps.findIndex(({ name }) => name === reference.map);
        return { kind: "poison", imm: POISON_MAP + Math.max(index, 0) };
      }
      case "kfunc": {
        const found = kfunc(reference.name);
        if (found !== undefined) return { kind: "btf", id: found.id, module: moduleIndex(found.btf) };
        if (!reference.weak) throw missing("linux/no-kfunc", reference);
        return { kind: "poison", imm: POISON_KFUNC + externIndex(reference.name) };
      }
      case "ksym": {
        if (reference.typed) {
          const found = facts.findType(essentialName(reference.name), "var") ?? kfunc(reference.name);
          if (found !== undefined) return { kind: "btf", id: found.id, module: found.btf.fd?.number ?? 0 };
        } else {
          const address = facts.addressOf(reference.name);
          if (address !== undefined) return { kind: "value", value: address };
        }
        if (!reference.weak) throw missing("linux/no-ksym", reference);
        return { kind: "value", value: 0n };
      }
      case "func":
        return { kind: "keep" };
    }
  };
  return { insns: resolveProgram(program, resolve), fdArray };
}

/** The kernel function takes and gives what the program says. */
function compatible(spec: CollectionSpec, name: string, kernel: BtfIndex, id: number): boolean {
  const extern = spec.externs.find((candidate) => candidate.name === name && candidate.kind === "kfunc");
  const func = kernel.btf.types[id];
  if (extern === undefined || extern.btfId === 0 || spec.btf === undefined || func.kind !== "func")
    return true;
  return new CoreMatcher(spec.btf, kernel.btf).compatible(extern.btfId, func.type);
}
