import { readdirSync, readFileSync } from "node:fs";
import type { ObjectOwner } from "../../object/index.ts";
import type { Fd } from "../sys/index.ts";
import { fdinfoKey, type ObjectKind } from "./ids.ts";

/** Who holds descriptors of objects, by id. */
export type OwnersById = ReadonlyMap<number, readonly ObjectOwner[]>;

/** Numbers that `/proc/self/fdinfo` gives for a descriptor: `memlock`, `frozen`. */
export function fdFacts(fd: Fd): Readonly<Record<string, number>> {
  return factsIn(read(`/proc/self/fdinfo/${fd.number}`));
}

/** The kind of object that a descriptor is of; undefined where /proc does not say. */
export function kindOfFd(fd: Fd): ObjectKind | undefined {
  return kindIn(read(`/proc/self/fdinfo/${fd.number}`));
}

/**
 * Looks at the descriptors of every process. Those that end meanwhile, or that this user may not look into, are left out.
 */
export function findOwners(): Readonly<Record<ObjectKind, OwnersById>> {
  const found = {
    program: new Map<number, ObjectOwner[]>(),
    map: new Map<number, ObjectOwner[]>(),
    link: new Map<number, ObjectOwner[]>(),
    btf: new Map<number, ObjectOwner[]>(),
  };
  const kinds = Object.keys(found) as ObjectKind[]; // keys of the literal
  for (const entry of list("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    let owner: ObjectOwner | undefined;
    for (const fd of list(`/proc/${pid}/fdinfo`)) {
      const text = read(`/proc/${pid}/fdinfo/${fd}`);
      const kind = kindIn(text);
      if (kind === undefined) continue;
      const id = factsIn(text)[fdinfoKey(kind)];
      owner ??= { pid, command: read(`/proc/${pid}/comm`).trim() };
      const owners = found[kind].get(id) ?? [];
      if (!owners.some((known) => known.pid === pid)) owners.push(owner);
      found[kind].set(id, owners);
    }
  }
  for (const kind of kinds) for (const owners of found[kind].values()) owners.sort((a, b) => a.pid - b.pid);
  return found;
}

/** Links name their program too: the first of these that has a line says what the descriptor is. */
const ORDER: readonly ObjectKind[] = ["link", "program", "map", "btf"];

function kindIn(text: string): ObjectKind | undefined {
  return ORDER.find((kind) => text.includes(`\n${fdinfoKey(kind)}:`));
}

function factsIn(text: string): Record<string, number> {
  return Object.fromEntries(
    [...text.matchAll(/^(\w+):\t(\d+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
}

/** Processes come and go, and some are not ours to see. */
function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
