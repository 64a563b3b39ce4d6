// What a standalone module is made of beside its programs: map storage, the helpers that need no host, packet and
// context of a run. `src/aot` links it with the compiled programs and leaves out what they do not reach.
export { alloc, allocatedBytes, allocPages, free, freePages, setMemoryLimit } from "../alloc";
export * from "../helpers/exports";
export * from "../maps/exports";
export * from "./helpers";
export * from "./packet";
