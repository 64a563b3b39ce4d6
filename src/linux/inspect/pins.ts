import { existsSync, mkdirSync, rmdirSync, unlinkSync } from "node:fs";
import { BpfError } from "../../base/index.ts";
import type { LinuxCollection } from "../../object/index.ts";
import { linuxError, type Sys } from "../sys/index.ts";
import { openPin } from "./ids.ts";

/** Pins what was loaded: `DIR/PROGRAM`, `DIR/maps/MAP`. All or nothing. @throws BpfError `linux/…`. */
export function pinAll({ programs, maps }: LinuxCollection, directory: string): readonly string[] {
  const mapDirectory = `${directory}/maps`;
  const made = [directory, mapDirectory].filter((path) => !existsSync(path));
  const pinned: string[] = [];
  try {
    for (const path of made) makeDirectory(path);
    const pin = (object: { pin(path: string): void }, path: string): void => {
      object.pin(path);
      pinned.push(path);
    };
    for (const [name, program] of programs) pin(program, `${directory}/${name}`);
    for (const [name, map] of maps) if (map.spec.section === ".maps") pin(map, `${mapDirectory}/${name}`);
    return pinned;
  } catch (error) {
    for (const path of pinned) unlinkSync(path);
    for (const path of made.reverse()) if (existsSync(path)) rmdirSync(path);
    throw error;
  }
}

/** Removes a pin, and nothing that is none. @throws BpfError `linux/…`. */
export function unpin(sys: Sys, path: string): void {
  openPin(sys, path).close();
  failing(`removing the pin ${path}`, path, () => unlinkSync(path));
}

function makeDirectory(path: string): void {
  failing(`making the directory ${path}`, path, () => mkdirSync(path));
}

/** Errors of the file system as ours. */
function failing(doing: string, path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    const errno = error instanceof Error && "errno" in error ? Number(error.errno) : undefined;
    if (errno === undefined) throw error;
    if (errno === ENOENT) {
      throw new BpfError("linux/not-found", `${doing}: ENOENT`, {
        errno: "ENOENT",
        subject: path,
        hint: "the directory above it does not exist: pins lie in a bpf filesystem (mount -t bpf bpf /sys/fs/bpf)",
      });
    }
    throw linuxError(errno, { doing, subject: path, needs: [] });
  }
}

const ENOENT = -2;
