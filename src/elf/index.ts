export * from "./format.ts";
export * from "./read-elf.ts";
