export * from "./build.ts";
export {
  type Description,
  type MapDescription,
  type ProgramDescription,
  readDescription,
} from "./description.ts";
export { HOST_HELPERS } from "./helpers.ts";
export { declarationsOf } from "./typescript.ts";
export { wrapperOf } from "./wrapper.ts";
