export * from "./kernel.ts";
export * from "./spec.ts";
