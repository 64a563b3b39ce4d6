// The examples of the error pages as the verifier's input.
import { existsSync, readFileSync } from "node:fs";
import { HELPERS, type HelperName } from "../../src/abi/index.ts";
import { BtfIndex, parseBtf } from "../../src/btf/index.ts";
import { assemble, PseudoCall, PseudoLoad } from "../../src/isa/index.ts";
import { readObject } from "../../src/object/index.ts";
import type { AsmExample, ErrorExample } from "../../src/verifier/explain/page.ts";
import { type VerifierMap, type VerifierProgram, verifierProgram } from "../../src/verifier/index.ts";

const KERNEL_TYPES = "/sys/kernel/btf/vmlinux";

/** The running kernel's types, or undefined where it has none. */
export function kernelTypes(): BtfIndex | undefined {
  return existsSync(KERNEL_TYPES) ? new BtfIndex(parseBtf(readFileSync(KERNEL_TYPES))) : undefined;
}

/** The object of an example in C. */
export function objectPath(code: string): string {
  return `fixtures/errors/${code.replace("verifier/", "")}.bpf.o`;
}

/** The program; undefined where the example has none, or needs kernel types that are not here. */
export function exampleProgram(
  code: string,
  example: ErrorExample,
  kernel: BtfIndex | undefined,
): VerifierProgram | undefined {
  if (example.kind === "none") return undefined;
  if (example.kind === "c") {
    const spec = readObject(readFileSync(objectPath(code)));
    return verifierProgram(spec, spec.programs[0], { kernelBtf: kernel });
  }
  if (kernel === undefined && needsKernelTypes(example)) return undefined;
  const maps = Object.entries(example.maps ?? {});
  const { bytes, diagnostics } = assemble(example.text, {
    symbol: (name, use) => {
      if (use === "load") {
        const map = maps.findIndex(([own]) => name.startsWith(own));
        if (map < 0) return undefined;
        return { src: name.endsWith("_value") ? PseudoLoad.MAP_VALUE : PseudoLoad.MAP_FD, imm: map };
      }
      const helper = HELPERS[name.replace(/^bpf_/, "") as HelperName]; // undefined for names that are none
      if (helper !== undefined) return { src: PseudoCall.HELPER, imm: helper.id };
      const id = kernel?.find(name, "func");
      return id === undefined ? undefined : { src: PseudoCall.KFUNC, imm: id };
    },
  });
  if (diagnostics.length > 0) throw new Error(`${code}: ${diagnostics[0].message}`);
  const attachBtfId =
    example.attachTo === undefined
      ? undefined
      : (kernel?.find(example.attachTo, "typedef") ?? kernel?.find(example.attachTo, "func"));
  return {
    name: code.replace("verifier/", "").replaceAll("-", "_").slice(0, 15),
    type: example.type,
    attachType: example.attachType,
    insns: bytes,
    maps: maps.map(([name, map]): VerifierMap => ({ name, flags: 0, ...map })),
    btf: undefined,
    funcs: [],
    lines: [],
    license: example.license ?? "GPL",
    flags: example.flags ?? {},
    kernelBtf: kernel?.btf,
    ...(attachBtfId !== undefined && { attachBtfId, attachTo: example.attachTo }),
  };
}

function needsKernelTypes(example: AsmExample): boolean {
  const named = [...example.text.matchAll(/call (bpf_\w+)/g)].map(([, name]) => name.slice(4));
  return example.attachTo !== undefined || named.some((name) => !(name in HELPERS));
}
