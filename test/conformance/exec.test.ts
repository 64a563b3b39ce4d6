import { describe, expect, it } from "vitest";
import { execBytecode } from "../../src/runtime/index.ts";
import { loadSuite } from "./suite.ts";

const CHECKOUT = process.env.SKEP_BPF_CONFORMANCE;

describe.skipIf(CHECKOUT === undefined)(
  "bpf_conformance in the interpreter (needs SKEP_BPF_CONFORMANCE, a checkout)",
  () => {
    it.each(CHECKOUT === undefined ? [] : loadSuite(CHECKOUT))("$name", async ({ bytes, memory, result }) => {
      expect((await execBytecode(bytes, memory)).r0).toBe(result);
    });
  },
);
