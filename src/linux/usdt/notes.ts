import { BpfError } from "../../base/index.ts";
import { type ElfExecutable, fileOffset, readNotes, SHT } from "../../elf/index.ts";

/** One place where a program or library has a probe. The same probe may have many. */
export interface UsdtPlace {
  readonly provider: string;
  readonly name: string;
  /** As the note has them: `"-4@%esi 8@%rdx"`. */
  readonly args: string;
  /** Virtual address of the probe, as the file has it now. */
  readonly address: number;
  /** The same place in the file. */
  readonly offset: number;
  /** File offset of the semaphore that the program looks at before it fires; 0: there is none. */
  readonly semaphore: number;
}

const NOTE_SECTION = ".note.stapsdt";
const BASE_SECTION = ".stapsdt.base";
const NOTE_NAME = "stapsdt";
const NOTE_TYPE = 3;
const ADDRESSES_BYTES = 24;

/**
 * The probes of a program or library, in file order. Those that do not fit `wanted` are not looked at further.
 * @throws BpfError `linux/bad-usdt` for notes that are damaged or point outside of the file, `elf/…`.
 */
export function usdtPlaces(
  elf: ElfExecutable,
  wanted: (provider: string, name: string) => boolean = () => true,
): UsdtPlace[] {
  const places: UsdtPlace[] = [];
  // Prelinking moves the code but not the notes: how far shows by where this empty section is now.
  const base = elf.sections.find(({ name }) => name === BASE_SECTION)?.address ?? 0;
  for (const section of elf.sections) {
    if (section.type !== SHT.NOTE || section.name !== NOTE_SECTION) continue;
    for (const { name, type, data } of readNotes(elf, section)) {
      if (name !== NOTE_NAME || type !== NOTE_TYPE) throw damaged(`a note '${name}' of type ${type}`);
      const note = readNote(data);
      if (!wanted(note.provider, note.name)) continue;
      const moved = base !== 0 && note.base !== 0 ? base - note.base : 0;
      places.push(placed(elf, note, moved));
    }
  }
  return places;
}

interface Note {
  readonly provider: string;
  readonly name: string;
  readonly args: string;
  readonly location: number;
  readonly base: number;
  readonly semaphore: number;
}

function readNote(data: Uint8Array): Note {
  if (data.length < ADDRESSES_BYTES + 3) throw damaged(`a note of ${data.length} bytes`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [location, base, semaphore] = [0, 8, 16].map((at) => Number(view.getBigUint64(at, true)));
  const texts = new TextDecoder().decode(data.subarray(ADDRESSES_BYTES)).split("\0", 4);
  const [provider, name, args] = texts;
  if (texts.length < 4 || name === "") throw damaged("a note without its three names");
  return { provider, name, args: args.startsWith(":") ? "" : args, location, base, semaphore };
}

function placed(elf: ElfExecutable, note: Note, moved: number): UsdtPlace {
  const { provider, name, args } = note;
  const address = note.location + moved;
  const code = fileOffset(elf, address);
  if (code === undefined || !code.segment.executable) {
    throw damaged(`probe ${provider}:${name} at ${address}, where there is no code`);
  }
  const semaphore = note.semaphore === 0 ? undefined : fileOffset(elf, note.semaphore + moved);
  if (note.semaphore !== 0 && (semaphore === undefined || semaphore.segment.executable)) {
    throw damaged(`a semaphore of ${provider}:${name} at ${note.semaphore}, where there is no data`);
  }
  return { provider, name, args, address, offset: code.offset, semaphore: semaphore?.offset ?? 0 };
}

function damaged(what: string): BpfError {
  return new BpfError("linux/bad-usdt", `the notes of probes are damaged: ${what}`, {
    errno: "EINVAL",
    subject: NOTE_SECTION,
  });
}
