export * from "./core/index.ts";
export * from "./globals.ts";
export * from "./kernel.ts";
export { kernelMapName } from "./map-types.ts";
export * from "./object-relocations.ts";
export { type ReadObjectOptions, readObject } from "./read-object.ts";
export * from "./resolve-program.ts";
export * from "./section-names.ts";
export * from "./spec.ts";
