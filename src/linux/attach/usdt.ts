import { BpfError } from "../../base/index.ts";
import type { Link } from "../../object/index.ts";
import { type Binary, binaryPath, openBinary } from "../binary/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { type UsdtPlace, usdtMaps, usdtPlaces, writeAddress, writeSpecs } from "../usdt/index.ts";
import type { Attacher } from "./attacher.ts";
import { UndoLink } from "./link.ts";
import { badSection, probeSection } from "./probe-section.ts";
import { attachUprobe } from "./uprobe.ts";
import { attachUprobes } from "./uprobe-multi.ts";

const FORM = 'SEC("usdt/BINARY:PROVIDER:NAME")';

/** Probes that a program declared with sys/sdt.h: every place in the file that has this one. */
export const usdt: Attacher<"usdt"> = {
  attach(context, program, target) {
    const { arch } = context.sys.libc;
    const { provider, name, pid } = target;
    const path = binaryPath(target.binary, arch, pid);
    const binary = openBinary(path, arch);
    const places = usdtPlaces(binary.elf, (...found) => found[0] === provider && found[1] === name);
    if (places.length === 0) throw noProbe(binary, provider, name);
    const where = `USDT probe ${provider}:${name} of ${path}`;
    const maps = usdtMaps(program.name, program.maps);
    const written = writeSpecs(context, maps.specs, places, BigInt(target.cookie ?? 0));
    const undone: (() => void)[] = [written.release];
    const undo = (): void => {
      for (const step of undone.splice(0).reverse()) step();
    };
    try {
      const attachment = { path, where, pid, slots: written.slots };
      if (program.attachType === "BPF_TRACE_UPROBE_MULTI") {
        const link = attachByOneLink(context, program, places, attachment);
        undone.push(() => link.close());
      } else {
        for (const [i, place] of places.entries()) {
          if (!context.facts.has("bpf-cookie")) {
            undone.push(writeAddress(maps.addresses, binary, place, pid, written.slots[i]));
          }
          const link = attachOne(context, program, place, { ...attachment, slot: written.slots[i] });
          undone.push(() => link.close());
        }
      }
    } catch (error) {
      undo();
      throw error;
    }
    return new UndoLink(context, { kind: "usdt", program: program.name, target: where }, undo);
  },

  fromSection(program) {
    const found = probeSection(program, FORM);
    if (found === undefined) return undefined;
    const [provider, name, more] = found.place.split(":");
    if (!provider || !name || more !== undefined) throw badSection(program.name, program.section, FORM);
    return { binary: found.binary, provider, name };
  },
};

interface Attachment {
  readonly path: string;
  /** For people. */
  readonly where: string;
  readonly pid: number | undefined;
}

function attachByOneLink(
  context: LinuxContext,
  program: LinuxProgram,
  places: readonly UsdtPlace[],
  { path, where, pid, slots }: Attachment & { readonly slots: readonly number[] },
): Link {
  return attachUprobes(context, program, {
    kind: "usdt",
    target: where,
    path,
    offsets: places.map(({ offset }) => offset),
    cookies: slots,
    refCounters: places.map(({ semaphore }) => semaphore),
    pid,
  });
}

function attachOne(
  context: LinuxContext,
  program: LinuxProgram,
  place: UsdtPlace,
  { path, where, pid, slot }: Attachment & { readonly slot: number },
): Link {
  return attachUprobe(context, program, {
    kind: "usdt",
    target: where,
    path,
    offset: BigInt(place.offset),
    refCounter: BigInt(place.semaphore),
    pid,
    retprobe: false,
    cookie: context.facts.has("bpf-cookie") ? slot : undefined,
  });
}

function noProbe(binary: Binary, provider: string, name: string): BpfError {
  const all = [...new Set(usdtPlaces(binary.elf).map((place) => `${place.provider}:${place.name}`))];
  const wanted = `${provider}:${name}`;
  return new BpfError("linux/no-probe", `${binary.path} has no USDT probe ${wanted}`, {
    errno: "ENOENT",
    subject: wanted,
    hint:
      all.length === 0
        ? "it has none at all: they are declared with DTRACE_PROBE of sys/sdt.h"
        : `it has ${all.slice(0, 8).join(", ")}${all.length > 8 ? ` and ${all.length - 8} more` : ""}`,
  });
}
