import { type Description, writeDescription } from "./description.ts";
import { WRAPPER_JS } from "./generated/wrapper-js.ts";

/**
 * An ES module for Node and browsers that instantiates a standalone module: programs, maps with typed keys and values,
 * events. It needs nothing but the `.wasm` file. @param wasmFile its path from the wrapper, such as `./guard.wasm`.
 */
export function wrapperOf(description: Description, wasmFile: string): string {
  return `// ${description.name}: programs and maps of a standalone module, written by skep build.
${WRAPPER_JS}
export const description = skep.readDescription(${JSON.stringify(writeDescription(description))});
export const instantiate = (wasm, options) =>
  skep.instantiateWith(description, new URL(${JSON.stringify(wasmFile)}, import.meta.url), wasm, options);
`;
}
