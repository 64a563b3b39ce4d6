import { BpfError } from "../base/index.ts";
import { type Btf, parseBtf } from "../btf/index.ts";
import { readObject } from "../object/index.ts";
import type { Io } from "./io.ts";

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];

/**
 * BTF from a file: raw BTF (`/sys/kernel/btf/vmlinux`) or the `.BTF` section of an ELF object.
 * @throws BpfError `cli/no-btf` when the object has none.
 */
export async function readBtfFile(io: Io, path: string): Promise<Btf> {
  const bytes = await io.readFile(path);
  if (!ELF_MAGIC.every((byte, i) => bytes[i] === byte)) return parseBtf(bytes);
  const { btf } = readObject(bytes);
  if (btf === undefined) {
    throw new BpfError("cli/no-btf", `${path} has no BTF`, { subject: path, hint: "compile with clang -g" });
  }
  return btf;
}
