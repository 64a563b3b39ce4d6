import type { Capability } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";

/** A capability of the loading process that Linux asks for; the others make no difference. */
export type LoaderCapability = Capability | "CAP_SYS_ADMIN" | "CAP_SYS_BOOT";

/** {@link LoaderCapability} as a list: the ones Linux asks for when a program is loaded. */
export const LOADER_CAPABILITIES = [
  "CAP_BPF",
  "CAP_PERFMON",
  "CAP_NET_ADMIN",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
] as const satisfies readonly LoaderCapability[];

/** Usual sets by name. */
export const CAPABILITY_SETS = {
  root: LOADER_CAPABILITIES,
  bpf: ["CAP_BPF"],
  networking: ["CAP_BPF", "CAP_NET_ADMIN"],
  tracing: ["CAP_BPF", "CAP_PERFMON"],
  unprivileged: [],
} as const satisfies Record<string, readonly LoaderCapability[]>;

/** Name of a usual set. */
export type CapabilitySet = keyof typeof CAPABILITY_SETS;

/** Who loads: a usual set by name, or the capabilities that the process has in effect. */
export type Capabilities = CapabilitySet | readonly LoaderCapability[];

/**
 * What a loader's capabilities allow. CAP_SYS_ADMIN stands for CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN.
 * @see include/linux/bpf.h `bpf_allow_ptr_leaks` and its neighbours, kernel/bpf/token.c `bpf_token_capable` @ v6.18
 */
export class Rights {
  private readonly held: ReadonlySet<LoaderCapability>;

  constructor(capabilities: Capabilities = "root") {
    this.held = new Set(typeof capabilities === "string" ? CAPABILITY_SETS[capabilities] : capabilities);
  }

  /** The loader may do what this capability allows. */
  has(capability: LoaderCapability): boolean {
    if (this.held.has(capability)) return true;
    return capability !== "CAP_SYS_BOOT" && this.held.has("CAP_SYS_ADMIN");
  }

  /** CAP_BPF: loops, functions, a million instructions, precision only where it is needed. */
  get bpfCapable(): boolean {
    return this.has("CAP_BPF");
  }

  /**
   * CAP_PERFMON: addresses may be shown, stack bytes be read that were never written, and no care is taken of what a
   * processor does when it guesses (`allow_ptr_leaks`, `allow_uninit_stack`, `bypass_spec_v1`, `bypass_spec_v4`).
   */
  get perfmon(): boolean {
    return this.has("CAP_PERFMON");
  }
}

/**
 * Reads the name of a usual set, or a list such as `cap_bpf,cap_net_admin`; upper and lower case, with or without
 * `cap_`. @throws BpfError `verifier/bad-capability`
 */
export function parseCapabilities(text: string): Capabilities {
  const name = text.trim().toLowerCase();
  if (Object.hasOwn(CAPABILITY_SETS, name)) return name as CapabilitySet;
  return name.split(",").map((word) => {
    const wanted = `CAP_${word.trim().replace(/^cap_/, "").toUpperCase()}`;
    const capability = LOADER_CAPABILITIES.find((known) => known === wanted);
    if (capability !== undefined) return capability;
    throw new BpfError(
      "verifier/bad-capability",
      `'${word.trim()}' is neither a usual set nor a capability that Linux asks for`,
      {
        hint:
          `name a set (${Object.keys(CAPABILITY_SETS).join(", ")}) or list some of ` +
          `${LOADER_CAPABILITIES.join(", ").toLowerCase()}`,
      },
    );
  });
}
