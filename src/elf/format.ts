/**
 * Numbers of the ELF format that object files for BPF and the programs they probe use: `gabi` chapters 4 and 5 and
 * include/uapi/linux/elf.h.
 */

/** `e_type`: relocatable file. */
export const ET_REL = 1;
/** `e_type`: executable at a fixed address; shared object or position-independent executable. */
export const ET_EXEC = 2;
export const ET_DYN = 3;
/** `e_machine`: none (clang before 4.0 wrote this for BPF) and BPF. */
export const EM_NONE = 0;
export const EM_BPF = 247;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;

/** `p_type`: a part of the file that is mapped. */
export const PT_LOAD = 1;
/** `p_flags`: may be executed. */
export const PF_X = 1;

/** `sh_type`. */
export const SHT = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  NOTE: 7,
  NOBITS: 8,
  REL: 9,
  DYNSYM: 11,
  LLVM_ADDRSIG: 0x6fff4c03,
  GNU_VERDEF: 0x6ffffffd,
  GNU_VERSYM: 0x6fffffff,
} as const;

/** `sh_flags` bits. */
export const SHF = { WRITE: 1, ALLOC: 2, EXECINSTR: 4 } as const;

/** Symbol binding: high nibble of `st_info`. */
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;
/** Symbol type: low nibble of `st_info`. */
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4, GNU_IFUNC: 10 } as const;
/** Symbol visibility: low two bits of `st_other`. */
export const STV = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2, PROTECTED: 3 } as const;

/** Section indices of symbols that name no section. */
export const SHN = { UNDEF: 0, LORESERVE: 0xff00, ABS: 0xfff1, COMMON: 0xfff2 } as const;

/** BPF relocation types: Documentation/bpf/llvm_reloc.rst. */
export const R_BPF = { NONE: 0, R64_64: 1, ABS64: 2, ABS32: 3, NODYLD32: 4, R64_32: 10 } as const;
