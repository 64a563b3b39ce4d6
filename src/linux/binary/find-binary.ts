import { accessSync, constants, readFileSync } from "node:fs";
import { BpfError } from "../../base/index.ts";
import type { Arch } from "../sys/index.ts";
import { parseLdCache } from "./ld-cache.ts";

/** What a search depends on; the functions are for tests. */
export interface SearchPlaces {
  readonly arch: Arch;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Can the file be read (and run)? */
  readonly usable: (path: string, run: boolean) => boolean;
  /** The bytes of a file; undefined when there is none. */
  readonly read: (path: string) => Uint8Array | undefined;
}

const MULTIARCH: Readonly<Record<Arch, string>> = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };

/** The running system's. */
export function systemPlaces(arch: Arch): SearchPlaces {
  return {
    arch,
    environment: process.env,
    usable: (path, run) => {
      try {
        accessSync(path, run ? constants.R_OK | constants.X_OK : constants.R_OK);
        return true;
      } catch {
        return false;
      }
    },
    read: (path) => {
      try {
        return readFileSync(path);
      } catch {
        return undefined;
      }
    },
  };
}

/**
 * The path of a program or library. Names with a slash are paths. Libraries (`libc.so.6`) are looked for as the loader
 * does: the file that process `pid` has mapped, LD_LIBRARY_PATH, `/etc/ld.so.cache`, the usual directories. Everything
 * else is looked for on PATH.
 * @throws BpfError `linux/not-found`.
 */
export function findBinary(name: string, places: SearchPlaces, pid?: number): string {
  if (name.includes("/")) return name;
  const isLibrary = /\.so(\.|$)/.test(name);
  const found = isLibrary ? findLibrary(name, places, pid) : findProgram(name, places);
  if (found !== undefined) return found;
  throw new BpfError("linux/not-found", `there is no ${isLibrary ? "library" : "program"} '${name}'`, {
    errno: "ENOENT",
    subject: name,
    hint: isLibrary
      ? "give its path; `ldd PROGRAM` shows which libraries a program loads"
      : "give its path; libraries are named with their version, such as libc.so.6",
  });
}

function findLibrary(name: string, places: SearchPlaces, pid: number | undefined): string | undefined {
  const { arch, environment, usable, read } = places;
  const mapped = pid === undefined ? undefined : mappedLibrary(read(`/proc/${pid}/maps`), name, pid);
  if (mapped !== undefined && usable(mapped, false)) return mapped;
  const multiarch = MULTIARCH[arch];
  const cached = () => {
    const cache = read("/etc/ld.so.cache");
    return cache && parseLdCache(cache, arch).get(name);
  };
  const usual = [
    `/lib/${multiarch}`,
    `/usr/lib/${multiarch}`,
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
  ];
  return (
    inDirectories(environment.LD_LIBRARY_PATH, name, (path) => usable(path, false)) ??
    [cached()].find((path) => path !== undefined && usable(path, false)) ??
    inDirectories(usual.join(":"), name, (path) => usable(path, false))
  );
}

function findProgram(name: string, { environment, usable }: SearchPlaces): string | undefined {
  const path = `${environment.PATH ?? ""}:/usr/bin:/usr/sbin`;
  return inDirectories(path, name, (candidate) => usable(candidate, true));
}

function inDirectories(
  list: string | undefined,
  name: string,
  usable: (path: string) => boolean,
): string | undefined {
  const directories = (list ?? "").split(/[:;]/).filter((directory) => directory !== "");
  return directories.map((directory) => `${directory}/${name}`).find(usable);
}

/** The file that a process has mapped under this name, seen from here: it may live in another mount namespace. */
function mappedLibrary(maps: Uint8Array | undefined, name: string, pid: number): string | undefined {
  const line = new TextDecoder()
    .decode(maps)
    .split("\n")
    .find((text) => text.endsWith(`/${name}`));
  const path = line && /^\S+ \S+ \S+ \S+ \S+\s+(\/.*)$/.exec(line)?.[1];
  return path && `/proc/${pid}/root${path}`;
}
