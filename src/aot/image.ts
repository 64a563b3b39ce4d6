/** Bytes of a linear memory that are not zero, in one piece. */
export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** A segment costs some bytes of its own: shorter gaps of zeros are taken along. */
const GAP = 16;

/** The memory's contents as segments; everything between them is zero. */
export function imageOf(memory: Uint8Array): readonly Segment[] {
  const segments: Segment[] = [];
  let from = -1;
  let end = 0;
  const words = new Uint32Array(memory.buffer, memory.byteOffset, memory.length >> 2); // memories are whole pages
  for (let word = 0; word < words.length; word++) {
    if (words[word] === 0) continue;
    const at = word * 4;
    if (from >= 0 && at - end > GAP) {
      segments.push({ address: from, bytes: memory.slice(from, end) });
      from = -1;
    }
    if (from < 0) from = at;
    end = at + 4;
  }
  if (from >= 0) segments.push({ address: from, bytes: memory.slice(from, end) });
  return segments;
}
