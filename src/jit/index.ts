export { compileProgram } from "./compile.ts";
export type { JitHash, JitInput, JitLayout, JitMap, JitOutput } from "./input.ts";
export * from "./surroundings.ts";
