// The one wasm module of the embedded kernel: map storage and the checked interpreter over the same memory.
export { alloc, allocatedBytes, allocPages, free, freePages, setMemoryLimit } from "./alloc";
export { batchNext } from "./batch";
export * from "./helpers/current";
export * from "./helpers/exports";
export * from "./interpreter";
export * from "./maps/exports";
export { work } from "./work";
