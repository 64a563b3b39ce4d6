// Agreement with the kernel's tables, at least as good as promised. For the lists behind the figures: report.ts.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Verifier } from "../../src/verifier/index.ts";
import { CORPORA, type CorpusName, oracleMissing, Programs, prepareCorpus, readRows } from "./corpora.ts";
import { judge, type Outcome, samePc } from "./judge.ts";

const missing = oracleMissing();

/** Promises about a corpus: shares of what is judged. */
interface Promised {
  readonly corpus: CorpusName;
  readonly verdicts: number;
  /** All programs that the kernel accepts are accepted. */
  readonly everyAccepted: boolean;
  /** Programs judged at least, so that "unsupported" is no way out. */
  readonly judged: number;
}

const PROMISES: readonly Promised[] = [
  { corpus: "raw-tests", verdicts: 0.98, everyAccepted: false, judged: 500 },
  { corpus: "verifier", verdicts: 0.97, everyAccepted: false, judged: 1300 },
  { corpus: "selftests-v3", verdicts: 0.9, everyAccepted: false, judged: 2750 },
  { corpus: "libbpf-tools", verdicts: 1, everyAccepted: true, judged: 169 },
  { corpus: "xdp-tools", verdicts: 1, everyAccepted: true, judged: 124 },
  { corpus: "debian-misc", verdicts: 1, everyAccepted: true, judged: 75 },
];

const known = new Map<CorpusName, Outcome[]>();

/** Our answers to a corpus; worked out once. */
function outcomesOf(corpus: CorpusName): Outcome[] {
  const before = known.get(corpus);
  if (before !== undefined) return before;
  prepareCorpus(corpus);
  const programs = new Programs();
  const verifier = new Verifier();
  const outcomes = readRows(corpus).judged.map((row) => judge(verifier, row, () => programs.program(row)));
  known.set(corpus, outcomes);
  return outcomes;
}

const name = ({ row }: Outcome): string => `${row.obj} ${row.prog}: kernel ${row.msg ?? row.res}`;

describe.skipIf(missing !== undefined).each(PROMISES)(
  `$corpus as the kernel judges it${missing ? ` (skipped: ${missing})` : ""}`,
  ({ corpus, verdicts, everyAccepted, judged: least }) => {
    let outcomes: Outcome[] = [];
    const of = (...kinds: Outcome["difference"][]) =>
      outcomes.filter(({ difference }) => kinds.includes(difference));
    const answered = () => of("agree", "message", "pc", "processed", "false-accept", "false-reject");

    beforeAll(() => {
      if (corpus === "verifier") {
        outcomes = outcomesOf("selftests-v3").filter(({ row }) => CORPORA.verifier.match.test(row.obj));
      } else outcomes = outcomesOf(corpus);
    }, 600_000);
    afterAll(() => {
      const counts: Record<string, number> = {};
      for (const { difference } of outcomes) counts[difference] = (counts[difference] ?? 0) + 1;
      process.stdout.write(`${corpus}: ${JSON.stringify(counts)}\n`);
    });

    it("accepts nothing that the kernel rejects", () => expect(of("false-accept").map(name)).toEqual([]));

    it("never fails otherwise", () => expect(of("crash").map(name)).toEqual([]));

    it("judges nearly everything", () => expect(answered().length).toBeGreaterThanOrEqual(least));

    it("gives the same verdicts", () => {
      const same = answered().length - of("false-accept", "false-reject").length;
      expect(same / answered().length).toBeGreaterThanOrEqual(verdicts);
    });

    it.skipIf(!everyAccepted)("accepts everything that the kernel accepts", () => {
      const others = outcomes.filter(
        ({ row, difference }) =>
          row.res === "accepted" && !["agree", "processed", "unread"].includes(difference),
      );
      expect(others.map(name)).toEqual([]);
    });

    it("says the same words about the same instruction", () => {
      const rejections = outcomes.filter(
        ({ row, difference }) => row.res === "rejected" && ["agree", "message", "pc"].includes(difference),
      );
      if (rejections.length < 20) return expect(of("message").map(name)).toEqual([]);
      const sameWords = rejections.filter(({ difference }) => difference !== "message");
      const sameInsn = rejections.filter(({ row, insn }) => samePc(row, insn));
      expect(sameWords.length / rejections.length).toBeGreaterThanOrEqual(0.9);
      expect(sameInsn.length / rejections.length).toBeGreaterThanOrEqual(0.95);
    });

    it("processes about as many instructions", () => {
      const ratios = outcomes
        .filter(({ row, processed }) => row.res === "accepted" && row.processed && processed !== undefined)
        .map(({ row, processed }) => processed! / row.processed!)
        .sort((a, b) => a - b);
      expect(ratios[ratios.length >> 1]).toBeLessThanOrEqual(1.2);
      expect(ratios[Math.floor(ratios.length * 0.95)]).toBeLessThanOrEqual(2);
      const gaveUp = outcomes.filter(
        ({ row, code }) => row.res === "accepted" && code === "verifier/too-complex",
      );
      expect(gaveUp.map(name)).toEqual([]);
    });
  },
);
