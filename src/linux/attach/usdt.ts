import { existsSync } from "node:fs";
import { BpfError } from "../../base/index.ts";
import { ET_DYN } from "../../elf/index.ts";
import type { Link } from "../../object/index.ts";
import { type Binary, binaryPath, openBinary } from "../binary/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxMap } from "../maps/linux-map.ts";
import type { LinuxProgram } from "../program.ts";
import {
  addressInProcess,
  encodeUsdtSpec,
  parseUsdtArguments,
  type UsdtPlace,
  UsdtSlots,
  usdtPlaces,
} from "../usdt/index.ts";
import type { Attacher } from "./attacher.ts";
import { UndoLink } from "./link.ts";
import { badSection, probeSection } from "./probe-section.ts";
import { attachUprobe } from "./uprobe.ts";
import { attachUprobes } from "./uprobe-multi.ts";

const FORM = 'SEC("usdt/BINARY:PROVIDER:NAME")';
const COUNTER_FORMAT = "/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset";

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
    if (places.some(({ semaphore }) => semaphore !== 0) && !existsSync(COUNTER_FORMAT)) {
      throw new BpfError("linux/unsupported", `${where} has a semaphore: needs Linux 4.20`, {
        errno: "EOPNOTSUPP",
        subject: program.name,
      });
    }
    const maps = usdtMaps(program);
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

/**
 * Fills a slot for each different set of arguments. `slots` has one for each place; `release` gives them back.
 * @throws BpfError `linux/bad-usdt`, `linux/no-space`.
 */
function writeSpecs(
  context: LinuxContext,
  map: LinuxMap,
  places: readonly UsdtPlace[],
  cookie: bigint,
): { readonly slots: readonly number[]; readonly release: () => void } {
  const pool = context.usdtSlots.get(map) ?? new UsdtSlots(map.spec.maxEntries);
  context.usdtSlots.set(map, pool);
  const slots = new Map<string, number>();
  const release = (): void => pool.release(slots.values());
  const { valueSize, valueType } = map.spec;
  try {
    for (const { args } of places) {
      if (slots.has(args)) continue;
      const parsed = parseUsdtArguments(args, context.sys.libc.arch);
      const spec = encodeUsdtSpec(parsed, cookie, { valueSize, valueType, btf: map.btf });
      const slot = pool.take();
      slots.set(args, slot);
      map.update(u32(slot), spec);
    }
  } catch (error) {
    release();
    throw error;
  }
  return { slots: places.map(({ args }) => slots.get(args) ?? 0), release };
}

/** Without cookies the program finds its slot by the address it was called for. Returns what takes the entry out. */
function writeAddress(
  map: LinuxMap,
  { path, elf }: Binary,
  place: UsdtPlace,
  pid: number | undefined,
  slot: number,
): () => void {
  if (elf.type === ET_DYN && pid === undefined) {
    throw new BpfError(
      "linux/unsupported",
      `USDT probes of ${path} in all processes need Linux 5.15: where it is loaded differs`,
      { errno: "EOPNOTSUPP", subject: path, hint: "give the pid of the process" },
    );
  }
  const address =
    elf.type === ET_DYN && pid !== undefined
      ? addressInProcess(pid, path, place.offset)
      : BigInt(place.address);
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, address, true);
  map.update(key, u32(slot), "noexist");
  return () => map.delete(key);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** @throws BpfError `linux/no-usdt-maps`. */
function usdtMaps(program: LinuxProgram): { readonly specs: LinuxMap; readonly addresses: LinuxMap } {
  const specs = program.maps.get("__bpf_usdt_specs");
  const addresses = program.maps.get("__bpf_usdt_ip_to_spec_id");
  if (specs !== undefined && addresses !== undefined) return { specs, addresses };
  throw new BpfError("linux/no-usdt-maps", `program '${program.name}' has no maps for USDT probes`, {
    errno: "ESRCH",
    subject: program.name,
    hint: "include <bpf/usdt.bpf.h> in the program, which declares them",
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
