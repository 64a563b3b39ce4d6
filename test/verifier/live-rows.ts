// What the oracle's loader printed about objects that are in no table, as rows of a corpus.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Row } from "./corpora.ts";
import { normLines } from "./norm.ts";

/** A line of the loader's output; objects and programs that libbpf refused have less. */
interface LoaderRecord {
  readonly obj: string;
  readonly prog?: string;
  readonly sec?: string;
  readonly type?: string;
  readonly eat?: string;
  readonly attach_btf?: string;
  readonly stage: string;
  readonly ret?: number;
  readonly errno?: number;
  readonly insns?: number;
  readonly flags?: number;
  readonly us?: number;
  readonly fail_pc?: number;
  readonly log?: string;
  readonly warn?: string;
  readonly dropped_maps?: readonly string[];
}

/** Refusals that say nothing about the program: the machine lacks something, or refuses the type. */
const ENVIRONMENT = [
  /unknown#200[12]\d{6}/,
  /unknown#195896080/,
  /is not pointing to valid bpf_map/,
  /failed to find the address for kernel symbol/,
  /cannot use helper bpf_(probe_write_user|override_return)#/,
];

/** Programs that the kernel judged, and how many it did not. @throws Error when the file is not the loader's */
export function readLiveRows(path: string): { readonly judged: readonly Row[]; readonly env: number } {
  const judged: Row[] = [];
  let env = 0;
  const orders = new Map<string, number>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (!line.startsWith("{")) continue;
    const record = JSON.parse(line) as LoaderRecord;
    if (record.prog === undefined) continue;
    const order = orders.get(record.obj) ?? 0;
    orders.set(record.obj, order + 1);
    const row = rowOf(record, order);
    if (row === undefined) env++;
    else judged.push(row);
  }
  return { judged, env };
}

function rowOf(record: LoaderRecord, order: number): Row | undefined {
  const { obj, prog = "", stage, ret, errno, log = "" } = record;
  if (stage !== "kernel" || record.type === undefined) return undefined;
  const accepted = ret === 0;
  const lines = log.split("\n");
  const norm = normLines(lines);
  if (!accepted && (norm === "" || ENVIRONMENT.some((pattern) => pattern.test(log)))) return undefined;
  const processed = /processed (\d+) insns/.exec(log)?.[1];
  return {
    obj: basename(obj),
    path: obj,
    prog,
    sec: record.sec ?? null,
    type: record.type,
    res: accepted ? "accepted" : "rejected",
    ...(record.eat !== undefined && record.eat !== "" && { attach: record.eat }),
    ...(record.attach_btf !== undefined && { attach_btf: record.attach_btf }),
    ...(errno !== undefined && { errno }),
    ...(!accepted && { msg: lastLine(lines), norm }),
    ...(record.fail_pc !== undefined && record.fail_pc >= 0 && { pc: record.fail_pc }),
    insns: record.insns ?? 0,
    ...(processed !== undefined && { processed: Number(processed) }),
    ...(record.us !== undefined && { us: record.us }),
    ...(record.flags !== undefined && { flags: record.flags }),
    ...(record.dropped_maps !== undefined && { dropped_maps: record.dropped_maps }),
    corpus: "live",
    order,
  };
}

function lastLine(lines: readonly string[]): string {
  return (
    lines.findLast((line) => line !== "" && !/^(processed|verification time|stack depth) /.test(line)) ?? ""
  );
}
