export * from "./executable.ts";
export * from "./format.ts";
export * from "./read-elf.ts";
export type { ElfSection } from "./sections.ts";
