// What keeps a call from taking for ever when what it reads makes no sense. A compiled program that no verifier should have
// let through can write anything over this memory: chains that lead back into themselves, sizes of gigabytes. Such work
// ends in a trap; for programs that are what they should be it counts only what is unusually much.

/** Steps, and pieces of 64 bytes, that calls may still take. A host that counts instructions sets it before a run. */
export let work: f64 = Infinity;

/** Links followed before anybody looks. */
const LOOK: u32 = 256;
/** Every element of a chain takes at least so many bytes. */
const ELEMENT_SHIFT: u32 = 3;

/** Takes `amount` off what may be done; a trap when nothing is left. */
export function charge(amount: u32): void {
  work -= <f64>amount;
  if (work < 0) unreachable();
}

/** `charge` for `size` bytes to be moved or hashed; nothing for few. */
export function chargeBytes(size: u32): void {
  if (size > 4096) charge(size >> 6);
}

/** A link of a chain was followed, after `steps` others: how many there were. A trap when memory has no room for so many. */
@inline
export function follow(steps: u32): u32 {
  const now = steps + 1;
  if (now % LOOK == 0) look(now);
  return now;
}

function look(steps: u32): void {
  charge(LOOK);
  if (<u64>steps << ELEMENT_SHIFT > <u64>memory.size() << 16) damaged();
}

/** What the memory holds makes no sense. */
export function damaged(): void {
  unreachable();
}
