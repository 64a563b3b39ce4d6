import { BpfError } from "../base/index.ts";
import { type Btf, BtfIndex } from "../btf/index.ts";
import type {
  CollectionSpec,
  LinuxKernel,
  LinuxKernelOptions,
  LoadOptions,
  ProgramSpec,
} from "../object/index.ts";
import {
  type EmbeddedKernel,
  type EmbeddedKernelOptions,
  openEmbeddedKernel,
  type ProgramFacts,
  type ProgramGate,
} from "../runtime/index.ts";
import {
  type Capabilities,
  hintFor,
  type VerifyOptions,
  verifierProgram,
  verify,
} from "../verifier/index.ts";
import { rejectionExplainer } from "./explain-rejection.ts";

/** How to open the embedded kernel. */
export interface OpenKernelOptions extends Omit<EmbeddedKernelOptions, "gate" | "metered"> {
  /**
   * With `engine: "jit"`: count instructions, and stop a run at its budget. Default: only unverified programs are
   * counted; what the verifier accepted comes to an end.
   */
  readonly metered?: boolean;
  /** Load programs without asking the verifier; the interpreter's own checks remain. Default false. */
  readonly unverified?: boolean;
  /** Whose rights the verifier judges by; default `"root"`, as for who runs `bpftool prog load`. */
  readonly capabilities?: Capabilities;
  /** Types of the kernel that the programs are meant for; needed by programs that use kernel functions or types. */
  readonly kernelBtf?: Btf;
}

/**
 * Opens a kernel: `"embedded"` runs programs here, in Node or a browser, after the verifier accepted them, as Linux
 * does. A rejected program makes `load` throw a BpfError (`verifier/…`) in the kernel's words, with instruction, source
 * line and cure. `"linux"` is the kernel that this process runs on (Node on Linux 5.10 or newer); closing it releases
 * all that was made through it and not pinned.
 */
export function openKernel(kind: "embedded", options?: OpenKernelOptions): Promise<EmbeddedKernel>;
export function openKernel(kind: "linux", options?: LinuxKernelOptions): Promise<LinuxKernel>;
export async function openKernel(
  kind: "embedded" | "linux",
  options: OpenKernelOptions | LinuxKernelOptions = {},
): Promise<EmbeddedKernel | LinuxKernel> {
  switch (kind) {
    case "embedded":
      return openEmbedded(options as OpenKernelOptions); // by the overloads
    case "linux": {
      // Package imports keep Node's modules and the FFI library out of what browsers load.
      const { openLinuxKernel } = await import("#linux");
      // Whoever loads with rejected programs wants to know why; `explain: undefined` leaves it at the kernel's log.
      return openLinuxKernel({ explain: rejectionExplainer(), ...(options as LinuxKernelOptions) }); // by the overloads
    }
    default:
      throw new BpfError("kernel/unknown-kind", `there is no kernel '${String(kind)}'`, {
        hint: 'openKernel("embedded") or openKernel("linux")',
      });
  }
}

async function openEmbedded(options: OpenKernelOptions): Promise<EmbeddedKernel> {
  const { unverified = false, capabilities = "root", kernelBtf, ...rest } = options;
  if (unverified) return openEmbeddedKernel(rest);
  const kernel = await openEmbeddedKernel({
    // Linux lets privileged programs read stack bytes they never wrote; what it accepts must run.
    uninitStack: "zero",
    metered: false,
    ...rest,
    gate: (...asked) => gate(...asked), // when a program is loaded, both are there
  });
  const gate = verifierGate({ capabilities, numCpus: kernel.numCpus, ...(kernelBtf && { kernelBtf }) });
  return kernel;
}

/**
 * Refuses programs that the verifier does not accept: for `openEmbeddedKernel` and `buildStandalone`. `numCpus`: CPUs that
 * programs may meet; default 128.
 */
export function verifierGate({
  kernelBtf,
  ...judgeBy
}: Pick<OpenKernelOptions, "capabilities" | "kernelBtf" | "numCpus"> = {}): ProgramGate {
  const kernel = kernelBtf === undefined ? undefined : new BtfIndex(kernelBtf);
  return (spec, program, load) => refuseUnlessAccepted(spec, program, load, judgeBy, kernel);
}

function refuseUnlessAccepted(
  spec: CollectionSpec,
  program: ProgramSpec,
  load: LoadOptions,
  judgeBy: VerifyOptions,
  kernel: BtfIndex | undefined,
): ProgramFacts {
  const input = verifierProgram(spec, program, {
    kernelBtf: kernel,
    ...(load.targetBtf && { targetBtf: load.targetBtf }),
    kconfigKnown: true,
  });
  const verdict = verify(input, judgeBy);
  if (verdict.verdict === "accepted") return { reached: verdict.reached };
  const subject = program.name;
  if (verdict.verdict === "unsupported") {
    throw new BpfError(
      "verifier/unsupported",
      `prog '${subject}': the verifier cannot judge it: ${verdict.feature}`,
      {
        subject,
        ...(verdict.insn >= 0 && { insn: verdict.insn }),
        hint: "give the kernel's types if it uses them (kernelBtf, --btf), or run it unverified",
      },
    );
  }
  const { code, message, insn, source, errno } = verdict.error;
  throw new BpfError(code, `prog '${subject}': ${message}`, {
    subject,
    errno,
    ...(insn >= 0 && { insn }),
    ...(source && { source }),
    hint: `${hintFor(input, verdict.error)} (skep explain ${code}; skep verify shows the path that leads there)`,
  });
}
