import type { Attacher } from "./attacher.ts";
import { createLink } from "./attacher.ts";
import { BpfLink } from "./link.ts";

/** tp_btf, fentry, fexit, fmod_ret, LSM: the place was chosen when the program was loaded. Cookies: Linux 5.19. */
export const trace: Attacher<"trace"> = {
  attach(context, program, { cookie }) {
    const { section, attachTo = "" } = program.spec;
    const target = `${section.split("/", 1)[0]} ${attachTo}`.trim();
    if (cookie !== undefined) {
      return createLink(context, program, { kind: "trace", target }, { tracingCookie: BigInt(cookie) });
    }
    const facts = {
      doing: `attaching '${program.name}' to ${target}`,
      needs: program.needs,
      subject: program.name,
    };
    const input = { progFd: program.handle };
    const fd = context.sys.bpfFd("BPF_RAW_TRACEPOINT_OPEN", input, {
      ...facts,
      what: `link of '${program.name}'`,
    });
    return new BpfLink(context, { kind: "trace", program: program.name, target }, fd);
  },

  fromSection: ({ attachTo }) => (attachTo === undefined ? undefined : {}),
};
