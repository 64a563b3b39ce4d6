// From assembly text to a result: the assembler, the disassembler and the interpreter on their own.
import { assemble, decode, disassemble } from "skep/isa";
import { execBytecode } from "skep/runtime";

const { bytes, diagnostics } = assemble(`
    r0 = 1
    r1 = 10
next:
    r0 *= r1
    r1 -= 1
    if r1 != 0 goto next
    exit
`);
if (diagnostics.length > 0) throw new Error(diagnostics[0].message);
for (const { slot, text } of disassemble(decode(bytes))) console.log(`${slot}: ${text}`);
const { r0, insns } = await execBytecode(bytes);
console.log(`10! = ${r0}, after ${insns} instructions`);
