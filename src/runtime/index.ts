export * from "./ahead.ts";
export type { ProgramFacts } from "./code.ts";
export * from "./embedded-kernel.ts";
export { ENGINES, type EngineName } from "./engine.ts";
export * from "./exec.ts";
export * from "./host.ts";
export type { EmbeddedArena, EmbeddedEventMap, EmbeddedMap, EmbeddedUserRing } from "./maps/map.ts";
export * from "./network.ts";
export type { EmbeddedProgram } from "./program.ts";
