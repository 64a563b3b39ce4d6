/** The public surface: read an object, open a kernel, run programs. Layers on their own: `skep/isa`, `skep/btf` … */
export * from "./base/index.ts";
export * from "./kernel/index.ts";
export * from "./object/index.ts";
export * from "./runtime/index.ts";
