export { compileProgram } from "./compile.ts";
export {
  DIRECT_HELPERS,
  type DirectFunction,
  type DirectHelper,
  type DirectHelperName,
} from "./direct-helpers.ts";
export type { JitHash, JitInput, JitLayout, JitMap, JitOutput } from "./input.ts";
export * from "./surroundings.ts";
