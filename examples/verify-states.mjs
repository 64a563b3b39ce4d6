// Asks the verifier what it knew before each instruction of a rejected program, as an editor could show it.
// Run: node examples/verify-states.mjs
import { readFileSync } from "node:fs";
import { readObject } from "skep";
import { recordStates, verifierProgram } from "skep/verifier";

const spec = readObject(
  readFileSync(new URL("../fixtures/mistakes/packet-off-by-one.bpf.o", import.meta.url)),
);
const program = verifierProgram(spec, spec.programs[0]);
const { verdict, states } = recordStates(program, { perInsn: 1 });

for (const [insn, [{ registers }]] of states) {
  console.log(`${insn}: ${registers.map(({ place, known }) => `${place} = ${known}`).join("; ")}`);
}
if (verdict.verdict === "rejected") {
  console.log(`${verdict.verdict} at instruction ${verdict.error.insn}: ${verdict.error.message}`);
}
