import { BpfError } from "../base/index.ts";
import { type Btf, BtfIndex } from "../btf/index.ts";
import type { RejectionExplainer } from "../object/index.ts";
import { explainRejection, hintFor, Verifier, verifierProgram } from "../verifier/index.ts";

/** Statistics and remarks that Linux prints after its answer. */
const STATISTICS = /^(processed \d+ insns|verification time|stack depth|$)/;

/**
 * Asks our verifier about a program that Linux rejected. Its instruction, source line and cure count when its message
 * is the one in the kernel's log; else nothing is said.
 */
export function rejectionExplainer(): RejectionExplainer {
  const indexes = new WeakMap<Btf, BtfIndex>();
  return (spec, program, { log, kernelBtf }) => {
    let index = kernelBtf && indexes.get(kernelBtf);
    if (kernelBtf !== undefined && index === undefined) {
      index = new BtfIndex(kernelBtf);
      indexes.set(kernelBtf, index);
    }
    // Its CO-RE relocations are applied already.
    const input = verifierProgram(
      spec,
      { ...program, coreRelocations: [] },
      {
        kernelBtf: index,
        kconfigKnown: true,
      },
    );
    const verifier = new Verifier();
    const verdict = verifier.verify(input);
    if (verdict.verdict !== "rejected") return undefined;
    const { code, message, insn, source } = verdict.error;
    const said = log.split("\n").filter((line) => !STATISTICS.test(line));
    if (!said.slice(-3).some((line) => line.trim() === message.trim().split("\n").at(-1))) return undefined;
    const explanation = explainRejection(input, verdict.error, {}, verifier);
    const chain = explanation.causes.map((cause) => `insn ${cause.insn}: ${cause.text}`);
    return new BpfError(code, [message, ...chain].join("\n"), {
      subject: program.name,
      errno: verdict.error.errno,
      ...(insn >= 0 && { insn }),
      ...(source && { source }),
      hint: `${hintFor(input, verdict.error, explanation)} (skep explain ${code})`,
    });
  };
}
