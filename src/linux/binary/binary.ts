import { readFileSync, statSync } from "node:fs";
import { BpfError } from "../../base/index.ts";
import {
  type ElfExecutable,
  type ElfFunction,
  EM_AARCH64,
  EM_X86_64,
  ET_DYN,
  ET_EXEC,
  executableFunctions,
  fileOffset,
  readExecutable,
} from "../../elf/index.ts";
import type { Arch } from "../sys/index.ts";
import { findBinary, systemPlaces } from "./find-binary.ts";

/** A program or library on disk. */
export interface Binary {
  readonly path: string;
  readonly elf: ElfExecutable;
}

const MACHINES: Readonly<Record<Arch, number>> = { x64: EM_X86_64, arm64: EM_AARCH64 };

/** The path that `name` stands for; `pid` prefers what that process has mapped. @throws BpfError `linux/not-found`. */
export function binaryPath(name: string, arch: Arch, pid?: number): string {
  return findBinary(name, systemPlaces(arch), pid);
}

/**
 * Reads the program or library at a path.
 * @throws BpfError `linux/not-found`, `linux/bad-binary` for what cannot be probed here, `elf/…`.
 */
export function openBinary(path: string, arch: Arch): Binary {
  const elf = readExecutable(readFile(path));
  if (elf.machine !== MACHINES[arch] || elf.byteOrder !== "little") {
    throw badBinary(path, `is made for another processor (ELF machine ${elf.machine})`);
  }
  if (elf.type !== ET_EXEC && elf.type !== ET_DYN) {
    throw badBinary(path, `is neither a program nor a shared library (ELF type ${elf.type})`);
  }
  return { path, elf };
}

function readFile(path: string): Uint8Array {
  try {
    if (statSync(path).isFile()) return readFileSync(path);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code; // of node:fs
    throw new BpfError(
      errno === "ENOENT" || errno === "ENOTDIR" ? "linux/not-found" : "linux/bad-binary",
      `${path} cannot be read`,
      { ...(errno !== undefined && { errno }), subject: path, cause: error },
    );
  }
  throw badBinary(path, "is not a regular file");
}

function badBinary(path: string, why: string): BpfError {
  return new BpfError("linux/bad-binary", `${path} ${why}`, { errno: "EINVAL", subject: path });
}

/**
 * File offset of a function: `name`, `name@VERSION` or `name@@VERSION`. Without a version, of several the default one.
 * @throws BpfError `linux/no-function`, `linux/ambiguous`, `elf/…`.
 */
export function functionOffset(binary: Binary, name: string): number {
  const [plain, version] = name.split(/@@?/, 2);
  const all = [...executableFunctions(binary.elf, plain)];
  const fitting = all.filter((found) => version === undefined || found.version === version);
  // The dynamic symbols come first, as for the loader; the full table is for what they do not have.
  const table = fitting.find(({ table }) => table === "dynsym")?.table ?? "symtab";
  const candidates = fitting.filter((found) => found.table === table);
  const defaults = candidates.filter(({ isDefault }) => isDefault);
  const chosen = prefer(defaults.length > 0 ? defaults : candidates, ({ weak }) => !weak);
  const offsets = new Set(chosen.map((found) => offsetOf(binary, found)));
  const [offset] = offsets;
  if (offset === undefined) throw noFunction(binary, name, all);
  if (offsets.size === 1) return offset;
  throw new BpfError(
    "linux/ambiguous",
    `${binary.path} has ${offsets.size} functions '${name}', at ${[...offsets].map(hex).join(", ")}`,
    {
      errno: "EINVAL",
      subject: name,
      hint: "give the version (NAME@VERSION) or the file offset of the one you mean",
    },
  );
}

/**
 * File offsets of the functions whose name fits, each once: of dynamic symbols, or where none of those fits of all, as
 * libbpf does. @throws BpfError `elf/…`.
 */
export function offsetsLike({ elf }: Binary, fits: (name: string) => boolean): number[] {
  const offsets = { dynsym: new Set<number>(), symtab: new Set<number>() };
  for (const { name, address, indirect, table } of executableFunctions(elf)) {
    if (table === "symtab" && offsets.dynsym.size > 0) break;
    if (indirect || !fits(name)) continue;
    const offset = fileOffset(elf, address)?.offset;
    if (offset !== undefined) offsets[table].add(offset);
  }
  return [...(offsets.dynsym.size > 0 ? offsets.dynsym : offsets.symtab)];
}

function prefer(functions: readonly ElfFunction[], wanted: (found: ElfFunction) => boolean) {
  const direct = functions.filter(({ indirect }) => !indirect);
  const better = direct.filter(wanted);
  return better.length > 0 ? better : direct;
}

function offsetOf({ path, elf }: Binary, { name, address }: ElfFunction): number {
  const found = fileOffset(elf, address);
  if (found !== undefined) return found.offset;
  throw badBinary(path, `does not contain its function '${name}' (address ${hex(address)})`);
}

function noFunction({ path, elf }: Binary, name: string, all: readonly ElfFunction[]): BpfError {
  const versions = [...new Set(all.map(({ version }) => version).filter((version) => version !== undefined))];
  return new BpfError("linux/no-function", `${path} has no function '${name}'`, {
    errno: "ENOENT",
    subject: name,
    hint: all.some(({ indirect }) => indirect)
      ? "which function has this name is chosen when the program starts (ifunc): probe the variant that your processor gets"
      : versions.length > 0
        ? `it has the version${versions.length > 1 ? "s" : ""} ${versions.join(", ")}`
        : elf.sections.length === 0
          ? "its symbols were stripped: give the file offset"
          : `\`nm -D ${path}\` lists the functions of a library, \`nm ${path}\` all that were not stripped`,
  });
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
