import { readFileSync, realpathSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { executableFunctions, fileOffset, readExecutable, readNotes, SHT } from "./index.ts";

const isLinux = process.platform === "linux";
const shell = () => new Uint8Array(readFileSync(realpathSync("/bin/sh")));

function everything(bytes: Uint8Array): void {
  const elf = readExecutable(bytes);
  for (const { address } of executableFunctions(elf)) fileOffset(elf, address);
  for (const section of elf.sections) {
    if (section.type === SHT.NOTE) for (const { data } of readNotes(elf, section)) data.at(0);
  }
}

describe.skipIf(!isLinux)(`readExecutable${isLinux ? "" : " (needs ELF programs: Linux)"}`, () => {
  it("reads segments and finds code in the file", () => {
    const elf = readExecutable(shell());
    const code = elf.segments.filter(({ executable }) => executable);
    expect(code.length).toBeGreaterThan(0);
    for (const segment of code) {
      expect(fileOffset(elf, segment.address + 1)?.offset).toBe(segment.offset + 1);
      expect(segment.offset + segment.fileSize).toBeLessThanOrEqual(shell().length);
    }
    expect(fileOffset(elf, 2 ** 50)).toBeUndefined();
  });

  it("finds node's own functions by name as by walking", () => {
    const elf = readExecutable(new Uint8Array(readFileSync(process.execPath)));
    const [first] = executableFunctions(elf);
    const named = [...executableFunctions(elf, first.name)];
    expect(named[0]).toEqual(first);
    expect(named.every(({ name }) => name === first.name)).toBe(true);
    expect([...executableFunctions(elf, `${first.name}_nothing`)]).toEqual([]);
  });

  it("refuses damaged files with a BpfError, and nothing else", () => {
    const good = shell();
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed % below;
    };
    const elf = readExecutable(good);
    const spots = [
      0,
      ...elf.sections.filter(({ size, type }) => size > 0 && type !== SHT.NOBITS).map(({ offset }) => offset),
    ];
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const bytes = i % 8 === 0 ? good.slice(0, random(good.length)) : good.slice();
      for (let k = 0; k < 8; k++) {
        const at = (spots[random(spots.length)] + random(128)) % bytes.length;
        bytes[at] = random(256);
      }
      if (i % 2) bytes[bytes.length - 1 - random(Math.min(2000, bytes.length - 1))] = random(256);
      try {
        everything(bytes);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
