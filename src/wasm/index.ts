export * from "./byte-writer.ts";
export * from "./func-body.ts";
export * from "./linker.ts";
export * from "./module-builder.ts";
export * from "./opcodes.ts";
export * from "./read-module.ts";
export * from "./types.ts";
