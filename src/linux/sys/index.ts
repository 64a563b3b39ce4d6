export * from "./bpf-commands.ts";
export * from "./cleanup.ts";
export * from "./errors.ts";
export * from "./fd.ts";
export * from "./libc.ts";
export * from "./mapping.ts";
export * from "./numbers.ts";
export * from "./sys.ts";
