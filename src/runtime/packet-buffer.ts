/**
 * The packet of a run, in linear memory: head room, optional metadata, data, tail room. All addresses. A helper that
 * moves or resizes the packet bumps `generation`, which makes every older packet pointer of the program unusable.
 */
export interface PacketBuffer {
  /** Start of the buffer (first byte of the head room). */
  readonly start: number;
  /** One past the last byte of tail room. */
  readonly limit: number;
  dataMeta: number;
  data: number;
  /** End of the linear part. */
  dataEnd: number;
  /** Multi-buffer XDP / non-linear skb: bytes that follow the linear part, outside direct access. */
  frags: Uint8Array;
  generation: number;
}
