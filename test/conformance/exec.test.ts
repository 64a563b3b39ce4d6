import { describe, expect, it } from "vitest";
import { ENGINES, execBytecode } from "../../src/runtime/index.ts";
import { loadSuite } from "./suite.ts";

const CHECKOUT = process.env.SKEP_BPF_CONFORMANCE;

describe.skipIf(CHECKOUT === undefined).each(ENGINES)(
  "bpf_conformance, %s (needs SKEP_BPF_CONFORMANCE, a checkout)",
  (engine) => {
    it.each(CHECKOUT === undefined ? [] : loadSuite(CHECKOUT))("$name", async ({ bytes, memory, result }) => {
      expect((await execBytecode(bytes, memory, { engine })).r0).toBe(result);
    });
  },
);
