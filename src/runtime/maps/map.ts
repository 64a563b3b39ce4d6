import type { BpfMap } from "../../object/index.ts";

/** A map of the embedded kernel: bpf(2)'s view of it for the host, plus what programs do to it. */
export interface EmbeddedMap extends BpfMap {
  /** Address of the map header (`layout.ts`): the value of a CONST_PTR_TO_MAP register. */
  readonly address: number;
}
