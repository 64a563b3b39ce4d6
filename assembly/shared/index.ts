// The embedded kernel over a memory that several threads share: the same map operations, allocator and batches, with what
// keeps threads apart around them. Operations that change a map hold its MAP_LOCK and raise its MAP_VERSION; lookups take nothing, but look
// again when the map changed meanwhile. Contents of values are the programs' business, as in Linux: array elements, and
// what lookups gave, are read and written without a lock.
export { alloc, allocatedBytes, allocPages, free, freePages, setMemoryLimit } from "../alloc";
export { batchNext } from "../batch";
export * from "../helpers/current";
export * from "../helpers/current";
export * from "../helpers/exports";
export * from "../interpreter";
export { work } from "../work";
export * from "./maps";
